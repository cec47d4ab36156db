package packet

import "encoding/binary"

// Suback answers Subscribe (MQTT 5.0 §3.9).
//
//	+---------------------------+
//	| packet identifier         |  2 bytes
//	| v5: properties            |
//	| reason code               |  1 byte per topic filter, in their order
//	+---------------------------+
//
// Below 5.0 a reason is the granted QoS or 0x80: AppendTo writes 0x80 for
// every failure.
type Suback struct {
	ID         uint16
	Properties Properties   // 5.0
	Reasons    []ReasonCode // not empty
}

// PacketType is TypeSuback.
func (s *Suback) PacketType() Type { return TypeSuback }

func decodeSuback(r *reader, v Version, lim *Limits) (*Suback, error) {
	s := &Suback{ID: r.id()}
	if v >= V5 {
		s.Properties.decode(r, TypeSuback, lim)
	}
	s.Reasons = decodeReasons(r, TypeSuback, lim)
	if v < V5 {
		for _, c := range s.Reasons {
			if c != c.subackV3() {
				r.fail(malformed("reserved return code")) // MQTT-3.9.3-2 of 3.1.1
			}
		}
	}
	return s, r.end()
}

// decodeReasons reads the payload of SUBACK and UNSUBACK.
func decodeReasons(r *reader, t Type, lim *Limits) []ReasonCode {
	b := r.take(r.left())
	switch {
	case r.err != nil:
		return nil
	case len(b) == 0:
		r.fail(protocolError("no reason code"))
		return nil
	case len(b) > lim.filters():
		r.fail(tooManyFilters())
		return nil
	}
	codes := make([]ReasonCode, len(b))
	for i, c := range b {
		codes[i] = ReasonCode(c)
		if e := checkReason(codes[i], t); e != nil {
			r.fail(e)
			return nil
		}
	}
	return codes
}

// checkReasons refuses an empty list and codes of other packets.
func checkReasons(codes []ReasonCode, t Type) *Error {
	if len(codes) == 0 {
		return protocolError("no reason code")
	}
	for _, c := range codes {
		if e := checkReason(c, t); e != nil {
			return e
		}
	}
	return nil
}

// Size is the length of the packet.
func (s *Suback) Size(v Version) int {
	return frameSize(2 + s.Properties.measure(v, TypeSuback).len() + len(s.Reasons))
}

// AppendTo appends the packet.
func (s *Suback) AppendTo(dst []byte, v Version) ([]byte, error) {
	b := s.Properties.measure(v, TypeSuback)
	out, err := seal(dst, TypeSuback, 2+b.len()+len(s.Reasons), s.verify(b))
	if err != nil {
		return dst, err
	}
	out = binary.BigEndian.AppendUint16(out, s.ID)
	out = s.Properties.append(out, b)
	for _, c := range s.Reasons {
		if v < V5 {
			c = c.subackV3()
		}
		out = append(out, byte(c))
	}
	return out, nil
}

func (s *Suback) verify(b block) *Error {
	if e := checkID(s.ID); e != nil {
		return e
	}
	if e := checkReasons(s.Reasons, TypeSuback); e != nil || !b.on {
		return e
	}
	return s.Properties.verify(b, TypeSuback)
}
