package packet_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

const (
	v31  = packet.V31
	v311 = packet.V311
	v5   = packet.V5
)

// unhex reads hex digits; spaces and 'single quoted text' are allowed.
func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	var out []byte
	for i, part := range strings.Split(s, "'") {
		if i%2 == 1 {
			out = append(out, part...)
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
		if err != nil {
			tb.Fatalf("test data %q: %v", s, err)
		}
		out = append(out, b...)
	}
	return out
}

// errShort is for input that ends before its packet does.
var errShort = errors.New("short packet")

// decode takes one packet from the beginning of b, the way a connection does.
func decode(b []byte, v packet.Version, lim *packet.Limits) (p packet.Packet, n int, err error) {
	h, n, err := packet.ReadHeader(b)
	if err != nil {
		return nil, 0, err
	}
	if n == 0 {
		return nil, 0, errShort
	}
	if err := h.Check(v, lim); err != nil {
		return nil, 0, err
	}
	if len(b)-n < h.Remaining {
		return nil, 0, errShort
	}
	body := b[n : n+h.Remaining : n+h.Remaining]
	p, err = packet.Decode(h, body, v, lim)
	return p, n + h.Remaining, err
}

// versionOf is the version that a connection has when it reads p.
func versionOf(p packet.Packet, v packet.Version) packet.Version {
	if _, ok := p.(*packet.Connect); ok {
		return 0
	}
	return v
}

// failer is what testing and rapid have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// requireEqual compares packets; nil and empty slices are the same.
func requireEqual(tb failer, want, got packet.Packet) {
	tb.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		tb.Fatalf("packets differ (-want +got):\n%s", d)
	}
}

// requireStable encodes a decoded packet and decodes it again.
func requireStable(tb failer, p packet.Packet, v packet.Version, lim *packet.Limits) {
	tb.Helper()
	b, err := p.AppendTo(nil, v)
	if err != nil {
		tb.Fatalf("encode %+v: %v", p, err)
	}
	if n := p.Size(v); n != len(b) {
		tb.Fatalf("Size = %d, encoded %d bytes: %x", n, len(b), b)
	}
	again, n, err := decode(b, versionOf(p, v), lim)
	if err != nil {
		tb.Fatalf("decode of own encoding %x: %v", b, err)
	}
	if n != len(b) {
		tb.Fatalf("decoded %d of %d bytes", n, len(b))
	}
	requireEqual(tb, p, again)
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, c := range golden() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := unhex(t, c.hex)
			for _, v := range c.versions {
				p, n, err := decode(b, versionOf(c.packet, v), nil)
				if err != nil {
					t.Fatalf("%v: decode: %v", v, err)
				}
				if n != len(b) {
					t.Fatalf("%v: decoded %d of %d bytes", v, n, len(b))
				}
				requireEqual(t, c.packet, p)
				requireStable(t, p, v, nil)
				if c.lenient {
					continue
				}
				got, err := c.packet.AppendTo([]byte("before"), v)
				if err != nil {
					t.Fatalf("%v: encode: %v", v, err)
				}
				if want := "before" + string(b); string(got) != want {
					t.Fatalf("%v: encoded\n%x, want\n%x", v, got, want)
				}
			}
		})
	}
}

// TestGoldenCoversEveryPacket keeps the table complete.
func TestGoldenCoversEveryPacket(t *testing.T) {
	t.Parallel()
	seen := map[packet.Version]map[packet.Type]bool{v31: {}, v311: {}, v5: {}}
	for _, c := range golden() {
		for _, v := range c.versions {
			seen[v][c.packet.PacketType()] = true
		}
	}
	for v, types := range seen {
		last := packet.TypeDisconnect
		if v == v5 {
			last = packet.TypeAuth
		}
		for typ := packet.TypeConnect; typ <= last; typ++ {
			if !types[typ] {
				t.Errorf("no case for %v in version %v", typ, v)
			}
		}
	}
}

// TestTruncated cuts every packet at every byte: as a stream, where the
// decoder must ask for more, and as a packet that claims to end there.
func TestTruncated(t *testing.T) {
	t.Parallel()
	for _, c := range golden() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := unhex(t, c.hex)
			v := versionOf(c.packet, c.versions[0])
			for i := range b {
				if _, _, err := decode(b[:i:i], v, nil); !errors.Is(err, errShort) {
					t.Fatalf("cut at %d: %v, want a short packet", i, err)
				}
			}
			h, n, err := packet.ReadHeader(b)
			if err != nil {
				t.Fatal(err)
			}
			for i := range h.Remaining {
				if _, err := packet.Decode(h, b[n:n+i:n+i], v, nil); err == nil {
					t.Fatalf("body of %d bytes, header says %d: no error", i, h.Remaining)
				}
				cut := h
				cut.Remaining = i
				p, err := packet.Decode(cut, b[n:n+i:n+i], v, nil)
				if err == nil {
					requireStable(t, p, c.versions[0], nil)
				} else if packet.ReasonOf(err) == packet.UnspecifiedError {
					t.Fatalf("cut at %d: error without reason: %v", i, err)
				}
			}
		})
	}
}

// TestDecodeStopsAtTheEnd shows that bytes after the packet are not read.
func TestDecodeStopsAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, c := range golden() {
		b := unhex(t, c.hex)
		v := versionOf(c.packet, c.versions[0])
		p, n, err := decode(append(b[:len(b):len(b)], 0xff, 0xff, 0xff), v, nil)
		if err != nil || n != len(b) {
			t.Fatalf("%s: decoded %d of %d bytes, %v", c.name, n, len(b), err)
		}
		requireEqual(t, c.packet, p)
	}
}

// TestTrailingBytes adds a byte to each packet whose last field has a length of
// its own, and makes the fixed header count it.
func TestTrailingBytes(t *testing.T) {
	t.Parallel()
	for _, c := range golden() {
		if openEnded(c) {
			continue
		}
		b := unhex(t, c.hex)
		h, n, err := packet.ReadHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		h.Remaining++
		body := append(b[n:len(b):len(b)], 0)
		if _, err := packet.Decode(h, body, versionOf(c.packet, c.versions[0]), nil); packet.ReasonOf(err) != packet.MalformedPacket {
			t.Errorf("%s: trailing byte: %v", c.name, err)
		}
	}
}

// openEnded are the packets that another byte may continue.
func openEnded(c goldenCase) bool {
	var props packet.Properties
	switch p := c.packet.(type) {
	case *packet.Publish, *packet.Suback, *packet.Unsuback, *packet.Subscribe, *packet.Unsubscribe:
		return c.versions[0] == v5 || c.packet.PacketType() != packet.TypeUnsuback
	case *packet.Ack:
		props = p.Properties
	case *packet.Disconnect:
		props = p.Properties
	case *packet.Auth:
		props = p.Properties
	default:
		return false
	}
	return c.versions[0] == v5 && cmp.Equal(props, packet.Properties{}) && !c.lenient
}
