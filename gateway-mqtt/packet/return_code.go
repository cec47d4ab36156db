package packet

import "strconv"

// ReturnCode is the result in a CONNACK of MQTT 3.1 and 3.1.1
// (MQTT 3.1.1 §3.2.2.3).
type ReturnCode byte

// The return codes of table 3.1; 6 to 255 are reserved.
const (
	Accepted           ReturnCode = 0
	RefusedVersion     ReturnCode = 1 // unacceptable protocol version
	RefusedClientID    ReturnCode = 2 // identifier rejected
	RefusedUnavailable ReturnCode = 3 // server unavailable
	RefusedCredentials ReturnCode = 4 // bad user name or password
	RefusedAuthority   ReturnCode = 5 // not authorized
)

// String is the text of table 3.1, in lower case.
func (c ReturnCode) String() string {
	switch c {
	case Accepted:
		return "connection accepted"
	case RefusedVersion:
		return "unacceptable protocol version"
	case RefusedClientID:
		return "identifier rejected"
	case RefusedUnavailable:
		return "server unavailable"
	case RefusedCredentials:
		return "bad user name or password"
	case RefusedAuthority:
		return "not authorized"
	}
	return "return code " + strconv.Itoa(int(c))
}

// Reason is the code of MQTT 5.0 with the same meaning; UnspecifiedError for a
// reserved code. Reason().ReturnCode() gives back each code of the table.
func (c ReturnCode) Reason() ReasonCode {
	switch c {
	case Accepted:
		return Success
	case RefusedVersion:
		return UnsupportedVersion
	case RefusedClientID:
		return ClientIDNotValid
	case RefusedUnavailable:
		return ServerUnavailable
	case RefusedCredentials:
		return BadUserNameOrPassword
	case RefusedAuthority:
		return NotAuthorized
	}
	return UnspecifiedError
}

// ReturnCode is the nearest return code of 3.1.1 for a CONNACK reason. What
// has no counterpart (server busy, quota, moved, any other failure) becomes
// RefusedUnavailable, the code after which clients try again later.
func (r ReasonCode) ReturnCode() ReturnCode {
	switch r {
	case UnsupportedVersion:
		return RefusedVersion
	case ClientIDNotValid:
		return RefusedClientID
	case BadUserNameOrPassword, BadAuthMethod:
		return RefusedCredentials
	case NotAuthorized, Banned, TopicNameInvalid, RetainNotSupported, QoSNotSupported:
		return RefusedAuthority
	}
	if r.Failed() {
		return RefusedUnavailable
	}
	return Accepted
}

// subackV3 is the reason as SUBACK of 3.1.1 says it: the granted QoS or 0x80
// (MQTT 3.1.1 §3.9.3).
func (r ReasonCode) subackV3() ReasonCode {
	if r.Failed() {
		return UnspecifiedError
	}
	return r
}
