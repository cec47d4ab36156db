package packet_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// badCase is input that must be refused with a reason, in every version given;
// version 0 is a connection before its CONNECT.
type badCase struct {
	name     string // with the section of MQTT 5.0 unless it says otherwise
	versions []packet.Version
	hex      string
	reason   packet.ReasonCode
}

var first = []packet.Version{0}

const (
	malformed = packet.MalformedPacket
	protocol  = packet.ProtocolError
)

func malformedCases() []badCase {
	return slices.Concat(badHeaders(), badConnects(), badPublishes(), badSubscribes(), badAnswers(), badProperties())
}

func badHeaders() []badCase {
	return []badCase{
		{"type 0, §2.1.2", all, "00 00", malformed},
		{"AUTH below 5.0, 3.1.1 §2.2.1", below5, "f0 00", malformed},
		{"remaining length of five bytes, §1.5.5", all, "30 80808080 01", malformed},
		{"remaining length ff ff ff ff, §1.5.5", all, "30 ffffffff", malformed},
		{"remaining length in two bytes for 0, §1.5.5", all, "c0 8000", malformed},
		{"remaining length in four bytes for 1, §1.5.5", all, "30 81808000", malformed},
		{"CONNECT with flags, §2.1.3", first, "11 00", malformed},
		{"CONNACK with flags, §2.1.3", all, "28 02 0000", malformed},
		{"PUBACK with flags, §2.1.3", all, "42 02 0001", malformed},
		{"PUBREL with flags 0, §2.1.3", []packet.Version{v311, v5}, "60 02 0001", malformed},
		{"PUBREL with DUP, §2.1.3", []packet.Version{v311, v5}, "6a 02 0001", malformed},
		{"PUBREL with flags 1000, 3.1 §2.1", all, "68 02 0001", malformed},
		{"PUBREL with RETAIN, §2.1.3", all, "63 02 0001", malformed},
		{"SUBSCRIBE with flags 0, §3.8.1", all, "80 06 0001 0001'a' 00", malformed},
		{"SUBSCRIBE with DUP, §3.8.1", []packet.Version{v311, v5}, "8a 06 0001 0001'a' 00", malformed},
		{"UNSUBSCRIBE with flags 0, §3.10.1", all, "a0 05 0001 0001'a'", malformed},
		{"PINGREQ with flags, §2.1.3", all, "c1 00", malformed},
		{"PINGREQ with a body, §3.12", all, "c0 01 00", malformed},
		{"PINGRESP with a body, §3.13", all, "d0 01 00", malformed},
		{"DISCONNECT with flags, §3.14.1", all, "e1 00", malformed},
		{"DISCONNECT with a body, 3.1.1 §3.14", below5, "e0 01 00", malformed},
		{"first packet PUBLISH, §3.1", first, "30 05 0003'a/b'", protocol},
		{"first packet CONNACK, §3.1", first, "20 02 0000", protocol},
		{"first packet PINGREQ, §3.1", first, "c0 00", protocol},
		{"first packet PUBLISH of 256 MiB, not buffered, §3.1", first, "30 ffffff7f", protocol},
		{"PINGREQ of 256 MiB, not buffered, §3.12", all, "c0 ffffff7f", malformed},
	}
}

func badConnects() []badCase {
	version := packet.UnsupportedVersion
	return []badCase{
		{"empty CONNECT, §3.1", first, "10 00", malformed},
		{"unknown name, §3.1.2.1", first, "10 0c 0004'mqtt' 04 02 0000 0000", version},
		{"level 6, §3.1.2.2", first, "10 0c 0004'MQTT' 06 02 0000 0000", version},
		{"level 0, §3.1.2.2", first, "10 0c 0004'MQTT' 00 02 0000 0000", version},
		{"MQTT with level 3, §3.1.2.2", first, "10 0c 0004'MQTT' 03 02 0000 0000", version},
		{"MQIsdp with level 4, §3.1.2.2", first, "10 0e 0006'MQIsdp' 04 02 0000 0000", version},
		{"bridge with level 5, §3.1.2.2", first, "10 0d 0004'MQTT' 85 02 0000 00 0000", version},
		{"reserved flag, §3.1.2.3", first, "10 0c 0004'MQTT' 04 03 0000 0000", malformed},
		{"will QoS 3, §3.1.2.6", first, "10 12 0004'MQTT' 04 1c 0000 0000 0001'w' 0001'x'", malformed},
		{"will QoS without will, §3.1.2.6", first, "10 0c 0004'MQTT' 04 08 0000 0000", malformed},
		{"will retain without will, §3.1.2.7", first, "10 0d 0004'MQTT' 05 20 0000 00 0000", malformed},
		{"password without user name, 3.1.1 §3.1.2.9", first, "10 0f 0004'MQTT' 04 40 0000 0000 0001'p'", malformed},
		{"password without user name, 3.1 §3.1", first, "10 11 0006'MQIsdp' 03 40 0000 0000 0001'p'", malformed},
		{"user name missing, 3.1.1 §3.1.2.8", first, "10 0c 0004'MQTT' 04 80 0000 0000", malformed},
		{"will topic with wildcard, 3.1.1 §3.1.3.2", first, "10 13 0004'MQTT' 04 04 0000 0000 0003'a/#' 0000", malformed},
		{"will topic with wildcard, §3.1.3.3", first, "10 13 0004'MQTT' 05 04 0000 00 0000 00 0001'+' 0000", packet.TopicNameInvalid},
		{"empty will topic, 3.1.1 §3.1.3.2", first, "10 10 0004'MQTT' 04 04 0000 0000 0000 0000", malformed},
		{"empty will topic, §3.1.3.3", first, "10 12 0004'MQTT' 05 04 0000 00 0000 00 0000 0000", packet.TopicNameInvalid},
		{"client id with U+0000, §1.5.4", first, "10 0e 0004'MQTT' 04 02 0000 0002'a'00", malformed},
		{"client id with surrogate, 3.1.1 §1.5.3", first, "10 0f 0004'MQTT' 04 02 0000 0003 eda080", malformed},
		{"user name ill-formed, §1.5.4", first, "10 0f 0004'MQTT' 04 82 0000 0000 0001 ff", malformed},
		{"will topic ill-formed, §1.5.4", first, "10 11 0004'MQTT' 04 04 0000 0000 0001 c0 0000", malformed},
		{"client id longer than the packet, §1.5.4", first, "10 0d 0004'MQTT' 04 02 0000 ffff'a'", malformed},
		{"will property in CONNECT, §3.1.2.11", first, "10 12 0004'MQTT' 05 02 0000 05 18 00000001 0000", malformed},
		{"session expiry twice, §3.1.2.11.2", first, "10 17 0004'MQTT' 05 02 0000 0a 11 00000001 11 00000001 0000", protocol},
		{"receive maximum 0, §3.1.2.11.3", first, "10 10 0004'MQTT' 05 02 0000 03 210000 0000", protocol},
		{"maximum packet size 0, §3.1.2.11.4", first, "10 12 0004'MQTT' 05 02 0000 05 2700000000 0000", protocol},
		{"request problem information 2, §3.1.2.11.7", first, "10 0f 0004'MQTT' 05 02 0000 02 1702 0000", protocol},
		{"request response information 2, §3.1.2.11.6", first, "10 0f 0004'MQTT' 05 02 0000 02 1902 0000", protocol},
		{"authentication data alone, §3.1.2.11.10", first, "10 11 0004'MQTT' 05 02 0000 04 16 0001 00 0000", protocol},
		{"CONNECT property in will, §3.1.3.2", first, "10 19 0004'MQTT' 05 04 0000 00 0000 05 11 00000001 0001'w' 0001'x'", malformed},
		{"will payload format 2, §3.1.3.2.3", first, "10 16 0004'MQTT' 05 04 0000 00 0000 02 0102 0001'w' 0001'x'", protocol},
	}
}

func badPublishes() []badCase {
	return []badCase{
		{"QoS 3, §3.3.1.2", all, "36 07 0001'a' 0001 00 00", malformed},
		{"DUP with QoS 0, §3.3.1.1", all, "38 04 0001'a' 00", malformed},
		{"empty PUBLISH, §3.3.2", all, "30 00", malformed},
		{"packet id 0, §2.2.1", all, "32 06 0001'a' 0000 00", protocol},
		{"packet id missing, §2.2.1", all, "32 04 0001'a' 00", malformed},
		{"topic longer than the packet, §1.5.4", all, "30 04 0003'ab'", malformed},
		{"empty topic, 3.1.1 §4.7.3", below5, "30 02 0000", malformed},
		{"empty topic without alias, §3.3.2.1", only5, "30 03 0000 00", protocol},
		{"topic alias 0, §3.3.2.3.4", only5, "30 07 0001'a' 03 230000", packet.TopicAliasInvalid},
		{"topic with #, 3.1.1 §3.3.2.1", below5, "30 05 0003'a/#'", malformed},
		{"topic with +, §3.3.2.1", only5, "30 06 0003'+/a' 00", packet.TopicNameInvalid},
		{"U+0000 in topic, §1.5.4", all, "30 06 0003'a'00'b' 00", malformed},
		{"overlong U+0000 in topic, §1.5.4", all, "30 05 0002 c080 00", malformed},
		{"overlong slash in topic, §1.5.4", all, "30 06 0003 e080af 00", malformed},
		{"first surrogate U+D800, §1.5.4", all, "30 06 0003 eda080 00", malformed},
		{"last surrogate U+DFFF, §1.5.4", all, "30 06 0003 edbfbf 00", malformed},
		{"non-character U+FFFE, §1.5.4", all, "30 06 0003 efbfbe 00", malformed},
		{"non-character U+FFFF, §1.5.4", all, "30 06 0003 efbfbf 00", malformed},
		{"non-character U+FDD0, §1.5.4", all, "30 06 0003 efb790 00", malformed},
		{"non-character U+FDEF, §1.5.4", all, "30 06 0003 efb7af 00", malformed},
		{"non-character U+1FFFE, §1.5.4", all, "30 07 0004 f09fbfbe 00", malformed},
		{"non-character U+10FFFF, §1.5.4", all, "30 07 0004 f48fbfbf 00", malformed},
		{"code point above U+10FFFF, §1.5.4", all, "30 07 0004 f4908080 00", malformed},
		{"half a character, §1.5.4", all, "30 04 0001 e2 00", malformed},
		{"no property length, §2.2.2.1", only5, "30 03 0001'a'", malformed},
		{"response topic with wildcard, §3.3.2.3.5", only5, "30 08 0001'a' 04 08 0001'#'", protocol},
		{"empty response topic, §4.7.3", only5, "30 07 0001'a' 03 08 0000", protocol},
		{"subscription identifier 0, §3.3.2.3.8", only5, "30 06 0001'a' 02 0b00", protocol},
		{"subscription identifier of five bytes, §1.5.5", only5, "30 0a 0001'a' 06 0b 8080808001", malformed},
		{"subscription identifier not shortest, §1.5.5", only5, "30 07 0001'a' 03 0b 8100", malformed},
		{"payload format 2, §3.3.2.3.2", only5, "30 06 0001'a' 02 0102", protocol},
		{"payload format twice, §3.3.2.3.2", only5, "30 08 0001'a' 04 0101 0101", protocol},
		{"topic alias twice, §3.3.2.3.4", only5, "30 0a 0001'a' 06 230001 230001", protocol},
	}
}

func badSubscribes() []badCase {
	return []badCase{
		{"SUBSCRIBE with id 0, §2.2.1", all, "82 07 0000 00 0001'a' 00", protocol},
		{"no filter, §3.8.3", below5, "82 02 0001", protocol},
		{"no filter, §3.8.3", only5, "82 03 0001 00", protocol},
		{"empty filter, §4.7.3", below5, "82 05 0001 0000 00", malformed},
		{"empty filter, §4.7.3", only5, "82 06 0001 00 0000 00", malformed},
		{"filter without options, §3.8.3", below5, "82 05 0001 0001'a'", malformed},
		{"filter with U+0000, §1.5.4", below5, "82 07 0001 0002'a'00 00", malformed},
		{"QoS 3, 3.1.1 §3.8.3", below5, "82 06 0001 0001'a' 03", protocol},
		{"QoS 3, §3.8.3.1", only5, "82 07 0001 00 0001'a' 03", protocol},
		{"options of 5.0, 3.1.1 §3.8.3", below5, "82 06 0001 0001'a' 04", malformed},
		{"reserved option bit 6, §3.8.3.1", only5, "82 07 0001 00 0001'a' 40", malformed},
		{"reserved option bit 7, §3.8.3.1", only5, "82 07 0001 00 0001'a' 80", malformed},
		{"retain handling 3, §3.8.3.1", only5, "82 07 0001 00 0001'a' 30", protocol},
		{"no local on $share, §3.8.3.1", only5, "82 0f 0001 00 0009'$share/ga' 04", protocol},
		{"two subscription identifiers, §3.8.2.1.2", only5, "82 0b 0001 04 0b01 0b02 0001'a' 00", protocol},
		{"subscription identifier 0, §3.8.2.1.2", only5, "82 09 0001 02 0b00 0001'a' 00", protocol},
		{"topic alias in SUBSCRIBE, §3.8.2.1", only5, "82 0a 0001 03 230001 0001'a' 00", malformed},
		{"UNSUBSCRIBE with id 0, §2.2.1", all, "a2 06 0000 00 0001'a'", protocol},
		{"UNSUBSCRIBE no filter, §3.10.3", below5, "a2 02 0001", protocol},
		{"UNSUBSCRIBE no filter, §3.10.3", only5, "a2 03 0001 00", protocol},
		{"UNSUBSCRIBE empty filter, §4.7.3", below5, "a2 04 0001 0000", malformed},
	}
}

func badAnswers() []badCase {
	return []badCase{
		{"CONNACK flags, §3.2.2.1", only311, "20 02 02 00", malformed},
		{"CONNACK flags, §3.2.2.1", only5, "20 03 80 00 00", malformed},
		{"CONNACK session present in refusal, 3.1.1 §3.2.2.2", only311, "20 02 01 05", protocol},
		{"CONNACK session present in refusal, §3.2.2.1.1", only5, "20 03 01 87 00", protocol},
		{"CONNACK return code 6, 3.1.1 §3.2.2.3", below5, "20 02 00 06", malformed},
		{"CONNACK reason of DISCONNECT, §3.2.2.2", only5, "20 03 00 8d 00", protocol},
		{"CONNACK too short, 3.1.1 §3.2", below5, "20 01 00", malformed},
		{"CONNACK maximum QoS 2, §3.2.2.3.4", only5, "20 05 00 00 02 2402", protocol},
		{"PUBACK too long, 3.1.1 §3.4", below5, "40 03 0001 00", malformed},
		{"PUBACK too short, §3.4", all, "40 01 00", malformed},
		{"PUBACK with id 0, §2.2.1", all, "40 02 0000", protocol},
		{"PUBACK reason of PUBREL, §3.4.2.1", only5, "40 03 0001 92", protocol},
		{"PUBREL reason of PUBACK, §3.6.2.1", only5, "62 03 0001 10", protocol},
		{"PUBACK with bytes after its properties, §3.4", only5, "40 05 0001 00 00 00", malformed},
		{"SUBACK with id 0, §2.2.1", all, "90 04 0000 00 00", protocol},
		{"SUBACK without codes, §3.9.3", below5, "90 02 0001", protocol},
		{"SUBACK without codes, §3.9.3", only5, "90 03 0001 00", protocol},
		{"SUBACK code 3, §3.9.3", below5, "90 03 0001 03", protocol},
		{"SUBACK code of 5.0, 3.1.1 §3.9.3", below5, "90 03 0001 87", malformed},
		{"UNSUBACK without codes, §3.11.3", only5, "b0 03 0001 00", protocol},
		{"UNSUBACK granted QoS, §3.11.3", only5, "b0 04 0001 00 01", protocol},
		{"UNSUBACK with codes, 3.1.1 §3.11", below5, "b0 03 0001 00", malformed},
		{"DISCONNECT reason of CONNACK, §3.14.2.1", only5, "e0 01 84", protocol},
		{"DISCONNECT property of CONNECT, §3.14.2.2", only5, "e0 05 00 03 210001", malformed},
		{"AUTH reason, §3.15.2.1", only5, "f0 07 87 05 15 0002'm1'", protocol},
		{"AUTH without method, §3.15.2.2.2", only5, "f0 02 18 00", protocol},
		{"AUTH with reason only, §3.15.2.2.2", only5, "f0 01 18", protocol},
	}
}

func badProperties() []badCase {
	return []badCase{
		{"unknown property 0, §2.2.2.2", only5, "e0 04 00 02 0000", malformed},
		{"unknown property 0x2b, §2.2.2.2", only5, "e0 04 00 02 2b00", malformed},
		{"property identifier of two bytes, §2.2.2.2", only5, "e0 05 00 03 ff0100", malformed},
		{"property identifier not shortest, §2.2.2.2", only5, "e0 06 00 04 9f00 0000", malformed},
		{"block longer than the packet, §2.2.2.1", only5, "e0 03 00 05 1f", malformed},
		{"block length not shortest, §2.2.2.1", only5, "e0 03 00 8000", malformed},
		{"value beyond the block, §2.2.2", only5, "e0 08 00 03 1f 0001'r' 0000", malformed},
		{"four byte integer of two bytes, §1.5.3", only5, "e0 05 00 03 110000", malformed},
		{"two byte integer of one byte, §1.5.2", only5, "20 05 00 00 02 2100", malformed},
		{"property without value, §2.2.2", only5, "20 04 00 00 01 24", malformed},
		{"reason string twice, §3.14.2.2.3", only5, "e0 0a 00 08 1f 0001'r' 1f 0001'r'", protocol},
		{"user property without value, §2.2.2", only5, "e0 06 00 04 26 0001'k'", malformed},
		{"user property ill-formed, §1.5.4", only5, "e0 09 00 07 26 0001 ff 0001'v'", malformed},
		{"reason string with U+0000, §1.5.4", only5, "e0 06 00 04 1f 0001 00", malformed},
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for _, c := range malformedCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := unhex(t, c.hex)
			for _, v := range c.versions {
				p, _, err := decode(b, v, nil)
				if p != nil {
					t.Fatalf("%v: decoded %+v", v, p)
				}
				var e *packet.Error
				if !errors.As(err, &e) {
					t.Fatalf("%v: %v, want an *Error", v, err)
				}
				if e.Reason != c.reason || e.Kind == "" {
					t.Fatalf("%v: %v, want %v", v, e, c.reason)
				}
			}
		})
	}
}

// TestMalformedInput checks that the table itself is well made: the remaining
// length of each case counts its bytes unless the case is about that.
func TestMalformedInput(t *testing.T) {
	t.Parallel()
	for _, c := range malformedCases() {
		b := unhex(t, c.hex)
		h, n, err := packet.ReadHeader(b)
		if err == nil && h.Remaining != packet.MaxRemaining && len(b) != n+h.Remaining {
			t.Errorf("%s: header counts %d bytes, there are %d", c.name, h.Remaining, len(b)-n)
		}
	}
}
