package packet

import "encoding/binary"

func (c *Connect) flags() byte {
	f := flag(c.CleanStart, connectClean) | flag(c.Password.Present, connectPassword) |
		flag(c.Username.Present, connectUsername)
	if c.Will != nil {
		f |= connectWill | c.Will.QoS<<connectWillShift | flag(c.Will.Retain, connectWillRetain)
	}
	return f
}

// version is the one to write: that of the packet, or if it has none that of
// the caller.
func (c *Connect) version(v Version) Version {
	if c.Version != 0 {
		return c.Version
	}
	return v
}

// blocks measures the properties and those of the will.
func (c *Connect) blocks(v Version) (own, will block) {
	own = c.Properties.measure(v, TypeConnect)
	if c.Will != nil {
		will = c.Will.Properties.measure(v, typeWill)
	}
	return own, will
}

func (c *Connect) remaining(v Version, own, will block) int {
	n := 2 + len(v.protocolName()) + 4 + own.len() + 2 + len(c.ClientID)
	if c.Will != nil {
		n += will.len() + 2 + len(c.Will.Topic) + 2 + len(c.Will.Payload)
	}
	if c.Username.Present {
		n += 2 + len(c.Username.Value)
	}
	if c.Password.Present {
		n += 2 + len(c.Password.Value)
	}
	return n
}

// Size is the length of the packet. Like AppendTo it goes by c.Version, and by
// v only if that is zero.
func (c *Connect) Size(v Version) int {
	v = c.version(v)
	own, will := c.blocks(v)
	return frameSize(c.remaining(v, own, will))
}

// AppendTo appends the packet in version c.Version, or v if that is zero.
func (c *Connect) AppendTo(dst []byte, v Version) ([]byte, error) {
	v = c.version(v)
	own, will := c.blocks(v)
	out, err := seal(dst, TypeConnect, c.remaining(v, own, will), c.verify(v, own, will))
	if err != nil {
		return dst, err
	}
	out = appendField(out, v.protocolName())
	out = append(out, byte(v)|flag(c.Bridge, bridgeBit), c.flags())
	out = binary.BigEndian.AppendUint16(out, c.KeepAlive)
	out = c.Properties.append(out, own)
	out = appendField(out, c.ClientID)
	if w := c.Will; w != nil {
		out = w.Properties.append(out, will)
		out = appendField(out, w.Topic)
		out = appendField(out, w.Payload)
	}
	if c.Username.Present {
		out = appendField(out, c.Username.Value)
	}
	if c.Password.Present {
		out = appendField(out, c.Password.Value)
	}
	return out, nil
}

func (c *Connect) verify(v Version, own, will block) *Error {
	if !v.Valid() || c.Bridge && v == V5 {
		return &Error{Reason: UnsupportedVersion, Kind: "unknown protocol name or level"}
	}
	if c.Will != nil && c.Will.QoS > 2 {
		return malformed("will QoS 3")
	}
	if e := checkConnectFlags(c.flags(), v); e != nil {
		return e
	}
	if len(c.ClientID) > maxField || len(c.Username.Value) > maxField || len(c.Password.Value) > maxField {
		return malformed("field longer than 65535 bytes")
	}
	if e := c.Properties.verify(own, TypeConnect); e != nil || c.Will == nil {
		return e
	}
	return c.Will.verify(v, will)
}

func (w *Will) verify(v Version, b block) *Error {
	if len(w.Topic) > maxField || len(w.Payload) > maxField {
		return malformed("field longer than 65535 bytes")
	}
	if e := checkWillTopic([]byte(w.Topic), v); e != nil {
		return e
	}
	return w.Properties.verify(b, typeWill)
}
