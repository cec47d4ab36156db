package gatewaymqtt_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// unharmed wants the gateway to serve a new client as if nothing had happened: nobody else is left, nothing was logged, nothing panicked.
func (w *world) unharmed(t *testing.T) {
	t.Helper()
	c := w.connect(t, packet.V5, "unharmed")
	c.quiet()
	w.eventually(t, "all others are gone", func() bool { return w.gw.Listeners()[0].CurrentClients == 1 })
	if n := w.shutdowns("panic"); n != 0 || w.logged() != "" {
		t.Errorf("%d panics, log:\n%s", n, w.logged())
	}
}

// turnsAway sends bytes to a new connection that is not connected and wants the answer, nil for none, and the end.
func (w *world) turnsAway(t *testing.T, v packet.Version, b []byte, want packet.ReasonCode) {
	t.Helper()
	c := w.dial(t, "tcp", v)
	c.raw(b)
	if want != packet.Success {
		if ack := expect[*packet.Connack](c); ack.Reason != want {
			t.Errorf("CONNACK %s, want %s", ack.Reason, want)
		}
	}
	c.expectClosed()
}

// breaks sends bytes in an open connection of each version and wants the end, in 5.0 with one of the reasons.
func (w *world) breaks(t *testing.T, v packet.Version, b []byte, want ...packet.ReasonCode) {
	t.Helper()
	c := w.connect(t, v, fmt.Sprintf("%s %x", v, b[:min(len(b), 16)]))
	c.raw(b)
	if v < packet.V5 {
		c.expectClosed()
		return
	}
	d := expect[*packet.Disconnect](c)
	if !bytes.Contains(reasonBytes(want), []byte{byte(d.Reason)}) {
		t.Errorf("DISCONNECT %s, want one of %v", d.Reason, want)
	}
	c.expectClosed()
}

func reasonBytes(rs []packet.ReasonCode) []byte {
	var out []byte
	for _, r := range rs {
		out = append(out, byte(r))
	}
	return out
}

// heap is the memory in use once garbage is collected.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// restingHeap is heap once what ended before has let go of its memory.
func (w *world) restingHeap(t *testing.T) (bytes int) {
	t.Helper()
	calm, last := 0, 0
	w.eventually(t, "the heap is at rest", func() bool {
		if bytes = heap(); max(bytes, last)-min(bytes, last) < 32<<10 {
			calm++
		} else {
			calm = 0
		}
		last = bytes
		return calm >= 5
	})
	return bytes
}

// Case 1: a first packet of 256 MB, CONNECT or not, is refused by its header; and an unfinished CONNECT holds at most 64 KiB.
func TestHardening01FirstPacket(t *testing.T) {
	w := start(t)
	for i := range 16 {
		if i != int(packet.TypeConnect) {
			w.turnsAway(t, packet.V311, []byte{byte(i) << 4, 0xff, 0xff, 0xff, 0x7f}, packet.Success)
		}
	}
	w.turnsAway(t, packet.V311, []byte("\x10\xff\xff\xff\x7f\x00\x04MQTT\x04\x02\x00\x00"), packet.Success)
	w.turnsAway(t, packet.V5, []byte("\x10\xff\xff\xff\x7f\x00\x04MQTT\x05\x02\x00\x00"), packet.PacketTooLarge)
	const clients, sent = 64, 60 << 10
	before := w.restingHeap(t)
	unfinished := append([]byte("\x10\xf4\xff\x03\x00\x04MQTT\x05\x02\x00\x00"), bytes.Repeat([]byte{0}, sent)...)
	for range clients {
		w.dial(t, "tcp", packet.V5).raw(unfinished)
	}
	w.eventually(t, "the gateway has read half of it", func() bool { return heap()-before > clients*sent/2 })
	held := 0
	for range 20 {
		held = max(held, heap()-before)
	}
	t.Logf("%d bytes held by each of %d unfinished CONNECTs of which %d were sent", held/clients, clients, sent)
	if limit := 64<<10 + 24<<10; held/clients > limit { // besides the packet: the sockets of both ends, the test's own
		t.Errorf("%d bytes for each, want at most %d", held/clients, limit)
	}
}

// Case 2: a remaining length of five bytes, and one that is not in its shortest form.
func TestHardening02RemainingLength(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, length := range []string{"\xff\xff\xff\xff\x01", "\x80\x80\x80\x80\x00", "\x84\x80\x00", "\x80\x00", "\x81\x80\x80\x00"} {
		versions(t, func(t *testing.T, v packet.Version) {
			w.breaks(t, v, []byte("\x30"+length+"\x00\x01a\x00"), packet.MalformedPacket)
		})
		w.turnsAway(t, packet.V5, []byte("\x10"+length+"\x00\x04MQTT\x05\x02\x00\x00"), packet.Success)
	}
}

// every is one packet of each kind that clients send, in a version.
func every(v packet.Version) []packet.Packet {
	ps := []packet.Packet{
		message(0, 0, "a/b", "payload"), message(1, 1, "a/b", "payload"), message(2, 2, "a/b", "payload"), &packet.Ack{Type: packet.TypePubrel, ID: 2},
		&packet.Ack{Type: packet.TypePuback, ID: 3}, &packet.Ack{Type: packet.TypePubrec, ID: 3}, &packet.Ack{Type: packet.TypePubcomp, ID: 3},
		&packet.Subscribe{ID: 4, Subscriptions: []packet.Subscription{{Filter: "a/+", QoS: 2}, {Filter: "b/#"}}},
		&packet.Unsubscribe{ID: 5, Filters: []string{"a/+", "b/#"}}, &packet.Pingreq{},
	}
	if v >= packet.V5 {
		full := message(1, 9, "a/b", "payload")
		full.Properties = packet.Properties{
			MessageExpiry: packet.Some(uint32(10)), ContentType: packet.Some("text"), ResponseTopic: packet.Some("r"), CorrelationData: packet.Some([]byte("c")),
			User: []packet.UserProperty{{Name: "k", Value: "v"}},
		}
		ps = append(ps, full, &packet.Disconnect{Reason: packet.DisconnectWithWill, Properties: packet.Properties{ReasonString: packet.Some("bye")}})
	}
	return ps
}

// Case 3: every packet cut at every byte, and every packet byte by byte.
func TestHardening03CutAndDrip(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.cfg.IdleTimeout = 300 * time.Millisecond })
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		hello := w.dial(t, "tcp", v)
		will := func(p *packet.Connect) {
			p.Will = &packet.Will{Topic: "w", Payload: []byte("x"), QoS: 1}
			p.Username, p.Password = packet.Some("u"), packet.Some([]byte("p"))
		}
		b := hello.encode(connectPacket(v, "cut", will))
		hello.drip(b)
		expect[*packet.Connack](hello)
		for n := range len(b) {
			c := w.dial(t, "tcp", v)
			c.raw(b[:n])
			_ = c.nc.Close()
		}
		for i, p := range every(v) {
			b := hello.encode(p)
			for n := range len(b) {
				c := w.connect(t, v, fmt.Sprint("cut ", i, " ", n))
				c.raw(b[:n])
				_ = c.nc.Close()
			}
		}
		for _, p := range every(v)[:3] {
			hello.drip(hello.encode(p))
		}
		_ = hello.nc.Close()
		late := w.dial(t, "tcp", v)
		late.raw(b[:len(b)-1])
		late.expectClosed() // the connect timeout
	}
	w.unharmed(t)
}

// Case 4: strings longer than their packet, and a PUBLISH without topic and alias.
func TestHardening04Lengths(t *testing.T) {
	t.Parallel()
	w := start(t)
	versions(t, func(t *testing.T, v packet.Version) {
		for _, b := range []string{
			"\x30\x02\x00\x03", "\x30\x04\xff\xffab", "\x32\x03\x00\x01a", "\x82\x05\x00\x01\x00\x40a", "\x82\x07\x00\x01\x00\x00\x40ab", "\xa2\x05\x00\x01\xff\xffa",
			"\x30\x00", "\x30\x01\x00", "\x40\x01\x00", "\x40\x00", "\x62\x00", "\x82\x01\x00", "\xa2\x00", "\x30\x03\x00\x00\x00", "\x32\x05\x00\x00\x00\x01\x00",
		} {
			w.breaks(t, v, []byte(b), packet.MalformedPacket, packet.ProtocolError)
		}
	})
	w.turnsAway(t, packet.V5, []byte("\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x09"), packet.MalformedPacket)
	w.turnsAway(t, packet.V311, []byte("\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\xff\xff"), packet.Success)
}

// Case 5: what no string may hold, wherever a string is; and a BOM, which stays.
func TestHardening05Text(t *testing.T) {
	t.Parallel()
	w := start(t)
	field := func(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }
	frame := func(first byte, body string) []byte { return append([]byte{first, byte(len(body))}, body...) }
	for _, bad := range []string{"\x00", "\xed\xa0\x80", "\xed\xbf\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\xaf", "\xf4\x90\x80\x80", "\xff", "\xc3", "\ufdd0", "\uffff", "\U0010fffe"} {
		s := field("a" + bad)
		versions(t, func(t *testing.T, v packet.Version) {
			props, name, answer := "", "\x00\x04MQTT", packet.Success
			if v == packet.V5 {
				props, answer = "\x00", packet.MalformedPacket
			} else if v == packet.V31 {
				name = "\x00\x06MQIsdp"
			}
			head := func(flags string) string { return name + string([]byte{byte(v)}) + flags + "\x00\x00" + props }
			w.turnsAway(t, v, frame(0x10, head("\x02")+s), answer)
			w.turnsAway(t, v, frame(0x10, head("\x82")+field("id")+s), answer)
			w.turnsAway(t, v, frame(0x10, head("\x06")+field("id")+props+s+field("x")), answer)
			w.breaks(t, v, frame(0x30, s+props), packet.MalformedPacket)
			w.breaks(t, v, frame(0x82, "\x00\x01"+props+s+"\x00"), packet.MalformedPacket)
			w.breaks(t, v, frame(0xa2, "\x00\x01"+props+s), packet.MalformedPacket)
			if v == packet.V5 {
				user := "\x26" + field("k") + s
				w.breaks(t, v, frame(0x30, field("a")+string([]byte{byte(len(user))})+user), packet.MalformedPacket)
				w.turnsAway(t, v, frame(0x10, name+"\x05\x02\x00\x00"+string([]byte{byte(len(user))})+user+field("id")), answer)
			}
		})
	}
	versions(t, func(t *testing.T, v packet.Version) {
		c := w.connect(t, v, "\ufeffbom "+v.String())
		c.subscribe(0, "\ufeff/"+v.String(), "/"+v.String())
		c.send(message(0, 0, "\ufeff/"+v.String(), "kept"))
		c.expectMessage("\ufeff/"+v.String(), "kept")
		if !strings.HasPrefix(w.auth.seen("\ufeffbom "+v.String()).ClientID, "\ufeff") {
			t.Error("the BOM of the client id was stripped")
		}
	})
}

// Case 6: flags that a type does not have, QoS 3, DUP with QoS 0, types that do not exist.
func TestHardening06Flags(t *testing.T) {
	t.Parallel()
	w := start(t)
	good := map[packet.Type]byte{packet.TypePubrel: 2, packet.TypeSubscribe: 2, packet.TypeUnsubscribe: 2}
	versions(t, func(t *testing.T, v packet.Version) {
		for _, typ := range []packet.Type{
			packet.TypeConnect, packet.TypePuback, packet.TypePubrec, packet.TypePubrel, packet.TypePubcomp, packet.TypeSubscribe, packet.TypeUnsubscribe,
			packet.TypePingreq, packet.TypeDisconnect, packet.TypeAuth,
		} {
			for flags := range byte(16) {
				if flags == good[typ] || v == packet.V31 && good[typ] != 0 { // 3.1 uses DUP there, and its clients send PUBREL with 0
					continue
				}
				w.breaks(t, v, []byte{byte(typ)<<4 | flags, 2, 0, 1}, packet.MalformedPacket)
			}
		}
		for _, first := range []byte{0x36, 0x37, 0x3e, 0x3f, 0x38, 0x39, 0x00, 0x05} {
			w.breaks(t, v, []byte{first, 6, 0, 1, 'a', 0, 1, 0}, packet.MalformedPacket)
		}
		if v < packet.V5 {
			w.breaks(t, v, []byte{0xf0, 0})
		}
	})
	w.turnsAway(t, packet.V311, []byte("\x11\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00"), packet.Success)
}

// Case 7: packets that only a server sends, before and after CONNECT.
func TestHardening07PacketsOfServers(t *testing.T) {
	t.Parallel()
	w := start(t)
	t.Cleanup(func() { w.unharmed(t) })
	for _, b := range []string{"\x20\x02\x00\x00", "\x20\x03\x00\x00\x00", "\x90\x03\x00\x01\x00", "\x90\x04\x00\x01\x00\x00", "\xb0\x02\x00\x01", "\xb0\x04\x00\x01\x00\x00", "\xd0\x00"} {
		versions(t, func(t *testing.T, v packet.Version) {
			w.turnsAway(t, v, []byte(b), packet.Success)
			w.breaks(t, v, []byte(b), packet.ProtocolError, packet.MalformedPacket)
		})
	}
	for _, b := range []string{"\x40\x02\x00\x01", "\x50\x02\x00\x01", "\x62\x02\x00\x01", "\x70\x02\x00\x01", "\xc0\x00", "\xe0\x00", "\x30\x04\x00\x01ab"} {
		w.turnsAway(t, packet.V311, []byte(b), packet.Success)
	}
}

// Case 8: a second CONNECT, names and levels that do not belong together, unknown levels, the bridge bit.
func TestHardening08Protocols(t *testing.T) {
	t.Parallel()
	w := start(t)
	versions(t, func(t *testing.T, v packet.Version) {
		c := w.dial(t, "tcp", v)
		w.breaks(t, v, c.encode(connectPacket(v, "second")), packet.ProtocolError)
	})
	hello := func(name string, level byte) []byte {
		body := string([]byte{0, byte(len(name))}) + name + string([]byte{level, 2, 0, 0})
		if level&0x7f >= 5 {
			body += "\x00"
		}
		body += "\x00\x02id"
		return append([]byte{0x10, byte(len(body))}, body...)
	}
	for _, tt := range []struct {
		name   string
		level  byte
		v      packet.Version
		answer packet.ReasonCode
	}{
		{"MQIsdp", 4, packet.V311, packet.UnsupportedVersion}, {"MQIsdp", 5, packet.V5, packet.UnsupportedVersion}, {"MQTT", 3, packet.V311, packet.UnsupportedVersion},
		{"MQTT", 6, packet.V5, packet.UnsupportedVersion}, {"MQTT", 0, packet.V311, packet.UnsupportedVersion}, {"MQTT", 0x85, packet.V5, packet.UnsupportedVersion},
	} {
		c := w.dial(t, "tcp", tt.v)
		c.raw(hello(tt.name, tt.level))
		head := make([]byte, 4)
		if n, _ := c.nc.Read(head); n < 4 || head[0] != 0x20 || head[3] != 0x84 && head[3] != 0x01 {
			t.Errorf("%s %d is answered with %x", tt.name, tt.level, head)
		}
	}
	w.turnsAway(t, packet.V311, hello("MQTX", 4), packet.Success)
	for level, name := range map[byte]string{0x83: "MQIsdp", 0x84: "MQTT"} {
		c := w.dial(t, "tcp", packet.Version(level&0x7f))
		c.raw(hello(name, level))
		if ack := expect[*packet.Connack](c); ack.Reason != packet.Success {
			t.Errorf("a bridge is answered with %s", ack.Reason)
		}
		_ = c.nc.Close()
	}
}
