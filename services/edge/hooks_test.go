package edge_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
	"github.com/pando-mq/pando/services/hook"
)

// firings records which hook points fired, in order.
type firings struct {
	mu   sync.Mutex
	list []string
}

func (f *firings) add(point, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, point+" "+text)
}

func (f *firings) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.list)
}

// recorder makes a hook that records what it is called with and changes nothing.
func recorder[A, V any](f *firings, point string, text func(A, V) string) hook.Hook[A, V] {
	return hook.Hook[A, V]{Name: "recorder", Tag: "test", Run: func(args A, acc V) (V, hook.Verdict) {
		f.add(point, text(args, acc))
		return acc, hook.OK
	}}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// recordAll puts a recorder at each of the eleven points.
func recordAll(t *testing.T, chains *hook.Chains) *firings {
	t.Helper()
	f := &firings{}
	ofMessage := func(id *broker.Identity, m *broker.Message) string {
		return id.ClientID + " " + m.Topic + "=" + string(m.Payload)
	}
	ofSubscription := func(s hook.Subscribed, _ hook.None) string {
		return fmt.Sprintf("%s %s %v", s.Client.ClientID, s.Subscription.Filter, s.Existed)
	}
	ofSession := func(id *broker.Identity, _ hook.None) string { return id.ClientID }
	must(t,
		chains.ClientConnected.Add(recorder(f, "client.connected", func(c hook.Connected, _ hook.None) string { return fmt.Sprint(c.Client.ClientID, " ", c.Err == nil) })),
		chains.ClientDisconnected.Add(recorder(f, "client.disconnected", func(d hook.Disconnected, _ hook.None) string { return d.Client.ClientID + " " + d.Reason })),
		chains.ClientSubscribe.Add(recorder(f, "client.subscribe", func(id *broker.Identity, table []broker.Subscription) string {
			return id.ClientID + " " + table[0].Filter
		})),
		chains.ClientUnsubscribe.Add(recorder(f, "client.unsubscribe", func(id *broker.Identity, table []string) string { return id.ClientID + " " + table[0] })),
		chains.SessionCreated.Add(recorder(f, "session.created", ofSession)),
		chains.SessionSubscribed.Add(recorder(f, "session.subscribed", ofSubscription)),
		chains.SessionUnsubscribed.Add(recorder(f, "session.unsubscribed", ofSubscription)),
		chains.SessionTerminated.Add(recorder(f, "session.terminated", func(x hook.Terminated, _ hook.None) string { return x.Client.ClientID + " " + x.Reason })),
		chains.MessagePublish.Add(recorder(f, "message.publish", ofMessage)),
		chains.MessageDelivered.Add(recorder(f, "message.delivered", ofMessage)),
		chains.MessageAcked.Add(recorder(f, "message.acked", ofMessage)),
	)
	return f
}

// One life of a client with a clean session passes all eleven points, and after RemoveTag none.
func TestElevenHookPoints(t *testing.T) {
	t.Parallel()
	chains := &hook.Chains{}
	f := recordAll(t, chains)
	b := edgetest.New(t)
	e := b.Edge(t, func(_ *edge.Config, d *edge.Deps) { d.Hooks = chains })
	live := func(id string) {
		d := b.Connect(t, e, edgetest.Clean(id))
		granted(t, d.Subscribe(1, "t"))
		granted(t, d.Subscribe(1, "t"))
		receive(t, d.Publish("t", "x", 1, 1))
		got := wantGot(t, d, "t=x")
		d.Do(func(c *edge.Conn) { c.Ack(got[0].PacketID, broker.AckPuback, false) })
		granted(t, d.Unsubscribe("t"))
		d.Disconnect(edge.Disconnect{DropWill: true})
	}
	live("c")
	want := []string{
		"client.connected c true", "session.created c", "client.subscribe c t", "session.subscribed c t false", "client.subscribe c t", "session.subscribed c t true",
		"message.publish c t=x", "message.delivered c t=x", "message.acked c t=x", "client.unsubscribe c t", "session.unsubscribed c t true",
		"client.disconnected c normal", "session.terminated c normal",
	}
	if got := f.all(); !slices.Equal(got, want) {
		t.Fatalf("fired\n %s\nwant\n %s", strings.Join(got, "\n "), strings.Join(want, "\n "))
	}
	if n := chains.RemoveTag("test"); n != 11 {
		t.Fatalf("%d hooks removed", n)
	}
	live("after")
	if got := f.all(); len(got) != len(want) {
		t.Errorf("removed hooks fired: %v", got[len(want):])
	}
}

func TestClientSubscribeHooks(t *testing.T) {
	t.Parallel()
	chains := &hook.Chains{}
	later := make(chan func([]broker.Subscription, hook.Verdict), 1)
	must(t, chains.ClientSubscribe.Add(hook.Hook[*broker.Identity, []broker.Subscription]{
		Name: "h", Refuse: true, Ask: func(_ *broker.Identity, table []broker.Subscription, answer func([]broker.Subscription, hook.Verdict)) {
			switch table[0].Filter {
			case "stop":
				answer(nil, hook.Stop)
			case "panic":
				panic("as the test wants")
			case "rewrite": // the first is another one, the second refused, a third added
				answer([]broker.Subscription{{Filter: "new", QoS: 1}, {}, {Filter: "more", QoS: 1}}, hook.OKWith)
			case "late":
				later <- answer
			default:
				answer(table, hook.OK)
			}
		},
	}))
	b := edgetest.New(t)
	e := b.Edge(t, func(_ *edge.Config, d *edge.Deps) { d.Hooks = chains })
	d, other := b.Connect(t, e, edgetest.Clean("c")), b.Connect(t, e, edgetest.Clean("other"))
	for _, first := range []string{"stop", "panic"} {
		if r := d.Subscribe(1, first, "x"); len(r) != 2 || kindOf(t, r[0].Err) != broker.KindDenied || kindOf(t, r[1].Err) != broker.KindDenied {
			t.Errorf("%s: %+v", first, r)
		}
	}
	r := d.Subscribe(0, "rewrite", "second")
	if len(r) != 2 || r[0].Err != nil || r[0].QoS != 1 || kindOf(t, r[1].Err) != broker.KindDenied { // one answer per filter that the client sent
		t.Fatalf("rewritten: %+v", r)
	}
	for i, topic := range []string{"stop", "x", "rewrite", "second", "new", "more"} {
		receive(t, other.Publish(topic, "1", 1, uint16(i+1)))
	}
	wantGot(t, d, "new=1", "more=1")
	answered := make(chan string, 2)
	d.Do(func(c *edge.Conn) {
		c.Subscribe([]broker.Subscription{{Filter: "late", QoS: 1}}, func([]edge.SubscribeResult) { answered <- "subscribe" })
		c.Publish(edge.Publish{Msg: &broker.Message{Topic: "late", QoS: 1}, PacketID: 1, Done: func(edge.PublishResult) { answered <- "publish" }})
	})
	answer := receive(t, later)
	granted(t, other.Subscribe(1, "free")) // nobody else waits
	pending(t, answered)
	answer(nil, hook.OK)
	receive(t, answered) // the publish waits for the hook, not for the routers to know the subscription: either may be answered first
	receive(t, answered)
	receive(t, other.Publish("late", "after", 1, 9))
	eventually(t, "a message of the subscription", func() bool { return slices.Contains(texts(d.Got()), "late=after") })
}

func TestClientUnsubscribeHooks(t *testing.T) {
	t.Parallel()
	chains := &hook.Chains{}
	must(t, chains.ClientUnsubscribe.Add(hook.Hook[*broker.Identity, []string]{Name: "h", Run: func(_ *broker.Identity, table []string) ([]string, hook.Verdict) {
		switch table[0] {
		case "stop":
			return nil, hook.Stop
		case "other":
			return []string{"a"}, hook.OKWith
		}
		return nil, hook.OK
	}}))
	b := edgetest.New(t)
	e := b.Edge(t, func(_ *edge.Config, d *edge.Deps) { d.Hooks = chains })
	d := b.Connect(t, e, edgetest.Clean("c"))
	granted(t, d.Subscribe(1, "stop", "a", "b"))
	if r := d.Unsubscribe("stop"); kindOf(t, r[0].Err) != broker.KindDenied {
		t.Errorf("stopped: %+v", r)
	}
	granted(t, d.Unsubscribe("other"))
	granted(t, d.Unsubscribe("b"))
	for i, topic := range []string{"a", "b", "stop"} {
		receive(t, d.Publish(topic, "1", 1, uint16(i+1)))
	}
	wantGot(t, d, "stop=1")
}
