package packet_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// carriers is a packet of each type around p, in which the will is type 0.
func carriers(p packet.Properties) map[packet.Type]packet.Packet {
	return map[packet.Type]packet.Packet{
		willProperties:         &packet.Connect{Version: v5, Will: &packet.Will{Topic: "w", Properties: p}},
		packet.TypeConnect:     &packet.Connect{Version: v5, Properties: p},
		packet.TypeConnack:     &packet.Connack{Properties: p},
		packet.TypePublish:     &packet.Publish{Topic: []byte("t"), Properties: p},
		packet.TypePuback:      &packet.Ack{Type: packet.TypePuback, ID: 1, Properties: p},
		packet.TypePubrec:      &packet.Ack{Type: packet.TypePubrec, ID: 1, Properties: p},
		packet.TypePubrel:      &packet.Ack{Type: packet.TypePubrel, ID: 1, Properties: p},
		packet.TypePubcomp:     &packet.Ack{Type: packet.TypePubcomp, ID: 1, Properties: p},
		packet.TypeSubscribe:   &packet.Subscribe{ID: 1, Properties: p, Subscriptions: []packet.Subscription{{Filter: "f"}}},
		packet.TypeSuback:      &packet.Suback{ID: 1, Properties: p, Reasons: []packet.ReasonCode{0}},
		packet.TypeUnsubscribe: &packet.Unsubscribe{ID: 1, Properties: p, Filters: []string{"f"}},
		packet.TypeUnsuback:    &packet.Unsuback{ID: 1, Properties: p, Reasons: []packet.ReasonCode{0}},
		packet.TypeDisconnect:  &packet.Disconnect{Properties: p},
		packet.TypeAuth:        &packet.Auth{Properties: p},
	}
}

// frames is a packet of each type that may carry properties, in bytes, around
// a property block that is given in bytes.
func frames(block []byte) map[packet.Type][]byte {
	size := appendVarint(nil, len(block))
	wrap := func(first byte, before, after string) []byte {
		body := slices.Concat([]byte(before), size, block, []byte(after))
		return append(appendVarint([]byte{first}, len(body)), body...)
	}
	const connect = "\x00\x04MQTT\x05"
	return map[packet.Type][]byte{
		willProperties:         wrap(0x10, connect+"\x04\x00\x00\x00\x00\x00", "\x00\x01w\x00\x00"),
		packet.TypeConnect:     wrap(0x10, connect+"\x00\x00\x00", "\x00\x00"),
		packet.TypeConnack:     wrap(0x20, "\x00\x00", ""),
		packet.TypePublish:     wrap(0x30, "\x00\x01t", ""),
		packet.TypePuback:      wrap(0x40, "\x00\x01\x00", ""),
		packet.TypePubrec:      wrap(0x50, "\x00\x01\x00", ""),
		packet.TypePubrel:      wrap(0x62, "\x00\x01\x00", ""),
		packet.TypePubcomp:     wrap(0x70, "\x00\x01\x00", ""),
		packet.TypeSubscribe:   wrap(0x82, "\x00\x01", "\x00\x01f\x00"),
		packet.TypeSuback:      wrap(0x90, "\x00\x01", "\x00"),
		packet.TypeUnsubscribe: wrap(0xa2, "\x00\x01", "\x00\x01f"),
		packet.TypeUnsuback:    wrap(0xb0, "\x00\x01", "\x00"),
		packet.TypeDisconnect:  wrap(0xe0, "\x00", ""),
		packet.TypeAuth:        wrap(0xf0, "\x00", ""),
	}
}

func appendVarint(b []byte, n int) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// oneOfEach is every property alone, in bytes and as a struct.
func oneOfEach(t *testing.T) map[packet.PropertyID]struct {
	bytes []byte
	props packet.Properties
} {
	some := func(s string) packet.Opt[string] { return packet.Some(s) }
	bit, one16, one32 := packet.Some(byte(1)), packet.Some(uint16(1)), packet.Some(uint32(1))
	data := packet.Some([]byte("x"))
	type pair = struct {
		bytes []byte
		props packet.Properties
	}
	m := map[packet.PropertyID]pair{}
	add := func(hex string, p packet.Properties) {
		b := unhex(t, hex)
		m[packet.PropertyID(b[0])] = pair{b, p}
	}
	add("01 01", packet.Properties{PayloadFormat: bit})
	add("02 00000001", packet.Properties{MessageExpiry: one32})
	add("03 0001'x'", packet.Properties{ContentType: some("x")})
	add("08 0001'x'", packet.Properties{ResponseTopic: some("x")})
	add("09 0001'x'", packet.Properties{CorrelationData: data})
	add("0b 01", packet.Properties{SubscriptionIDs: []uint32{1}})
	add("11 00000001", packet.Properties{SessionExpiry: one32})
	add("12 0001'x'", packet.Properties{AssignedClientID: some("x")})
	add("13 0001", packet.Properties{ServerKeepAlive: one16})
	add("15 0001'x'", packet.Properties{AuthMethod: some("x")})
	add("16 0001'x' 15 0000", packet.Properties{AuthData: data, AuthMethod: some("")})
	add("17 01", packet.Properties{RequestProblemInfo: bit})
	add("18 00000001", packet.Properties{WillDelay: one32})
	add("19 01", packet.Properties{RequestResponseInfo: bit})
	add("1a 0001'x'", packet.Properties{ResponseInfo: some("x")})
	add("1c 0001'x'", packet.Properties{ServerReference: some("x")})
	add("1f 0001'x'", packet.Properties{ReasonString: some("x")})
	add("21 0001", packet.Properties{ReceiveMaximum: one16})
	add("22 0001", packet.Properties{TopicAliasMaximum: one16})
	add("23 0001", packet.Properties{TopicAlias: one16})
	add("24 01", packet.Properties{MaximumQoS: bit})
	add("25 01", packet.Properties{RetainAvailable: bit})
	add("26 0001'x' 0000", packet.Properties{User: []packet.UserProperty{{"x", ""}}})
	add("27 00000001", packet.Properties{MaximumPacketSize: one32})
	add("28 01", packet.Properties{WildcardAvailable: bit})
	add("29 01", packet.Properties{SubscriptionAvailable: bit})
	add("2a 01", packet.Properties{SharedAvailable: bit})
	return m
}

// TestPropertyTable tries each of the 27 properties in each of the 14 places,
// once and twice, decoding and encoding: MQTT 5.0 table 2-4.
func TestPropertyTable(t *testing.T) {
	t.Parallel()
	table, one := propertyTable(), oneOfEach(t)
	if len(table) != 27 || len(one) != 27 {
		t.Fatalf("%d and %d properties", len(table), len(one))
	}
	for id, places := range table {
		want := carriers(one[id].props)
		for typ, b := range frames(one[id].bytes) {
			p, _, err := decode(b, versionOf(want[typ], v5), nil)
			_, encodeErr := want[typ].AppendTo(nil, v5)
			legal := slices.Contains(places, typ)
			missing := typ == packet.TypeAuth && id != packet.PropAuthMethod && id != packet.PropAuthData
			switch {
			case legal && missing:
				if packet.ReasonOf(err) != protocol || packet.ReasonOf(encodeErr) != protocol {
					t.Errorf("%#x in AUTH without method: %v, %v", id, err, encodeErr)
				}
			case legal:
				if err != nil || encodeErr != nil {
					t.Fatalf("%#x in %v: %v, %v", id, typ, err, encodeErr)
				}
				requireEqual(t, want[typ], p)
			case packet.ReasonOf(err) != malformed || packet.ReasonOf(encodeErr) != malformed:
				t.Errorf("%#x in %v: %v, %v; want it refused", id, typ, err, encodeErr)
			}
		}
	}
}

func TestPropertyTwice(t *testing.T) {
	t.Parallel()
	table, one := propertyTable(), oneOfEach(t)
	for id, places := range table {
		for typ, b := range frames(slices.Concat(one[id].bytes, one[id].bytes)) {
			if !slices.Contains(places, typ) || typ == packet.TypeAuth && id == packet.PropUser {
				continue
			}
			v := v5
			if b[0] == 0x10 {
				v = 0
			}
			_, _, err := decode(b, v, nil)
			repeatable := id == packet.PropUser || id == packet.PropSubscriptionID && typ == packet.TypePublish
			if repeatable != (err == nil) || !repeatable && packet.ReasonOf(err) != protocol {
				t.Errorf("%#x twice in %v: %v", id, typ, err)
			}
		}
	}
}

// TestValidText compares the decoder with the definition of a UTF-8 encoded
// string (§1.5.4), over arbitrary bytes.
func TestValidText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SliceOfN(rapid.Byte(), 0, 6).Draw(t, "bytes")
		if rapid.Bool().Draw(t, "text") {
			s = []byte(rapid.StringN(0, 6, -1).Draw(t, "string"))
		}
		block := slices.Concat([]byte{0x1f, 0, byte(len(s))}, s)
		_, _, err := decode(frames(block)[packet.TypeDisconnect], v5, nil)
		legal := strings.ToValidUTF8(string(s), "") == string(s) && !strings.Contains(string(s), "\x00")
		if legal != (err == nil) {
			t.Fatalf("%x: %v", s, err)
		}
	})
}
