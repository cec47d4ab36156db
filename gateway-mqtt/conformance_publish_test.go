package gatewaymqtt_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
)

// TestPublishFlags: DUP and QoS (§3.3.1).
func TestPublishFlags(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("DUP of a repeat", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.back(t, v, own(t), false)
			c.subscribe(2, own(t))
			pub := w.connect(t, v, own(t)+"pub")
			pub.flow(message(1, 1, own(t), "one"))
			pub.flow(message(2, 2, own(t), "two"))
			c.expectMessage(own(t), "one")
			c.expectMessage(own(t), "two")
			w.cut(t, c, own(t))
			c = w.back(t, v, own(t), true)
			for _, payload := range []string{"one", "two"} {
				if p := c.receive(own(t), payload); !p.Dup {
					t.Errorf("%q again without DUP", payload)
				}
			}
		})
	})
	t.Run("DUP with QoS 0", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "\x38\x03\x00\x01a", "\x38\x04\x00\x01a\x00", packet.MalformedPacket)
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.subscribe(0, own(t))
			for qos := range byte(3) {
				w.connect(t, v, own(t)+fmt.Sprint(qos)).flow(message(qos, uint16(qos), own(t), "x"))
				if p := c.expectMessage(own(t), "x"); p.Dup || p.QoS != 0 {
					t.Errorf("QoS %d, DUP %v", p.QoS, p.Dup)
				}
			}
		})
	})
	t.Run("DUP is not passed on", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.subscribe(2, own(t))
			pub := w.connect(t, v, own(t)+"pub")
			for qos := byte(1); qos < 3; qos++ {
				p := message(qos, uint16(qos), own(t), "x")
				p.Dup = true
				pub.flow(p)
				if p := c.receive(own(t), "x"); p.Dup || p.QoS != qos {
					t.Errorf("QoS %d, DUP %v", p.QoS, p.Dup)
				}
			}
		})
	})
	t.Run("QoS 3", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "\x36\x05\x00\x01a\x00\x01", "\x36\x06\x00\x01a\x00\x01\x00", packet.MalformedPacket)
	})
}

// TestTopicNames: topics of messages (§3.3.2.1, §4.7).
func TestTopicNames(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "\x30\x00", "\x30\x00", packet.MalformedPacket)
		w.refuses(t, "\x30\x03\x00\x02a", "\x30\x03\x00\x02a", packet.MalformedPacket)
	})
	t.Run("ill-formed", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "\x30\x03\x00\x01\xff", "\x30\x04\x00\x01\xff\x00", packet.MalformedPacket)
	})
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "\x30\x02\x00\x00", "\x30\x03\x00\x00\x00", packet.ProtocolError)
		w.refuses(t, "\x82\x05\x00\x01\x00\x00\x00", "\x82\x06\x00\x01\x00\x00\x00\x00", packet.MalformedPacket)
		w.refuses(t, "\xa2\x04\x00\x01\x00\x00", "\xa2\x05\x00\x01\x00\x00\x00", packet.MalformedPacket)
	})
	t.Run("U+0000 in topic and filter", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "\x30\x03\x00\x01\x00", "\x30\x04\x00\x01\x00\x00", packet.MalformedPacket)
		w.refuses(t, "\x82\x07\x00\x01\x00\x02a\x00\x00", "\x82\x08\x00\x01\x00\x00\x02a\x00\x00", packet.MalformedPacket)
	})
	t.Run("wildcard", func(t *testing.T) {
		t.Parallel()
		for _, topic := range []string{"a/#", "+/a", "a+b"} {
			w.refuses(t, "\x30\x05\x00\x03"+topic, "\x30\x06\x00\x03"+topic+"\x00", packet.TopicNameInvalid)
		}
	})
	t.Run("longer than a string can be", func(t *testing.T) {
		t.Parallel()
		w := start(t, func(s *setup) { s.cfg.MaxPacketSize, s.cfg.MaxTopicLength, s.cfg.MaxTopicLevels = 1<<20, 65535, 0 })
		longest := strings.Repeat("t", 65535)
		c := w.connect(t, packet.V5, "long")
		c.subscribe(0, longest)
		c.send(message(0, 0, longest, "x"))
		c.expectMessage(longest, "x")
		c.raw(append([]byte{0x30, 0x82, 0x80, 0x04, 0xff, 0xff}, longest+"x"...)) // what is above the length is not the topic's
		c.expectEnd(packet.MalformedPacket)
	})
	t.Run("is the subscription's", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.subscribe(1, own(t)+"/a/+", own(t)+"/b/#")
			pub := w.connect(t, v, own(t)+"pub")
			for _, other := range []string{"/a", "/a/x/y", "/c", "/bb"} {
				pub.flow(message(1, 1, own(t)+other, "other"))
			}
			for _, topic := range []string{"/a/x", "/b", "/b/x/y", "/a/"} {
				pub.flow(message(1, 1, own(t)+topic, topic))
				c.receive(own(t)+topic, topic)
			}
		})
	})
	t.Run("not normalized", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.subscribe(1, own(t)+"/\u00e9", own(t)+"/A", own(t)+"//x")
			pub := w.connect(t, v, own(t)+"pub")
			for _, other := range []string{"/e\u0301", "/a", "/x", "/A ", "/A/"} {
				pub.flow(message(1, 1, own(t)+other, "other"))
			}
			c.only(pub, own(t)+"/\u00e9")
		})
	})
	t.Run("$ and a leading wildcard", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			w := start(t) // where nobody else publishes what # matches: it may come before SUBACK
			c := w.connect(t, v, own(t))
			topic := fmt.Sprintf("$dollar/%d", v)
			c.subscribe(1, "#", fmt.Sprintf("+/%d", v), "+/#", topic+"/named/#")
			pub := w.connect(t, v, own(t)+"pub")
			pub.flow(message(1, 1, topic, "hidden"))
			pub.flow(message(1, 2, topic+"/named/x", "seen"))
			if p := expect[*packet.Publish](c); string(p.Payload) != "seen" {
				t.Errorf("%s came, by a filter that begins with a wildcard", p.Topic)
			}
		})
	})
}

// TestMessageProperties: what travels with a message (§3.3.2.3).
func TestMessageProperties(t *testing.T) {
	t.Parallel()
	w := start(t)
	travels := func(name string, p packet.Properties, same func(got packet.Properties) bool) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, second := w.connect(t, packet.V5, own(t)), w.connect(t, packet.V5, own(t)+"2")
			c.subscribe(1, own(t))
			second.subscribe(0, own(t))
			m := message(1, 1, own(t), "text")
			m.Properties = p
			w.connect(t, packet.V5, own(t)+"pub").flow(m)
			for _, got := range []packet.Properties{c.receive(own(t), "text").Properties, second.expectMessage(own(t), "text").Properties} {
				if !same(got) {
					t.Errorf("%+v", got)
				}
			}
		})
	}
	travels("payload format", packet.Properties{PayloadFormat: packet.Some[byte](1)}, func(got packet.Properties) bool { return got.PayloadFormat.Value == 1 })
	travels("content type", packet.Properties{ContentType: packet.Some("text/x é")}, func(got packet.Properties) bool { return got.ContentType.Value == "text/x é" })
	travels("response topic", packet.Properties{ResponseTopic: packet.Some("to/é")}, func(got packet.Properties) bool { return got.ResponseTopic.Value == "to/é" })
	travels("correlation data", packet.Properties{CorrelationData: packet.Some([]byte{0, 255, 1})}, func(got packet.Properties) bool {
		return slices.Equal(got.CorrelationData.Value, []byte{0, 255, 1})
	})
	pairs := []packet.UserProperty{{Name: "z", Value: "1"}, {Name: "a", Value: "2"}, {Name: "z", Value: "1"}, {Name: "", Value: ""}}
	travels("user properties", packet.Properties{User: pairs}, func(got packet.Properties) bool { return slices.Equal(got.User, pairs) })
	t.Run("response topic ill-formed", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "", "\x30\x08\x00\x01a\x04\x08\x00\x01\xff", packet.MalformedPacket)
	})
	t.Run("wildcard in a response topic", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "", "\x30\x08\x00\x01a\x04\x08\x00\x01#", packet.ProtocolError)
		w.refuses(t, "", "\x30\x0a\x00\x01a\x06\x08\x00\x03a/+", packet.ProtocolError)
	})
	t.Run("content type ill-formed", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "", "\x30\x08\x00\x01a\x04\x03\x00\x01\xff", packet.MalformedPacket)
	})
	t.Run("expiry is what is left", func(t *testing.T) {
		t.Parallel()
		c := w.back(t, packet.V5, own(t), false)
		c.subscribe(1, own(t))
		w.cut(t, c, own(t))
		m := message(1, 1, own(t), "x")
		m.Properties.MessageExpiry = packet.Some[uint32](60)
		w.connect(t, packet.V5, own(t)+"pub").flow(m)
		began := time.Now()
		w.eventually(t, "a second has passed", func() bool { return time.Since(began) > 1100*time.Millisecond })
		c = w.back(t, packet.V5, own(t), true)
		left, least := c.receive(own(t), "x").Properties.MessageExpiry.Value, uint32(60-time.Since(began)/time.Second)-1
		if left > 59 || left < least {
			t.Errorf("%d seconds left of 60, %v after it was sent", left, time.Since(began))
		}
	})
	t.Run("expired", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.back(t, v, own(t), false)
			c.subscribe(1, own(t))
			w.cut(t, c, own(t))
			m := message(1, 1, own(t), "too late")
			m.Properties.MessageExpiry = packet.Some[uint32](1)
			pub := w.connect(t, packet.V5, own(t)+"pub")
			pub.flow(m)
			began := time.Now()
			w.eventually(t, "its time is over", func() bool { return time.Since(began) > 1050*time.Millisecond })
			w.back(t, v, own(t), true).only(pub, own(t))
		})
	})
}

// TestAliases: topic aliases (§3.3.2.3.4).
func TestAliases(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.TopicAliasMaximum, s.cfg.TopicAliasOut = 5, 2 })
	aliased := func(alias uint16, topic string) *packet.Publish {
		p := message(0, 0, topic, "x")
		p.Properties.TopicAlias = packet.Some(alias)
		return p
	}
	t.Run("zero", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "", "\x30\x07\x00\x01a\x03\x23\x00\x00", packet.TopicAliasInvalid)
	})
	t.Run("above the server's maximum", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "", "\x30\x07\x00\x01a\x03\x23\x00\x06", packet.TopicAliasInvalid)
	})
	t.Run("up to the server's maximum", func(t *testing.T) {
		t.Parallel()
		c := w.dial(t, "tcp", packet.V5)
		c.send(connectPacket(packet.V5, own(t)))
		if a := expect[*packet.Connack](c).Properties.TopicAliasMaximum; a != packet.Some[uint16](5) {
			t.Errorf("topic alias maximum %+v", a)
		}
		c.subscribe(0, own(t)+"/+")
		for alias := uint16(1); alias <= 5; alias++ {
			topic := fmt.Sprintf("%s/%d", own(t), alias)
			c.send(aliased(alias, topic), aliased(alias, ""))
			c.expectMessage(topic, "x")
			c.expectMessage(topic, "x")
		}
	})
	t.Run("forgotten with the connection", func(t *testing.T) {
		t.Parallel()
		c := w.back(t, packet.V5, own(t), false, func(p *packet.Connect) { p.Properties.TopicAliasMaximum = packet.Some[uint16](1) })
		c.subscribe(0, own(t))
		for _, topic := range []string{own(t), ""} { // "": by the alias
			c.send(aliased(1, own(t)))
			c.expectMessage(topic, "x")
		}
		w.cut(t, c, own(t))
		c = w.back(t, packet.V5, own(t), true, func(p *packet.Connect) { p.Properties.TopicAliasMaximum = packet.Some[uint16](1) })
		c.send(message(0, 0, own(t), "x"))
		c.expectMessage(own(t), "x") // with its topic
		c.send(aliased(1, ""))
		c.expectEnd(packet.ProtocolError)
	})
	t.Run("assigned within the client's maximum", func(t *testing.T) {
		t.Parallel()
		for limit := uint16(1); limit <= 3; limit++ {
			id := fmt.Sprint(own(t), limit)
			c := w.connect(t, packet.V5, id, func(p *packet.Connect) { p.Properties.TopicAliasMaximum = packet.Some(limit) })
			c.subscribe(0, id+"/+")
			names, used := map[uint16]string{}, 0
			for i := range 8 {
				topic := fmt.Sprintf("%s/%d", id, i%4)
				c.send(message(0, 0, topic, "x"))
				p := expect[*packet.Publish](c)
				a := p.Properties.TopicAlias
				if a.Present && (a.Value == 0 || a.Value > limit) {
					t.Fatalf("alias %d, the client allows %d", a.Value, limit)
				}
				if len(p.Topic) > 0 && a.Present {
					names[a.Value] = string(p.Topic)
				}
				if got := string(p.Topic); got != topic && (got != "" || names[a.Value] != topic) {
					t.Fatalf("topic %q by alias %d, want %q", got, a.Value, topic)
				}
				if len(p.Topic) == 0 {
					used++
				}
			}
			if want := int(min(limit, 2)); used != want {
				t.Errorf("aliases replaced %d topics, want %d", used, want)
			}
		}
	})
	t.Run("none without permission", func(t *testing.T) {
		t.Parallel()
		for name, change := range map[string]func(*packet.Connect){
			"absent": func(*packet.Connect) {}, "zero": func(p *packet.Connect) { p.Properties.TopicAliasMaximum = packet.Some[uint16](0) },
		} {
			c := w.connect(t, packet.V5, own(t)+name, change)
			c.subscribe(0, own(t)+name)
			for range 3 {
				c.send(message(0, 0, own(t)+name, "x"))
				if p := c.expectMessage(own(t)+name, "x"); p.Properties.TopicAlias.Present {
					t.Errorf("alias %d", p.Properties.TopicAlias.Value)
				}
			}
		}
	})
}

// TestPublishAnswers: what answers a PUBLISH (§3.3.4, 3.1.1 §3.3.4 and §3.3.5).
func TestPublishAnswers(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.auth.deny(broker.ActionPublish, "secret")
	t.Run("by QoS", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.send(message(0, 0, own(t), "x"))
			c.quiet()
			c.flow(message(1, 1, own(t), "x"))
			c.flow(message(2, 2, own(t), "x"))
			c.quiet()
		})
	})
	t.Run("not allowed", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			for qos := byte(1); qos < 3; qos++ {
				c.send(message(qos, 1, "secret", "x"))
				if a := expect[*packet.Ack](c); a.Reason.Failed() != (v == packet.V5) {
					t.Errorf("%s %s", a.Type, a.Reason)
				}
			}
		})
	})
	t.Run("subscription identifier from a client", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "", "\x30\x06\x00\x01a\x02\x0b\x01", packet.ProtocolError)
	})
}

// TestTopicAliasNone: a server that allows no aliases says so by silence, and holds to it (§3.2.2.3.8).
func TestTopicAliasNone(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.TopicAliasMaximum = 0 })
	c := w.dial(t, "tcp", packet.V5)
	c.send(connectPacket(packet.V5, "none"))
	if a := expect[*packet.Connack](c).Properties.TopicAliasMaximum; a.Value != 0 {
		t.Errorf("topic alias maximum %d", a.Value)
	}
	c.raw([]byte("\x30\x07\x00\x01a\x03\x23\x00\x01"))
	c.expectEnd(packet.TopicAliasInvalid)
}
