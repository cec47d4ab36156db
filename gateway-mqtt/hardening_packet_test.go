package gatewaymqtt_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// Case 9: properties given twice, of other packets, longer than the packet, very many, very long.
func TestHardening09Properties(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.MaxPacketSize = 1 << 20 })
	publish := func(props string) []byte {
		return append([]byte{0x30, byte(4 + len(props))}, "\x00\x01a"+string([]byte{byte(len(props))})+props...)
	}
	connect := func(props string) []byte {
		body := "\x00\x04MQTT\x05\x02\x00\x00" + string([]byte{byte(len(props))}) + props + "\x00\x01x"
		return append([]byte{0x10, byte(len(body))}, body...)
	}
	for _, twice := range []string{"\x01\x01", "\x02\x00\x00\x00\x01", "\x03\x00\x01x", "\x08\x00\x01x", "\x09\x00\x01x", "\x23\x00\x01"} {
		w.breaks(t, packet.V5, publish(twice+twice), packet.ProtocolError)
	}
	for _, twice := range []string{"\x11\x00\x00\x00\x01", "\x21\x00\x01", "\x27\x00\x00\xff\xff", "\x22\x00\x01", "\x19\x01", "\x17\x01", "\x15\x00\x01x"} {
		w.turnsAway(t, packet.V5, connect(twice+twice), packet.ProtocolError)
	}
	for _, other := range []string{"\x11\x00\x00\x00\x01", "\x24\x01", "\x1f\x00\x01x", "\x12\x00\x01x", "\x00\x00", "\x7f\x00", "\x80\x01"} {
		w.breaks(t, packet.V5, publish(other), packet.MalformedPacket, packet.ProtocolError)
		w.turnsAway(t, packet.V5, connect("\x0b\x01"), packet.MalformedPacket)
	}
	w.breaks(t, packet.V5, []byte("\x30\x05\x00\x01a\x05x"), packet.MalformedPacket)
	c := w.connect(t, packet.V5, "many")
	c.raw(c.encode(users(65535)))
	c.expectEnd(packet.PacketTooLarge)
	c = w.connect(t, packet.V5, "long")
	long := message(0, 0, "long", "x")
	long.Properties.User = []packet.UserProperty{{Name: strings.Repeat("n", 65535), Value: strings.Repeat("v", 65535)}}
	c.subscribe(0, "long")
	c.send(long)
	if got := c.expectMessage("long", "x").Properties.User; len(got) != 1 || len(got[0].Name)+len(got[0].Value) != 2*65535 {
		t.Errorf("%d user properties came", len(got))
	}
}

// users is a PUBLISH with n user properties.
func users(n int) *packet.Publish {
	p := message(0, 0, "many", "x")
	for i := range n {
		p.Properties.User = append(p.Properties.User, packet.UserProperty{Name: fmt.Sprintf("%05d", i), Value: "v"})
	}
	return p
}

// Case 9: the cost of a property list grows as its length does, in memory that is allocated, and with what the rest of a list costs once one is refused.
func TestHardening09LinearProperties(t *testing.T) {
	cost := func(n int) uint64 {
		b, err := users(n).AppendTo(nil, packet.V5)
		if err != nil {
			t.Fatal(err)
		}
		h, size, err := packet.ReadHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		limits := &packet.Limits{MaxUserProperties: n}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := packet.Decode(h, b[size:], packet.V5, limits); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		limits.MaxUserProperties = n / 2
		if _, err := packet.Decode(h, b[size:], packet.V5, limits); packet.ReasonOf(err) != packet.PacketTooLarge {
			t.Fatalf("%d of %d: %v", n, n/2, err)
		}
		return after.TotalAlloc - before.TotalAlloc
	}
	small, large := cost(4000), cost(64000)
	t.Logf("4,000 user properties: %d bytes allocated, 64,000: %d", small, large)
	if large > 32*small {
		t.Errorf("16 times the properties allocate %d times the memory", large/small)
	}
}

// Case 10: topic aliases that are 0, too high, not defined, of an earlier connection.
func TestHardening10Aliases(t *testing.T) {
	t.Parallel()
	w := start(t)
	alias := func(n uint16, topic string) []byte {
		body := string([]byte{0, byte(len(topic))}) + topic + "\x03\x23" + string([]byte{byte(n >> 8), byte(n)}) + "x"
		return append([]byte{0x30, byte(len(body))}, body...)
	}
	highest := uint16(w.cfg.TopicAliasMaximum)
	w.breaks(t, packet.V5, alias(0, "a"), packet.TopicAliasInvalid)
	w.breaks(t, packet.V5, alias(highest+1, "a"), packet.TopicAliasInvalid)
	w.breaks(t, packet.V5, alias(65535, ""), packet.TopicAliasInvalid)
	w.breaks(t, packet.V5, alias(1, ""), packet.ProtocolError)
	keep := func(p *packet.Connect) { p.CleanStart, p.Properties.SessionExpiry = false, packet.Some(uint32(100)) }
	c := w.connect(t, packet.V5, "aliases", keep)
	c.subscribe(0, "a")
	c.raw(append(alias(highest, "a"), alias(highest, "")...))
	c.expectMessage("a", "x")
	c.expectMessage("a", "x")
	c.send(&packet.Disconnect{})
	c.expectClosed()
	again := w.connect(t, packet.V5, "aliases", keep)
	again.raw(alias(highest, ""))
	again.expectEnd(packet.ProtocolError)
}

// Case 11: packet ids that are 0, in use, unknown, or of another exchange.
func TestHardening11PacketIDs(t *testing.T) {
	t.Parallel()
	w := start(t)
	versions(t, func(t *testing.T, v packet.Version) {
		props := ""
		if v == packet.V5 {
			props = "\x00"
		}
		for _, b := range []string{"\x32\x06\x00\x01a\x00\x00x", "\x34\x06\x00\x01a\x00\x00x", "\x40\x02\x00\x00", "\x62\x02\x00\x00",
			"\x82" + string([]byte{byte(6 + len(props))}) + "\x00\x00" + props + "\x00\x01a\x00", "\xa2" + string([]byte{byte(5 + len(props))}) + "\x00\x00" + props + "\x00\x01a"} {
			w.breaks(t, v, []byte(b), packet.ProtocolError, packet.MalformedPacket)
		}
		c := w.connect(t, v, "ids "+v.String())
		c.subscribe(2, "in/"+v.String())
		for range 3 { // the same id three times is one message
			c.send(message(2, 7, "in/"+v.String(), "once"))
			if a := expectAck(c); a.Type != packet.TypePubrec || a.ID != 7 {
				t.Fatalf("%s %d", a.Type, a.ID)
			}
		}
		for _, typ := range []packet.Type{packet.TypePuback, packet.TypePubcomp} { // of nothing, or of another exchange
			c.send(&packet.Ack{Type: typ, ID: 999}, &packet.Ack{Type: typ, ID: 7})
		}
		c.quietBut()
		for range 2 { // the second release is of an unknown id
			c.send(&packet.Ack{Type: packet.TypePubrel, ID: 7})
			if a := expectAck(c); a.Type != packet.TypePubcomp || a.ID != 7 {
				t.Fatalf("%s %d", a.Type, a.ID)
			}
		}
		c.send(&packet.Ack{Type: packet.TypePubrec, ID: 7}) // after PUBCOMP
		if a := expectAck(c); a.Type != packet.TypePubrel || a.ID != 7 {
			t.Fatalf("%s %d", a.Type, a.ID)
		}
		c.quietBut()
		if n := c.published; n != 1 {
			t.Errorf("delivered %d times", n)
		}
	})
}

// expectAck reads an acknowledgement and counts the messages before it.
func expectAck(c *client) *packet.Ack {
	c.t.Helper()
	for {
		switch p := c.read().(type) {
		case *packet.Publish:
			c.published++
		case *packet.Ack:
			return p
		default:
			c.t.Fatalf("%T", p)
		}
	}
}

// quietBut wants nothing but messages until PINGRESP, and counts them.
func (c *client) quietBut() {
	c.t.Helper()
	c.send(&packet.Pingreq{})
	for {
		switch p := c.read().(type) {
		case *packet.Publish:
			c.published++
		case *packet.Pingresp:
			return
		default:
			c.t.Fatalf("%T", p)
		}
	}
}

// Case 12: wills whose topic is none, whose flags contradict each other, whose properties are of another kind; and those that are strange and fine.
func TestHardening12Wills(t *testing.T) {
	t.Parallel()
	w := start(t)
	field := func(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }
	hello := func(v packet.Version, flags byte, willProps, topic string) []byte {
		props := ""
		if v == packet.V5 {
			props, willProps = "\x00", string([]byte{byte(len(willProps))})+willProps
		} else {
			willProps = ""
		}
		body := "\x00\x04MQTT" + string([]byte{byte(v), flags, 0, 0}) + props + field("will") + willProps + field(topic) + field("x")
		return append([]byte{0x10, byte(len(body))}, body...)
	}
	for _, topic := range []string{"", "#", "a/+", "a/#", "+"} {
		w.turnsAway(t, packet.V311, hello(packet.V311, 0x06, "", topic), packet.Success)
		w.turnsAway(t, packet.V5, hello(packet.V5, 0x06, "", topic), packet.TopicNameInvalid)
	}
	for _, flags := range []byte{0x1e, 0x0a, 0x12, 0x1a, 0x22, 0x2a, 0x03} {
		w.turnsAway(t, packet.V311, hello(packet.V311, flags, "", "a"), packet.Success)
		w.turnsAway(t, packet.V5, hello(packet.V5, flags, "", "a"), packet.MalformedPacket)
	}
	for _, props := range []string{"\x23\x00\x01", "\x11\x00\x00\x00\x01", "\x0b\x01", "\x18\x00\x00", "\x01\x02"} {
		w.turnsAway(t, packet.V5, hello(packet.V5, 0x06, props, "a"), reasonOfWill(props))
	}
	watcher := w.connect(t, packet.V5, "watcher")
	watcher.subscribe(0, "$SYS/will", "$CONTROL/will", "long/will", "expired/will")
	for _, topic := range []string{"$SYS/will", "$CONTROL/will", "long/will", "expired/will"} {
		c := w.connect(t, packet.V5, "of "+topic, func(p *packet.Connect) {
			p.Will = &packet.Will{Topic: topic, Payload: []byte(strings.Repeat("x", map[bool]int{true: 60000, false: 1}[topic == "long/will"]))}
			if topic == "expired/will" { // the delay is longer than the session, so it is over with it
				p.Will.Properties.WillDelay, p.Properties.SessionExpiry = packet.Some(uint32(100)), packet.Some(uint32(0))
			}
		})
		_ = c.nc.Close()
		if p := expect[*packet.Publish](watcher); string(p.Topic) != topic {
			t.Errorf("will of %q, want %q", p.Topic, topic)
		}
	}
}

// reasonOfWill is the code for will properties: a value that is none is a protocol error, all else malformed.
func reasonOfWill(props string) packet.ReasonCode {
	if props[0] == 0x01 {
		return packet.ProtocolError
	}
	return packet.MalformedPacket
}

// Case 13: topics with wildcards, of 65,535 bytes, of 10,000 levels and of 200.
func TestHardening13Topics(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) {
		s.cfg.MaxPacketSize, s.cfg.MaxTopicLength, s.cfg.MaxTopicLevels = 1<<20, 65535, 0
	})
	versions(t, func(t *testing.T, v packet.Version) {
		for _, topic := range []string{"#", "+", "a/#", "a/+/b", "a+", "a#"} {
			props := ""
			if v == packet.V5 {
				props = "\x00"
			}
			body := string([]byte{0, byte(len(topic))}) + topic + props
			w.breaks(t, v, append([]byte{0x30, byte(len(body))}, body...), packet.TopicNameInvalid)
		}
		c := w.connect(t, v, "deep "+v.String())
		name := v.String()
		c.subscribe(0, name+"/#")
		for _, topic := range []string{
			name + "/" + strings.Repeat("x", 65535-len(name)-1), name + strings.Repeat("/", 10000), name + strings.Repeat("/a", 200), name + strings.Repeat("/", 65535-len(name)),
		} {
			c.send(message(0, 0, topic, "x"))
			c.expectMessage(topic, "x")
			c.send(message(1, 9, topic, ""))
			c.expectBoth(topic)
		}
	})
	t.Cleanup(func() { w.unharmed(t) })
	limited := start(t).connect(t, packet.V5, "limited")
	limited.send(message(1, 1, strings.Repeat("/", 10000), "x"))
	if a := expectAck(limited); a.Reason != packet.TopicNameInvalid {
		t.Errorf("PUBACK %s above max_topic_levels", a.Reason)
	}
}

// expectBoth wants the PUBACK and the message, in whichever order.
func (c *client) expectBoth(topic string) {
	c.t.Helper()
	var acked, came bool
	for !acked || !came {
		switch p := c.read().(type) {
		case *packet.Ack:
			acked = true
		case *packet.Publish:
			came = string(p.Topic) == topic
		default:
			c.t.Fatalf("%T", p)
		}
	}
}

// Case 14: filters that are none.
func TestHardening14Filters(t *testing.T) {
	t.Parallel()
	w := start(t)
	subscribe := func(filters ...string) *packet.Subscribe {
		p := &packet.Subscribe{ID: 1}
		for _, f := range filters {
			p.Subscriptions = append(p.Subscriptions, packet.Subscription{Filter: f})
		}
		return p
	}
	for _, f := range []string{"a/#/b", "a#", "+a", "a+", "#/a", "a/+b/c", "$share//t", "$share/a+b/t", "$share/a#/t", "$share/g/", "$share/g", "$share/", "$share/g/a#"} {
		versions(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, "bad filter "+v.String()+f)
			c.send(subscribe("good", f))
			if v < packet.V5 {
				c.expectClosed()
			} else if got := expect[*packet.Suback](c).Reasons; got[0] != packet.GrantedQoS0 || got[1] != packet.TopicFilterInvalid {
				t.Errorf("SUBACK %v for %q", got, f)
			}
			c = w.connect(t, v, "bad filter "+v.String()+f)
			c.send(&packet.Unsubscribe{ID: 1, Filters: []string{"other", f}})
			if v < packet.V5 {
				c.expectClosed()
			} else if got := expect[*packet.Unsuback](c).Reasons; got[1] != packet.TopicFilterInvalid {
				t.Errorf("UNSUBACK %v for %q", got, f)
			}
		})
	}
	versions(t, func(t *testing.T, v packet.Version) {
		props := ""
		if v == packet.V5 {
			props = "\x00"
		}
		n := byte(len(props))
		w.breaks(t, v, []byte("\x82"+string([]byte{2 + n})+"\x00\x01"+props), packet.ProtocolError)
		w.breaks(t, v, []byte("\xa2"+string([]byte{2 + n})+"\x00\x01"+props), packet.ProtocolError)
		w.breaks(t, v, []byte("\x82"+string([]byte{5 + n})+"\x00\x01"+props+"\x00\x00\x00"), packet.MalformedPacket, packet.ProtocolError)
		w.breaks(t, v, []byte("\xa2"+string([]byte{4 + n})+"\x00\x01"+props+"\x00\x00"), packet.MalformedPacket, packet.ProtocolError)
		w.breaks(t, v, []byte("\x82"+string([]byte{6 + n})+"\x00\x01"+props+"\x00\x01a\x03"), packet.MalformedPacket, packet.ProtocolError)
	})
	w.breaks(t, packet.V5, []byte("\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x04"), packet.ProtocolError)
	var many []string
	for i := range w.cfg.MaxSubscribeFilters {
		many = append(many, fmt.Sprint("many/", i))
	}
	c := w.connect(t, packet.V5, "many filters")
	c.send(subscribe(many...))
	if n := len(expect[*packet.Suback](c).Reasons); n != len(many) {
		t.Errorf("%d answers", n)
	}
	c.send(subscribe(append(many, "one more")...))
	c.expectEnd(packet.QuotaExceeded)
}
