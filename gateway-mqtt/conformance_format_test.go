package gatewaymqtt_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// TestText: strings (MQTT 5.0 §1.5.4, 3.1.1 §1.5.3) and variable byte integers.
func TestText(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("ill-formed UTF-8", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{"\xed\xa0\x80", "\xed\xbf\xbf", "\xc3(a", "\xf4\x90\x80", "\xc0\xafa"} {
			w.refuses(t, "\x30\x05\x00\x03"+text, "\x30\x06\x00\x03"+text+"\x00", packet.MalformedPacket)
		}
	})
	t.Run("U+0000", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "\x30\x05\x00\x03a\x00b", "\x30\x06\x00\x03a\x00b\x00", packet.MalformedPacket)
	})
	t.Run("byte order mark", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c, plain := w.connect(t, v, own(t)), own(t)
			c.subscribe(0, "\ufeff"+plain)
			c.send(message(0, 0, plain, "without"), message(0, 0, "\ufeff"+plain, "with"))
			c.expectMessage("\ufeff"+plain, "with")
		})
	})
	t.Run("shortest form of a length", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "", "\xc0\x80\x00", packet.MalformedPacket)
		w.refuses(t, "", "\x30\x08\x00\x01a\x83\x00\x23\x00\x01", packet.MalformedPacket)
		c := w.connect(t, packet.V5, own(t)+"sends")
		c.subscribe(0, own(t))
		c.send(message(0, 0, own(t), "x"))
		if b := c.frame(); b[1] != byte(len(b)-2) {
			t.Errorf("a length of the server takes more than a byte: %x", b)
		}
	})
	t.Run("user property", func(t *testing.T) {
		t.Parallel()
		for _, pair := range []string{"\x00\x01\xff\x00\x01b", "\x00\x01a\x00\x01\xff", "\x00\x01\x00\x00\x01b", "\x00\x01a\x00\x01\x00"} {
			w.refuses(t, "", "\x30\x0b\x00\x01a\x07\x26"+pair, packet.MalformedPacket)
		}
	})
}

// TestFixedHeader: reserved flag bits (§2.1.3, 3.1.1 §2.2.2).
func TestFixedHeader(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("flags from a client", func(t *testing.T) {
		t.Parallel()
		for _, b := range []string{"\xc1\x00", "\xc8\x00", "\x41\x02\x00\x01", "\x52\x02\x00\x01", "\x74\x02\x00\x01"} {
			w.refuses(t, b, b, packet.MalformedPacket)
		}
	})
	t.Run("flags of the server", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.dial(t, "tcp", v)
			want := func(first byte) []byte {
				t.Helper()
				b := c.frame()
				if b == nil || b[0] != first {
					t.Fatalf("%x, want a packet that begins with %x", b, first)
				}
				return b
			}
			c.send(connectPacket(v, own(t)))
			want(0x20)
			c.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: own(t), QoS: 2}}})
			want(0x90)
			c.send(message(1, 2, "nobody", "x"))
			want(0x40)
			c.send(message(2, 3, "nobody", "x"))
			want(0x50)
			c.send(&packet.Ack{Type: packet.TypePubrel, ID: 3})
			want(0x70)
			c.send(&packet.Ack{Type: packet.TypePubrec, ID: 9})
			want(0x62)
			c.send(&packet.Unsubscribe{ID: 4, Filters: []string{own(t)}})
			want(0xb0)
			c.send(&packet.Pingreq{})
			want(0xd0)
			if v == packet.V5 {
				c.send(&packet.Connect{Version: v, ClientID: "again"})
				want(0xe0)
			}
		})
	})
}

// TestPacketIDs: packet identifiers (§2.2.1, 3.1.1 §2.3.1).
func TestPacketIDs(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Run("none with QoS 0", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			topic := fmt.Sprintf("id0/%d", v)
			c := w.connect(t, v, own(t))
			c.subscribe(2, topic)
			c.send(message(0, 0, topic, "x"))
			want := append([]byte{0x30, byte(len(topic) + 3), 0, byte(len(topic))}, topic+"x"...)
			if v == packet.V5 {
				want = append([]byte{0x30, byte(len(topic) + 4), 0, byte(len(topic))}, topic+"\x00x"...)
			}
			if b := c.frame(); !bytes.Equal(b, want) {
				t.Errorf("% x, want % x", b, want)
			}
		})
	})
	t.Run("zero from a client", func(t *testing.T) {
		t.Parallel()
		w.refuses(t, "\x32\x06\x00\x01a\x00\x00x", "\x32\x07\x00\x01a\x00\x00\x00x", packet.ProtocolError)
		w.refuses(t, "\x82\x06\x00\x00\x00\x01a\x00", "\x82\x07\x00\x00\x00\x00\x01a\x00", packet.ProtocolError)
		w.refuses(t, "\xa2\x05\x00\x00\x00\x01a", "\xa2\x06\x00\x00\x00\x00\x01a", packet.ProtocolError)
	})
	t.Run("unused ones of the server", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.subscribe(2, own(t))
			used := map[uint16]bool{0: true}
			for i := range 10 {
				c.send(message(byte(1+i%2), uint16(i+1), own(t), fmt.Sprint(i)))
				for answered, came := false, false; !answered || !came; {
					switch p := c.read().(type) {
					case *packet.Ack:
						answered = true
					case *packet.Publish:
						if came = true; used[p.ID] {
							t.Fatalf("packet id %d is in use", p.ID)
						}
						used[p.ID] = true
					default:
						t.Fatalf("%+v", p)
					}
				}
			}
		})
	})
	t.Run("answers have the one of the PUBLISH", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			c.flow(message(1, 4711, own(t), "x")) // flow compares the packet ids
			c.flow(message(2, 65535, own(t), "x"))
			c.subscribe(2, own(t))
			c.send(message(0, 0, own(t), "0"))
			c.expectMessage(own(t), "0")
			other := w.connect(t, v, own(t)+"other")
			other.flow(message(2, 1, own(t), "2"))
			c.receive(own(t), "2") // PUBREL has the packet id of PUBREC
		})
	})
	t.Run("SUBACK and UNSUBACK have the request's", func(t *testing.T) {
		t.Parallel()
		both(t, func(t *testing.T, v packet.Version) {
			c := w.connect(t, v, own(t))
			for _, id := range []uint16{1, 258, 65535} {
				c.send(&packet.Subscribe{ID: id, Subscriptions: []packet.Subscription{{Filter: own(t)}}})
				if a := expect[*packet.Suback](c); a.ID != id {
					t.Errorf("SUBACK %d, want %d", a.ID, id)
				}
				c.send(&packet.Unsubscribe{ID: id ^ 0x100, Filters: []string{own(t)}})
				if a := expect[*packet.Unsuback](c); a.ID != id^0x100 {
					t.Errorf("UNSUBACK %d, want %d", a.ID, id^0x100)
				}
			}
		})
	})
}

// TestNoProperties: packets of 5.0 without properties say so (§2.2.2.1), or leave the length out where the specification lets them.
func TestNoProperties(t *testing.T) {
	t.Parallel()
	w := start(t)
	c := w.connect(t, packet.V5, "plain")
	c.send(&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "t"}}})
	exactly(t, c, "\x90\x04\x00\x01\x00\x00")
	c.send(message(0, 0, "t", "x"))
	exactly(t, c, "\x30\x05\x00\x01t\x00x")
	c.send(&packet.Unsubscribe{ID: 2, Filters: []string{"t"}})
	exactly(t, c, "\xb0\x04\x00\x02\x00\x00")
}

// exactly wants the bytes of the next packet.
func exactly(t *testing.T, c *client, want string) {
	t.Helper()
	if b := c.frame(); string(b) != want {
		t.Errorf("% x, want % x", b, want)
	}
}
