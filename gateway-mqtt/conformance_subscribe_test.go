package gatewaymqtt_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
)

// TestRetain: retained messages (§3.3.1.3). The store itself is the routers'.
func TestRetain(t *testing.T) {
	t.Parallel()
	w := start(t)
	// with makes a publisher that retained a message.
	with := func(t *testing.T, v packet.Version, qos byte) *client {
		t.Helper()
		pub := w.connect(t, v, own(t)+"pub")
		pub.flow(retained(qos, 1, own(t), "kept"))
		return pub
	}
	late := func(t *testing.T, v packet.Version) *client {
		t.Helper()
		c := w.connect(t, v, own(t)+"late")
		c.subscribe(2, own(t))
		return c
	}
	t.Run("stored with its QoS", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			for qos := range byte(3) {
				with(t, v, qos)
				if p := late(t, v).receive(own(t), "kept"); p.QoS != qos {
					t.Errorf("QoS %d, want %d", p.QoS, qos)
				}
			}
		})
	})
	t.Run("replaced", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			pub := with(t, v, 1)
			pub.flow(retained(0, 0, own(t), "newer"))
			pub.quiet()
			c := late(t, v)
			c.receive(own(t), "newer")
			c.only(pub, own(t))
		})
	})
	t.Run("removed by an empty payload", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			pub := with(t, v, 1)
			now := w.connect(t, v, own(t)+"now")
			now.subscribe(1, own(t))
			now.receive(own(t), "kept")
			pub.flow(retained(1, 2, own(t), ""))
			now.receive(own(t), "") // it is a message like others
			late(t, v).only(pub, own(t))
		})
	})
	t.Run("empty ones are not kept", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			pub := w.connect(t, v, own(t)+"pub")
			pub.flow(retained(1, 1, own(t), ""))
			late(t, v).only(pub, own(t))
		})
	})
	t.Run("kept without the flag", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			pub := with(t, v, 1)
			pub.flow(message(1, 2, own(t), "passes"))
			pub.flow(message(1, 3, own(t), ""))
			c := late(t, v)
			c.receive(own(t), "kept")
			c.only(pub, own(t))
		})
	})
	t.Run("flag of a retained message", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			with(t, v, 1)
			if p := late(t, v).receive(own(t), "kept"); !p.Retain {
				t.Error("without the retain flag")
			}
		})
	})
	t.Run("flag of a new message", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			w.settled(c, own(t), packet.Subscription{QoS: 1})
			with(t, v, 1)
			if p := c.receive(own(t), "kept"); p.Retain {
				t.Error("with the retain flag")
			}
		})
	})
	t.Run("retain as published", func(t *testing.T) {
		t.Parallel()
		c := w.connect(t, packet.V5, own(t))
		w.settled(c, own(t), packet.Subscription{QoS: 1, RetainAsPublished: true})
		pub := with(t, packet.V5, 1)
		if p := c.receive(own(t), "kept"); !p.Retain {
			t.Error("without the retain flag")
		}
		pub.flow(message(1, 2, own(t), "not"))
		if p := c.receive(own(t), "not"); p.Retain {
			t.Error("with the retain flag")
		}
	})
	handling := func(name string, h byte, first, second bool) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pub := with(t, packet.V5, 1)
			c := w.connect(t, packet.V5, own(t))
			for _, comes := range []bool{first, second} {
				c.subscribed(packet.Subscription{Filter: own(t), QoS: 1, RetainHandling: h})
				if comes {
					c.receive(own(t), "kept")
				}
				c.only(pub, own(t))
			}
		})
	}
	handling("handling 0", 0, true, true)
	handling("handling 1", 1, true, false)
	handling("handling 2", 2, false, false)
	t.Run("every subscription gets it", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			with(t, v, 1)
			c := w.connect(t, v, own(t))
			for _, filter := range []string{own(t), own(t) + "/#", own(t)} { // the last one is there already
				c.subscribe(1, filter)
				c.receive(own(t), "kept")
			}
		})
	})
}

// TestSubscribeFormat: what a SUBSCRIBE must be like (§3.8.1 to §3.8.3, §4.7.1, §4.8.2).
func TestSubscribeFormat(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("flags", func(t *testing.T) {
		t.Parallel()
		for _, first := range []string{"\x80", "\x81", "\x83", "\x8a"} {
			w.refuses(t, first+"\x06\x00\x01\x00\x01a\x00", first+"\x07\x00\x01\x00\x00\x01a\x00", packet.MalformedPacket)
		}
	})
	t.Run("ill-formed filter", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "\x82\x06\x00\x01\x00\x01\xff\x00", "\x82\x07\x00\x01\x00\x00\x01\xff\x00", packet.MalformedPacket)
	})
	t.Run("no filter", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "\x82\x02\x00\x01", "\x82\x03\x00\x01\x00", packet.ProtocolError)
	})
	t.Run("reserved option bits", func(t *testing.T) {
		t.Parallel()
		for _, bit := range []string{"\x40", "\x80"} {
			w.refuses(t, "\x82\x06\x00\x01\x00\x01a"+bit, "\x82\x07\x00\x01\x00\x00\x01a"+bit, packet.MalformedPacket)
		}
		for _, bit := range []string{"\x04", "\x08", "\x10", "\x20", "\x03"} { // 5.0 has a use for them, but not for QoS 3
			w.refuses(t, "\x82\x06\x00\x01\x00\x01a"+bit, "", 0)
		}
	})
	t.Run("no local and shared", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "", "\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x04", packet.ProtocolError)
	})
	invalid := func(name string, filters ...string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, filter := range filters {
				c := w.connect(t, packet.V5, fmt.Sprint(own(t), i))
				c.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: filter}}})
				if r := expect[*packet.Suback](c).Reasons; !slices.Equal(r, []packet.ReasonCode{packet.TopicFilterInvalid}) {
					t.Errorf("%q: SUBACK %v", filter, r)
				}
				old := w.connect(t, packet.V311, fmt.Sprint(own(t), i, "old"))
				old.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: filter}}})
				old.expectClosed()
			}
		})
	}
	invalid("place of the multi-level wildcard", "a#", "a/#/b", "#/a", "a/b#")
	invalid("place of the single-level wildcard", "a+", "+a", "a/b+/c", "++")
	invalid("share without a name", "$share//a", "$share/g", "$share/")
	invalid("name of a share", "$share/a+/b", "$share/#/b", "$share/g/")
}

// TestSubscribeActions: what a SUBSCRIBE does (§3.8.4, §3.9).
func TestSubscribeActions(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.auth.deny(broker.ActionSubscribe, "secret")
	t.Run("answered", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			for _, id := range []uint16{7, 65535, 1} {
				c.send(&packet.Subscribe{ID: id, Subscriptions: []packet.Subscription{{Filter: own(t)}}})
				if a := expect[*packet.Suback](c); a.ID != id {
					t.Errorf("SUBACK %d, want %d", a.ID, id)
				}
			}
		})
	})
	t.Run("replaced", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.subscribe(2, own(t))
			c.subscribe(0, own(t))
			pub := w.connect(t, v, own(t)+"pub")
			for i := range 2 { // one message each, as the newer subscription wants it
				pub.flow(message(1, 1, own(t), fmt.Sprint(i)))
				if p := c.receive(own(t), fmt.Sprint(i)); p.QoS != 0 {
					t.Errorf("QoS %d of a subscription that was replaced", p.QoS)
				}
			}
		})
	})
	t.Run("replaced without a gap", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c, pub := w.connect(t, v, own(t)), w.connect(t, v, own(t)+"pub")
			c.subscribe(1, own(t))
			const n = 30
			for i := range n {
				pub.send(message(1, uint16(i+1), own(t), fmt.Sprint(i)))
				c.send(&packet.Subscribe{ID: uint16(i + 1), Subscriptions: []packet.Subscription{{Filter: own(t), QoS: 1}}})
			}
			for came, answered := 0, 0; came < n || answered < n; {
				switch p := c.read().(type) {
				case *packet.Publish:
					if string(p.Payload) != fmt.Sprint(came) {
						t.Fatalf("message %s, want %d", p.Payload, came)
					}
					came++
					c.send(&packet.Ack{Type: packet.TypePuback, ID: p.ID})
				case *packet.Suback:
					answered++
				default:
					t.Fatalf("%+v", p)
				}
			}
		})
	})
	t.Run("several filters", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			topic := func(i int) string { return fmt.Sprint(own(t), "/", i) }
			c.subscribe(1, topic(0), topic(1), topic(2))
			pub := w.connect(t, v, own(t)+"pub")
			for i := range 3 {
				pub.flow(message(1, 1, topic(i), "x"))
				c.receive(topic(i), "x")
			}
		})
	})
	t.Run("codes in order", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a", QoS: 2}, {Filter: "secret", QoS: 1}, {Filter: "b"}, {Filter: "c", QoS: 1}}})
			failed := packet.UnspecifiedError // 0x80
			if v == packet.V5 {
				failed = packet.NotAuthorized
			}
			if r := expect[*packet.Suback](c).Reasons; !slices.Equal(r, []packet.ReasonCode{2, failed, 0, 1}) {
				t.Errorf("SUBACK %v", r)
			}
		})
	})
	t.Run("the lower QoS", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			pub := w.connect(t, v, own(t)+"pub")
			for granted := range byte(3) {
				topic := fmt.Sprint(own(t), "/", granted)
				c := w.connect(t, v, topic)
				c.subscribe(granted, topic)
				for sent := range byte(3) {
					pub.flow(message(sent, uint16(sent), topic, "x"))
					if p := c.receive(topic, "x"); p.QoS != min(sent, granted) {
						t.Errorf("QoS %d, sent with %d, granted %d", p.QoS, sent, granted)
					}
				}
			}
		})
	})
	t.Run("no local", func(t *testing.T) {
		t.Parallel()
		c := w.connect(t, packet.V5, own(t))
		c.subscribed(packet.Subscription{Filter: own(t), QoS: 1, NoLocal: true})
		c.flow(message(1, 1, own(t), "own"))
		c.only(w.connect(t, packet.V5, own(t)+"other"), own(t))
	})
	t.Run("added to the session", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			subs := make([]*client, 3)
			for i := range subs {
				id := fmt.Sprint(own(t), i)
				subs[i] = w.back(t, v, id, false)
				subs[i].subscribe(1, own(t))
			}
			w.cut(t, subs[1], own(t)+"1")
			w.connect(t, v, own(t)+"pub").flow(message(1, 1, own(t), "x"))
			subs[0].receive(own(t), "x")
			w.back(t, v, own(t)+"1", true).receive(own(t), "x")
			subs[2].receive(own(t), "x")
		})
	})
}

// TestOverlap: subscriptions of one client that match the same message (§3.3.4).
func TestOverlap(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("highest QoS, one message", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			for i, filter := range []string{own(t) + "/x", own(t) + "/#", own(t) + "/+"} {
				c.subscribe([]byte{0, 2, 1}[i], filter)
			}
			pub := w.connect(t, v, own(t)+"pub")
			pub.flow(message(2, 1, own(t)+"/x", "x"))
			if p := c.receive(own(t)+"/x", "x"); p.QoS != 2 {
				t.Errorf("QoS %d", p.QoS)
			}
			c.only(pub, own(t)+"/x")
		})
	})
	t.Run("identifiers of all", func(t *testing.T) {
		t.Parallel()
		c := w.connect(t, packet.V5, own(t))
		c.subscribed(packet.Subscription{Filter: own(t), QoS: 1}, 7)
		c.subscribed(packet.Subscription{Filter: own(t) + "/#"}, 268435455)
		c.subscribed(packet.Subscription{Filter: "+/" + own(t)[len("TestOverlap/"):]})
		pub := w.connect(t, packet.V5, own(t)+"pub")
		pub.flow(message(1, 1, own(t), "x"))
		if ids := slices.Sorted(slices.Values(c.receive(own(t), "x").Properties.SubscriptionIDs)); !slices.Equal(ids, []uint32{7, 268435455}) {
			t.Errorf("identifiers %v", ids)
		}
		c.only(pub, own(t))
	})
	t.Run("identifier of each copy", func(t *testing.T) {
		t.Parallel()
		c := w.connect(t, packet.V5, own(t)) // a shared subscription has a copy of its own
		c.subscribed(packet.Subscription{Filter: own(t), QoS: 1}, 1)
		c.subscribed(packet.Subscription{Filter: "$share/g/" + own(t), QoS: 1}, 2)
		w.connect(t, packet.V5, own(t)+"pub").flow(message(1, 1, own(t), "x"))
		var ids []uint32
		for range 2 {
			got := c.receive(own(t), "x").Properties.SubscriptionIDs
			if len(got) != 1 {
				t.Fatalf("identifiers %v", got)
			}
			ids = append(ids, got[0])
		}
		if slices.Sort(ids); !slices.Equal(ids, []uint32{1, 2}) {
			t.Errorf("identifiers %v", ids)
		}
	})
	t.Run("identifier of a replaced subscription", func(t *testing.T) {
		t.Parallel()
		c, pub := w.connect(t, packet.V5, own(t)), w.connect(t, packet.V5, own(t)+"pub")
		for _, ids := range [][]uint32{{1}, {2}, nil} {
			c.subscribed(packet.Subscription{Filter: own(t), QoS: 1}, ids...)
			pub.flow(message(1, 1, own(t), "x"))
			if got := c.receive(own(t), "x").Properties.SubscriptionIDs; !slices.Equal(got, ids) {
				t.Errorf("identifiers %v, want %v", got, ids)
			}
		}
	})
}

// TestUnsubscribeRules: §3.10, §3.11.
func TestUnsubscribeRules(t *testing.T) {
	t.Parallel()
	w := start(t)
	gone := func(c *client, filters ...string) *packet.Unsuback {
		c.t.Helper()
		c.send(&packet.Unsubscribe{ID: 4711, Filters: filters})
		return expect[*packet.Unsuback](c)
	}
	t.Run("flags", func(t *testing.T) {
		t.Parallel()
		for _, first := range []string{"\xa0", "\xa1", "\xa3", "\xaa"} {
			w.refuses(t, first+"\x05\x00\x01\x00\x01a", first+"\x06\x00\x01\x00\x00\x01a", packet.MalformedPacket)
		}
	})
	t.Run("ill-formed filter", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "\xa2\x05\x00\x01\x00\x01\xff", "\xa2\x06\x00\x01\x00\x00\x01\xff", packet.MalformedPacket)
	})
	t.Run("no filter", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "\xa2\x02\x00\x01", "\xa2\x03\x00\x01\x00", packet.ProtocolError)
	})
	t.Run("character by character", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c, pub := w.connect(t, v, own(t)), w.connect(t, v, own(t)+"pub")
			c.subscribe(1, own(t)+"/+", own(t)+"/a/#")
			gone(c, own(t)+"/#", own(t)+"/a", "#", own(t)+"/A/#", own(t)+"/+/")
			pub.flow(message(1, 1, own(t)+"/b", "x"))
			c.receive(own(t)+"/b", "x")
			gone(c, own(t)+"/+")
			pub.flow(message(1, 2, own(t)+"/b", "x"))
			c.only(pub, own(t)+"/a/b")
		})
	})
	t.Run("no new messages", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c, pub := w.back(t, v, own(t), false), w.connect(t, v, own(t)+"pub")
			c.subscribe(1, own(t), own(t)+"/still")
			gone(c, own(t))
			pub.flow(message(1, 1, own(t), "x"))
			c.only(pub, own(t)+"/still")
			w.cut(t, c, own(t))
			pub.flow(message(1, 2, own(t), "x"))
			w.back(t, v, own(t), true).only(pub, own(t)+"/still")
		})
	})
	t.Run("deliveries that began go on", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c, pub := w.connect(t, v, own(t)), w.connect(t, v, own(t)+"pub")
			c.subscribe(2, own(t))
			pub.flow(message(2, 1, own(t), "x"))
			id := c.expectMessage(own(t), "x").ID
			gone(c, own(t))
			c.send(&packet.Ack{Type: packet.TypePubrec, ID: id})
			if a := expect[*packet.Ack](c); a.Type != packet.TypePubrel || a.ID != id || a.Reason != packet.Success {
				t.Errorf("%s %+v", a.Type, a)
			}
			c.send(&packet.Ack{Type: packet.TypePubcomp, ID: id})
			c.quiet()
		})
	})
	t.Run("begun deliveries are repeated", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c, pub := w.back(t, v, own(t), false), w.connect(t, v, own(t)+"pub")
			c.subscribe(1, own(t))
			pub.flow(message(1, 1, own(t), "x"))
			id := c.expectMessage(own(t), "x").ID
			gone(c, own(t))
			w.cut(t, c, own(t))
			if p := w.back(t, v, own(t), true).receive(own(t), "x"); p.ID != id || !p.Dup {
				t.Errorf("%+v", p)
			}
		})
	})
	t.Run("answered", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.subscribe(0, own(t))
			if a := gone(c, own(t)); a.ID != 4711 {
				t.Errorf("UNSUBACK %d", a.ID)
			}
		})
	})
	t.Run("answered though nothing was there", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			if a := gone(w.connect(t, v, own(t)), "nothing"); a.ID != 4711 || v == packet.V5 && a.Reasons[0] != packet.NoSubscription {
				t.Errorf("%+v", a)
			}
		})
	})
	t.Run("several filters", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c, pub := w.connect(t, v, own(t)), w.connect(t, v, own(t)+"pub")
			c.subscribe(1, own(t)+"/1", own(t)+"/2", own(t)+"/3")
			gone(c, own(t)+"/3", own(t)+"/1")
			pub.flow(message(1, 1, own(t)+"/1", "x"))
			pub.flow(message(1, 2, own(t)+"/3", "x"))
			c.only(pub, own(t)+"/2")
		})
	})
	t.Run("codes in order", func(t *testing.T) {
		t.Parallel()
		c := w.connect(t, packet.V5, own(t))
		c.subscribe(1, "1", "3")
		if a := gone(c, "1", "2", "3", "bad/#/filter"); !slices.Equal(a.Reasons[:3], []packet.ReasonCode{packet.Success, packet.NoSubscription, packet.Success}) ||
			len(a.Reasons) != 4 || !a.Reasons[3].AllowedIn(packet.TypeUnsuback) || a.Reasons[3] == packet.Success {
			t.Errorf("UNSUBACK %v", a.Reasons)
		}
	})
}
