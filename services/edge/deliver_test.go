package edge_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
	"github.com/pando-mq/pando/services/hook"
)

func TestOneCopyForOverlappingSubscriptions(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	e := b.Edge(t, nil)
	d, pub := b.Connect(t, e, edgetest.Clean("c")), b.Connect(t, e, edgetest.Clean("pub"))
	granted(t, d.SubscribeWith(
		broker.Subscription{Filter: "a/b", QoS: 0, ID: 1}, broker.Subscription{Filter: "a/+", QoS: 2, ID: 2}, broker.Subscription{Filter: "#", QoS: 1, ID: 3}))
	receive(t, pub.Publish("a/b", "x", 2, 1))
	receive(t, pub.Publish("end", "", 0, 0))
	got := wantGot(t, d, "a/b=x", "end=")
	if got[0].QoS != 2 || len(got[0].SubIDs) != 3 {
		t.Fatalf("%+v", got[0])
	}
}

func TestSlowDeviceIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10
	tests := []struct {
		name   string
		req    edge.ConnectRequest
		qos    broker.QoS
		reason edge.DropReason
	}{
		{"clean QoS 0", edgetest.Clean("slow"), 0, edge.DropQueueFull},
		{"clean QoS 1", edgetest.Clean("slow"), 1, edge.DropQueueFull},
		{"persistent QoS 0", edgetest.Persistent("slow"), 0, edge.DropPushFull},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := edgetest.New(t)
			var alarms []bool
			heard := make(chan bool, 10)
			e := b.Edge(t, func(c *edge.Config, d *edge.Deps) {
				c.Session.Queue.MaxBytes, c.Output.MaxPushed, c.Session.Queue.MaxLength = limit, limit, 0
				d.QueueAlarm = func(_ *broker.Identity, high bool, _ int) { heard <- high }
			})
			slow, quick, pub := b.Connect(t, e, tt.req), b.Connect(t, e, edgetest.Clean("quick")), b.Connect(t, e, edgetest.Clean("pub"))
			granted(t, slow.Subscribe(tt.qos, "t"))
			granted(t, quick.Subscribe(0, "t"))
			slow.FillAfter(1)
			const n = 500
			payload := strings.Repeat("x", 1000)
			for i := range n {
				receive(t, pub.Publish("t", fmt.Sprint(i, payload), 1, uint16(i+1)))
				if got := quick.WaitGot(i + 1); len(got) != i+1 {
					t.Fatalf("the quick one got %d", len(got))
				}
			}
			if len(slow.Got()) != 1 {
				t.Fatalf("the full device got %d", len(slow.Got()))
			}
			dropped := func() int { return int(e.Dropped(tt.reason)) }
			eventually(t, "all that is too much is dropped", func() bool { return n-1-dropped() <= limit/1000 })
			slow.AutoAck()
			slow.Drain(-1)
			if len(slow.Got()) > 1 && slow.Got()[0].QoS == 1 {
				slow.Do(func(c *edge.Conn) { c.Ack(slow.Got()[0].PacketID, broker.AckPuback, false) })
			}
			if !slow.Wait(func() bool { return len(slow.Got())+dropped() == n }) || len(slow.Got()) < 20 {
				t.Fatalf("%d delivered, %d dropped, %d published", len(slow.Got()), dropped(), n)
			}
			if tt.name == "clean QoS 0" { // the window is not part of what the alarm watches
				alarms = append(alarms, receive(t, heard), receive(t, heard))
				if !alarms[0] || alarms[1] {
					t.Errorf("alarms %v", alarms)
				}
			}
		})
	}
}

func TestInflightWindow(t *testing.T) {
	t.Parallel()
	for _, kind := range []func(string) edge.ConnectRequest{edgetest.Clean, edgetest.Persistent} {
		b := edgetest.New(t)
		e := b.Edge(t, nil)
		req := kind("c")
		req.ReceiveMax = 2
		d, pub := b.Connect(t, e, req), b.Connect(t, e, edgetest.Clean("pub"))
		granted(t, d.Subscribe(2, "t"))
		for i := range 4 {
			receive(t, pub.Publish("t", fmt.Sprint(i), broker.QoS(1+i%2), uint16(i+1)))
		}
		got := wantGot(t, d, "t=0", "t=1")
		ack := func(id uint16, k broker.AckKind, want bool) {
			t.Helper()
			d.Do(func(c *edge.Conn) {
				if known := c.Ack(id, k, false); known != want {
					t.Errorf("%v of %d: %v", k, id, known)
				}
			})
		}
		ack(got[0].PacketID, broker.AckPubrec, false)
		ack(got[0].PacketID, broker.AckPubcomp, false)
		ack(got[1].PacketID, broker.AckPuback, false)
		ack(999, broker.AckPuback, false)
		ack(got[0].PacketID, broker.AckPuback, true)
		ack(got[0].PacketID, broker.AckPuback, false)
		wantGot(t, d, "t=0", "t=1", "t=2")
		ack(got[1].PacketID, broker.AckPubrec, true)
		d.Wait(func() bool { return len(d.Released()) == 1 })
		ack(got[1].PacketID, broker.AckPubrec, true) // a repeat
		d.Wait(func() bool { return len(d.Released()) == 2 })
		if r := d.Released(); len(r) != 2 || r[0] != got[1].PacketID || r[1] != r[0] {
			t.Fatalf("released %v", r)
		}
		ack(got[1].PacketID, broker.AckPubcomp, true)
		wantGot(t, d, "t=0", "t=1", "t=2", "t=3")
		if n := e.Counters(); n.Get(edge.PacketsPubackMissed) != 3 || n.Get(edge.PacketsPubrecMissed) != 1 || n.Get(edge.PacketsPubcompMissed) != 1 {
			t.Error("missed answers are not counted")
		}
	}
}

func TestRefusedAndExpiredDeliveriesFreeTheWindow(t *testing.T) {
	t.Parallel()
	for _, kind := range []func(string) edge.ConnectRequest{edgetest.Clean, edgetest.Persistent} {
		b := edgetest.New(t)
		e := b.Edge(t, nil)
		req := kind("c")
		req.ReceiveMax = 1
		d, pub := b.Connect(t, e, req), b.Connect(t, e, edgetest.Clean("pub"))
		granted(t, d.Subscribe(1, "t"))
		d.RefuseIf(func(v *edge.Delivery) bool { return len(v.Msg.Payload) > 10 })
		d.FillAfter(1)
		receive(t, pub.Publish("t", "first", 1, 1))
		wantGot(t, d, "t=first")
		receive(t, pub.Publish("t", strings.Repeat("x", 100), 1, 2))
		receive(t, pub.PublishMessage(&broker.Message{Topic: "t", Payload: []byte("stale"), QoS: 1, Expires: time.Now().Add(-time.Second)}, 3))
		receive(t, pub.Publish("t", "last", 1, 4))
		d.Do(func(c *edge.Conn) { c.Ack(d.Got()[0].PacketID, broker.AckPuback, false) })
		d.Drain(-1)
		wantGot(t, d, "t=first", "t=last")
		eventually(t, "refused is counted", func() bool { return e.Dropped(edge.DropRefused) == 1 })
	}
}

// A device whose output is full is not called for every message that it cannot be given: it says when there is room, and gets what waits then.
func TestAFullDeviceIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := edgetest.New(t)
		e := b.Edge(t, nil)
		d, pub := b.Connect(t, e, edgetest.Clean("c")), b.Connect(t, e, edgetest.Clean("pub"))
		granted(t, d.Subscribe(0, "t"))
		d.FillAfter(1)
		receive(t, pub.Publish("t", "first", 1, 1))
		synctest.Wait()
		before := d.Posted()
		for i := range 10 {
			receive(t, pub.Publish("t", fmt.Sprint(i), 1, uint16(i+2)))
		}
		synctest.Wait()
		if n := d.Posted() - before; n != 0 {
			t.Errorf("called %d times", n)
		}
		d.Drain(-1)
		wantGot(t, d, "t=first", "t=0", "t=1", "t=2", "t=3", "t=4", "t=5", "t=6", "t=7", "t=8", "t=9")
	})
}

func TestResendOnALiveConnection(t *testing.T) {
	t.Parallel()
	for _, kind := range []func(string) edge.ConnectRequest{edgetest.Clean, edgetest.Persistent} {
		b := edgetest.New(t)
		e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.Session.RetryInterval = 300 * time.Millisecond })
		req := kind("c")
		req.Resend = true
		d, pub := b.Connect(t, e, req), b.Connect(t, e, edgetest.Clean("pub"))
		granted(t, d.Subscribe(2, "t"))
		receive(t, pub.Publish("t", "x", 2, 1))
		got := wantGot(t, d, "t=x", "t=x")
		if got[0].Dup || !got[1].Dup || got[0].PacketID != got[1].PacketID {
			t.Fatalf("%+v", got)
		}
		d.Do(func(c *edge.Conn) { c.Ack(got[0].PacketID, broker.AckPubrec, false) })
		if !d.Wait(func() bool { return len(d.Released()) >= 2 }) {
			t.Fatal("PUBREL was not repeated")
		}
	}
}

func TestMessageDeliveredHooks(t *testing.T) {
	t.Parallel()
	chains := &hook.Chains{}
	var answer func(*broker.Message, hook.Verdict)
	asked, acked := make(chan struct{}, 1), make(chan string, 10)
	err := chains.MessageDelivered.Add(hook.Hook[*broker.Identity, *broker.Message]{Name: "h", Ask: func(_ *broker.Identity, m *broker.Message, a func(*broker.Message, hook.Verdict)) {
		switch string(m.Payload) {
		case "late":
			answer = a
			asked <- struct{}{}
		case "stop":
			a(m, hook.Stop)
		case "change":
			n := *m
			n.Payload = []byte("changed")
			a(&n, hook.OKWith)
		default:
			a(m, hook.OK)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	err = chains.MessageAcked.Add(hook.Hook[*broker.Identity, *broker.Message]{Name: "h", Run: func(_ *broker.Identity, m *broker.Message) (*broker.Message, hook.Verdict) {
		acked <- string(m.Payload)
		return m, hook.OK
	}})
	if err != nil {
		t.Fatal(err)
	}
	b := edgetest.New(t)
	e := b.Edge(t, func(_ *edge.Config, d *edge.Deps) { d.Hooks = chains })
	d, pub := b.Connect(t, e, edgetest.Clean("c")), b.Connect(t, e, edgetest.Clean("pub"))
	granted(t, d.Subscribe(1, "t"))
	for i, text := range []string{"stop", "change", "late", "after"} {
		receive(t, pub.Publish("t", text, 1, uint16(i+1)))
	}
	receive(t, asked)
	wantGot(t, d, "t=changed")
	answer(nil, hook.OK)
	got := wantGot(t, d, "t=changed", "t=late", "t=after")
	d.Do(func(c *edge.Conn) { c.Ack(got[1].PacketID, broker.AckPuback, false) })
	if text := receive(t, acked); text != "late" {
		t.Fatalf("message.acked saw %q", text)
	}
}

func TestLocalSubscriptions(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	deps := b.Deps() // the next edge is g2
	_ = deps
	here, there := b.Edge(t, nil), b.Edge(t, nil)
	d, m1, m2 := b.Connect(t, here, edgetest.Clean("c")), b.Connect(t, here, edgetest.Clean("m1")), b.Connect(t, here, edgetest.Clean("m2"))
	granted(t, d.Subscribe(1, "$local/t/#", "$local/t/+"))
	granted(t, m1.Subscribe(1, "$local/$share/g/t/+"))
	granted(t, m2.Subscribe(1, "$local/$share/g/t/+"))
	near, far := b.Connect(t, here, edgetest.Clean("near")), b.Connect(t, there, edgetest.Clean("far"))
	receive(t, far.Publish("t/x", "far", 1, 1))
	for i := range 4 {
		if r := receive(t, near.Publish("t/x", fmt.Sprint(i), 1, uint16(i+1))); !r.Matched {
			t.Fatal("not matched")
		}
	}
	wantGot(t, d, "t/x=0", "t/x=1", "t/x=2", "t/x=3")
	if !m1.Wait(func() bool { return len(m1.Got()) == 2 }) || !m2.Wait(func() bool { return len(m2.Got()) == 2 }) {
		t.Fatalf("members got %v and %v", texts(m1.Got()), texts(m2.Got()))
	}
	if r := b.Router.Routes(broker.NodeRef{ID: "g2", Incarnation: 1002}); len(r) != 0 {
		t.Fatalf("announced %v", r)
	}
	granted(t, d.Unsubscribe("$local/t/#", "$local/t/+"))
	receive(t, near.Publish("t/x", "later", 1, 9))
	if len(d.Got()) != 4 {
		t.Fatal("delivered after unsubscribe")
	}
}

func TestNoLocalAndRepeatedDeliveries(t *testing.T) {
	t.Parallel()
	b := edgetest.New(t)
	b.Router.RepeatDeliveries()
	e := b.Edge(t, nil)
	d, pub := b.Connect(t, e, edgetest.Clean("c")), b.Connect(t, e, edgetest.Clean("pub"))
	granted(t, d.SubscribeWith(broker.Subscription{Filter: "t", QoS: 2, NoLocal: true}))
	receive(t, d.Publish("t", "own", 2, 1))
	for i := range 20 {
		receive(t, pub.Publish("t", fmt.Sprint(i), 2, uint16(i+1)))
	}
	if got := d.WaitGot(20); len(got) != 20 || got[0].Payload != "0" {
		t.Fatalf("got %v", texts(got))
	}
	if e.Dropped(edge.DropDuplicate) != 21 {
		t.Fatalf("%d duplicates", e.Dropped(edge.DropDuplicate))
	}
}

func TestAnswersInAnyOrder(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, req func(string) edge.ConnectRequest) {
		const n = 150
		b := edgetest.New(t)
		e := b.Edge(t, func(c *edge.Config, _ *edge.Deps) { c.Session.MaxInflight = 0 })
		d, pub := b.Connect(t, e, req("c")), b.Connect(t, e, edgetest.Clean("pub"))
		granted(t, d.Subscribe(1, "t"))
		window := n
		if !req("c").CleanStart {
			window = 32 // that of the backend's sessions
		}
		for round := range 2 {
			for i := range n {
				receive(t, pub.Publish("t", fmt.Sprint(i), 1, uint16(i+1)))
			}
			for done := round * n; done < (round+1)*n; {
				got := d.WaitGot(min(done+window, (round+1)*n))
				d.Do(func(c *edge.Conn) {
					for i := len(got) - 1; i >= done; i-- {
						if !c.Ack(got[i].PacketID, broker.AckPuback, false) || c.Ack(got[i].PacketID, broker.AckPuback, false) {
							t.Errorf("answer to %d", i)
						}
					}
				})
				done = len(got)
			}
		}
		for i, g := range d.WaitGot(2 * n) {
			if g.Payload != fmt.Sprint(i%n) {
				t.Fatalf("delivery %d: %s", i, g.Payload)
			}
		}
	})
}
