package packet

import "encoding/binary"

// Unsubscribe ends subscriptions (MQTT 5.0 §3.10).
//
//	+---------------------------+
//	| packet identifier         |  2 bytes
//	| v5: properties            |
//	| topic filter              |  2 + n bytes, once or more
//	+---------------------------+
type Unsubscribe struct {
	ID         uint16
	Properties Properties // 5.0
	Filters    []string   // not empty, nor any of them
}

// Unsuback answers Unsubscribe (§3.11).
//
//	+---------------------------+
//	| packet identifier         |  2 bytes
//	| v5: properties            |
//	| v5: reason code           |  1 byte per topic filter, in their order
//	+---------------------------+
type Unsuback struct {
	ID         uint16
	Properties Properties   // 5.0
	Reasons    []ReasonCode // 5.0: not empty
}

// PacketType is TypeUnsubscribe.
func (u *Unsubscribe) PacketType() Type { return TypeUnsubscribe }

func decodeUnsubscribe(r *reader, v Version, lim *Limits) (*Unsubscribe, error) {
	u := &Unsubscribe{ID: r.id()}
	if v >= V5 {
		u.Properties.decode(r, TypeUnsubscribe, lim)
	}
	for r.left() > 0 {
		if len(u.Filters) >= lim.filters() {
			r.fail(tooManyFilters())
			break
		}
		u.Filters = append(u.Filters, r.filter())
	}
	if len(u.Filters) == 0 {
		r.fail(protocolError("no topic filter")) // MQTT-3.10.3-2
	}
	return u, r.end()
}

func (u *Unsubscribe) remaining(b block) int {
	n := 2 + b.len()
	for _, f := range u.Filters {
		n += 2 + len(f)
	}
	return n
}

// Size is the length of the packet.
func (u *Unsubscribe) Size(v Version) int {
	return frameSize(u.remaining(u.Properties.measure(v, TypeUnsubscribe)))
}

// AppendTo appends the packet.
func (u *Unsubscribe) AppendTo(dst []byte, v Version) ([]byte, error) {
	b := u.Properties.measure(v, TypeUnsubscribe)
	out, err := seal(dst, TypeUnsubscribe, u.remaining(b), u.verify(b))
	if err != nil {
		return dst, err
	}
	out = binary.BigEndian.AppendUint16(out, u.ID)
	out = u.Properties.append(out, b)
	for _, f := range u.Filters {
		out = appendField(out, f)
	}
	return out, nil
}

func (u *Unsubscribe) verify(b block) *Error {
	if e := checkID(u.ID); e != nil {
		return e
	}
	if len(u.Filters) == 0 {
		return protocolError("no topic filter")
	}
	for _, f := range u.Filters {
		if e := checkFilter(f); e != nil {
			return e
		}
	}
	return u.Properties.verify(b, TypeUnsubscribe)
}

// PacketType is TypeUnsuback.
func (u *Unsuback) PacketType() Type { return TypeUnsuback }

func decodeUnsuback(r *reader, v Version, lim *Limits) (*Unsuback, error) {
	u := &Unsuback{ID: r.id()}
	if v >= V5 {
		u.Properties.decode(r, TypeUnsuback, lim)
		u.Reasons = decodeReasons(r, TypeUnsuback, lim)
	}
	return u, r.end()
}

// Size is the length of the packet.
func (u *Unsuback) Size(v Version) int {
	b := u.Properties.measure(v, TypeUnsuback)
	return frameSize(u.remaining(b))
}

func (u *Unsuback) remaining(b block) int {
	if !b.on {
		return 2
	}
	return 2 + b.len() + len(u.Reasons)
}

// AppendTo appends the packet; below 5.0 it has no reason codes.
func (u *Unsuback) AppendTo(dst []byte, v Version) ([]byte, error) {
	b := u.Properties.measure(v, TypeUnsuback)
	out, err := seal(dst, TypeUnsuback, u.remaining(b), u.verify(b))
	if err != nil {
		return dst, err
	}
	out = binary.BigEndian.AppendUint16(out, u.ID)
	if !b.on {
		return out, nil
	}
	out = u.Properties.append(out, b)
	for _, c := range u.Reasons {
		out = append(out, byte(c))
	}
	return out, nil
}

func (u *Unsuback) verify(b block) *Error {
	if e := checkID(u.ID); e != nil || !b.on {
		return e
	}
	if e := checkReasons(u.Reasons, TypeUnsuback); e != nil {
		return e
	}
	return u.Properties.verify(b, TypeUnsuback)
}
