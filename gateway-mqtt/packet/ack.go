package packet

import "encoding/binary"

// Ack is one of the four acknowledgements of PUBLISH: PUBACK, PUBREC, PUBREL,
// PUBCOMP (MQTT 5.0 §3.4 to §3.7).
//
//	+---------------------------+
//	| packet identifier         |  2 bytes
//	| v5: reason code           |  may be missing: success
//	| v5: properties            |  may be missing: none
//	+---------------------------+
type Ack struct {
	Type       Type // TypePuback, TypePubrec, TypePubrel or TypePubcomp
	ID         uint16
	Reason     ReasonCode // 5.0
	Properties Properties // 5.0
}

// PacketType is a.Type.
func (a *Ack) PacketType() Type { return a.Type }

// DecodeAck is Decode for the four acknowledgements, into a, which is
// overwritten. It allocates only for properties. On an error a holds nothing
// of use.
func DecodeAck(h Header, body []byte, v Version, lim *Limits, a *Ack) error {
	if !isAck(h.Type) {
		return malformed("packet of another type")
	}
	r, e := open(h, body, v, lim)
	if e != nil {
		return e
	}
	return a.decode(&r, h, v, lim)
}

func isAck(t Type) bool { return t >= TypePuback && t <= TypePubcomp }

func (a *Ack) decode(r *reader, h Header, v Version, lim *Limits) error {
	*a = Ack{Type: h.Type, ID: r.id()}
	if v >= V5 {
		a.Reason = decodeReason(r, &a.Properties, h.Type, lim)
	}
	return r.end()
}

// decodeReason reads the end of an acknowledgement, a DISCONNECT or an AUTH:
// a reason code and properties, each of which may be missing (§3.4.2.1,
// §3.4.2.2.1).
func decodeReason(r *reader, p *Properties, t Type, lim *Limits) ReasonCode {
	if r.left() == 0 {
		return Success
	}
	reason := ReasonCode(r.u8())
	if e := checkReason(reason, t); e != nil {
		r.fail(e)
	}
	if r.left() > 0 {
		p.decode(r, t, lim)
	}
	return reason
}

// reasonSize is the shortest form of what decodeReason reads.
func reasonSize(reason ReasonCode, b block) int {
	switch {
	case b.set != 0:
		return 1 + b.len()
	case b.on && reason != Success:
		return 1
	}
	return 0
}

func appendReason(dst []byte, reason ReasonCode, p *Properties, b block) []byte {
	switch {
	case b.set != 0:
		return p.append(append(dst, byte(reason)), b)
	case b.on && reason != Success:
		return append(dst, byte(reason))
	}
	return dst
}

// Size is the length of the packet.
func (a *Ack) Size(v Version) int {
	return frameSize(2 + reasonSize(a.Reason, a.Properties.measure(v, a.Type)))
}

// AppendTo appends the packet in its shortest form.
func (a *Ack) AppendTo(dst []byte, v Version) ([]byte, error) {
	b := a.Properties.measure(v, a.Type)
	out, err := seal(dst, a.Type, 2+reasonSize(a.Reason, b), a.verify(b))
	if err != nil {
		return dst, err
	}
	out = binary.BigEndian.AppendUint16(out, a.ID)
	return appendReason(out, a.Reason, &a.Properties, b), nil
}

func (a *Ack) verify(b block) *Error {
	if !isAck(a.Type) {
		return malformed("packet of another type")
	}
	if e := checkID(a.ID); e != nil || !b.on {
		return e
	}
	if e := checkReason(a.Reason, a.Type); e != nil {
		return e
	}
	return a.Properties.verify(b, a.Type)
}
