package gatewaymqtt_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// TestBrokenPackets: what breaks the protocol in an open connection ends it, with the code that says why (§4.13).
func TestBrokenPackets(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, tt := range map[string]struct {
		bytes string
		v5    packet.ReasonCode
		old   bool // 3.1.1 refuses it too
	}{
		"type 0":                                {"\x00\x00", packet.MalformedPacket, true},
		"QoS 3 (3.3.1-4)":                       {"\x36\x05\x00\x01a\x00\x01", packet.MalformedPacket, true},
		"DUP with QoS 0 (3.3.1-2)":              {"\x38\x04\x00\x01a\x00", packet.MalformedPacket, true},
		"wildcard in a topic (3.3.2-2)":         {"\x30\x04\x00\x01#\x00", packet.TopicNameInvalid, true},
		"topic longer than the packet":          {"\x30\x03\x00\x09a", packet.MalformedPacket, true},
		"U+0000 in a topic (1.5.4-2)":           {"\x30\x04\x00\x01\x00\x00", packet.MalformedPacket, true},
		"surrogate in a topic (1.5.4-1)":        {"\x30\x06\x00\x03\xed\xa0\x80\x00", packet.MalformedPacket, true},
		"packet id 0 (2.2.1-3)":                 {"\x32\x06\x00\x01a\x00\x00\x00", packet.ProtocolError, true},
		"length of five bytes":                  {"\x30\xff\xff\xff\xff\x01", packet.MalformedPacket, true},
		"length not in its shortest form":       {"\x30\x84\x80\x00", packet.MalformedPacket, false},
		"CONNACK from a client":                 {"\x20\x03\x00\x00\x00", packet.ProtocolError, false},
		"PINGRESP from a client":                {"\xd0\x00", packet.ProtocolError, true},
		"SUBACK from a client":                  {"\x90\x04\x00\x01\x00\x00", packet.ProtocolError, false},
		"SUBSCRIBE with flags 0 (3.8.1-1)":      {"\x80\x07\x00\x01\x00\x00\x01a\x00", packet.MalformedPacket, true},
		"SUBSCRIBE without filters (3.8.3-2)":   {"\x82\x03\x00\x01\x00", packet.ProtocolError, false},
		"no local and shared (3.8.3-4)":         {"\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x04", packet.ProtocolError, false},
		"PUBREL with flags 0 (3.6.1-1)":         {"\x60\x02\x00\x01", packet.MalformedPacket, true},
		"subscription id in PUBLISH (3.3.4-6)":  {"\x30\x06\x00\x01a\x02\x0b\x01", packet.ProtocolError, false},
		"topic alias 0 (3.3.2-8)":               {"\x30\x07\x00\x01a\x03\x23\x00\x00", packet.TopicAliasInvalid, false},
		"DISCONNECT with a code that is none":   {"\xe0\x01\x7f", packet.ProtocolError, true},
		"property of another packet (2.2.2.2)":  {"\x30\x09\x00\x01a\x05\x11\x00\x00\x00\x01", packet.MalformedPacket, false},
		"property block longer than the packet": {"\x30\x04\x00\x01a\x7f", packet.MalformedPacket, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := w.connect(t, packet.V5, name)
			c.raw([]byte(tt.bytes))
			c.expectEnd(tt.v5)
			if tt.old {
				c := w.connect(t, packet.V311, "old "+name)
				c.raw([]byte(tt.bytes))
				c.expectClosed()
			}
		})
	}
	t.Cleanup(func() {
		if w.logged() != "" {
			t.Errorf("the log says:\n%s", w.logged())
		}
		if n := w.metric(t, "pando_mqtt_malformed_packets_total"); n < 30 {
			t.Errorf("%v counted", n)
		}
	})
}

func TestFlagsOfPubrel31(t *testing.T) {
	t.Parallel()
	c := start(t).connect(t, packet.V31, "lax")
	c.raw([]byte("\x60\x02\x00\x01"))
	if a := expect[*packet.Ack](c); a.Type != packet.TypePubcomp {
		t.Errorf("%s", a.Type)
	}
}

// TestRandomInput: no sequence of bytes makes the gateway panic, hang or complain.
func TestRandomInput(t *testing.T) {
	t.Parallel()
	w := start(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 150 {
		v := []packet.Version{packet.V31, packet.V311, packet.V5}[i%3]
		c := w.connect(t, v, fmt.Sprint("random", i))
		b := c.encode(message(1, 1, "a/b", "payload"), &packet.Subscribe{ID: 2, Subscriptions: []packet.Subscription{{Filter: "a/+", QoS: 2}}},
			message(2, 3, "a/b", "payload"), &packet.Ack{Type: packet.TypePubrel, ID: 3}, &packet.Unsubscribe{ID: 4, Filters: []string{"a/+"}})
		for range 1 + rnd.IntN(4) {
			b[rnd.IntN(len(b))] = byte(rnd.Uint32())
		}
		b = b[:1+rnd.IntN(len(b))]
		c.raw(b)
		_ = c.nc.Close()
	}
	witness := w.connect(t, packet.V5, "witness")
	witness.quiet()
	w.eventually(t, "all others are gone", func() bool { return w.gw.Listeners()[0].CurrentClients == 1 })
	if n := w.shutdowns("panic"); n != 0 || w.logged() != "" {
		t.Errorf("%d panics, log:\n%s", n, w.logged())
	}
}
