package packet_test

import "github.com/pando-mq/pando/gateway-mqtt/packet"

func goldenConnect() []goldenCase {
	will := &packet.Will{Topic: "w/t", Payload: []byte("bye"), QoS: 1, Retain: true}
	return []goldenCase{
		{
			"CONNECT, 3.1 §3.1", only31, "10 10 0006'MQIsdp' 03 02 003c 0002'c1'",
			&packet.Connect{Version: v31, CleanStart: true, KeepAlive: 60, ClientID: "c1"}, false,
		},
		{
			"CONNECT of a bridge, 3.1", only31, "10 10 0006'MQIsdp' 83 00 003c 0002'c1'",
			&packet.Connect{Version: v31, Bridge: true, KeepAlive: 60, ClientID: "c1"}, false,
		},
		{
			"CONNECT with unused flag bit 0, 3.1 §3.1", only31, "10 10 0006'MQIsdp' 03 03 003c 0002'c1'",
			&packet.Connect{Version: v31, CleanStart: true, KeepAlive: 60, ClientID: "c1"}, true,
		},
		{
			"CONNECT announces fields that are missing, 3.1 §3.1", only31, "10 10 0006'MQIsdp' 03 c2 003c 0002'c1'",
			&packet.Connect{Version: v31, CleanStart: true, KeepAlive: 60, ClientID: "c1"}, true,
		},
		{
			"CONNECT announces a password that is missing, 3.1 §3.1", only31, "10 13 0006'MQIsdp' 03 c2 003c 0002'c1' 0001'u'",
			&packet.Connect{Version: v31, CleanStart: true, KeepAlive: 60, ClientID: "c1", Username: packet.Some("u")}, true,
		},
		{
			"CONNECT with everything, 3.1.1 §3.1", only311,
			"10 20 0004'MQTT' 04 ee 000a 0002'c1' 0003'w/t' 0003'bye' 0001'u' 0003 00ff01",
			&packet.Connect{
				Version: v311, CleanStart: true, KeepAlive: 10, ClientID: "c1", Will: will,
				Username: packet.Some("u"), Password: packet.Some([]byte{0, 0xff, 1}),
			}, false,
		},
		{
			"CONNECT with empty fields, 3.1.1 §3.1.3", only311,
			"10 15 0004'MQTT' 04 c6 0000 0000 0001'w' 0000 0000 0000",
			&packet.Connect{
				Version: v311, CleanStart: true, Will: &packet.Will{Topic: "w"},
				Username: packet.Some(""), Password: packet.Some([]byte{}),
			}, false,
		},
		{
			"CONNECT of a bridge, 3.1.1", only311, "10 0d 0004'MQTT' 84 02 0000 0001'b'",
			&packet.Connect{Version: v311, Bridge: true, CleanStart: true, ClientID: "b"}, false,
		},
		{
			"CONNECT without properties, §3.1", only5, "10 0d 0004'MQTT' 05 02 003c 00 0000",
			&packet.Connect{Version: v5, CleanStart: true, KeepAlive: 60}, false,
		},
		{
			"CONNECT with a password and no user name, §3.1.2.9", only5, "10 10 0004'MQTT' 05 40 0000 00 0000 0001 'p'",
			&packet.Connect{Version: v5, Password: packet.Some([]byte("p"))}, false,
		},
		{
			"CONNECT with all properties, §3.1.2.11", only5,
			"10 57 0004'MQTT' 05 16 0000" +
				"23 11 ffffffff  15 0001'm' 16 0001'd' 17 00 19 01 21 0001 22 ffff" +
				"26 0001'k' 0001'v'  27 00000001" +
				"0002'c1'" +
				"1e 01 01 02 00000001 03 0001't' 08 0001'r' 09 0000 18 00000005 26 0001'a' 0001'b'" +
				"0001'w' 0001'x'",
			&packet.Connect{
				Version: v5, CleanStart: true, ClientID: "c1", Properties: packet.Properties{
					SessionExpiry: packet.Some(uint32(0xffffffff)), AuthMethod: packet.Some("m"),
					AuthData: packet.Some([]byte("d")), RequestProblemInfo: packet.Some(byte(0)),
					RequestResponseInfo: packet.Some(byte(1)), ReceiveMaximum: packet.Some(uint16(1)),
					TopicAliasMaximum: packet.Some(uint16(65535)), MaximumPacketSize: packet.Some(uint32(1)),
					User: []packet.UserProperty{{"k", "v"}},
				},
				Will: &packet.Will{Topic: "w", Payload: []byte("x"), QoS: 2, Properties: packet.Properties{
					PayloadFormat: packet.Some(byte(1)), MessageExpiry: packet.Some(uint32(1)),
					ContentType: packet.Some("t"), ResponseTopic: packet.Some("r"),
					CorrelationData: packet.Some([]byte{}), WillDelay: packet.Some(uint32(5)),
					User: []packet.UserProperty{{"a", "b"}},
				}},
			}, false,
		},
	}
}

func goldenConnack() []goldenCase {
	cases := []goldenCase{
		{"CONNACK, §3.2", below5, "20 02 00 00", &packet.Connack{}, false},
		{"CONNACK with reserved byte, 3.1 §3.2", only31, "20 02 ff 05", &packet.Connack{Reason: packet.NotAuthorized}, true},
		{"CONNACK session present, 3.1.1 §3.2.2.2", only311, "20 02 01 00", &packet.Connack{SessionPresent: true}, false},
		{"CONNACK session present, §3.2.2.1.1", only5, "20 03 01 00 00", &packet.Connack{SessionPresent: true}, false},
		{"CONNACK refusal, §3.2.2.2", only5, "20 03 00 87 00", &packet.Connack{Reason: packet.NotAuthorized}, false},
		{
			"CONNACK with all properties, §3.2.2.3", only5,
			"20 40 00 00 3d 11 00000001 12 0002'id' 13 000a 15 0001'm' 16 0001'd' 1a 0001'i' 1c 0001's' 1f 0001'r'" +
				"21 0001 22 0000 24 01 25 00 26 0001'k' 0001'v' 27 000000ff 28 01 29 00 2a 01",
			&packet.Connack{Properties: packet.Properties{
				SessionExpiry: packet.Some(uint32(1)), AssignedClientID: packet.Some("id"),
				ServerKeepAlive: packet.Some(uint16(10)), AuthMethod: packet.Some("m"), AuthData: packet.Some([]byte("d")),
				ResponseInfo: packet.Some("i"), ServerReference: packet.Some("s"), ReasonString: packet.Some("r"),
				ReceiveMaximum: packet.Some(uint16(1)), TopicAliasMaximum: packet.Some(uint16(0)),
				MaximumQoS: packet.Some(byte(1)), RetainAvailable: packet.Some(byte(0)),
				User: []packet.UserProperty{{"k", "v"}}, MaximumPacketSize: packet.Some(uint32(255)),
				WildcardAvailable: packet.Some(byte(1)), SubscriptionAvailable: packet.Some(byte(0)),
				SharedAvailable: packet.Some(byte(1)),
			}}, false,
		},
	}
	for code := packet.RefusedVersion; code <= packet.RefusedAuthority; code++ {
		cases = append(cases, goldenCase{
			"CONNACK " + code.String() + ", 3.1.1 §3.2.2.3", below5, "20 02 00 0" + string('0'+rune(code)),
			&packet.Connack{Reason: code.Reason()}, false,
		})
	}
	return cases
}
