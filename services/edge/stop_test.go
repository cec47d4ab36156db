package edge_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

func TestStopDrains(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d, p := b.Connect(t, e, edgetest.Clean("c")), b.Connect(t, e, edgetest.Persistent("p"))
	granted(t, d.Subscribe(1, "t"))
	b.Router.Hold()
	d.Publish("t", "under way", 1, 1)
	eventually(t, "routed", func() bool { return len(b.Router.Seen()) == 1 })
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		stopped <- e.Stop(ctx)
	}()
	for _, dev := range []*edgetest.Device{d, p} {
		if !dev.Wait(func() bool { return len(dev.Kicks()) == 1 }) || dev.Kicks()[0].Code != edge.KickShutdown {
			t.Fatalf("kicks %v", dev.Kicks())
		}
	}
	late := edgetest.NewDevice()
	defer late.Close()
	if r := late.Connect(e, edgetest.Clean("late")); kindOf(t, r.Err) != broker.KindUnavailable {
		t.Fatal(r.Err)
	}
	late.Close()
	pending(t, stopped)
	b.Router.Release()
	if err := receive(t, stopped); err != nil {
		t.Fatal(err)
	}
	if b.Sessions.Attached("", "c") || b.Sessions.Attached("", "p") {
		t.Fatal("still attached")
	}
	if _, err := e.OpenDeliver(t.Context(), broker.DeliverOpen{}, func([]broker.DeliverAck) {}); kindOf(t, err) != broker.KindUnavailable {
		t.Fatal(err)
	}
}

func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d := b.Connect(t, e, edgetest.Clean("c"))
	b.Router.Hold()
	d.Publish("t", "never acknowledged", 1, 1)
	eventually(t, "routed", func() bool { return len(b.Router.Seen()) == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Stop(ctx); err == nil {
		t.Fatal("stopped with a publish under way")
	}
}

func TestFence(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d, p := b.Connect(t, e, edgetest.Clean("c")), b.Connect(t, e, edgetest.Persistent("p"))
	granted(t, d.Subscribe(1, "t"))
	b.Router.Hold()
	answer := d.Publish("t", "x", 1, 1)
	eventually(t, "routed", func() bool { return len(b.Router.Seen()) == 1 })
	got, requests := len(d.Got()), len(b.Sessions.Requests(0))
	s, err := e.OpenDeliver(t.Context(), broker.DeliverOpen{Topic: 1, TopicEpoch: 1}, func([]broker.DeliverAck) { t.Error("acknowledged after the fence") })
	if err != nil {
		t.Fatal(err)
	}
	e.Fence()
	receive(t, s.Done())
	if err := s.Send([]broker.Delivery{{Msg: &broker.Message{Topic: "t"}, Plain: true, Seq: 1}}); err == nil {
		t.Error("a delivery was taken after the fence")
	}
	for _, dev := range []*edgetest.Device{d, p} {
		if !dev.Wait(func() bool { return len(dev.Kicks()) == 1 }) || dev.Kicks()[0].Code != edge.KickLost {
			t.Errorf("kicks %v", dev.Kicks())
		}
	}
	b.Router.Release()
	d.Close()
	p.Close()
	pending(t, answer)
	if len(d.Got()) != got || len(b.Sessions.Requests(0)) != requests {
		t.Error("something went out after the fence")
	}
	if _, err := e.Inject(t.Context(), broker.Identity{Superuser: true}, &broker.Message{Topic: "t"}); kindOf(t, err) != broker.KindUnavailable {
		t.Error(err)
	}
	next := b.Edge(t, nil) // the next incarnation
	b.Connect(t, next, edgetest.Clean("c"))
}

// TestRouterFailOver loses batches after they were routed, breaks streams and refuses opens while publishers and a subscriber are at work.
func TestRouterFailOver(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, req func(string) edge.ConnectRequest) {
		b := edgetest.New(t)
		b.Router.RepeatDeliveries()
		e := b.Edge(t, nil)
		sub := b.Connect(t, e, req("sub"))
		sub.AutoAck()
		granted(t, sub.Subscribe(2, "t/+"))
		const n = 60
		done := make(chan error, 2)
		for _, qos := range []broker.QoS{1, 2} {
			pub := b.Connect(t, e, req(fmt.Sprint("pub", qos)))
			go func() {
				var answers []<-chan edge.PublishResult
				for i := range n {
					answers = append(answers, pub.Publish(fmt.Sprint("t/", qos), fmt.Sprint(i), qos, uint16(i+1)))
				}
				for _, ch := range answers {
					if r := <-ch; r.Err != nil {
						done <- r.Err
						return
					}
				}
				done <- nil
			}()
		}
		for range 5 {
			b.Router.LoseBatches(2)
			b.Router.RefuseOpens(1)
			seen := len(b.Router.Seen())
			b.Router.Break()
			b.Sessions.Break()
			eventually(t, "work goes on", func() bool { s := len(b.Router.Seen()); return s > seen || s == 2*n })
		}
		for range 2 {
			if err := receive(t, done); err != nil {
				t.Fatal(err)
			}
		}
		next := map[string]int{}
		for _, g := range sub.WaitGot(2 * n) {
			if g.Payload != fmt.Sprint(next[g.Topic]) {
				t.Fatalf("%s: got %s, want %d", g.Topic, g.Payload, next[g.Topic])
			}
			next[g.Topic]++
		}
		if next["t/1"] != n || next["t/2"] != n {
			t.Fatalf("%v", next)
		}
	})
}

// panicking is a device whose gateway panics in one of its callbacks, and closes then, as services/transport does.
type panicking struct{ *edgetest.Device }

func (d panicking) Post(fn func()) bool {
	return d.Device.Post(func() {
		defer func() {
			if recover() != nil {
				go d.Close()
			}
		}()
		fn()
	})
}

func TestPanicOfAGatewayEndsItsConnectionOnly(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	other := b.Connect(t, e, edgetest.Clean("other"))
	d := panicking{edgetest.NewDevice()}
	connected := make(chan struct{})
	req := edgetest.Clean("c")
	var conn *edge.Conn
	d.Device.Post(func() {
		conn = e.Connect(d, &req, func(edge.ConnectResult) { close(connected) })
		d.Adopt(conn)
	})
	receive(t, connected)
	release := b.Auth.Stall()
	d.Post(func() {
		conn.Publish(edge.Publish{Msg: &broker.Message{Topic: "t", QoS: 1}, PacketID: 1, Done: func(edge.PublishResult) { panic("as the test wants") }})
	})
	eventually(t, "asked", func() bool { return len(b.Auth.Questions()) == 1 })
	release()
	eventually(t, "gone", func() bool {
		rows, err := e.Clients(t.Context(), broker.ClientQuery{})
		return err == nil && len(rows) == 1
	})
	if r := receive(t, other.Publish("t", "x", 1, 1)); r.Err != nil {
		t.Fatal(r.Err)
	}
}
