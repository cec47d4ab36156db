package wire

import "encoding/binary"

// Types of control packets, MQTT 5.0 §2.1.2.
const (
	Connect = iota + 1
	Connack
	Publish
	Puback
	Pubrec
	Pubrel
	Pubcomp
	Subscribe
	Suback
	Unsubscribe
	Unsuback
	Pingreq
	Pingresp
	Disconnect
	Auth
)

// Protocol levels of CONNECT.
const (
	V31  = 3
	V311 = 4
	V5   = 5
)

// MaxRemaining is the largest remaining length, MQTT 5.0 §1.5.5.
const MaxRemaining = 268_435_455

// Hello is what a CONNECT says.
type Hello struct {
	Version    byte // V31, V311, V5
	ClientID   string
	User       string // "": no user name and no password
	Password   string
	Clean      bool
	KeepAlive  uint16 // seconds
	Expiry     uint32 // session expiry interval in seconds, V5
	ReceiveMax uint16 // V5; 0: 65,535
}

// AppendConnect appends a CONNECT.
func AppendConnect(dst []byte, h Hello) []byte {
	name, flags := "MQTT", byte(0)
	if h.Version == V31 {
		name = "MQIsdp"
	}
	if h.Clean {
		flags |= 0x02
	}
	if h.User != "" {
		flags |= 0xC0
	}
	var props []byte
	if h.Version == V5 {
		if h.Expiry > 0 {
			props = binary.BigEndian.AppendUint32(append(props, 0x11), h.Expiry)
		}
		if h.ReceiveMax > 0 {
			props = binary.BigEndian.AppendUint16(append(props, 0x21), h.ReceiveMax)
		}
	}
	body := make([]byte, 0, 64+len(h.ClientID)+len(h.User)+len(h.Password))
	body = append(appendString(body, name), h.Version, flags)
	body = binary.BigEndian.AppendUint16(body, h.KeepAlive)
	if h.Version == V5 {
		body = append(appendVarint(body, len(props)), props...)
	}
	body = appendString(body, h.ClientID)
	if h.User != "" {
		body = appendString(appendString(body, h.User), h.Password)
	}
	return append(appendVarint(append(dst, Connect<<4), len(body)), body...)
}

// Message is what a PUBLISH says.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	Dup     bool
	ID      uint16 // of QoS 1 and 2
}

// AppendPublish appends a PUBLISH. The payload is its last len(m.Payload) bytes; a packet id stands just before it, or before the one byte of empty properties.
func AppendPublish(dst []byte, version byte, m Message) []byte {
	first, n := byte(Publish<<4)|m.QoS<<1, 2+len(m.Topic)+len(m.Payload)
	if m.Retain {
		first |= 1
	}
	if m.Dup {
		first |= 8
	}
	if m.QoS > 0 {
		n += 2
	}
	if version == V5 {
		n++
	}
	dst = appendString(appendVarint(append(dst, first), n), m.Topic)
	if m.QoS > 0 {
		dst = binary.BigEndian.AppendUint16(dst, m.ID)
	}
	if version == V5 {
		dst = append(dst, 0)
	}
	return append(dst, m.Payload...)
}

// AppendSubscribe appends a SUBSCRIBE for all filters with one QoS.
func AppendSubscribe(dst []byte, version byte, id uint16, qos byte, filters []string) []byte {
	n := 2
	if version == V5 {
		n++
	}
	for _, f := range filters {
		n += 3 + len(f)
	}
	dst = binary.BigEndian.AppendUint16(appendVarint(append(dst, Subscribe<<4|2), n), id)
	if version == V5 {
		dst = append(dst, 0)
	}
	for _, f := range filters {
		dst = append(appendString(dst, f), qos)
	}
	return dst
}

// AppendAck appends a PUBACK, PUBREC, PUBREL or PUBCOMP without reason code, which is the same in all versions.
func AppendAck(dst []byte, kind byte, id uint16) []byte {
	first := kind << 4
	if kind == Pubrel {
		first |= 2
	}
	return append(dst, first, 2, byte(id>>8), byte(id))
}

// AppendPing appends a PINGREQ.
func AppendPing(dst []byte) []byte { return append(dst, Pingreq<<4, 0) }

// AppendDisconnect appends a DISCONNECT without reason.
func AppendDisconnect(dst []byte) []byte { return append(dst, Disconnect<<4, 0) }

func appendString(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

func appendVarint(dst []byte, n int) []byte {
	for n > 127 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}
