package gatewaymqtt_test

import (
	"strings"
	"testing"
	"time"

	gatewaymqtt "github.com/pando-mq/pando/gateway-mqtt"
	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/config"
)

// limited is a gateway whose listener "ws" has limits, beside "tcp" without.
func limited(t *testing.T, change func(*gatewaymqtt.LimitsConfig)) *world {
	t.Helper()
	return start(t, func(s *setup) {
		s.open("ws")
		s.listener("ws", func(l *gatewaymqttListener) { change(&l.Limits) })
	})
}

// enter connects over a listener and returns the CONNACK.
func (w *world) enter(t *testing.T, listener string, v packet.Version, id string, change ...func(*packet.Connect)) (*client, *packet.Connack) {
	t.Helper()
	c := w.dial(t, listener, v)
	c.send(connectPacket(v, id, change...))
	return c, expect[*packet.Connack](c)
}

// TestLimitsAreAnnounced: an MQTT 5 client hears of its listener's limits in CONNACK, and of none on another listener.
func TestLimitsAreAnnounced(t *testing.T) {
	t.Parallel()
	w := limited(t, func(l *gatewaymqtt.LimitsConfig) {
		l.MaxQoS, l.Retain, l.Wildcards, l.Shared, l.MaxPacketSize = 1, false, false, false, 1000
	})
	_, ack := w.enter(t, "ws", packet.V5, "a")
	p := &ack.Properties
	if p.MaximumQoS != packet.Some(byte(1)) || p.RetainAvailable != packet.Some(byte(0)) || p.WildcardAvailable != packet.Some(byte(0)) ||
		p.SharedAvailable != packet.Some(byte(0)) || p.MaximumPacketSize != packet.Some(uint32(1000)) {
		t.Errorf("%+v", p)
	}
	_, ack = w.enter(t, "tcp", packet.V5, "b")
	if p := &ack.Properties; p.MaximumQoS.Present || p.RetainAvailable.Present || p.WildcardAvailable.Present || p.SharedAvailable.Present ||
		p.MaximumPacketSize != packet.Some(uint32(64<<10)) {
		t.Errorf("without limits: %+v", p)
	}
}

// TestLimitsOfConnect: a CONNECT above a limit is answered with its code.
func TestLimitsOfConnect(t *testing.T) {
	t.Parallel()
	w := limited(t, func(l *gatewaymqtt.LimitsConfig) {
		l.MaxQoS, l.Retain, l.MaxClientIDLen, l.MaxTopicLevels = 0, false, 8, 3
	})
	will := func(qos byte, retain bool) func(*packet.Connect) {
		return func(p *packet.Connect) { p.Will = &packet.Will{Topic: "w", QoS: qos, Retain: retain} }
	}
	for name, tt := range map[string]struct {
		id     string
		change func(*packet.Connect)
		want   packet.ReasonCode
	}{
		"fits":        {"12345678", will(0, false), packet.Success},
		"long id":     {"123456789", will(0, false), packet.ClientIDNotValid},
		"will QoS":    {"a", will(1, false), packet.QoSNotSupported},
		"will retain": {"a", will(0, true), packet.RetainNotSupported},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, ack := w.enter(t, "ws", packet.V5, tt.id, tt.change); ack.Reason != tt.want {
				t.Errorf("CONNACK %s, want %s", ack.Reason, tt.want)
			}
			if _, ack := w.enter(t, "ws", packet.V311, "3"+tt.id[1:], tt.change); (ack.Reason == packet.Success) != (tt.want == packet.Success) {
				t.Errorf("3.1.1: CONNACK %s", ack.Reason)
			}
		})
	}
}

// TestLimitsOfPublish: what CONNACK said is not available ends the connection with its code (MQTT-3.2.2-11, -14); a topic with too many levels is refused.
func TestLimitsOfPublish(t *testing.T) {
	t.Parallel()
	w := limited(t, func(l *gatewaymqtt.LimitsConfig) {
		l.MaxQoS, l.Retain, l.MaxTopicLevels, l.MaxPacketSize = 1, false, 3, 2000
	})
	retained := message(0, 0, "a", "x")
	retained.Retain = true
	for name, tt := range map[string]struct {
		send *packet.Publish
		want packet.ReasonCode
	}{
		"QoS 2":  {message(2, 1, "a", "x"), packet.QoSNotSupported},
		"retain": {retained, packet.RetainNotSupported},
		"size":   {message(0, 0, "a", strings.Repeat("x", 2000)), packet.PacketTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := w.enter(t, "ws", packet.V5, "five "+name)
			c.send(tt.send)
			c.expectEnd(tt.want)
			old, _ := w.enter(t, "ws", packet.V311, "three "+name)
			old.send(tt.send)
			old.expectClosed()
			free, _ := w.enter(t, "tcp", packet.V5, "free "+name)
			free.flow(tt.send)
			free.quiet()
		})
	}
	c, _ := w.enter(t, "ws", packet.V5, "levels")
	c.flow(message(1, 1, "a/b/c", "x"))
	c.send(message(1, 2, "a/b/c/d", "x"))
	if ack := expect[*packet.Ack](c); ack.Reason != packet.TopicNameInvalid || ack.ID != 2 {
		t.Errorf("%+v", ack)
	}
	c.quiet()
}

// TestLimitsOfSubscribe: each filter has its answer, whether the listener or the suite gives it, in the order of the filters.
func TestLimitsOfSubscribe(t *testing.T) {
	t.Parallel()
	w := limited(t, func(l *gatewaymqtt.LimitsConfig) {
		l.MaxQoS, l.Wildcards, l.Shared, l.MaxTopicLevels = 1, false, false, 3
	})
	sub := &packet.Subscribe{ID: 9}
	for _, f := range []string{"a", "a/+", "$share/g/a", "a/b/c", "a/b/c/d", "#", "$queue/a", "b"} {
		sub.Subscriptions = append(sub.Subscriptions, packet.Subscription{Filter: f, QoS: 2})
	}
	five := []packet.ReasonCode{1, packet.WildcardNotSupported, packet.SharedNotSupported, 1, packet.TopicFilterInvalid, packet.WildcardNotSupported, packet.SharedNotSupported, 1}
	c, _ := w.enter(t, "ws", packet.V5, "five")
	c.send(sub)
	if ack := expect[*packet.Suback](c); ack.ID != 9 || !equalCodes(ack.Reasons, five) {
		t.Errorf("%v", ack.Reasons)
	}
	c.send(message(0, 0, "b", "x"))
	c.receive("b", "x")
	only := &packet.Subscribe{ID: 10, Subscriptions: []packet.Subscription{{Filter: "#"}}}
	old, _ := w.enter(t, "ws", packet.V311, "three")
	old.send(only)
	if ack := expect[*packet.Suback](old); !ack.Reasons[0].Failed() {
		t.Errorf("3.1.1: %v", ack.Reasons)
	}
	old.quiet()
}

func equalCodes(a, b []packet.ReasonCode) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestMessageRate: messages above the rate wait in the socket; other packets of the same client do not count.
func TestMessageRate(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) {
		s.listener("tcp", func(l *gatewaymqttListener) { l.MessageRate = config.Limit{Burst: 5, Rate: 20} })
	})
	c := w.connect(t, packet.V311, "fast")
	began := time.Now()
	for range 50 {
		c.send(&packet.Pingreq{})
		expect[*packet.Pingresp](c)
	}
	pings := time.Since(began)
	began = time.Now()
	var all []packet.Packet
	for i := range 25 {
		all = append(all, message(1, uint16(i+1), "a", "x"))
	}
	c.send(all...)
	for i := range all {
		if ack := expect[*packet.Ack](c); ack.ID != uint16(i+1) {
			t.Fatalf("%+v", ack)
		}
	}
	if took := time.Since(began); took < 900*time.Millisecond { // 20 messages at 20 per second
		t.Errorf("25 messages in %s, 50 pings in %s", took, pings)
	}
}
