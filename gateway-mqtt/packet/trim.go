package packet

// annotated are the packets whose sender must leave out what explains them
// when they would not fit: all answers, DISCONNECT and AUTH.
type annotated interface {
	Packet
	annotations() *Properties
}

func (c *Connack) annotations() *Properties    { return &c.Properties }
func (a *Ack) annotations() *Properties        { return &a.Properties }
func (s *Suback) annotations() *Properties     { return &s.Properties }
func (u *Unsuback) annotations() *Properties   { return &u.Properties }
func (d *Disconnect) annotations() *Properties { return &d.Properties }
func (a *Auth) annotations() *Properties       { return &a.Properties }

// TrimTo makes p fit into the maximum packet size of its receiver, in bytes,
// 0 for none, and reports whether it does. From an answer, a DISCONNECT or an
// AUTH that is too large it drops first the user properties, then the reason
// string (MQTT-3.2.2-19, MQTT-3.2.2-20, and the like at each of them); other
// packets are left alone. A packet that does not fit must not be sent
// (MQTT-3.1.2-24).
func TrimTo(p Packet, v Version, limit uint32) bool {
	if fits(p, v, limit) {
		return true
	}
	a, ok := p.(annotated)
	if !ok {
		return false
	}
	props := a.annotations()
	props.User = nil
	if fits(p, v, limit) {
		return true
	}
	props.ReasonString = Opt[string]{}
	return fits(p, v, limit)
}

func fits(p Packet, v Version, limit uint32) bool {
	return limit == 0 || uint64(p.Size(v)) <= uint64(limit)
}
