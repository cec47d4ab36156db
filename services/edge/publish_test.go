package edge_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
	"github.com/pando-mq/pando/services/hook"
)

func TestPublishReachesSubscribers(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name string
		req  func(string) edge.ConnectRequest
	}{{"clean", edgetest.Clean}, {"persistent", edgetest.Persistent}} {
		for qos := range broker.QoS(3) {
			t.Run(fmt.Sprintf("%s qos %d", kind.name, qos), func(t *testing.T) {
				t.Parallel()
				b := edgetest.New(t)
				e := b.Edge(t, nil)
				sub, pub := b.Connect(t, e, kind.req("sub")), b.Connect(t, e, kind.req("pub"))
				sub.AutoAck()
				granted(t, sub.Subscribe(2, "a/+"))
				for i := range 100 {
					r := receive(t, pub.Publish("a/b", fmt.Sprint(i), qos, uint16(i+1)))
					if r.Err != nil || !r.Matched {
						t.Fatalf("publish %d: %+v", i, r)
					}
				}
				for i, g := range sub.WaitGot(100) {
					if g.Payload != fmt.Sprint(i) || g.QoS != qos || (g.PacketID != 0) != (qos > 0) || g.Dup || g.Retain {
						t.Fatalf("delivery %d: %+v", i, g)
					}
				}
			})
		}
	}
}

func TestPublishWaitsForTheACLInOrder(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	var order publishOrder
	e := b.Edge(t, func(_ *edge.Config, d *edge.Deps) { d.Hooks = order.chains(t) })
	slow, other := b.Connect(t, e, edgetest.Clean("slow")), b.Connect(t, e, edgetest.Clean("other"))
	if r := receive(t, other.Publish("known", "", 1, 1)); r.Err != nil { // now cached for other
		t.Fatal(r.Err)
	}
	if r := receive(t, slow.Publish("known", "", 1, 1)); r.Err != nil {
		t.Fatal(r.Err)
	}
	release := b.Auth.Stall()
	first := slow.Publish("unknown", "1", 1, 2)
	second := slow.Publish("known", "2", 1, 3) // decided already, yet behind the first
	third := slow.Publish("known", "3", 0, 0)
	if r := receive(t, other.Publish("known", "x", 1, 2)); r.Err != nil { // nobody else waits
		t.Fatal(r.Err)
	}
	pending(t, first)
	pending(t, second)
	release()
	for _, ch := range []<-chan edge.PublishResult{first, second, third} {
		if r := receive(t, ch); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if got := order.of("slow"); got != "known unknown known known" {
		t.Fatalf("handled in the order %s", got)
	}
}

// publishOrder records the topics that message.publish sees, by client.
type publishOrder struct {
	mu     sync.Mutex
	topics map[string][]string
}

func (o *publishOrder) chains(t *testing.T) *hook.Chains {
	c := &hook.Chains{}
	o.topics = map[string][]string{}
	err := c.MessagePublish.Add(hook.Hook[*broker.Identity, *broker.Message]{Name: "order", Run: func(id *broker.Identity, m *broker.Message) (*broker.Message, hook.Verdict) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.topics[id.ClientID] = append(o.topics[id.ClientID], m.Topic)
		return m, hook.OK
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (o *publishOrder) of(clientID string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.topics[clientID], " ")
}

func TestPublishHeldInTheGateHoldsReading(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.Publish.MaxUnacked = 10 << 10 })
	d := b.Connect(t, e, edgetest.Clean("c"))
	release := b.Auth.Stall()
	var answers []<-chan edge.PublishResult
	for i := range 40 {
		answers = append(answers, d.Publish("t", strings.Repeat("x", 1000), 1, uint16(i+1)))
	}
	if h := d.Holds(); len(h) != 1 || !h[0] {
		t.Fatalf("holds %v while %d publishes wait", h, len(answers))
	}
	release()
	for _, ch := range answers {
		if r := receive(t, ch); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if !d.Wait(func() bool { h := d.Holds(); return len(h)%2 == 0 }) {
		t.Fatal("reading was not resumed")
	}
}

func TestAnswersComeInTheOrderOfPublishes(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d := b.Connect(t, e, edgetest.Clean("c"))
	for _, topic := range []string{"a", "b", "c", "d", "e"} { // decisions at hand
		receive(t, d.Publish(topic, "", 0, 0))
	}
	b.Router.Hold()
	order := make(chan edge.PublishResult, 100)
	d.Do(func(c *edge.Conn) {
		for i := range 50 {
			m := &broker.Message{Topic: string(rune('a' + i%5)), QoS: broker.QoS(1 + i%2)}
			c.Publish(edge.Publish{Msg: m, PacketID: uint16(i + 1), Done: func(r edge.PublishResult) { order <- r }})
		}
	})
	eventually(t, "all are routed", func() bool { return len(b.Router.Seen()) == 55 })
	pending(t, order)
	b.Router.Release() // newest first
	last := map[broker.QoS]uint16{}
	for range 50 {
		r := receive(t, order)
		if r.PacketID <= last[r.QoS] {
			t.Fatalf("answer %d of QoS %d after %d", r.PacketID, r.QoS, last[r.QoS])
		}
		last[r.QoS] = r.PacketID
	}
}

func TestUnackedPublishesHoldReading(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.Publish.MaxUnacked = 10 << 10 })
	d := b.Connect(t, e, edgetest.Clean("c"))
	b.Router.Hold()
	var answers []<-chan edge.PublishResult
	for i := range 12 {
		answers = append(answers, d.Publish("t", strings.Repeat("x", 1000), 1, uint16(i+1)))
	}
	if !d.Wait(func() bool { h := d.Holds(); return len(h) == 1 && h[0] }) {
		t.Fatalf("holds %v", d.Holds())
	}
	eventually(t, "routed", func() bool { return len(b.Router.Seen()) == 12 })
	b.Router.Release()
	for _, ch := range answers {
		receive(t, ch)
	}
	if !d.Wait(func() bool { return len(d.Holds()) == 2 }) {
		t.Fatalf("holds %v after the answers", d.Holds())
	}
}

func TestFullQueueTowardsRouters(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.Publish.MaxQueued = 8 << 10 })
	filler, d := b.Connect(t, e, edgetest.Clean("filler")), b.Connect(t, e, edgetest.Clean("c"))
	receive(t, d.Publish("t", "first", 0, 0))
	b.Router.Hold()
	filling := filler.Publish("f", strings.Repeat("x", 8<<10), 1, 1)
	eventually(t, "queue is full", func() bool { return len(b.Router.Seen()) == 2 })
	drop := d.Publish("t", "dropped", 0, 0)
	wait := d.Publish("t", "kept", 1, 1)
	behind := d.Publish("t", "behind", 0, 0)
	if !d.Wait(func() bool { return len(d.Holds()) == 1 }) || e.Dropped(edge.DropPressure) != 1 {
		t.Fatalf("holds %v, dropped %d", d.Holds(), e.Dropped(edge.DropPressure))
	}
	pending(t, wait)
	b.Router.Release()
	if r := receive(t, filling); r.Err != nil {
		t.Fatal(r.Err)
	}
	if r := receive(t, wait); r.Err != nil {
		t.Fatal(r.Err)
	}
	receive(t, behind)
	pending(t, drop)
	if !d.Wait(func() bool { return len(d.Holds()) == 2 }) {
		t.Fatalf("holds %v", d.Holds())
	}
}

func TestPublishRefused(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.MaxTopicLength, c.MaxTopicLevels = 20, 3 })
	b.Auth.Deny(broker.ActionPublish, "secret", "later")
	d := b.Connect(t, e, edgetest.Clean("c"))
	tests := []struct {
		name, topic string
		want        broker.Kind
	}{
		{"denied", "secret", broker.KindDenied},
		{"denied when delayed", "$delayed/5/later", broker.KindDenied},
		{"wildcard", "a/+", broker.KindInvalid},
		{"empty", "", broker.KindInvalid},
		{"zero byte", "a\x00", broker.KindInvalid},
		{"too long", strings.Repeat("x", 21), broker.KindInvalid},
		{"too deep", "a/b/c/d", broker.KindInvalid},
	}
	for i, tt := range tests {
		for qos := range broker.QoS(3) {
			r := receive(t, d.Publish(tt.topic, "", qos, uint16(10*i)+uint16(qos)+1))
			if kindOf(t, r.Err) != tt.want || r.QoS != qos || r.Disconnect {
				t.Errorf("%s, QoS %d: %+v, want %v", tt.name, qos, r, tt.want)
			}
		}
	}
	if n := len(b.Router.Seen()); n != 0 {
		t.Errorf("%d messages were routed", n)
	}
}

func TestDenyActionDisconnects(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.ACL.DenyAction = edge.DenyDisconnect })
	b.Auth.Deny(broker.ActionPublish, "secret")
	d := b.Connect(t, e, edgetest.Clean("c"))
	if r := receive(t, d.Publish("secret", "", 1, 1)); kindOf(t, r.Err) != broker.KindDenied || !r.Disconnect {
		t.Fatalf("%+v", r)
	}
	d.Do(func(c *edge.Conn) { c.Publish(edge.Publish{Msg: &broker.Message{Topic: "secret"}}) })
	if !d.Wait(func() bool { return len(d.Kicks()) == 1 }) || d.Kicks()[0].Code != edge.KickDenied {
		t.Fatalf("kicks %v", d.Kicks())
	}
}

func TestQoS2OfCleanPublisher(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.Session.MaxAwaitingRel = 2 })
	d := b.Connect(t, e, edgetest.Clean("c"))
	release := func(id uint16) bool {
		known := make(chan bool, 1)
		d.Do(func(c *edge.Conn) { c.Release(id, func(_ uint16, k bool, _ error) { known <- k }) })
		return receive(t, known)
	}
	b.Router.Hold()
	first := d.Publish("t", "1", 2, 7)
	repeat := d.Publish("t", "1", 2, 7)
	eventually(t, "routed", func() bool { return len(b.Router.Seen()) == 1 })
	pending(t, first)
	pending(t, repeat) // answered no sooner than the first
	b.Router.Release()
	if r := receive(t, first); r.Err != nil || r.Repeated {
		t.Fatalf("first: %+v", r)
	}
	if r := receive(t, repeat); r.Err != nil || !r.Repeated {
		t.Fatalf("repeat: %+v", r)
	}
	if r := receive(t, d.Publish("t", "2", 2, 8)); r.Err != nil {
		t.Fatal(r.Err)
	}
	if r := receive(t, d.Publish("t", "3", 2, 9)); kindOf(t, r.Err) != broker.KindQuota {
		t.Fatalf("beyond max_awaiting_rel: %+v", r)
	}
	if !release(7) || release(7) {
		t.Fatal("id 7 is known once")
	}
	if r := receive(t, d.Publish("t", "4", 2, 7)); r.Err != nil || r.Repeated {
		t.Fatalf("id 7 used again: %+v", r)
	}
	if n := len(b.Router.Seen()); n != 3 {
		t.Fatalf("%d messages were routed, want 3", n)
	}
	if e.Counters().Get(edge.MessagesQoS2Dropped) != 1 || e.Counters().Get(edge.PacketsPubrelMissed) != 1 {
		t.Fatal("counters")
	}
}

func TestMountpoint(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	mounted := func(id string) edge.ConnectRequest {
		r := edgetest.Clean(id)
		r.Mountpoint, r.Credentials.Username = "dev/%c/%u/", "user"
		return r
	}
	d, plain := b.Connect(t, e, mounted("one")), b.Connect(t, e, edgetest.Clean("plain"))
	granted(t, d.Subscribe(1, "a/+", "$share/g/s"))
	granted(t, plain.Subscribe(1, "#"))
	receive(t, d.Publish("a/b", "x", 1, 1))
	receive(t, d.Publish("$delayed/3/later", "y", 1, 2))
	receive(t, plain.Publish("dev/one/user/s", "z", 1, 1))
	receive(t, plain.Publish("a/b", "not for one", 1, 2))
	wantGot(t, d, "a/b=x", "s=z")
	wantGot(t, plain, "dev/one/user/a/b=x", "dev/one/user/s=z", "a/b=not for one")
	if seen := b.Router.Seen(); seen[1].Topic != "$delayed/3/dev/one/user/later" {
		t.Errorf("delayed topic %q", seen[1].Topic)
	}
	if q := b.Auth.Questions(); len(q) == 0 || q[0][0] != "a/+" {
		t.Errorf("the ACL was asked about %v", q)
	}
	if u := d.Unsubscribe("a/+", "b"); u[0].Err != nil || kindOf(t, u[1].Err) != broker.KindNotFound {
		t.Errorf("unsubscribe: %+v", u)
	}
}

func TestMessagePublishHooks(t *testing.T) {
	t.Parallel()
	chains := &hook.Chains{}
	var later func(*broker.Message, hook.Verdict)
	asked := make(chan struct{}, 10)
	add := func(h hook.Hook[*broker.Identity, *broker.Message]) {
		if err := chains.MessagePublish.Add(h); err != nil {
			t.Fatal(err)
		}
	}
	add(hook.Hook[*broker.Identity, *broker.Message]{Name: "rewrite", Run: func(_ *broker.Identity, m *broker.Message) (*broker.Message, hook.Verdict) {
		switch m.Topic {
		case "stop":
			return m, hook.Stop
		case "panic":
			panic("as the test wants")
		case "change":
			n := *m
			n.Topic, n.QoS = "changed", 0
			return &n, hook.OKWith
		}
		return m, hook.OK
	}, Refuse: true})
	add(hook.Hook[*broker.Identity, *broker.Message]{Name: "late", Priority: 1, Ask: func(_ *broker.Identity, m *broker.Message, answer func(*broker.Message, hook.Verdict)) {
		if m.Topic == "late" {
			later = answer
			asked <- struct{}{}
			return
		}
		answer(m, hook.OK)
	}})
	b := edgetest.New(t)
	e := b.Edge(t, func(_ *edge.Config, d *edge.Deps) { d.Hooks = chains })
	d, other := b.Connect(t, e, edgetest.Clean("c")), b.Connect(t, e, edgetest.Clean("other"))
	if r := receive(t, d.Publish("stop", "", 2, 1)); r.Err != nil {
		t.Errorf("stopped: %+v", r)
	}
	if r := receive(t, d.Publish("panic", "", 1, 2)); kindOf(t, r.Err) != broker.KindDenied {
		t.Errorf("refused: %+v", r)
	}
	if r := receive(t, d.Publish("change", "", 1, 3)); r.Err != nil || r.QoS != 1 {
		t.Errorf("changed: %+v", r)
	}
	first := d.Publish("late", "1", 1, 4)
	receive(t, asked)
	second := d.Publish("late", "2", 1, 5)
	if r := receive(t, other.Publish("free", "", 1, 1)); r.Err != nil {
		t.Fatal(r.Err)
	}
	pending(t, second)
	later(nil, hook.OK)
	receive(t, first)
	receive(t, asked) // only now is the second one's turn
	later(nil, hook.OK)
	receive(t, second)
	var seen []string
	for _, m := range b.Router.Seen() {
		seen = append(seen, m.Topic+string(m.Payload))
	}
	if got := strings.Join(seen, " "); got != "changed free late1 late2" {
		t.Fatalf("routed: %s", got)
	}
}

func TestPublishRate(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.Publish.MaxRate = 5 })
	d := b.Connect(t, e, edgetest.Clean("c"))
	for n := 0; len(d.Holds()) == 0; n++ { // the allowance grows while they are sent
		if n == 100 {
			t.Fatalf("not held after %d messages", n)
		}
		receive(t, d.Publish("t", "", 0, 0))
	}
	if h := d.Holds(); !h[0] {
		t.Fatalf("holds %v", h)
	}
	if !d.Wait(func() bool { return len(d.Holds()) == 2 }) {
		t.Fatalf("holds %v", d.Holds())
	}
}
