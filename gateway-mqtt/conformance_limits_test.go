package gatewaymqtt_test

import (
	"strings"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
)

// TestMaximumPacketSize: the largest packet, both ways (§3.1.2.11.4, §3.2.2.3.6).
func TestMaximumPacketSize(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.MaxPacketSize = 400 })
	takes := func(n uint32) func(*packet.Connect) {
		return func(p *packet.Connect) { p.Properties.MaximumPacketSize = packet.Some(n) }
	}
	t.Run("nothing larger is sent", func(t *testing.T) {
		t.Parallel()
		const topic = "size/limit"
		for _, limit := range []int{80, 81, 200} {
			id := own(t) + strings.Repeat("i", limit%7)
			c := w.connect(t, packet.V5, id, takes(uint32(limit)))
			pub := w.connect(t, packet.V5, id+"pub")
			c.subscribe(1, topic)
			room := limit - message(1, 1, topic, "").Size(packet.V5)
			if limit >= 130 {
				room-- // the remaining length takes two bytes
			}
			fits := strings.Repeat("x", room)
			pub.flow(message(1, 1, topic, fits+"x"))
			pub.flow(message(1, 2, topic, fits))
			c.receive(topic, fits)
			c.send(&packet.Unsubscribe{ID: 9, Filters: []string{topic}})
			expect[*packet.Unsuback](c)
		}
	})
	t.Run("counts as sent", func(t *testing.T) {
		t.Parallel()
		c := w.back(t, packet.V5, own(t), false, takes(150), func(p *packet.Connect) { p.Properties.ReceiveMaximum = packet.Some[uint16](1) })
		c.subscribe(2, own(t))
		pub := w.connect(t, packet.V5, own(t)+"pub")
		for id := range uint16(4) { // the window has room for one: none of them takes it
			pub.flow(message(byte(1+id%2), id+1, own(t), strings.Repeat("x", 200)))
		}
		c.only(pub, own(t))
		w.cut(t, c, own(t))
		w.back(t, packet.V5, own(t), true).only(pub, own(t)) // nor do they come to who has the room
	})
	t.Run("the client sends too much", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.send(message(0, 0, own(t), strings.Repeat("x", 400)))
			c.expectEnd(packet.PacketTooLarge)
		})
	})
	t.Run("CONNACK says the server's", func(t *testing.T) {
		t.Parallel()
		c := w.dial(t, "tcp", packet.V5)
		c.send(connectPacket(packet.V5, own(t)))
		if n := expect[*packet.Connack](c).Properties.MaximumPacketSize; n != packet.Some[uint32](400) {
			t.Errorf("%+v", n)
		}
	})
	t.Run("a refusal has no explanation", func(t *testing.T) {
		t.Parallel()
		c := w.dial(t, "tcp", packet.V5)
		c.raw([]byte("\x10\x13\x00\x04MQTT\x05\x02\x00\x00\x05\x27\x00\x00\x00\x05\x00\x01\xff")) // at most five bytes
		exactly(t, c, "\x20\x03\x00\x81\x00")
		c.expectClosed()
	})
	t.Run("an explanation is left out", func(t *testing.T) {
		t.Parallel()
		for limit, explained := range map[uint32]bool{20: false, 21: true} {
			c := w.connect(t, packet.V5, own(t)+string(rune('a'+limit)), takes(limit))
			c.send(connectPacket(packet.V5, "again"))
			d := expect[*packet.Disconnect](c)
			if d.Reason != packet.ProtocolError || d.Properties.ReasonString.Present != explained || len(d.Properties.User) > 0 {
				t.Errorf("limit %d: %+v, explained %v", limit, d.Properties, explained)
			}
			c.expectClosed()
		}
	})
}

// TestAnswersExplainNothing: acknowledgements have a code of their table, and neither a reason string nor user properties: so none can be too large for
// them, or unwanted (§3.1.2.11.7, §3.4.2.2 and the like).
func TestAnswersExplainNothing(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.auth.deny(broker.ActionPublish, "secret")
	w.auth.deny(broker.ActionSubscribe, "secret")
	answer := func(name string, want string, p packet.Packet) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for id, wanted := range map[string]byte{"wanted": 1, "unwanted": 0} {
				c := w.connect(t, packet.V5, own(t)+id, func(p *packet.Connect) { p.Properties.RequestProblemInfo = packet.Some(wanted) })
				c.send(p)
				exactly(t, c, want)
			}
		})
	}
	answer("PUBACK", "\x40\x03\x00\x01\x87", message(1, 1, "secret", "x"))
	answer("PUBREC", "\x50\x03\x00\x01\x87", message(2, 1, "secret", "x"))
	answer("PUBREL", "\x62\x03\x00\x01\x92", &packet.Ack{Type: packet.TypePubrec, ID: 1})
	answer("PUBCOMP", "\x70\x03\x00\x01\x92", &packet.Ack{Type: packet.TypePubrel, ID: 1})
	answer("SUBACK", "\x90\x04\x00\x01\x00\x87", &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "secret"}}})
	answer("UNSUBACK", "\xb0\x04\x00\x01\x00\x11", &packet.Unsubscribe{ID: 1, Filters: []string{"nothing"}})
}

// TestResponseInformation: §3.1.2.11.6, §3.2.2.3.15.
func TestResponseInformation(t *testing.T) {
	t.Parallel()
	w, silent := start(t, func(s *setup) { s.cfg.ResponseInformation = "answers/%u/%c/" }), start(t)
	told := func(t *testing.T, w *world, ask packet.Opt[byte]) packet.Opt[string] {
		t.Helper()
		c := w.dial(t, "tcp", packet.V5)
		c.send(connectPacket(packet.V5, "asks", user("me", ""), func(p *packet.Connect) { p.Properties.RequestResponseInfo = ask }))
		return expect[*packet.Connack](c).Properties.ResponseInfo
	}
	t.Run("asked for", func(t *testing.T) {
		if info := told(t, w, packet.Some[byte](1)); info != packet.Some("answers/me/asks/") {
			t.Errorf("%+v", info)
		}
	})
	t.Run("not asked for", func(t *testing.T) {
		for _, ask := range []packet.Opt[byte]{{}, packet.Some[byte](0)} {
			if info := told(t, w, ask); info.Present {
				t.Errorf("%+v", info)
			}
		}
	})
	t.Run("not configured", func(t *testing.T) {
		if info := told(t, silent, packet.Some[byte](1)); info.Present {
			t.Errorf("%+v", info)
		}
	})
}

// TestServerReference: who cannot be served here hears where else (§4.11).
func TestServerReference(t *testing.T) {
	t.Parallel()
	const where = "other.example:1883 third.example"
	w := start(t, func(s *setup) { s.cfg.ServerReference, s.maxConnections = where, 2 })
	c, old := w.connect(t, packet.V5, "served"), w.connect(t, packet.V311, "served-old")
	for v, want := range map[packet.Version]packet.ReasonCode{packet.V5: packet.UseAnotherServer, packet.V311: packet.ServerUnavailable} {
		more := w.dial(t, "tcp", v)
		more.send(connectPacket(v, "more"))
		ack := expect[*packet.Connack](more)
		if ack.Reason != want || v == packet.V5 && ack.Properties.ServerReference != packet.Some(where) {
			t.Errorf("CONNACK %s %+v", ack.Reason, ack.Properties.ServerReference)
		}
		more.expectClosed()
	}
	if err := w.gw.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d := expect[*packet.Disconnect](c); d.Reason != packet.UseAnotherServer || d.Properties.ServerReference != packet.Some(where) {
		t.Errorf("DISCONNECT %s %+v", d.Reason, d.Properties.ServerReference)
	}
	c.expectClosed()
	old.expectClosed()
}
