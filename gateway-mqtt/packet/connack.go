package packet

// Connack answers CONNECT (MQTT 5.0 §3.2).
//
//	+---------------------------+
//	| 0 0 0 0 0 0 0 | SP        |  session present; reserved in 3.1
//	| reason code               |  below v5: return code, 0 to 5
//	| v5: properties            |
//	+---------------------------+
//
// Reason is a code of 5.0 in every version: AppendTo writes its ReturnCode
// for 3.1 and 3.1.1, and decoders translate back.
type Connack struct {
	SessionPresent bool // only with Success
	Reason         ReasonCode
	Properties     Properties // 5.0
}

// PacketType is TypeConnack.
func (c *Connack) PacketType() Type { return TypeConnack }

func decodeConnack(r *reader, v Version, lim *Limits) (*Connack, error) {
	flags, code := r.u8(), r.u8()
	if v == V31 {
		flags = 0 // reserved for topic name compression, never used
	}
	if flags > 1 {
		r.fail(malformed("reserved connect acknowledge flags")) // MQTT-3.2.2-1
	}
	c := &Connack{SessionPresent: flags == 1, Reason: ReasonCode(code)}
	if v >= V5 {
		if e := checkReason(c.Reason, TypeConnack); e != nil {
			r.fail(e)
		}
		c.Properties.decode(r, TypeConnack, lim)
	} else {
		if code > byte(RefusedAuthority) {
			r.fail(malformed("reserved return code"))
		}
		c.Reason = ReturnCode(code).Reason()
	}
	if c.SessionPresent && c.Reason != Success {
		r.fail(protocolError("session present in a refusal")) // MQTT-3.2.2-6
	}
	return c, r.end()
}

// Size is the length of the packet.
func (c *Connack) Size(v Version) int {
	return frameSize(2 + c.Properties.measure(v, TypeConnack).len())
}

// AppendTo appends the packet.
func (c *Connack) AppendTo(dst []byte, v Version) ([]byte, error) {
	b := c.Properties.measure(v, TypeConnack)
	out, err := seal(dst, TypeConnack, 2+b.len(), c.verify(b))
	if err != nil {
		return dst, err
	}
	code := byte(c.Reason)
	if v < V5 {
		code = byte(c.Reason.ReturnCode())
	}
	out = append(out, flag(c.SessionPresent && v != V31, 1), code)
	return c.Properties.append(out, b), nil
}

func (c *Connack) verify(b block) *Error {
	if c.SessionPresent && c.Reason != Success {
		return protocolError("session present in a refusal")
	}
	if !b.on {
		return nil
	}
	if e := checkReason(c.Reason, TypeConnack); e != nil {
		return e
	}
	return c.Properties.verify(b, TypeConnack)
}
