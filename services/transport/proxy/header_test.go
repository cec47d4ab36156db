package proxy_test

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/transport/proxy"
)

var (
	four = netip.MustParseAddrPort("192.0.2.7:51234")
	here = netip.MustParseAddrPort("198.51.100.1:1883")
	six  = netip.MustParseAddrPort("[2001:db8::7]:51234")
	home = netip.MustParseAddrPort("[2001:db8::1]:1883")
)

const signature = "\r\n\r\n\x00\r\nQUIT\n"

// tlv is a field on the wire.
func tlv(kind byte, value string) string {
	b := binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))
	return string(b) + value
}

// ssl is the field about TLS.
func ssl(flags byte, verify uint32, fields ...string) string {
	b := binary.BigEndian.AppendUint32([]byte{flags}, verify)
	return tlv(0x20, string(b)+strings.Join(fields, ""))
}

// v2 is a header with the given command, family and payload.
func v2(command, family byte, payload string) string {
	b := binary.BigEndian.AppendUint16([]byte{command, family}, uint16(len(payload)))
	return signature + string(b) + payload
}

// over4 is a header for TCP over IPv4 with fields.
func over4(fields string) string {
	return v2(0x21, 0x11, "\xc0\x00\x02\x07\xc6\x33\x64\x01\xc8\x22\x07\x5b"+fields)
}

// summed is over4 with a correct checksum at its end.
func summed(fields string) string {
	b := []byte(over4(fields + tlv(3, "\x00\x00\x00\x00")))
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(b[len(b)-4:], sum)
	return string(b)
}

var good = map[string]struct {
	text string
	want proxy.Header
}{
	"1 TCP4":                 {"PROXY TCP4 192.0.2.7 198.51.100.1 51234 1883\r\n", proxy.Header{Source: four, Dest: here}},
	"1 TCP6":                 {"PROXY TCP6 2001:db8::7 2001:db8::1 51234 1883\r\n", proxy.Header{Source: six, Dest: home}},
	"1 port 0":               {"PROXY TCP4 192.0.2.7 198.51.100.1 0 1883\r\n", proxy.Header{Source: netip.AddrPortFrom(four.Addr(), 0), Dest: here}},
	"1 UNKNOWN":              {"PROXY UNKNOWN\r\n", proxy.Header{Local: true}},
	"1 UNKNOWN with more":    {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", proxy.Header{Local: true}},
	"1 UNKNOWN of 107 bytes": {"PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", proxy.Header{Local: true}},
	"2 TCP4":                 {over4(""), proxy.Header{Source: four, Dest: here}},
	"2 TCP6":                 {string(proxy.AppendV2(nil, six, home)), proxy.Header{Source: six, Dest: home}},
	"2 IPv4 as mapped IPv6": {v2(0x21, 0x21, strings.Repeat("\x00", 10)+"\xff\xff\xc0\x00\x02\x07"+strings.Repeat("\x00", 10)+"\xff\xff\xc6\x33\x64\x01\xc8\x22\x07\x5b"),
		proxy.Header{Source: four, Dest: here}},
	"2 LOCAL":            {v2(0x20, 0, ""), proxy.Header{Local: true}},
	"2 LOCAL with bytes": {v2(0x20, 0x11, "anything"), proxy.Header{Local: true}},
	"2 unspecified":      {v2(0x21, 0, "anything"), proxy.Header{Local: true}},
	"2 unix":             {v2(0x21, 0x31, strings.Repeat("\x00", 216)), proxy.Header{Local: true}},
	"2 unknown fields":   {over4(tlv(4, "   ") + tlv(0xe0, "own") + tlv(0xe0, "")), proxy.Header{Source: four, Dest: here}},
	"2 checksum":         {summed(tlv(2, "plant")), proxy.Header{Source: four, Dest: here, ServerName: "plant"}},
	"2 TLS without certificate": {over4(ssl(1, 0, tlv(0x21, "TLSv1.3"))),
		proxy.Header{Source: four, Dest: here, TLS: true, TLSVersion: "TLSv1.3"}},
	"2 certificate": {over4(tlv(2, "mqtt.example") + ssl(7, 0, tlv(0x21, "TLSv1.2"), tlv(0x22, "sensor-7"), tlv(0x23, "ECDHE"))),
		proxy.Header{Source: four, Dest: here, TLS: true, Verified: true, TLSVersion: "TLSv1.2", CommonName: "sensor-7", ServerName: "mqtt.example"}},
	"2 certificate of the resumed session": {over4(ssl(5, 0, tlv(0x22, "sensor-7"))),
		proxy.Header{Source: four, Dest: here, TLS: true, Verified: true, CommonName: "sensor-7"}},
	"2 certificate that is not verified": {over4(ssl(3, 1, tlv(0x22, "sensor-7"))), proxy.Header{Source: four, Dest: here, TLS: true}},
	"2 common name without a certificate": {over4(ssl(1, 0, tlv(0x22, "sensor-7"))),
		proxy.Header{Source: four, Dest: here, TLS: true}},
	"2 common name without TLS": {over4(ssl(6, 0, tlv(0x22, "sensor-7"))), proxy.Header{Source: four, Dest: here}},
}

func TestParse(t *testing.T) {
	t.Parallel()
	for name, tt := range good {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, n, err := proxy.Parse([]byte(tt.text + "\x10\x0c\x00\x04MQTT"))
			if err != nil || n != len(tt.text) || h != tt.want {
				t.Errorf("%+v, %d of %d bytes, %v\nwant %+v", h, n, len(tt.text), err, tt.want)
			}
			for i := range tt.text {
				if h, n, err := proxy.Parse([]byte(tt.text[:i])); n != 0 || err != nil || h != (proxy.Header{}) {
					t.Fatalf("after %d bytes: %+v %d %v", i, h, n, err)
				}
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"1 too long":              "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n",
		"1 without an end":        "PROXY TCP4 " + strings.Repeat("1", 96),
		"1 LF alone":              "PROXY TCP4 192.0.2.7 198.51.100.1 51234 1883\n",
		"1 nothing":               "PROXY \r\n",
		"1 lower case":            "PROXY tcp4 192.0.2.7 198.51.100.1 51234 1883\r\n",
		"1 UDP":                   "PROXY UDP4 192.0.2.7 198.51.100.1 51234 1883\r\n",
		"1 UNKNOWNX":              "PROXY UNKNOWNX\r\n",
		"1 two blanks":            "PROXY TCP4  192.0.2.7 198.51.100.1 51234 1883\r\n",
		"1 blank at the end":      "PROXY TCP4 192.0.2.7 198.51.100.1 51234 1883 \r\n",
		"1 field missing":         "PROXY TCP4 192.0.2.7 198.51.100.1 51234\r\n",
		"1 field too many":        "PROXY TCP4 192.0.2.7 198.51.100.1 51234 1883 1\r\n",
		"1 other family":          "PROXY TCP4 2001:db8::7 2001:db8::1 51234 1883\r\n",
		"1 IPv4 in TCP6":          "PROXY TCP6 192.0.2.7 198.51.100.1 51234 1883\r\n",
		"1 zone":                  "PROXY TCP6 fe80::1%eth0 2001:db8::1 51234 1883\r\n",
		"1 leading zero":          "PROXY TCP4 192.0.2.07 198.51.100.1 51234 1883\r\n",
		"1 name":                  "PROXY TCP4 localhost 198.51.100.1 51234 1883\r\n",
		"1 port with zero":        "PROXY TCP4 192.0.2.7 198.51.100.1 051234 1883\r\n",
		"1 port with sign":        "PROXY TCP4 192.0.2.7 198.51.100.1 +1234 1883\r\n",
		"1 port too high":         "PROXY TCP4 192.0.2.7 198.51.100.1 65536 1883\r\n",
		"2 version 1":             v2(0x11, 0x11, strings.Repeat("\x00", 12)),
		"2 command 2":             v2(0x22, 0x11, strings.Repeat("\x00", 12)),
		"2 UDP":                   v2(0x21, 0x12, strings.Repeat("\x00", 12)),
		"2 family 4":              v2(0x21, 0x41, strings.Repeat("\x00", 12)),
		"2 addresses cut":         v2(0x21, 0x21, strings.Repeat("\x00", 35)),
		"2 field head cut":        over4("\x04\x00"),
		"2 field beyond the end":  over4("\x04\xff\xff"),
		"2 field by one":          over4("\x04\x00\x02x"),
		"2 checksum of 3 bytes":   over4(tlv(3, "abc")),
		"2 wrong checksum":        over4(tlv(3, "abcd")),
		"2 TLS field cut":         over4(tlv(0x20, "\x01\x00\x00\x00")),
		"2 TLS inner beyond":      over4(ssl(1, 0, "\x22\x00\x09short")),
		"2 TLS twice":             over4(ssl(7, 0, tlv(0x22, "a")) + ssl(7, 0, tlv(0x22, "b"))),
		"2 two common names":      over4(ssl(7, 0, tlv(0x22, "a"), tlv(0x22, "admin"))),
		"2 common name with NUL":  over4(ssl(7, 0, tlv(0x22, "admin\x00.example"))),
		"2 common name no UTF-8":  over4(ssl(7, 0, tlv(0x22, "\xff"))),
		"2 authority with CR LF":  over4(tlv(2, "a\r\nb")),
		"2 longer than the bound": signature + "\x21\x11\xff\xff",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, n, err := proxy.Parse([]byte(text))
			if !errors.Is(err, proxy.ErrMalformed) || n != 0 || h != (proxy.Header{}) {
				t.Errorf("%+v, %d bytes, %v", h, n, err)
			}
		})
	}
}

// TestParseIsNoHeader: what cannot become a header is known at its first byte that says so.
func TestParseIsNoHeader(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"\x10", "PROXZ", "PROXYTCP4", "GET / HTTP/1.1\r\n", "\r\n\r\n\x01", "\x16\x03\x01", " PROXY UNKNOWN\r\n"} {
		if _, n, err := proxy.Parse([]byte(text)); !errors.Is(err, proxy.ErrNone) || n != 0 {
			t.Errorf("%q: %d %v", text, n, err)
		}
	}
}

// FuzzParse: no input panics; a verdict does not depend on how much was read, and is never later than the bound.
func FuzzParse(f *testing.F) {
	for _, tt := range good {
		f.Add([]byte(tt.text))
	}
	f.Add([]byte(over4(ssl(7, 0, tlv(0x22, "a"), tlv(0x22, "b")))))
	f.Add([]byte(signature + "\x21\x11\xff\xff"))
	f.Add([]byte("PROXY TCP4 1.2.3.4 5.6.7.8 1 2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := proxy.Parse(b)
		switch {
		case n < 0 || n > len(b) || n > proxy.MaxHeader:
			t.Fatalf("%d of %d bytes", n, len(b))
		case err != nil && (n != 0 || h != (proxy.Header{})):
			t.Fatalf("%+v and %d bytes with %v", h, n, err)
		case n == 0 && err == nil && len(b) >= proxy.MaxHeader:
			t.Fatalf("%d bytes and no verdict", len(b))
		case h.CommonName != "" && !h.Verified, h.Verified && !h.TLS:
			t.Fatalf("%+v", h)
		case n > 0 && !h.Local && (!h.Source.IsValid() || h.Source.Addr().Is4In6() || h.Source.Addr().Zone() != ""):
			t.Fatalf("%+v", h)
		}
		if n > 0 {
			if again, m, err := proxy.Parse(b[:n]); again != h || m != n || err != nil {
				t.Fatalf("alone: %+v %d %v", again, m, err)
			}
			if _, m, err := proxy.Parse(b[:n-1]); m != 0 || err != nil {
				t.Fatalf("one byte less: %d %v", m, err)
			}
		}
	})
}
