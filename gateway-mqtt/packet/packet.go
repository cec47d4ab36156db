package packet

// Packet is a control packet: *Connect, *Connack, *Publish, *Ack, *Subscribe,
// *Suback, *Unsubscribe, *Unsuback, *Pingreq, *Pingresp, *Disconnect or *Auth.
type Packet interface {
	// PacketType is the type on the wire.
	PacketType() Type
	// Size is the length in bytes of the packet as AppendTo writes it for v.
	Size(v Version) int
	// AppendTo appends the packet as v writes it. On an error, always an
	// *Error, dst is returned unchanged.
	AppendTo(dst []byte, v Version) ([]byte, error)
}

// Decode decodes the packet with header h. body begins after the fixed header
// and holds at least h.Remaining bytes; what follows those is not looked at.
// v is the version of the connection, zero before CONNECT, and is ignored for
// CONNECT itself; lim may be nil. Every []byte of the packet aliases body,
// strings are copies. An error is always an *Error.
func Decode(h Header, body []byte, v Version, lim *Limits) (Packet, error) {
	r, e := open(h, body, v, lim)
	if e != nil {
		return nil, e
	}
	p, err := decode(&r, h, v, lim)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// open checks the header and gives a reader for exactly the body.
func open(h Header, body []byte, v Version, lim *Limits) (reader, *Error) {
	if e := h.check(v, lim); e != nil {
		return reader{}, e
	}
	if len(body) < h.Remaining {
		return reader{}, malformed("packet ends inside a field")
	}
	return reader{b: body[:h.Remaining:h.Remaining]}, nil
}

func decode(r *reader, h Header, v Version, lim *Limits) (Packet, error) {
	switch h.Type {
	case TypeConnect:
		return decodeConnect(r, lim)
	case TypeConnack:
		return decodeConnack(r, v, lim)
	case TypePublish:
		p := new(Publish)
		return p, p.decode(r, h, v, lim)
	case TypePuback, TypePubrec, TypePubrel, TypePubcomp:
		a := new(Ack)
		return a, a.decode(r, h, v, lim)
	case TypeSubscribe:
		return decodeSubscribe(r, v, lim)
	case TypeSuback:
		return decodeSuback(r, v, lim)
	case TypeUnsubscribe:
		return decodeUnsubscribe(r, v, lim)
	case TypeUnsuback:
		return decodeUnsuback(r, v, lim)
	case TypePingreq:
		return new(Pingreq), nil
	case TypePingresp:
		return new(Pingresp), nil
	case TypeDisconnect:
		return decodeDisconnect(r, v, lim)
	case TypeAuth:
		return decodeAuth(r, lim)
	}
	return nil, malformed("reserved packet type")
}

// seal decides on an encoding: it returns e, or refuses a remaining length that
// is out of range, or else appends the fixed header.
func seal(dst []byte, t Type, remaining int, e *Error) ([]byte, error) {
	if e == nil {
		e = checkRemaining(remaining)
	}
	if e != nil {
		return dst, e
	}
	return appendHeader(dst, t, fixedFlags(t), remaining), nil
}

// checkID refuses packet identifier 0 (MQTT 5.0 §2.2.1).
func checkID(id uint16) *Error {
	if id == 0 {
		return protocolError("packet identifier 0")
	}
	return nil
}

// checkReason refuses a reason code that is not for packets of type t.
func checkReason(r ReasonCode, t Type) *Error {
	if !r.AllowedIn(t) {
		return protocolError("reason code not allowed in this packet")
	}
	return nil
}
