package packet

// Type is the type of a control packet, the high half of its first byte
// (MQTT 5.0 §2.1.2).
type Type uint8

// The fifteen control packets.
const (
	TypeConnect Type = iota + 1
	TypeConnack
	TypePublish
	TypePuback
	TypePubrec
	TypePubrel
	TypePubcomp
	TypeSubscribe
	TypeSuback
	TypeUnsubscribe
	TypeUnsuback
	TypePingreq
	TypePingresp
	TypeDisconnect
	TypeAuth // MQTT 5.0 only
)

// String is the name in the specification, for example "PUBLISH".
func (t Type) String() string {
	names := [...]string{
		"RESERVED", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
		"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
	}
	if int(t) < len(names) {
		return names[t]
	}
	return names[0]
}

// MaxRemaining is the largest remaining length, 268,435,455 bytes
// (MQTT 5.0 §1.5.5).
const MaxRemaining = 1<<28 - 1

// Flag bits of the first byte.
const (
	flagRetain   = 0x01 // PUBLISH
	flagReserved = 0x02 // PUBREL, SUBSCRIBE, UNSUBSCRIBE carry 0010
	flagQoS      = 0x06 // PUBLISH, two bits
	flagDup      = 0x08 // PUBLISH; in 3.1 also PUBREL, SUBSCRIBE, UNSUBSCRIBE
)

// Header is the fixed header of a packet (MQTT 5.0 §2.1.1).
type Header struct {
	Type      Type
	Flags     byte // low half of the first byte
	Remaining int  // bytes that follow the fixed header, at most MaxRemaining
}

// Size is the length of the whole packet in bytes, fixed header included:
// what Maximum Packet Size counts (MQTT 5.0 §3.1.2.11.4).
func (h Header) Size() int { return frameSize(h.Remaining) }

// ReadHeader reads the fixed header at the beginning of b and returns it with
// its length n. n is zero, without error, while b is too short to tell. It
// refuses what is wrong in every version: type 0, illegal flags, a remaining
// length of more than four bytes or not in its shortest form. Header.Check
// knows the rest.
func ReadHeader(b []byte) (h Header, n int, err error) {
	if len(b) == 0 {
		return Header{}, 0, nil
	}
	h = Header{Type: Type(b[0] >> 4), Flags: b[0] & 0x0f}
	if e := h.checkFlags(); e != nil {
		return Header{}, 0, e
	}
	length, k, e := readVarint(b[1:])
	if e != nil {
		return Header{}, 0, e
	}
	if k == 0 {
		return Header{}, 0, nil
	}
	h.Remaining = length
	return h, 1 + k, nil
}

// checkFlags refuses the flags that no version allows (MQTT 5.0 §2.1.3). PUBREL
// with 0000, and the DUP bit outside PUBLISH, pass here: MQTT 3.1 has them.
func (h Header) checkFlags() *Error {
	switch h.Type {
	case 0:
		return malformed("reserved packet type")
	case TypePublish:
		return checkPublishFlags(h.Flags)
	case TypePubrel:
		if h.Flags&^flagDup != flagReserved && h.Flags != 0 {
			return malformed("illegal flags")
		}
	case TypeSubscribe, TypeUnsubscribe:
		if h.Flags&^flagDup != flagReserved {
			return malformed("illegal flags")
		}
	default:
		if h.Flags != 0 {
			return malformed("illegal flags")
		}
	}
	return nil
}

// Check refuses what the version of the connection or the limits forbid, and
// needs no body: so a packet that is too long is refused before it is
// buffered. v is zero before CONNECT: then any other packet is refused
// (MQTT-3.1.0-1). lim may be nil. Decode repeats the check.
func (h Header) Check(v Version, lim *Limits) error {
	if e := h.check(v, lim); e != nil {
		return e
	}
	return nil
}

func (h Header) check(v Version, lim *Limits) *Error {
	if limit := lim.packetSize(); limit > 0 && h.Size() > limit {
		return &Error{Reason: PacketTooLarge, Kind: "packet above the maximum size"}
	}
	if h.Remaining < 0 || h.Remaining > MaxRemaining {
		return malformed("remaining length out of range")
	}
	if e := h.checkFlags(); e != nil {
		return e
	}
	if h.Type == TypeConnect {
		return nil
	}
	if !v.Valid() {
		return protocolError("first packet is not CONNECT")
	}
	if h.Type == TypeAuth && v < V5 {
		return malformed("reserved packet type")
	}
	if v != V31 && h.Type != TypePublish && h.Flags != fixedFlags(h.Type) {
		return malformed("illegal flags")
	}
	if n, fixed := fixedRemaining(h.Type, v); fixed && h.Remaining != n {
		return malformed("wrong remaining length")
	}
	return nil
}

// fixedFlags are the flags of every packet but PUBLISH (MQTT 5.0 §2.1.3).
func fixedFlags(t Type) byte {
	switch t {
	case TypePubrel, TypeSubscribe, TypeUnsubscribe:
		return flagReserved
	}
	return 0
}

// fixedRemaining is the remaining length of the packets that have only one.
func fixedRemaining(t Type, v Version) (n int, fixed bool) {
	switch t {
	case TypePingreq, TypePingresp:
		return 0, true
	case TypeDisconnect:
		return 0, v < V5
	case TypeConnack, TypePuback, TypePubrec, TypePubrel, TypePubcomp, TypeUnsuback:
		return 2, v < V5
	}
	return 0, false
}
