package packet

import "errors"

// Error is why a packet was refused. Reason is the code that MQTT 5.0 §4.13
// wants in the CONNACK or DISCONNECT that answers it; versions below 5.0
// close the connection. Kind is one of a fixed set of short texts, without
// any input of the peer, so it can be logged, counted and used as a label.
type Error struct {
	Reason ReasonCode
	Kind   string
}

// Error is "malformed packet (0x81): illegal flags".
func (e *Error) Error() string {
	const hex = "0123456789abcdef"
	code := string([]byte{hex[e.Reason>>4], hex[e.Reason&0x0f]})
	return e.Reason.String() + " (0x" + code + "): " + e.Kind
}

// ReasonOf is the reason code in err: Success for nil, UnspecifiedError for
// an error of another package.
func ReasonOf(err error) ReasonCode {
	if err == nil {
		return Success
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Reason
	}
	return UnspecifiedError
}

// malformed is a packet that cannot be parsed by the specification (§1.2).
func malformed(kind string) *Error { return &Error{Reason: MalformedPacket, Kind: kind} }

// protocolError is a packet that parses and says what it may not (§1.2).
func protocolError(kind string) *Error { return &Error{Reason: ProtocolError, Kind: kind} }

// badTopic is a topic name that cannot be one; versions below 5.0 have no
// code of its own for it.
func badTopic(v Version, kind string) *Error {
	if v < V5 {
		return malformed(kind)
	}
	return &Error{Reason: TopicNameInvalid, Kind: kind}
}
