package gatewaymqtt_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
)

// TestQoS0Delivery: §4.3.1.
func TestQoS0Delivery(t *testing.T) {
	t.Parallel()
	w := start(t)
	both(t, func(t *testing.T, v packet.Version) {
		c := w.connect(t, v, own(t))
		c.subscribe(2, own(t))
		c.send(message(0, 0, own(t), "x"))
		if p := c.expectMessage(own(t), "x"); p.QoS != 0 || p.Dup || p.ID != 0 {
			t.Errorf("%+v", p)
		}
	})
}

// TestQoS1Sender: the server sends (§4.3.2).
func TestQoS1Sender(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("first delivery", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.subscribe(1, own(t))
			w.connect(t, v, own(t)+"pub").flow(message(1, 1, own(t), "x"))
			if p := c.receive(own(t), "x"); p.QoS != 1 || p.Dup || p.ID == 0 {
				t.Errorf("%+v", p)
			}
		})
	})
	t.Run("unacknowledged until PUBACK", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.back(t, v, own(t), false)
			c.subscribe(1, own(t))
			pub := w.connect(t, v, own(t)+"pub")
			pub.flow(message(1, 1, own(t), "acknowledged"))
			pub.flow(message(1, 2, own(t), "not"))
			c.receive(own(t), "acknowledged")
			id := c.expectMessage(own(t), "not").ID
			c.quiet()
			w.cut(t, c, own(t))
			c = w.back(t, v, own(t), true)
			if p := c.receive(own(t), "not"); p.ID != id || !p.Dup {
				t.Errorf("%+v, first it had packet id %d", p, id)
			}
			c.only(pub, own(t))
			w.cut(t, c, own(t))
			w.back(t, v, own(t), true).only(pub, own(t))
		})
	})
	t.Run("not repeated on the same connection", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			w := start(t, func(s *setup) { s.session.RetryInterval = 1e6 }) // a millisecond: for 3.1
			c := w.connect(t, v, "c")
			c.subscribe(1, "t")
			pub := w.connect(t, v, "pub")
			pub.flow(message(1, 1, "t", "x"))
			c.expectMessage("t", "x")
			old := w.connect(t, packet.V31, "old") // that time is over when 3.1 gets its message again
			old.subscribe(1, "o")
			pub.flow(message(1, 2, "o", "x"))
			old.expectMessage("o", "x")
			old.expectMessage("o", "x")
			c.quiet()
		})
	})
	t.Run("refused by the client", func(t *testing.T) {
		t.Parallel()
		c := w.back(t, packet.V5, own(t), false)
		c.subscribe(2, own(t))
		pub := w.connect(t, packet.V5, own(t)+"pub")
		pub.flow(message(1, 1, own(t), "one"))
		pub.flow(message(2, 2, own(t), "two"))
		c.send(&packet.Ack{Type: packet.TypePuback, ID: c.expectMessage(own(t), "one").ID, Reason: packet.QuotaExceeded},
			&packet.Ack{Type: packet.TypePubrec, ID: c.expectMessage(own(t), "two").ID, Reason: packet.QuotaExceeded})
		c.quiet()
		w.cut(t, c, own(t))
		w.back(t, packet.V5, own(t), true).only(pub, own(t))
	})
}

// TestQoS1Receiver: the server receives (§4.3.2).
func TestQoS1Receiver(t *testing.T) {
	t.Parallel()
	w := start(t)
	both(t, func(t *testing.T, v packet.Version) {
		c := w.connect(t, v, own(t))
		c.subscribe(1, own(t))
		pub := w.connect(t, v, own(t)+"pub")
		for i := range 3 { // the same packet id, with and without DUP: always a new message
			m := message(1, 77, own(t), fmt.Sprint(i))
			m.Dup = i > 0
			pub.flow(m)
			c.receive(own(t), fmt.Sprint(i))
		}
	})
}

// TestQoS2Sender: the server sends (§4.3.3).
func TestQoS2Sender(t *testing.T) {
	t.Parallel()
	w := start(t)
	// sent is a message that came, unanswered, to a client with a session.
	sent := func(t *testing.T, v packet.Version) (c *client, pub *client, id uint16) {
		t.Helper()
		c = w.back(t, v, own(t), false)
		c.subscribe(2, own(t))
		pub = w.connect(t, v, own(t)+"pub")
		pub.flow(message(2, 1, own(t), "x"))
		p := c.expectMessage(own(t), "x")
		if p.QoS != 2 || p.Dup || p.ID == 0 {
			t.Errorf("%+v", p)
		}
		return c, pub, p.ID
	}
	rec := func(id uint16) *packet.Ack { return &packet.Ack{Type: packet.TypePubrec, ID: id} }
	t.Run("unacknowledged until PUBREC", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c, _, id := sent(t, v)
			w.cut(t, c, own(t))
			if p := w.back(t, v, own(t), true).receive(own(t), "x"); p.ID != id || !p.Dup || p.QoS != 2 {
				t.Errorf("%+v, first it had packet id %d", p, id)
			}
		})
	})
	t.Run("PUBREL answers PUBREC", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c, _, id := sent(t, v)
			c.send(rec(id))
			if a := expect[*packet.Ack](c); a.Type != packet.TypePubrel || a.ID != id || a.Reason != packet.Success {
				t.Errorf("%s %+v", a.Type, a)
			}
		})
	})
	t.Run("PUBREL again until PUBCOMP", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c, pub, id := sent(t, v)
			c.send(rec(id))
			expect[*packet.Ack](c)
			w.cut(t, c, own(t))
			c = w.back(t, v, own(t), true)
			if a := expect[*packet.Ack](c); a.Type != packet.TypePubrel || a.ID != id { // and not the PUBLISH
				t.Errorf("%s %+v", a.Type, a)
			}
			c.send(&packet.Ack{Type: packet.TypePubcomp, ID: id})
			c.only(pub, own(t))
			w.cut(t, c, own(t))
			w.back(t, v, own(t), true).only(pub, own(t))
		})
	})
	t.Run("no PUBREL after a refusal", func(t *testing.T) {
		t.Parallel()
		c, pub, id := sent(t, packet.V5)
		c.send(&packet.Ack{Type: packet.TypePubrec, ID: id, Reason: packet.UnspecifiedError})
		c.only(pub, own(t))
	})
}

// TestQoS2Receiver: the server receives (§4.3.3).
func TestQoS2Receiver(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.auth.deny(broker.ActionPublish, "secret")
	pubrec := func(t *testing.T, c *client, id uint16) *packet.Ack {
		t.Helper()
		a := expect[*packet.Ack](c)
		if a.Type != packet.TypePubrec || a.ID != id {
			t.Fatalf("%s %+v", a.Type, a)
		}
		return a
	}
	again := func(p *packet.Publish) *packet.Publish {
		p.Dup = true
		return p
	}
	t.Run("repeats are answered and not passed on", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.subscribe(2, own(t))
			pub := w.connect(t, v, own(t)+"pub")
			for i := range 3 {
				m := message(2, 5, own(t), "x")
				m.Dup = i > 0
				pub.send(m)
				pubrec(t, pub, 5)
			}
			c.receive(own(t), "x")
			c.only(pub, own(t))
		})
	})
	t.Run("PUBCOMP ends it", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.subscribe(2, own(t))
			pub := w.connect(t, v, own(t)+"pub")
			for i := range 3 { // after PUBCOMP the packet id names a new message
				pub.flow(message(2, 5, own(t), fmt.Sprint(i)))
				c.receive(own(t), fmt.Sprint(i))
			}
		})
	})
	t.Run("a refused one is forgotten", func(t *testing.T) {
		t.Parallel()
		c := w.connect(t, packet.V5, own(t))
		c.subscribe(2, own(t))
		pub := w.connect(t, packet.V5, own(t)+"pub")
		pub.send(message(2, 5, "secret", "x"))
		if a := pubrec(t, pub, 5); a.Reason != packet.NotAuthorized {
			t.Errorf("PUBREC %s", a.Reason)
		}
		pub.flow(message(2, 5, own(t), "new"))
		c.receive(own(t), "new")
	})
	t.Run("cut off within a PUBLISH", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.subscribe(2, own(t))
			pub := w.back(t, v, own(t)+"pub", false)
			b := pub.encode(message(2, 5, own(t), "whole"))
			pub.raw(b[:len(b)-2]) // nothing of it counts
			w.cut(t, pub, own(t)+"pub")
			pub = w.back(t, v, own(t)+"pub", true)
			pub.send(again(message(2, 5, own(t), "whole")))
			pubrec(t, pub, 5)
			c.receive(own(t), "whole")
			w.cut(t, pub, own(t)+"pub") // PUBREC may have been lost: the repeat is known over connections
			pub = w.back(t, v, own(t)+"pub", true)
			pub.send(again(message(2, 5, own(t), "whole")))
			pubrec(t, pub, 5)
			pub.send(&packet.Ack{Type: packet.TypePubrel, ID: 5})
			if a := expect[*packet.Ack](pub); a.Type != packet.TypePubcomp || a.ID != 5 || a.Reason != packet.Success {
				t.Errorf("%s %+v", a.Type, a)
			}
			c.only(pub, own(t))
		})
	})
	t.Run("goes on though the message has expired", func(t *testing.T) {
		t.Parallel()
		pub := w.connect(t, packet.V5, own(t)+"pub")
		m := message(2, 5, own(t), "x")
		m.Properties.MessageExpiry = packet.Some[uint32](0)
		pub.flow(m)
	})
}

// TestPubrelFlags: bits 3 to 0 are 0010, in 3.1 also 0000 (§3.6.1).
func TestPubrelFlags(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, b := range []string{"\x60\x02\x00\x01", "\x61\x02\x00\x01", "\x66\x02\x00\x01", "\x6a\x02\x00\x01"} {
		w.refuses(t, b, b, packet.MalformedPacket)
	}
	c := w.connect(t, packet.V31, "lax")
	c.raw([]byte("\x60\x02\x00\x01"))
	if a := expect[*packet.Ack](c); a.Type != packet.TypePubcomp {
		t.Errorf("%s", a.Type)
	}
}

// TestFlowControl: receive maximum, both ways (§3.3.4, §4.9).
func TestFlowControl(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.ReceiveMaximum = 3 })
	t.Run("the client sends too much", func(t *testing.T) {
		t.Parallel()
		c := w.connect(t, packet.V5, own(t))
		for id := range uint16(3) {
			c.send(message(2, id+1, own(t), "x"))
			expect[*packet.Ack](c)
		}
		c.flow(message(0, 0, own(t), "does not count"))
		c.send(message(1, 4, own(t), "x"))
		c.expectEnd(packet.ReceiveMaximumExceeded)
	})
	// filled is a client that has as much as it allows, and has answered nothing.
	filled := func(t *testing.T, limit uint16) (c *client, ids []uint16) {
		t.Helper()
		c = w.connect(t, packet.V5, own(t), func(p *packet.Connect) { p.Properties.ReceiveMaximum = packet.Some(limit) })
		c.subscribe(2, own(t))
		pub := w.connect(t, packet.V5, own(t)+"pub")
		for i := range 2 * limit {
			pub.flow(message(byte(1+i%2), i+1, own(t), fmt.Sprint(i)))
		}
		for i := range limit {
			ids = append(ids, c.expectMessage(own(t), fmt.Sprint(i)).ID)
		}
		return c, ids
	}
	t.Run("the server waits", func(t *testing.T) {
		t.Parallel()
		c, ids := filled(t, 2)
		c.quiet()
		c.send(&packet.Ack{Type: packet.TypePubrec, ID: ids[1]}) // PUBREC does not make room
		if a := expect[*packet.Ack](c); a.Type != packet.TypePubrel {
			t.Errorf("%s", a.Type)
		}
		c.quiet()
		c.send(&packet.Ack{Type: packet.TypePuback, ID: ids[0]})
		c.expectMessage(own(t), "2")
		c.quiet()
		c.send(&packet.Ack{Type: packet.TypePubcomp, ID: ids[1]})
		c.expectMessage(own(t), "3")
	})
	t.Run("PUBREC with a failure makes room", func(t *testing.T) {
		t.Parallel()
		c, ids := filled(t, 2)
		c.send(&packet.Ack{Type: packet.TypePubrec, ID: ids[1], Reason: packet.UnspecifiedError})
		c.expectMessage(own(t), "2")
	})
	t.Run("a window of one", func(t *testing.T) {
		t.Parallel()
		c, ids := filled(t, 1)
		c.send(&packet.Ack{Type: packet.TypePuback, ID: ids[0]})
		c.receive(own(t), "1")
	})
	t.Run("other packets do not wait", func(t *testing.T) {
		t.Parallel()
		c, _ := filled(t, 1)
		c.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: own(t) + "/other"}}})
		expect[*packet.Suback](c)
		c.send(message(0, 0, own(t)+"/other", "QoS 0"))
		c.expectMessage(own(t)+"/other", "QoS 0")
		c.flow(message(1, 1, "a", "x"))
		c.flow(message(2, 2, "a", "x"))
		c.send(&packet.Unsubscribe{ID: 2, Filters: []string{own(t) + "/other"}})
		expect[*packet.Unsuback](c)
		c.quiet()
	})
}

// TestSentDoesNotExpire: what was sent is delivered to the end, though its time is over meanwhile (§4.3.3).
func TestSentDoesNotExpire(t *testing.T) {
	t.Parallel()
	w := start(t)
	for qos := byte(1); qos < 3; qos++ {
		t.Run(fmt.Sprint("QoS ", qos), func(t *testing.T) {
			t.Parallel()
			c := w.back(t, packet.V5, own(t), false)
			c.subscribe(2, own(t))
			m := message(qos, 1, own(t), "x")
			m.Properties.MessageExpiry = packet.Some[uint32](1)
			w.connect(t, packet.V5, own(t)+"pub").flow(m)
			began := time.Now()
			id := c.expectMessage(own(t), "x").ID
			w.cut(t, c, own(t))
			w.eventually(t, "its time is over", func() bool { return time.Since(began) > 1100*time.Millisecond })
			c = w.back(t, packet.V5, own(t), true)
			if p := c.receive(own(t), "x"); p.ID != id || !p.Dup {
				t.Errorf("%+v", p)
			}
		})
	}
}
