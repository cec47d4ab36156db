package packet

// Disconnect ends a connection (MQTT 5.0 §3.14). Below 5.0 only clients send
// it, and it has no body.
//
//	+---------------------------+
//	| v5: reason code           |  may be missing: normal disconnection
//	| v5: properties            |  may be missing: none
//	+---------------------------+
type Disconnect struct {
	Reason     ReasonCode // 5.0
	Properties Properties // 5.0
}

// PacketType is TypeDisconnect.
func (d *Disconnect) PacketType() Type { return TypeDisconnect }

func decodeDisconnect(r *reader, v Version, lim *Limits) (*Disconnect, error) {
	d := new(Disconnect)
	if v >= V5 {
		d.Reason = decodeReason(r, &d.Properties, TypeDisconnect, lim)
	}
	return d, r.end()
}

// Size is the length of the packet.
func (d *Disconnect) Size(v Version) int {
	return frameSize(reasonSize(d.Reason, d.Properties.measure(v, TypeDisconnect)))
}

// AppendTo appends the packet in its shortest form.
func (d *Disconnect) AppendTo(dst []byte, v Version) ([]byte, error) {
	b := d.Properties.measure(v, TypeDisconnect)
	out, err := seal(dst, TypeDisconnect, reasonSize(d.Reason, b), d.verify(b))
	if err != nil {
		return dst, err
	}
	return appendReason(out, d.Reason, &d.Properties, b), nil
}

func (d *Disconnect) verify(b block) *Error {
	if !b.on {
		return nil
	}
	if e := checkReason(d.Reason, TypeDisconnect); e != nil {
		return e
	}
	return d.Properties.verify(b, TypeDisconnect)
}
