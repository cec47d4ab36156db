package packet_test

import (
	"slices"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// goldenCase is a packet in bytes and as a struct. lenient marks input that
// encoders write in another, canonical form.
type goldenCase struct {
	name     string // with the section of MQTT 5.0 unless it says otherwise
	versions []packet.Version
	hex      string
	packet   packet.Packet
	lenient  bool
}

var (
	all     = []packet.Version{v31, v311, v5}
	below5  = []packet.Version{v31, v311}
	only31  = []packet.Version{v31}
	only311 = []packet.Version{v311}
	only5   = []packet.Version{v5}
)

func golden() []goldenCase {
	return slices.Concat(goldenConnect(), goldenConnack(), goldenPublish(), goldenAcks(),
		goldenSubscribe(), goldenOthers())
}

func goldenPublish() []goldenCase {
	text := func(s string) []byte { return []byte(s) }
	return []goldenCase{
		{
			"PUBLISH QoS 0, 3.1.1 §3.3", below5, "30 05 0003'a/b'",
			&packet.Publish{Topic: text("a/b")}, false,
		},
		{
			"PUBLISH QoS 1 retained with DUP, 3.1.1 §3.3.1", below5, "3b 09 0003'a/b' 000a 'hi'",
			&packet.Publish{Dup: true, Retain: true, QoS: 1, ID: 10, Topic: text("a/b"), Payload: text("hi")}, false,
		},
		{
			"PUBLISH QoS 2, 3.1.1 §3.3.2", below5, "34 07 0003'a/b' ffff",
			&packet.Publish{QoS: 2, ID: 65535, Topic: text("a/b")}, false,
		},
		{
			"PUBLISH QoS 0 without properties, §3.3", only5, "30 08 0003'a/b' 00 'hi'",
			&packet.Publish{Topic: text("a/b"), Payload: text("hi")}, false,
		},
		{
			"PUBLISH with all properties, §3.3.2.3", only5,
			"32 3e 0003'a/b' 0001 33" +
				"01 01  02 00000e10  03 0004'json'  08 0003'r/t'  09 0002 00ff" +
				"0b 01  0b 8001  0b ffffff7f  23 0007  26 0001'k' 0001'v'  26 0001'k' 0000 'hi!'",
			&packet.Publish{QoS: 1, ID: 1, Topic: text("a/b"), Payload: text("hi!"), Properties: packet.Properties{
				PayloadFormat: packet.Some(byte(1)), MessageExpiry: packet.Some(uint32(3600)),
				ContentType: packet.Some("json"), ResponseTopic: packet.Some("r/t"),
				CorrelationData: packet.Some([]byte{0, 0xff}), SubscriptionIDs: []uint32{1, 128, packet.MaxRemaining},
				TopicAlias: packet.Some(uint16(7)), User: []packet.UserProperty{{"k", "v"}, {"k", ""}},
			}}, false,
		},
		{
			"PUBLISH with an alias for its topic, §3.3.2.3.4", only5, "30 06 0000 03 230001",
			&packet.Publish{Properties: packet.Properties{TopicAlias: packet.Some(uint16(1))}}, false,
		},
		{
			"PUBLISH topic of BOM, control characters, and neighbours of non-characters, §1.5.4", all[:2],
			"30 18 0016 efbbbf017fefbfbdefb78fefb7b0f09fbfbdf48fbebf",
			&packet.Publish{Topic: text("\ufeff\x01\x7f\ufffd\ufdcf\ufdf0\U0001fffd\U0010ffbf")}, false,
		},
		{
			"PUBLISH to a $ topic in four-byte characters, §4.7.2", only5, "30 08 0005 '$' f09f8cb1 00",
			&packet.Publish{Topic: text("$🌱")}, false,
		},
	}
}

func goldenAcks() []goldenCase {
	var cases []goldenCase
	for typ, first := range map[packet.Type]string{
		packet.TypePuback: "40", packet.TypePubrec: "50", packet.TypePubrel: "62", packet.TypePubcomp: "70",
	} {
		failure, code := packet.QuotaExceeded, "97"
		if typ == packet.TypePubrel || typ == packet.TypePubcomp {
			failure, code = packet.PacketIDNotFound, "92"
		}
		name := typ.String()
		cases = append(cases,
			goldenCase{name + ", §3.4 to §3.7", all, first + "02 1234", &packet.Ack{Type: typ, ID: 0x1234}, false},
			goldenCase{
				name + " with reason, §3.4.2.1", only5, first + "03 0001" + code,
				&packet.Ack{Type: typ, ID: 1, Reason: failure}, false,
			},
			goldenCase{
				name + " with explicit success and no properties, §3.4.2.2.1", only5, first + "04 0001 00 00",
				&packet.Ack{Type: typ, ID: 1}, true,
			},
			goldenCase{
				name + " with properties, §3.4.2.2", only5,
				first + "10 0001" + code + "0c 1f 0002'no' 26 0001'a' 0001'b'",
				&packet.Ack{Type: typ, ID: 1, Reason: failure, Properties: packet.Properties{
					ReasonString: packet.Some("no"), User: []packet.UserProperty{{"a", "b"}},
				}}, false,
			},
		)
	}
	return append(cases,
		goldenCase{"PUBREL with flags 0, 3.1", only31, "60 02 0005", &packet.Ack{Type: packet.TypePubrel, ID: 5}, true},
		goldenCase{"PUBREL with DUP, 3.1 §2.1", only31, "6a 02 0005", &packet.Ack{Type: packet.TypePubrel, ID: 5}, true},
	)
}

func goldenSubscribe() []goldenCase {
	return []goldenCase{
		{
			"SUBSCRIBE, 3.1.1 §3.8", below5, "82 0e 000a 0003'a/b' 01 0003'c/#' 02",
			&packet.Subscribe{ID: 10, Subscriptions: []packet.Subscription{{Filter: "a/b", QoS: 1}, {Filter: "c/#", QoS: 2}}}, false,
		},
		{
			"SUBSCRIBE with DUP, 3.1 §2.1", only31, "8a 06 0001 0001'a' 00",
			&packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a"}}}, true,
		},
		{
			"SUBSCRIBE with all options and properties, §3.8", only5,
			"82 1e 0001 0a 0b ac02 26 0001'k' 0001'v' 0001'a' 2e 000a'$share/g/b' 11",
			&packet.Subscribe{
				ID: 1,
				Properties: packet.Properties{
					SubscriptionIDs: []uint32{300}, User: []packet.UserProperty{{"k", "v"}},
				},
				Subscriptions: []packet.Subscription{
					{Filter: "a", QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2},
					{Filter: "$share/g/b", QoS: 1, RetainHandling: 1},
				},
			}, false,
		},
		{
			"SUBACK, 3.1.1 §3.9", below5, "90 06 000a 00010280",
			&packet.Suback{ID: 10, Reasons: []packet.ReasonCode{
				packet.GrantedQoS0, packet.GrantedQoS1, packet.GrantedQoS2, packet.UnspecifiedError,
			}}, false,
		},
		{
			"SUBACK, §3.9", only5, "90 0a 0001 05 1f 0002'no' 02 87",
			&packet.Suback{
				ID: 1, Properties: packet.Properties{ReasonString: packet.Some("no")},
				Reasons: []packet.ReasonCode{packet.GrantedQoS2, packet.NotAuthorized},
			}, false,
		},
		{
			"UNSUBSCRIBE, 3.1.1 §3.10", below5, "a2 0a 000a 0003'a/b' 0001'#'",
			&packet.Unsubscribe{ID: 10, Filters: []string{"a/b", "#"}}, false,
		},
		{
			"UNSUBSCRIBE, §3.10", only5, "a2 0d 0001 07 26 0001'k' 0001'v' 0001'#'",
			&packet.Unsubscribe{
				ID: 1, Properties: packet.Properties{User: []packet.UserProperty{{"k", "v"}}},
				Filters: []string{"#"},
			}, false,
		},
		{"UNSUBACK, 3.1.1 §3.11", below5, "b0 02 000a", &packet.Unsuback{ID: 10}, false},
		{
			"UNSUBACK, §3.11", only5, "b0 05 0001 00 0011",
			&packet.Unsuback{ID: 1, Reasons: []packet.ReasonCode{packet.Success, packet.NoSubscription}}, false,
		},
	}
}

func goldenOthers() []goldenCase {
	return []goldenCase{
		{"PINGREQ, §3.12", all, "c0 00", &packet.Pingreq{}, false},
		{"PINGRESP, §3.13", all, "d0 00", &packet.Pingresp{}, false},
		{"DISCONNECT, §3.14", all, "e0 00", &packet.Disconnect{}, false},
		{"DISCONNECT with will, §3.14.2.1", only5, "e0 01 04", &packet.Disconnect{Reason: packet.DisconnectWithWill}, false},
		{"DISCONNECT with explicit 0x00, §3.14.2.1", only5, "e0 02 00 00", &packet.Disconnect{}, true},
		{
			"DISCONNECT with properties, §3.14.2.2", only5,
			"e0 17 9d 15 11 00000005 1c 0001's' 1f 0001'r' 26 0001'k' 0002'vv'",
			&packet.Disconnect{Reason: packet.ServerMoved, Properties: packet.Properties{
				SessionExpiry: packet.Some(uint32(5)), ServerReference: packet.Some("s"),
				ReasonString: packet.Some("r"), User: []packet.UserProperty{{"k", "vv"}},
			}}, false,
		},
		{"AUTH without body, §3.15.2.1", only5, "f0 00", &packet.Auth{}, false},
		{
			"AUTH, §3.15", only5, "f0 0c 18 0a 15 0002'm1' 16 0002 0001",
			&packet.Auth{Reason: packet.ContinueAuth, Properties: packet.Properties{
				AuthMethod: packet.Some("m1"), AuthData: packet.Some([]byte{0, 1}),
			}}, false,
		},
	}
}
