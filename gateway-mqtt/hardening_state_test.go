package gatewaymqtt_test

import (
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
)

// inUse is the memory in use after a collection.
func inUse() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// pubrecs wants so many PUBRECs that refuse nothing.
func (c *client) pubrecs(n int) {
	c.t.Helper()
	for range n {
		if a := expect[*packet.Ack](c); a.Type != packet.TypePubrec || a.Reason.Failed() {
			c.t.Fatalf("%+v, want PUBREC", a)
		}
	}
}

// awaiting is how many QoS 2 packet ids of a client wait for PUBREL.
func (w *world) awaiting(t *testing.T, id string) int {
	t.Helper()
	infos, err := w.edge.Clients(t.Context(), broker.ClientQuery{ClientID: id})
	if err != nil || len(infos) != 1 {
		t.Fatalf("client %q: %v, %v", id, infos, err)
	}
	return infos[0].Session.AwaitingRel
}

// Case 16: QoS 2 packet ids that are never released. 5.0 hears of the receive maximum; below it, what is beyond session.max_awaiting_rel is not taken, whatever
// is sent, and the same id for ever is one message.
func TestHardening16QoS2Ids(t *testing.T) {
	w := start(t, func(s *setup) { s.session.MaxAwaitingRel = 100; s.cfg.ReceiveMaximum = 50 })
	watch := w.connect(t, packet.V5, "watch")
	watch.subscribe(0, "same")
	t.Run("5.0 has a receive maximum", func(t *testing.T) {
		c := w.connect(t, packet.V5, "five")
		for id := range uint16(50) {
			c.send(message(2, id+1, "ids", "x"))
		}
		c.pubrecs(50)
		c.send(message(2, 51, "ids", "x"))
		c.expectEnd(packet.ReceiveMaximumExceeded)
	})
	t.Run("every id below 5.0", func(t *testing.T) {
		c := w.connect(t, packet.V311, "four")
		before := inUse()
		for id := 1; id <= 65535; id++ {
			if c.send(message(2, uint16(id), "ids", "x")); id == 100 {
				c.pubrecs(100)
			} else if id%5000 == 0 {
				c.quiet() // what is beyond is neither taken nor answered
			}
		}
		c.quiet()
		if got := w.awaiting(t, "four"); got != 100 {
			t.Errorf("%d ids are held, want 100", got)
		}
		if grown := inUse() - before; grown > 8<<20 {
			t.Errorf("%d bytes more are in use", grown)
		}
	})
	versions(t, func(t *testing.T, v packet.Version) {
		c := w.connect(t, v, "same "+v.String())
		for i := range 2000 {
			p := message(2, 7, "same", v.String())
			p.Dup = i > 0
			c.send(p)
			expect[*packet.Ack](c)
		}
		if got := w.awaiting(t, "same "+v.String()); got != 1 {
			t.Errorf("%d ids are held, want 1", got)
		}
	})
	t.Cleanup(func() {
		got := map[string]int{}
		for range 3 {
			got[string(expect[*packet.Publish](watch).Payload)]++
		}
		watch.quiet()
		if len(got) != 3 {
			t.Errorf("messages of %v", got)
		}
	})
}

// Case 17: a client that never sends PUBACK. Its queue ends at its bounds, the alarm of the watermark is raised once, what is dropped is counted by reason, and
// others notice nothing.
func TestHardening17NoPuback(t *testing.T) {
	const sent, batch, bound = mutePublishes, 250, 1000
	var mu sync.Mutex
	var alarms []string
	w := start(t, func(s *setup) {
		s.session.Queue.MaxLength = bound
		s.queueAlarm = func(id *broker.Identity, high bool, queued int) {
			mu.Lock()
			defer mu.Unlock()
			alarms = append(alarms, fmt.Sprint(id.ClientID, high, queued))
		}
	})
	w.backend.Router.Forget()
	mute := w.connect(t, packet.V5, "mute", func(p *packet.Connect) { p.Properties.ReceiveMaximum = packet.Some[uint16](1) })
	mute.subscribe(1, "q")
	witness, pub := w.connect(t, packet.V5, "witness"), w.connect(t, packet.V5, "pub")
	witness.subscribe(0, "q")
	before := inUse()
	for i := 0; i < sent; i += batch {
		var b []packet.Packet
		for n := i; n < i+batch; n++ {
			b = append(b, message(0, 0, "q", "zero"), message(1, uint16(1+n-i), "q", strconv.Itoa(n)))
		}
		pub.send(b...)
		for n := i; n < i+batch; n++ {
			expect[*packet.Ack](pub)
			witness.expectMessage("q", "zero")
			witness.expectMessage("q", strconv.Itoa(n))
		}
	}
	if grown := inUse() - before; grown > 16<<20 {
		t.Errorf("%d bytes more are in use", grown)
	}
	if n := w.edge.Dropped(edge.DropQueueFull); n < sent-bound-2 || n > 2*sent-bound {
		t.Errorf("%d messages dropped because the queue was full", n)
	}
	mu.Lock()
	if want := fmt.Sprint("mute", true, bound*60/100+1); len(alarms) != 1 || alarms[0] != want {
		t.Errorf("alarms %v, want %q", alarms, want)
	}
	mu.Unlock()
	infos, err := w.edge.Clients(t.Context(), broker.ClientQuery{ClientID: "mute"})
	if err != nil || infos[0].Session.Queued != bound || infos[0].Session.Inflight != 1 {
		t.Errorf("%+v, %v", infos, err)
	}
}

// Case 21: a PUBLISH of QoS 2 that was cut off, the client comes back and sends it with DUP: it is delivered once, wherever the cut was, and whatever of the
// exchange is repeated. That it is once, too, when a process dies between PUBREC and PUBREL is shown where processes are: TestR1OwnerDiesAtEachStep in
// session-store, and the kills of deploy/chaos.
func TestHardening21TruncatedPublish(t *testing.T) {
	t.Parallel()
	w := start(t)
	both(t, func(t *testing.T, v packet.Version) {
		watch := w.connect(t, v, own(t)+"watch")
		watch.subscribe(2, own(t))
		c := w.back(t, v, own(t), false)
		whole := c.encode(message(2, 9, own(t), "0123456789"))
		for cut := 1; cut < len(whole); cut++ {
			c.raw(whole[:cut])
			w.cut(t, c, own(t))
			c = w.back(t, v, own(t), true)
		}
		again := message(2, 9, own(t), "0123456789")
		again.Dup = true
		for range 2 { // the answer to the first is lost
			c.send(again)
			if a := expect[*packet.Ack](c); a.Type != packet.TypePubrec || a.ID != 9 || a.Reason.Failed() {
				t.Fatalf("%+v, want PUBREC", a)
			}
			w.cut(t, c, own(t))
			c = w.back(t, v, own(t), true)
		}
		for _, reason := range []packet.ReasonCode{packet.Success, packet.PacketIDNotFound} {
			c.send(&packet.Ack{Type: packet.TypePubrel, ID: 9})
			a := expect[*packet.Ack](c)
			if a.Type != packet.TypePubcomp || v == packet.V5 && a.Reason != reason {
				t.Errorf("%+v, want PUBCOMP %s", a, reason)
			}
		}
		watch.receive(own(t), "0123456789")
		watch.only(c, own(t))
	})
}

// Case 22: retained messages set and cleared by many at once end as the last one said, and many subscribers of everything at once get all of them, paced by
// what they take. (The quota of 1,000,000 topics is TestRetainedLimits of router; 1,000,000 of them and 1,000 subscribers at once, with the real router, are
// TestRetainedReplayIsPaced of deploy/integration, in its long run.)
func TestHardening22Retained(t *testing.T) {
	t.Parallel()
	const topics, subscribers = retainedTopics, retainedSubscribers
	w := start(t, func(s *setup) { s.session.Queue.MaxLength = 50 })
	t.Run("racing", func(t *testing.T) {
		for i := range 4 {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				c := w.connect(t, packet.V5, fmt.Sprint("race ", i))
				for n := range uint16(50) {
					c.flow(retained(1, 1+n, "race", ""))
					c.flow(retained(1, 101+n, "race", fmt.Sprint(i)))
				}
			})
		}
	})
	pub := w.connect(t, packet.V5, "pub")
	pub.flow(retained(1, 1, "race", "last"))
	pub.flow(retained(1, 2, "gone", "x"))
	pub.flow(retained(1, 3, "gone", ""))
	for i := range topics - 1 {
		pub.flow(retained(1, 4, fmt.Sprint("many/", i), "x"))
	}
	t.Run("replay", func(t *testing.T) {
		for i := range subscribers {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				w.connect(t, packet.V5, fmt.Sprint("sub ", i)).replay(topics, "race", "last")
			})
		}
	})
	if n := w.edge.Dropped(edge.DropQueueFull); n != 0 {
		t.Errorf("%d messages were dropped: the replay is not paced", n)
	}
}

// replay subscribes to everything and wants so many retained messages, one of them on a topic with a payload.
func (c *client) replay(topics int, topic, payload string) {
	c.t.Helper()
	c.subscribe(1, "#")
	got := map[string]string{}
	for range topics {
		p := expect[*packet.Publish](c)
		got[string(p.Topic)] = string(p.Payload)
		c.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
	}
	c.quiet()
	if len(got) != topics || got[topic] != payload {
		c.t.Errorf("%d retained messages, %s is %q", len(got), topic, got[topic])
	}
}

// Case 24: session expiry 0xFFFFFFFF, 0, raised from 0 at DISCONNECT, and a will at the take-over of a session that ends with it. (Expiry while a take-over is
// under way is TestReconnectStopsTheExpiry, wills at take-overs TestWills, of session-store.)
func TestHardening24SessionExpiry(t *testing.T) {
	t.Parallel()
	w := start(t)
	interval := func(s uint32) func(*packet.Connect) {
		return func(p *packet.Connect) { p.CleanStart, p.Properties.SessionExpiry = false, packet.Some(s) }
	}
	t.Run("for ever is as long as the server keeps any", func(t *testing.T) {
		c := w.dial(t, "tcp", packet.V5)
		c.send(connectPacket(packet.V5, "ever", interval(0xFFFFFFFF)))
		ack := expect[*packet.Connack](c)
		if got := ack.Properties.SessionExpiry; got != packet.Some(uint32(7200)) {
			t.Errorf("session expiry %v, want the limit, told", got)
		}
		w.cut(t, c, "ever")
		w.back(t, packet.V5, "ever", true)
	})
	t.Run("0 ends with the connection", func(t *testing.T) {
		c := w.connect(t, packet.V5, "zero", interval(0))
		c.subscribe(1, "zero")
		w.cut(t, c, "zero")
		w.back(t, packet.V5, "zero", false)
	})
	t.Run("raised from 0 at DISCONNECT", func(t *testing.T) {
		for _, to := range []uint32{1, 0xFFFFFFFF} {
			c := w.connect(t, packet.V5, "raised", interval(0))
			c.send(&packet.Disconnect{Properties: packet.Properties{SessionExpiry: packet.Some(to)}})
			c.expectEnd(packet.ProtocolError)
			w.gone(t, "raised")
			w.back(t, packet.V5, "raised", false)
			w.connect(t, packet.V5, "raised", clean(true))
		}
	})
	t.Run("will at a take-over", func(t *testing.T) {
		watch := w.connect(t, packet.V5, "watch")
		watch.subscribe(1, "will")
		old := w.connect(t, packet.V5, "taken", interval(0), func(p *packet.Connect) { p.Will = &packet.Will{Topic: "will", Payload: []byte("gone"), QoS: 1} })
		next := w.dial(t, "tcp", packet.V5)
		next.send(connectPacket(packet.V5, "taken", interval(0)))
		if ack := expect[*packet.Connack](next); ack.SessionPresent {
			t.Error("the session that ended is present")
		}
		old.expectEnd(packet.SessionTakenOver)
		watch.receive("will", "gone")
		next.send(&packet.Disconnect{})
		next.expectClosed()
		watch.only(w.connect(t, packet.V5, "pub"), "will")
	})
}
