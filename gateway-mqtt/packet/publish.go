package packet

import "encoding/binary"

// Publish transports an application message (MQTT 5.0 §3.3).
//
//	flags: DUP | QoS, 2 bits | RETAIN
//
//	+---------------------------+
//	| topic name                |  2 + n bytes
//	| packet identifier         |  2 bytes, only with QoS 1 and 2
//	| v5: properties            |
//	| payload                   |  the rest
//	+---------------------------+
type Publish struct {
	Dup        bool
	Retain     bool
	QoS        byte
	ID         uint16 // 0 with QoS 0
	Topic      []byte // aliases the input; empty only with a topic alias (5.0)
	Properties Properties
	Payload    []byte // aliases the input
}

// PacketType is TypePublish.
func (p *Publish) PacketType() Type { return TypePublish }

// PayloadValid reports whether the payload is what its payload format
// indicator says; a receiver may answer 0x99 if not (§3.3.2.3.2). Decoders do
// not look at payloads.
func (p *Publish) PayloadValid() bool {
	return validPayload(p.Properties.PayloadFormat, p.Payload)
}

// DecodePublish is Decode for a PUBLISH, into p, which is overwritten. It
// allocates only for the strings, user properties and subscription identifiers
// of MQTT 5.0 properties. On an error p holds nothing of use.
func DecodePublish(h Header, body []byte, v Version, lim *Limits, p *Publish) error {
	if h.Type != TypePublish {
		return malformed("packet of another type")
	}
	r, e := open(h, body, v, lim)
	if e != nil {
		return e
	}
	return p.decode(&r, h, v, lim)
}

func (p *Publish) decode(r *reader, h Header, v Version, lim *Limits) error {
	*p = Publish{
		Dup:    h.Flags&flagDup != 0,
		Retain: h.Flags&flagRetain != 0,
		QoS:    h.Flags & flagQoS >> 1,
		Topic:  r.text16(),
	}
	if p.QoS > 0 {
		p.ID = r.id()
	}
	if v >= V5 {
		p.Properties.decode(r, TypePublish, lim)
	}
	p.Payload = r.take(r.left())
	if r.err != nil {
		return r.err
	}
	if e := p.checkTopic(v); e != nil {
		return e
	}
	return nil
}

// checkTopic wants a topic name, or an alias that stands for it (§3.3.2.1).
func (p *Publish) checkTopic(v Version) *Error {
	switch {
	case len(p.Topic) > 0:
		if hasWildcard(p.Topic) {
			return badTopic(v, "wildcard in topic name") // MQTT-3.3.2-2
		}
	case v < V5:
		return malformed("empty topic name") // MQTT-4.7.3-1
	case !p.Properties.TopicAlias.Present:
		return protocolError("neither topic name nor topic alias")
	}
	return nil
}

// checkPublishFlags refuses QoS 3 (MQTT-3.3.1-4) and DUP with QoS 0
// (MQTT-3.3.1-2).
func checkPublishFlags(flags byte) *Error {
	switch qos := flags & flagQoS >> 1; {
	case qos == 3:
		return malformed("QoS 3")
	case qos == 0 && flags&flagDup != 0:
		return malformed("DUP with QoS 0")
	}
	return nil
}

func (p *Publish) flags() byte {
	return flag(p.Dup, flagDup) | flag(p.Retain, flagRetain) | p.QoS<<1&flagQoS
}

// remaining is the remaining length, without the payload.
func (p *Publish) remaining(b block) int {
	n := 2 + len(p.Topic) + b.len()
	if p.QoS > 0 {
		n += 2
	}
	return n
}

func (p *Publish) verify(v Version, b block) *Error {
	if p.QoS > 2 {
		return malformed("QoS 3")
	}
	if e := checkPublishFlags(p.flags()); e != nil {
		return e
	}
	if p.QoS > 0 && p.ID == 0 {
		return checkID(p.ID)
	}
	if e := checkField(p.Topic); e != nil {
		return e
	}
	if e := p.checkTopic(v); e != nil {
		return e
	}
	return p.Properties.verify(b, TypePublish)
}

// Size is the length of the packet.
func (p *Publish) Size(v Version) int {
	return frameSize(p.remaining(p.Properties.measure(v, TypePublish)) + len(p.Payload))
}

// AppendTo appends the packet, without allocation if dst has room.
func (p *Publish) AppendTo(dst []byte, v Version) ([]byte, error) {
	dst, err := p.AppendHeader(dst, v)
	if err != nil {
		return dst, err
	}
	return append(dst, p.Payload...), nil
}

// AppendHeader appends the packet up to its payload, for writers that send the
// payload from where it lies.
func (p *Publish) AppendHeader(dst []byte, v Version) ([]byte, error) {
	b := p.Properties.measure(v, TypePublish)
	remaining := p.remaining(b) + len(p.Payload)
	e := p.verify(v, b)
	if e == nil {
		e = checkRemaining(remaining)
	}
	if e != nil {
		return dst, e
	}
	dst = appendHeader(dst, TypePublish, p.flags(), remaining)
	dst = appendField(dst, p.Topic)
	if p.QoS > 0 {
		dst = binary.BigEndian.AppendUint16(dst, p.ID)
	}
	return p.Properties.append(dst, b), nil
}
