package gatewaymqtt_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
)

// TestFlows: each QoS from each version to each version (§4.3).
func TestFlows(t *testing.T) {
	t.Parallel()
	w := start(t)
	all := []packet.Version{packet.V31, packet.V311, packet.V5}
	for _, from := range all {
		for _, to := range all {
			t.Run(from.String()+" to "+to.String(), func(t *testing.T) {
				t.Parallel()
				topic := fmt.Sprintf("flow/%s/%s", from, to)
				sub := w.connect(t, to, "to"+topic)
				sub.subscribe(2, topic)
				pub := w.connect(t, from, "from"+topic)
				for qos := range byte(3) {
					pub.flow(message(qos, uint16(qos), topic, fmt.Sprint(qos)))
					if p := sub.receive(topic, fmt.Sprint(qos)); p.QoS != qos || p.Dup || p.Retain {
						t.Errorf("got %+v", p)
					}
				}
			})
		}
	}
}

// flow publishes and does what the QoS asks for.
func (c *client) flow(p *packet.Publish) {
	c.t.Helper()
	c.send(p)
	switch p.QoS {
	case 1:
		if a := expect[*packet.Ack](c); a.Type != packet.TypePuback || a.ID != p.ID || a.Reason.Failed() {
			c.t.Fatalf("%s %+v", a.Type, a)
		}
	case 2:
		if a := expect[*packet.Ack](c); a.Type != packet.TypePubrec || a.ID != p.ID || a.Reason.Failed() {
			c.t.Fatalf("%s %+v", a.Type, a)
		}
		c.send(&packet.Ack{Type: packet.TypePubrel, ID: p.ID})
		if a := expect[*packet.Ack](c); a.Type != packet.TypePubcomp || a.ID != p.ID || a.Reason != packet.Success {
			c.t.Fatalf("%s %+v", a.Type, a)
		}
	}
}

// receive takes a message and acknowledges it.
func (c *client) receive(topic, payload string) *packet.Publish {
	c.t.Helper()
	p := c.expectMessage(topic, payload)
	switch p.QoS {
	case 1:
		c.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
	case 2:
		c.send(&packet.Ack{Type: packet.TypePubrec, ID: p.ID})
		if a := expect[*packet.Ack](c); a.Type != packet.TypePubrel || a.ID != p.ID {
			c.t.Fatalf("%s %+v", a.Type, a)
		}
		c.send(&packet.Ack{Type: packet.TypePubcomp, ID: p.ID})
	}
	return p
}

// TestAnswersInOrder: PUBACK and PUBREC leave in the order of the PUBLISHes (MQTT-4.6.0-2, MQTT-4.6.0-3).
func TestAnswersInOrder(t *testing.T) {
	t.Parallel()
	w := start(t)
	const n = 200
	versions(t, func(t *testing.T, v packet.Version) {
		c := w.connect(t, v, "order"+v.String())
		var ps []packet.Packet
		for i := range uint16(n) {
			ps = append(ps, message(1+byte(i%2), i+1, fmt.Sprintf("order/%d", i%7), "x"))
		}
		c.send(ps...)
		last := map[packet.Type]uint16{}
		for range n {
			a := expect[*packet.Ack](c)
			if a.ID <= last[a.Type] {
				t.Fatalf("%s %d after %d", a.Type, a.ID, last[a.Type])
			}
			last[a.Type] = a.ID
		}
		if last[packet.TypePuback] != n-1 || last[packet.TypePubrec] != n {
			t.Errorf("last answers %v", last)
		}
	})
}

func TestProperties(t *testing.T) {
	t.Parallel()
	w := start(t)
	sub := w.connect(t, packet.V5, "reads")
	sub.subscribe(0, "props")
	old := w.connect(t, packet.V311, "reads-old")
	old.subscribe(0, "props")
	pub := w.connect(t, packet.V5, "writes")
	sent := message(0, 0, "props", "text")
	sent.Properties = packet.Properties{
		PayloadFormat: packet.Some[byte](1), ContentType: packet.Some("text/plain"), ResponseTopic: packet.Some("answers"),
		CorrelationData: packet.Some([]byte{1, 2}), MessageExpiry: packet.Some[uint32](100),
		User: []packet.UserProperty{{Name: "b", Value: "1"}, {Name: "a", Value: "2"}, {Name: "b", Value: "3"}},
	}
	pub.send(sent)
	got := sub.expectMessage("props", "text").Properties
	if left := got.MessageExpiry.Value; left != 100 && left != 99 {
		t.Errorf("message expiry %v", got.MessageExpiry)
	}
	want := sent.Properties
	want.MessageExpiry, got.MessageExpiry = packet.Opt[uint32]{}, packet.Opt[uint32]{}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("properties (-sent +received):\n%s", d)
	}
	if d := cmp.Diff(packet.Properties{}, old.expectMessage("props", "text").Properties); d != "" {
		t.Errorf("3.1.1 got properties: %s", d)
	}
}

// TestExpiryIsWhatIsLeft: MQTT-3.3.2-6.
func TestExpiryIsWhatIsLeft(t *testing.T) {
	t.Parallel()
	w := start(t)
	sub := w.connect(t, packet.V5, "late")
	sub.subscribe(0, "old")
	_, err := w.edge.Inject(t.Context(), broker.Identity{ClientID: "x", Superuser: true}, &broker.Message{
		Topic: "old", Payload: []byte("x"), Expires: time.Now().Add(7500 * time.Millisecond),
	})
	if err != nil {
		t.Fatal(err)
	}
	if left := sub.expectMessage("old", "x").Properties.MessageExpiry.Value; left < 7 || left > 8 {
		t.Errorf("%d seconds left", left)
	}
}

func TestRefusedPublish(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.auth.deny(broker.ActionPublish, "secret")
	sub := w.connect(t, packet.V5, "spy")
	sub.subscribe(2, "#")
	versions(t, func(t *testing.T, v packet.Version) {
		c := w.connect(t, v, "denied"+v.String())
		c.send(message(0, 0, "secret", "x"))
		c.quiet()
		for qos, want := range map[byte]packet.Type{1: packet.TypePuback, 2: packet.TypePubrec} {
			c.send(message(qos, 9, "secret", "x"))
			a := expect[*packet.Ack](c)
			reason := packet.Success // 3.1.1 §3.3.5.2: acknowledged all the same
			if v == packet.V5 {
				reason = packet.NotAuthorized
			}
			if a.Type != want || a.Reason != reason {
				t.Errorf("QoS %d: %s %s", qos, a.Type, a.Reason)
			}
		}
		c.quiet()
	})
	t.Cleanup(sub.quiet)
}

func TestDeniedPublishMayDisconnect(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.ACL.DenyAction = edge.DenyDisconnect })
	w.auth.deny(broker.ActionPublish, "secret")
	for qos := range byte(3) {
		c := w.connect(t, packet.V5, fmt.Sprintf("out%d", qos))
		c.send(message(qos, uint16(qos), "secret", "x"))
		if qos > 0 {
			if a := expect[*packet.Ack](c); a.Reason != packet.NotAuthorized {
				t.Errorf("%s %s", a.Type, a.Reason)
			}
		}
		c.expectEnd(packet.NotAuthorized)
	}
}

// TestUndecidedPublish: without a decision nothing is acknowledged as taken.
func TestUndecidedPublish(t *testing.T) {
	t.Parallel()
	w := start(t)
	c, old := w.connect(t, packet.V5, "five"), w.connect(t, packet.V311, "four")
	w.backend.Auth.Fail(broker.E(broker.KindUnavailable, "test", nil))
	c.send(message(1, 1, "a", "x"))
	if a := expect[*packet.Ack](c); a.Reason != packet.UnspecifiedError {
		t.Errorf("PUBACK %s", a.Reason)
	}
	old.send(message(1, 1, "a", "x"))
	old.expectClosed()
	w.eventually(t, "counted", func() bool { return w.shutdowns("publish_failed") == 1 })
}

// TestQuota: above session.max_awaiting_rel a QoS 2 message is refused, in MQTT 3 by silence.
func TestQuota(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.session.MaxAwaitingRel, s.session.AwaitRelTimeout = 1, time.Hour })
	versions(t, func(t *testing.T, v packet.Version) {
		c := w.connect(t, v, "quota"+v.String())
		c.send(message(2, 1, "a", "x"))
		expect[*packet.Ack](c)
		c.send(message(2, 2, "a", "x"))
		if v == packet.V5 {
			if a := expect[*packet.Ack](c); a.Type != packet.TypePubrec || a.Reason != packet.QuotaExceeded {
				t.Errorf("%s %s", a.Type, a.Reason)
			}
		}
		c.quiet()
	})
}

func TestTopicNotTaken(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.MaxTopicLevels = 4 })
	deep := strings.Repeat("a/", 5)
	c := w.connect(t, packet.V5, "deep")
	c.send(message(1, 1, deep, "x"))
	if a := expect[*packet.Ack](c); a.Reason != packet.TopicNameInvalid {
		t.Errorf("PUBACK %s", a.Reason)
	}
	c.quiet()
	old := w.connect(t, packet.V311, "deep-old")
	old.send(message(1, 1, deep, "x"))
	old.expectClosed()
}

func TestNoMatchingSubscribers(t *testing.T) {
	t.Parallel()
	c := start(t).connect(t, packet.V5, "alone")
	c.send(message(1, 1, "nobody/here", "x"))
	if a := expect[*packet.Ack](c); a.Reason != packet.NoMatchingSubscriber {
		t.Errorf("PUBACK %s", a.Reason)
	}
}

func TestReceiveMaximum(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.ReceiveMaximum = 2 })
	c := w.connect(t, packet.V5, "greedy")
	for i := range uint16(100) { // acknowledged ones do not count
		c.flow(message(1+byte(i%2), i+1, "a", "x"))
	}
	hold := func(id uint16) {
		c.send(message(2, id, "a", "x"))
		expect[*packet.Ack](c)
	}
	hold(201)
	hold(202)
	hold(202) // a repeat is the same message
	c.send(message(2, 203, "a", "x"))
	c.expectEnd(packet.ReceiveMaximumExceeded) // MQTT-3.3.4-9

	old := w.connect(t, packet.V311, "greedy-old")
	for i := range uint16(10) {
		old.send(message(2, i+1, "a", "x"))
		expect[*packet.Ack](old)
	}
}

func TestTopicAliasIn(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.TopicAliasMaximum = 2 })
	sub := w.connect(t, packet.V5, "sub")
	sub.subscribe(0, "alias/#")
	aliased := func(alias uint16, topic, payload string) *packet.Publish {
		p := message(0, 0, topic, payload)
		p.Properties.TopicAlias = packet.Some(alias)
		return p
	}
	c := w.connect(t, packet.V5, "pub")
	for i, p := range []*packet.Publish{
		aliased(1, "alias/a", "0"), aliased(1, "", "1"), aliased(2, "alias/b", "2"), aliased(1, "", "3"), aliased(1, "alias/c", "4"), aliased(1, "", "5"),
	} {
		c.send(p)
		topic := []string{"a", "a", "b", "a", "c", "c"}[i]
		if p := sub.expectMessage("alias/"+topic, fmt.Sprint(i)); p.Properties.TopicAlias.Present {
			t.Error("an alias was used that the subscriber does not allow") // MQTT-3.1.2-26
		}
	}
	for name, tt := range map[string]struct {
		p      *packet.Publish
		reason packet.ReasonCode
	}{
		"above the maximum (3.3.2-9)": {aliased(3, "alias/x", "x"), packet.TopicAliasInvalid},
		"never set (§3.3.2.3.4)":      {aliased(1, "", "x"), packet.ProtocolError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := w.connect(t, packet.V5, name)
			c.send(tt.p)
			c.expectEnd(tt.reason)
		})
	}
}

func TestTopicAliasOut(t *testing.T) {
	t.Parallel()
	w := start(t)
	sub := w.connect(t, packet.V5, "sub", func(p *packet.Connect) { p.Properties.TopicAliasMaximum = packet.Some[uint16](1) })
	sub.subscribe(0, "#")
	pub := w.connect(t, packet.V5, "pub")
	for i, want := range []struct {
		topic, wire string
		alias       uint16
	}{{"a", "a", 1}, {"a", "", 1}, {"b", "b", 0}, {"a", "", 1}} {
		pub.send(message(0, 0, want.topic, fmt.Sprint(i)))
		if p := sub.expectMessage(want.wire, fmt.Sprint(i)); p.Properties.TopicAlias.Value != want.alias {
			t.Errorf("message %d has alias %v, want %d", i, p.Properties.TopicAlias, want.alias)
		}
	}
}

func TestPacketSizes(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.MaxPacketSize = 1000 })
	fits := message(1, 1, "size", strings.Repeat("x", 1000-3-6-2-1))
	c := w.connect(t, packet.V5, "fits")
	if n := fits.Size(packet.V5); n != 1000 {
		t.Fatalf("the test's packet has %d bytes", n)
	}
	c.send(fits)
	expect[*packet.Ack](c)
	fits.Payload = append(fits.Payload, 'x')
	c.send(fits)
	c.expectEnd(packet.PacketTooLarge) // MQTT-3.2.2-15
	old := w.connect(t, packet.V311, "old")
	old.send(message(0, 0, "size", strings.Repeat("x", 1000)))
	old.expectClosed()

	// What the client has no room for is not sent, and counts as done (MQTT-3.1.2-24, MQTT-3.1.2-25).
	small := w.connect(t, packet.V5, "small", func(p *packet.Connect) {
		p.Properties.MaximumPacketSize = packet.Some[uint32](60)
		p.Properties.ReceiveMaximum = packet.Some[uint16](1)
	})
	small.subscribe(1, "size")
	pub := w.connect(t, packet.V5, "pub")
	pub.flow(message(1, 1, "size", strings.Repeat("x", 100)))
	pub.flow(message(1, 2, "size", "short"))
	small.receive("size", "short")
}

func TestUnknownPacketIDs(t *testing.T) {
	t.Parallel()
	w := start(t)
	versions(t, func(t *testing.T, v packet.Version) {
		c := w.connect(t, v, "ids"+v.String())
		missing := packet.Success
		if v == packet.V5 {
			missing = packet.PacketIDNotFound
		}
		c.send(&packet.Ack{Type: packet.TypePubrel, ID: 7})
		if a := expect[*packet.Ack](c); a.Type != packet.TypePubcomp || a.ID != 7 || a.Reason != missing {
			t.Errorf("%s %+v", a.Type, a)
		}
		c.send(&packet.Ack{Type: packet.TypePubrec, ID: 8})
		if a := expect[*packet.Ack](c); a.Type != packet.TypePubrel || a.ID != 8 || a.Reason != missing {
			t.Errorf("%s %+v", a.Type, a)
		}
		c.send(&packet.Ack{Type: packet.TypePuback, ID: 9}, &packet.Ack{Type: packet.TypePubcomp, ID: 10})
		c.quiet()
	})
	for _, which := range []edge.Counter{edge.PacketsPubackMissed, edge.PacketsPubrecMissed, edge.PacketsPubrelMissed, edge.PacketsPubcompMissed} {
		t.Cleanup(func() {
			if n := w.edge.Counters().Get(which); n != 3 {
				t.Errorf("%s: %d", which, n)
			}
		})
	}
}

// TestSlowReader: a client that does not read is not read from, and loses its connection when its output passes the bound; others do not notice.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) {
		s.cfg.HighWater, s.cfg.MaxPending = 4<<10, 64<<10
		s.listener("tcp", func(l *gatewaymqttListener) { l.SndBuf, l.SendTimeout = 4<<10, time.Second })
	})
	slow, fine := w.connect(t, packet.V5, "slow"), w.connect(t, packet.V5, "fine")
	slow.subscribe(0, "flood")
	fine.subscribe(0, "end")
	pub := w.connect(t, packet.V5, "pub")
	payload := strings.Repeat("x", 8<<10)
	for range 4000 {
		pub.send(message(0, 0, "flood", payload))
	}
	pub.flow(message(1, 1, "end", "x"))
	fine.expectMessage("end", "x")
	w.eventually(t, "the slow one is cut off", func() bool { return w.shutdowns("send_timeout")+w.shutdowns("slow_reader") == 1 })
}

// TestUnreadAnswers: a client that sends and never reads is stopped by back-pressure, not by memory.
func TestUnreadAnswers(t *testing.T) {
	t.Parallel()
	busy := make(chan string, 1)
	w := start(t, func(s *setup) {
		s.deps.Busy = func(id string, pending int) {
			select {
			case busy <- fmt.Sprint(id, " ", pending > 4<<10):
			default:
			}
		}
		s.cfg.HighWater, s.cfg.MaxPending = 4<<10, 1<<20
		s.listener("tcp", func(l *gatewaymqttListener) { l.SndBuf, l.SendTimeout = 4<<10, time.Second })
	})
	c := w.connect(t, packet.V5, "deaf")
	pings := bytes.Repeat([]byte{0xc0, 0}, 1<<20)
	_ = c.nc.SetWriteDeadline(time.Now().Add(patience))
	_, _ = c.nc.Write(pings)
	w.eventually(t, "it is cut off", func() bool { return w.shutdowns("send_timeout") == 1 })
	select {
	case told := <-busy:
		if told != "deaf true" {
			t.Errorf("told that %s is slow", told)
		}
	default:
		t.Error("nobody is told that it is slow")
	}
}

func TestMountpoint(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.listener("tcp", func(l *gatewaymqttListener) { l.Mountpoint = "%c/" }) })
	c := w.connect(t, packet.V5, "mounted")
	c.subscribe(0, "a/#")
	other := w.connect(t, packet.V5, "other")
	other.send(message(0, 0, "a/b", "not for mounted"))
	other.quiet()
	c.send(message(0, 0, "a/b", "x"))
	c.expectMessage("a/b", "x")
}
