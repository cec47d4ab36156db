package edge_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

func TestTakeOver(t *testing.T) {
	t.Parallel()
	kinds := map[string]func(string) edge.ConnectRequest{"clean": edgetest.Clean, "persistent": edgetest.Persistent}
	for before, old := range kinds {
		for after, fresh := range kinds {
			for _, same := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s by %s, same gateway %v", before, after, same), func(t *testing.T) {
					t.Parallel()
					b := edgetest.New(t)
					e1 := b.Edge(t, nil)
					e2 := e1
					if !same {
						e2 = b.Edge(t, nil)
					}
					first := b.Connect(t, e1, old("c"))
					granted(t, first.Subscribe(1, "t"))
					second := b.Connect(t, e2, fresh("c"))
					if !first.Wait(func() bool { return len(first.Kicks()) == 1 }) {
						t.Fatal("the old connection was not kicked")
					}
					if k := first.Kicks()[0]; k.Code != edge.KickTakenOver || k.Reason != "conflict" {
						t.Fatalf("%+v", k)
					}
					pub := b.Connect(t, e1, edgetest.Clean("pub"))
					r := receive(t, pub.Publish("t", "x", 1, 1))
					resumed := before == "persistent" && after == "persistent"
					if r.Matched != resumed && r.Matched != (before == "clean") { // the routers may not have heard yet that the clean session is gone
						t.Errorf("matched %v", r.Matched)
					}
					if resumed {
						wantGot(t, second, "t=x")
					}
					receive(t, second.Publish("u", "y", 1, 1)) // publishes go on
					eventually(t, "the kick is answered", func() bool { return len(b.Sessions.Requests(broker.OpKicked)) > 0 })
					rows, err := e2.Clients(t.Context(), broker.ClientQuery{ClientID: "c"})
					if err != nil || len(rows) != 1 || rows[0].Persistent != (after == "persistent") {
						t.Fatalf("clients %+v, %v", rows, err)
					}
				})
			}
		}
	}
}

func TestTakeOverHoldsPublishesOnly(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	first := b.Connect(t, e, edgetest.Clean("c"))
	receive(t, first.Publish("t", "0", 1, 1))
	b.Router.Hold()
	first.Publish("t", "1", 1, 2)
	eventually(t, "routed", func() bool { return len(b.Router.Seen()) == 2 })
	second := b.Connect(t, e, edgetest.Clean("c"))
	granted(t, second.Subscribe(1, "other")) // does not wait
	held := second.Publish("t", "2", 1, 1)
	if !first.Wait(func() bool { return len(first.Kicks()) == 1 }) {
		t.Fatal("not kicked")
	}
	if n := len(b.Router.Seen()); n != 2 {
		t.Fatalf("%d messages routed while the old connection's publish is unanswered", n)
	}
	if n := len(b.Sessions.Requests(broker.OpKicked)); n != 0 {
		t.Fatal("the kick was answered before the publish")
	}
	b.Router.Release()
	receive(t, held)
	if r := b.Sessions.Requests(broker.OpKicked); len(r) != 1 || r[0].Detach == nil || r[0].Detach.DropWill {
		t.Fatalf("answers to the kick: %+v", r)
	}
}

func TestTakeOverHoldEndsAfterASecond(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	b.Connect(t, e, edgetest.Clean("c"))
	b.Sessions.Mute(broker.OpKicked, true)
	b.Sessions.RefuseOp(broker.OpKicked, broker.E(broker.KindInternal, "lost", nil))
	second := b.Connect(t, e, edgetest.Clean("c"))
	start := time.Now()
	if r := receive(t, second.Publish("t", "x", 1, 1)); r.Err != nil {
		t.Fatal(r.Err)
	}
	if took := time.Since(start); took < 500*time.Millisecond || took > 5*time.Second {
		t.Fatalf("published after %v", took)
	}
	b.Sessions.Mute(broker.OpKicked, false)
	b.Sessions.Break()
}

func TestKickOfAConnectionThatIsGone(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	b.Connect(t, e, edgetest.Clean("c"))
	b.Sessions.Push("", "c", broker.Push{Op: broker.PushKick, Conn: 4711, Reason: "conflict"})
	eventually(t, "answered", func() bool { r := b.Sessions.Requests(broker.OpKicked); return len(r) == 1 && r[0].Conn == 4711 })
}

func TestPushesOfOlderEpochsAreIgnored(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d := b.Connect(t, e, edgetest.Persistent("c"))
	granted(t, d.Subscribe(1, "t"))
	m := &broker.Message{Topic: "t", Payload: []byte("old")}
	b.Sessions.Push("", "c", broker.Push{Op: broker.PushPublish, Msg: m, Filters: []string{"t"}, Epoch: broker.ConnEpoch{Partition: 0, Counter: 99}})
	b.Sessions.Push("", "c", broker.Push{Op: broker.PushKick, Reason: "conflict", Epoch: broker.ConnEpoch{Partition: 1}})
	m2 := &broker.Message{Topic: "t", Payload: []byte("new")}
	b.Sessions.Push("", "c", broker.Push{Op: broker.PushPublish, Msg: m2, Filters: []string{"t"}})
	wantGot(t, d, "t=new")
	if len(d.Kicks()) != 0 {
		t.Fatal("kicked by an old epoch")
	}
}

// outdated is the tier of session partitions, of which an owner from before answers once more.
type outdated struct {
	broker.Sessions
	mu   sync.Mutex
	next bool
	sent int // requests that the old owner got
}

type outdatedStream struct {
	broker.SessionStream
	o *outdated
}

func (s outdatedStream) Epoch() uint64 { return 0 }

func (s outdatedStream) Send(batch []broker.SessionRequest) error {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	s.o.sent += len(batch)
	return nil
}

func (o *outdated) OpenSession(ctx context.Context, open broker.SessionOpen, h broker.SessionHandler) (broker.SessionStream, error) {
	s, err := o.Sessions.OpenSession(ctx, open, h)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil || !o.next {
		return s, err
	}
	o.next = false
	return outdatedStream{s, o}, nil
}

// A stream to an owner with a lower epoch than one seen is not used (rule N12).
func TestStreamOfAnOlderOwnerIsRefused(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	o := &outdated{Sessions: b.Sessions}
	e := b.Edge(t, func(_ *edge.Config, d *edge.Deps) { d.Sessions = o })
	d := b.Connect(t, e, edgetest.Persistent("c"))
	o.mu.Lock()
	o.next = true
	o.mu.Unlock()
	b.Sessions.Break()
	if r := receive(t, d.Publish("t", "1", 2, 1)); r.Err != nil {
		t.Fatal(r.Err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.next || o.sent != 0 {
		t.Errorf("an older owner was asked: %v, got %d requests", !o.next, o.sent)
	}
}
