package packet_test

import (
	"encoding/binary"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// FuzzDecode: whatever decodes must encode, in the size that Size says, and
// decode to the same packet; whatever does not must say why.
func FuzzDecode(f *testing.F) {
	for _, c := range golden() {
		for _, v := range c.versions {
			f.Add(byte(versionOf(c.packet, v)), unhex(f, c.hex))
		}
	}
	for _, c := range malformedCases() {
		for _, v := range c.versions {
			f.Add(byte(v), unhex(f, c.hex))
		}
	}
	lim := &packet.Limits{MaxPacketSize: 1 << 20}
	f.Fuzz(func(t *testing.T, version byte, b []byte) {
		v := packet.Version(version)
		p, n, err := decode(b, v, lim)
		if err != nil {
			if p != nil || err != errShort && packet.ReasonOf(err) == packet.UnspecifiedError {
				t.Fatalf("packet %v, error %v", p, err)
			}
			return
		}
		if n > len(b) {
			t.Fatalf("read %d of %d bytes", n, len(b))
		}
		requireStable(t, p, v, lim)
	})
}

// FuzzReadHeader compares the header with the one that its fields stand for.
func FuzzReadHeader(f *testing.F) {
	for _, s := range []string{
		"", "c0", "c000", "3080", "30808080", "3080808080", "30ffffff7f", "c08000", "0000", "36", "38", "6200", "6000", "82ff01",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := packet.ReadHeader(b)
		switch {
		case err != nil:
			if n != 0 || packet.ReasonOf(err) != packet.MalformedPacket {
				t.Fatalf("%x: %d bytes, %v", b, n, err)
			}
		case n == 0:
			if len(b) > 4 {
				t.Fatalf("%x: wants more bytes", b)
			}
		default:
			again := binary.AppendUvarint([]byte{byte(h.Type)<<4 | h.Flags}, uint64(h.Remaining))
			if n > len(b) || string(again) != string(b[:n]) || h.Size() != n+h.Remaining {
				t.Fatalf("%x: %+v of %d bytes", b, h, n)
			}
		}
	})
}

// FuzzProperties feeds a property block to each packet that has one.
func FuzzProperties(f *testing.F) {
	for _, s := range []string{
		"", "0101", "0200000e10", "030001'x'", "080003'r/t'", "090000", "0b8001 0b01", "11ffffffff", "120001'c'", "13000a",
		"150001'm' 160001'd'", "1700 1901", "1800000000", "1a0000", "1c0001's'", "1f0001'r'", "210001 220000 230001",
		"2401 2500", "260001'k' 0001'v' 260001'k' 0000", "2700000001", "2801 2900 2a01", "1f0001", "26ffff", "ff01", "9f00",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, block []byte) {
		for typ, b := range frames(block) {
			v := v5
			if typ == willProperties || typ == packet.TypeConnect {
				v = 0
			}
			p, n, err := decode(b, v, nil)
			if err != nil {
				if packet.ReasonOf(err) == packet.UnspecifiedError {
					t.Fatalf("%v: %v", typ, err)
				}
				continue
			}
			if n != len(b) {
				t.Fatalf("%v: read %d of %d bytes", typ, n, len(b))
			}
			requireStable(t, p, v5, nil)
		}
	})
}
