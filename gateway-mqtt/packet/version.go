package packet

import "strconv"

// Version is the protocol level of a connection, as in byte 7 (or 9) of
// CONNECT without the bridge bit (MQTT 5.0 §3.1.2.2). The zero Version stands
// for a connection that has not sent its CONNECT yet.
type Version uint8

// The protocol levels this package speaks.
const (
	V31  Version = 3 // MQTT 3.1, protocol name MQIsdp
	V311 Version = 4 // MQTT 3.1.1
	V5   Version = 5 // MQTT 5.0
)

// bridgeBit marks a CONNECT sent by a bridge: mosquitto and rsmb set it in
// the protocol level of 3.1 and 3.1.1 so that the server keeps the retain flag
// of what it forwards.
const bridgeBit = 0x80

// protocol names of CONNECT (MQTT 3.1 §3.1, MQTT 5.0 §3.1.2.1).
const (
	nameMQIsdp = "MQIsdp"
	nameMQTT   = "MQTT"
)

// String is the version as its specification calls it, for example "3.1.1".
func (v Version) String() string {
	switch v {
	case V31:
		return "3.1"
	case V311:
		return "3.1.1"
	case V5:
		return "5.0"
	}
	return "level " + strconv.Itoa(int(v))
}

// Valid reports whether the codec speaks v.
func (v Version) Valid() bool { return v >= V31 && v <= V5 }

// protocolName is the name that CONNECT carries for v.
func (v Version) protocolName() string {
	if v == V31 {
		return nameMQIsdp
	}
	return nameMQTT
}

// ConnectVersion says in which version to answer the CONNECT with this body
// when Decode refused it: its own version, or for an unknown level the nearest
// one of the same protocol name. It is zero if the body does not begin like
// an MQTT CONNECT; such a peer gets no answer.
func ConnectVersion(body []byte) Version {
	r := reader{b: body}
	name, level := r.bytes16(), r.u8()
	switch {
	case r.err != nil:
		return 0
	case string(name) == nameMQIsdp:
		return V31
	case string(name) != nameMQTT:
		return 0
	case level >= byte(V5) && level < bridgeBit:
		return V5
	}
	return V311
}
