package wire_test

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/pando-mq/pando/deploy/bench/wire"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEncode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"connect 3.1 §3.1", wire.AppendConnect(nil, wire.Hello{Version: wire.V31, ClientID: "c", Clean: true, KeepAlive: 60}), "10 0f 0006 4d5149736470 03 02 003c 0001 63"},
		{"connect 3.1.1 §3.1", wire.AppendConnect(nil, wire.Hello{Version: wire.V311, ClientID: "c", User: "u", Password: "p", KeepAlive: 1}), "10 13 0004 4d515454 04 c0 0001 0001 63 0001 75 0001 70"},
		{"connect 5.0 §3.1", wire.AppendConnect(nil, wire.Hello{Version: wire.V5, ClientID: "c", Expiry: 7, ReceiveMax: 10}), "10 16 0004 4d515454 05 00 0000 08 11 00000007 21 000a 0001 63"},
		{"publish QoS 0", wire.AppendPublish(nil, wire.V311, wire.Message{Topic: "t", Payload: []byte("x")}), "30 04 0001 74 78"},
		{"publish QoS 1, retain, dup", wire.AppendPublish(nil, wire.V311, wire.Message{Topic: "t", Payload: []byte("x"), QoS: 1, Retain: true, Dup: true, ID: 258}), "3b 06 0001 74 0102 78"},
		{"publish 5.0 QoS 2", wire.AppendPublish(nil, wire.V5, wire.Message{Topic: "t", QoS: 2, ID: 1}), "34 06 0001 74 0001 00"},
		{"subscribe", wire.AppendSubscribe(nil, wire.V311, 1, 2, []string{"a", "b"}), "82 0a 0001 0001 61 02 0001 62 02"},
		{"subscribe 5.0", wire.AppendSubscribe(nil, wire.V5, 1, 1, []string{"a"}), "82 07 0001 00 0001 61 01"},
		{"puback", wire.AppendAck(nil, wire.Puback, 258), "40 02 0102"},
		{"pubrel", wire.AppendAck(nil, wire.Pubrel, 1), "62 02 0001"},
		{"ping", wire.AppendPing(nil), "c000"},
		{"disconnect", wire.AppendDisconnect(nil), "e000"},
	}
	for _, tc := range tests {
		if want := unhex(t, tc.want); !bytes.Equal(tc.got, want) {
			t.Errorf("%s: %x, want %x", tc.name, tc.got, want)
		}
	}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		version byte
		in      string
		want    wire.Packet
	}{
		{"connack", wire.V311, "20 02 01 00", wire.Packet{Type: wire.Connack, Present: true, Credit: 65535}},
		{"connack refused", wire.V311, "20 02 00 05", wire.Packet{Type: wire.Connack, Code: 5, Credit: 65535}},
		{"connack 5.0 with receive maximum behind others", wire.V5, "20 14 00 00 11 11 0000000a 26 0001 61 0001 62 24 01 21 0014", wire.Packet{Type: wire.Connack, Credit: 20}},
		{"publish", wire.V311, "33 06 0001 74 0102 78", wire.Packet{Type: wire.Publish, QoS: 1, Retain: true, ID: 258, Topic: []byte("t"), Payload: []byte("x")}},
		{"publish 5.0 with properties", wire.V5, "38 07 0001 74 02 01 01 78", wire.Packet{Type: wire.Publish, Dup: true, Topic: []byte("t"), Payload: []byte("x")}},
		{"puback 5.0 with a reason", wire.V5, "40 03 0001 87", wire.Packet{Type: wire.Puback, ID: 1, Code: 0x87}},
		{"suback", wire.V311, "90 04 0001 01 80", wire.Packet{Type: wire.Suback, ID: 1, Codes: []byte{1, 0x80}}},
		{"suback 5.0", wire.V5, "90 04 0001 00 02", wire.Packet{Type: wire.Suback, ID: 1, Codes: []byte{2}}},
		{"pingresp", wire.V311, "d0 00", wire.Packet{Type: wire.Pingresp}},
		{"disconnect 5.0", wire.V5, "e0 02 8d 00", wire.Packet{Type: wire.Disconnect, Code: 0x8d}},
	}
	for _, tc := range tests {
		in := unhex(t, tc.in)
		for n := range in {
			var p wire.Packet
			if used, err := wire.Decode(in[:n], tc.version, &p); used != 0 || err != nil {
				t.Errorf("%s cut after %d bytes: %d, %v, want to wait for more", tc.name, n, used, err)
			}
		}
		var p wire.Packet
		used, err := wire.Decode(append(in, 0xff), tc.version, &p)
		if err != nil || used != len(in) || !reflect.DeepEqual(p, tc.want) {
			t.Errorf("%s: %+v, %d, %v, want %+v", tc.name, p, used, err, tc.want)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in string }{
		{"remaining length of five bytes", "30 ff ff ff ff 01"},
		{"a type that only clients send", "10 00"},
		{"topic beyond the packet", "30 03 0005 74"},
		{"no packet id", "32 03 0001 74"},
		{"connack without code", "20 01 00"},
		{"properties beyond the packet", "30 04 0001 74 09"},
		{"unknown property of connack", "20 05 00 00 02 7f 00"},
	}
	for _, tc := range tests {
		var p wire.Packet
		if n, err := wire.Decode(unhex(t, tc.in), wire.V5, &p); err == nil {
			t.Errorf("%s: took %d bytes as %+v", tc.name, n, p)
		}
	}
}

// FuzzDecode: whatever arrives, the decoder stays inside its input, and a PUBLISH that it understands means the same after it was written again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x33\x06\x00\x01t\x01\x02x"), byte(4))
	f.Add([]byte("\x38\x07\x00\x01t\x02\x01\x01x"), byte(5))
	f.Add([]byte("\x20\x14\x00\x00\x11\x11\x00\x00\x00\x0a\x26\x00\x01a\x00\x01b\x24\x01\x21\x00\x14"), byte(5))
	f.Add([]byte("\x90\x04\x00\x01\x01\x80"), byte(4))
	f.Fuzz(func(t *testing.T, b []byte, version byte) {
		version = 3 + version%3
		var p wire.Packet
		n, err := wire.Decode(b, version, &p)
		if n < 0 || n > len(b) || n > 0 && err != nil {
			t.Fatalf("%d of %d bytes, %v", n, len(b), err)
		}
		if n == 0 || p.Type != wire.Publish || p.QoS > 2 {
			return
		}
		again := wire.AppendPublish(nil, version, wire.Message{Topic: string(p.Topic), Payload: p.Payload, QoS: p.QoS, Retain: p.Retain, Dup: p.Dup, ID: p.ID})
		var q wire.Packet
		if m, err := wire.Decode(again, version, &q); err != nil || m != len(again) {
			t.Fatalf("its copy: %d of %d bytes, %v", m, len(again), err)
		}
		if string(p.Topic) != string(q.Topic) || !bytes.Equal(p.Payload, q.Payload) || p.ID != q.ID || p.QoS != q.QoS || p.Dup != q.Dup || p.Retain != q.Retain {
			t.Fatalf("%+v became %+v", p, q)
		}
	})
}

// Nothing is allocated per message.
func TestNothingIsAllocated(t *testing.T) {
	payload, buf := make([]byte, 256), make([]byte, 0, 1024)
	var p wire.Packet
	n := testing.AllocsPerRun(100, func() {
		b := wire.AppendPublish(buf, wire.V5, wire.Message{Topic: "some/topic", Payload: payload, QoS: 1, ID: 7})
		if used, err := wire.Decode(b, wire.V5, &p); used != len(b) || err != nil {
			t.Fatal(used, err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
