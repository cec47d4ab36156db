package gatewaymqtt_test

import (
	"slices"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
)

func TestSubscribeAnswers(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.auth.deny(broker.ActionSubscribe, "secret")
	filters := []packet.Subscription{{Filter: "a"}, {Filter: "b/#", QoS: 1}, {Filter: "+/c", QoS: 2}, {Filter: "secret", QoS: 1}, {Filter: "$share/g/a", QoS: 1}}
	versions(t, func(t *testing.T, v packet.Version) {
		c := w.connect(t, v, "subs"+v.String())
		c.send(&packet.Subscribe{ID: 77, Subscriptions: filters})
		denied := packet.UnspecifiedError
		if v == packet.V5 {
			denied = packet.NotAuthorized
		}
		ack := expect[*packet.Suback](c)
		if ack.ID != 77 || !slices.Equal(ack.Reasons, []packet.ReasonCode{0, 1, 2, denied, 1}) {
			t.Errorf("SUBACK %+v", ack)
		}
		c.send(&packet.Unsubscribe{ID: 78, Filters: []string{"a", "nothing", "$share/g/a"}})
		gone := expect[*packet.Unsuback](c)
		if gone.ID != 78 || v == packet.V5 && !slices.Equal(gone.Reasons, []packet.ReasonCode{packet.Success, packet.NoSubscription, packet.Success}) {
			t.Errorf("UNSUBACK %+v", gone)
		}
	})
}

func TestInvalidFilters(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, filter := range []string{"a/#/b", "a#", "+a", "$share//t", "$share/g/", "$share/a+b/t"} {
		t.Run(filter, func(t *testing.T) {
			t.Parallel()
			c := w.connect(t, packet.V5, "five"+filter)
			c.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: filter}, {Filter: "good"}}})
			if ack := expect[*packet.Suback](c); !slices.Equal(ack.Reasons, []packet.ReasonCode{packet.TopicFilterInvalid, packet.GrantedQoS0}) {
				t.Errorf("SUBACK %v", ack.Reasons)
			}
			old := w.connect(t, packet.V311, "four"+filter)
			old.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: filter}}})
			old.expectClosed()
		})
	}
}

func TestSubscriptionOptions(t *testing.T) {
	t.Parallel()
	w := start(t)
	pub := w.connect(t, packet.V5, "pub")
	retained := message(1, 1, "opt/r", "kept")
	retained.Retain = true
	pub.flow(retained)
	for name, tt := range map[string]struct {
		sub  packet.Subscription
		kept bool // the retained message comes
		flag bool // retain flag of a new message
	}{
		"default":                        {packet.Subscription{QoS: 1}, true, false},
		"retain as published (3.3.1-13)": {packet.Subscription{QoS: 1, RetainAsPublished: true}, true, true},
		"no retained (3.3.1-11)":         {packet.Subscription{QoS: 1, RetainHandling: 2}, false, false},
		"if new (3.3.1-10)":              {packet.Subscription{QoS: 1, RetainHandling: 1}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.connect(t, packet.V5, name)
			tt.sub.Filter = "opt/r"
			c.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{tt.sub}})
			expect[*packet.Suback](c)
			if tt.kept {
				if p := c.receive("opt/r", "kept"); !p.Retain {
					t.Error("a retained message without its flag") // MQTT-3.3.1-8
				}
			}
			again := message(1, 2, "opt/r", "kept")
			again.Retain = true
			pub.flow(again)
			if p := c.receive("opt/r", "kept"); p.Retain != tt.flag {
				t.Errorf("retain flag %v", p.Retain)
			}
		})
	}
}

func TestNoLocal(t *testing.T) {
	t.Parallel()
	c := start(t).connect(t, packet.V5, "self")
	c.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "mine", NoLocal: true}}})
	expect[*packet.Suback](c)
	c.send(message(0, 0, "mine", "x")) // MQTT-3.8.3-3
	c.flow(message(1, 1, "other", "x"))
	c.quiet()
}

// TestBridgeBit: mosquitto's bridges of MQTT 3 want the retain flag as it was published, and nothing of their own.
func TestBridgeBit(t *testing.T) {
	t.Parallel()
	w := start(t)
	br := w.connect(t, packet.V311, "bridge", bridge)
	br.subscribe(0, "br")
	plain := w.connect(t, packet.V311, "plain")
	plain.subscribe(0, "br")
	p := message(0, 0, "br", "x")
	p.Retain = true
	plain.send(p)
	if p := plain.expectMessage("br", "x"); p.Retain {
		t.Error("a plain client got the retain flag")
	}
	if p := br.expectMessage("br", "x"); !p.Retain {
		t.Error("the bridge did not get the retain flag")
	}
	br.send(message(0, 0, "br", "own"))
	plain.expectMessage("br", "own")
	br.quiet()
}

// TestSubscriptionIdentifiers: one message for overlapping subscriptions, with the highest QoS and all identifiers (MQTT-3.3.4-3 to -5).
func TestSubscriptionIdentifiers(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect(t, packet.V5, "over")
	for i, s := range []packet.Subscription{{Filter: "o/#", QoS: 0}, {Filter: "o/+", QoS: 1}, {Filter: "o/x", QoS: 0}} {
		c.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{s}, Properties: packet.Properties{SubscriptionIDs: []uint32{uint32(i + 1)}}})
		expect[*packet.Suback](c)
	}
	pub := w.connect(t, packet.V5, "pub")
	pub.flow(message(1, 1, "o/x", "m"))
	p := c.receive("o/x", "m")
	ids := slices.Sorted(slices.Values(p.Properties.SubscriptionIDs))
	if p.QoS != 1 || !slices.Equal(ids, []uint32{1, 2, 3}) {
		t.Errorf("QoS %d, identifiers %v", p.QoS, ids)
	}
	c.quiet()
}
