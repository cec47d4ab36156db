package packet

import "encoding/binary"

// Frame is one message on its way to many receivers of one version: topic and
// properties are encoded once, and each receiver gets a copy with its own
// header, packet identifier, flags and the few properties that differ. The
// zero Frame is empty; Reset makes it ready and reuses its memory. AppendTo
// does not change a Frame, so goroutines may share one.
//
//	+------------------+
//	| header           |  of the receiver
//	| topic            |  shared, or empty with OmitTopic
//	| id               |  of the receiver, QoS 1 and 2
//	| v5: length       |  of the receiver
//	| v5: properties   |  of the receiver
//	| v5: properties   |  shared
//	| payload          |  shared, kept outside the Frame
//	+------------------+
type Frame struct {
	v       Version
	topic   int    // length of the encoded topic at the beginning of head
	head    []byte // topic, then shared properties without their length
	payload []byte
}

// Delivery is what differs between the receivers of a Frame. Everything but
// the first four fields needs MQTT 5.0 and is ignored below.
type Delivery struct {
	QoS    byte
	ID     uint16 // not 0 with QoS 1 and 2, ignored with QoS 0
	Dup    bool
	Retain bool

	// MessageExpiry is what is left of the message's life, in seconds.
	MessageExpiry Opt[uint32]
	// TopicAlias is the alias that the topic gets, or has if OmitTopic.
	TopicAlias Opt[uint16]
	// OmitTopic sends an empty topic; it needs TopicAlias.
	OmitTopic bool
	// SubscriptionIDs of the subscriptions that matched.
	SubscriptionIDs []uint32
}

// Reset makes f the frame of a message. The topic must be a topic name; props
// may be nil, and must hold none of the properties that Delivery has. payload
// is kept, not copied. After an error f is empty.
func (f *Frame) Reset(v Version, topic string, props *Properties, payload []byte) error {
	*f = Frame{v: v, head: f.head[:0]}
	if topic == "" {
		return badTopic(v, "empty topic name")
	}
	if e := checkField(topic); e != nil {
		return e
	}
	f.head = appendField(f.head, topic)
	if props != nil && v >= V5 {
		b := props.measure(v, TypePublish)
		if b.set&setDelivery != 0 {
			return malformed("property of one receiver in a shared frame")
		}
		if e := props.verify(b, TypePublish); e != nil {
			return e
		}
		f.head = props.appendSet(f.head, b.set)
	}
	f.topic, f.payload = 2+len(topic), payload
	return nil
}

// setDelivery are the properties of Delivery.
const setDelivery propSet = 1<<PropMessageExpiry | 1<<PropTopicAlias | 1<<PropSubscriptionID

// emptyTopic is a topic of length 0 on the wire.
const emptyTopic = "\x00\x00"

// layout is what a delivery adds up to.
type layout struct {
	own       int // bytes of the receiver's properties
	props     int // bytes of all properties
	remaining int
}

func (f *Frame) layout(d *Delivery) layout {
	l := layout{remaining: f.topic + len(f.payload)}
	if d.QoS > 0 {
		l.remaining += 2
	}
	if f.v < V5 {
		return l
	}
	if d.OmitTopic {
		l.remaining -= f.topic - len(emptyTopic)
	}
	if d.MessageExpiry.Present {
		l.own += 5
	}
	if d.TopicAlias.Present {
		l.own += 3
	}
	l.own += subscriptionIDsSize(d.SubscriptionIDs)
	l.props = l.own + len(f.head) - f.topic
	l.remaining += varintSize(l.props) + l.props
	return l
}

// Size is the length of the packet that AppendTo makes for d.
func (f *Frame) Size(d *Delivery) int { return frameSize(f.layout(d).remaining) }

// AppendTo appends the PUBLISH for one receiver, payload included, without
// allocation if dst has room. On an error dst is returned unchanged.
func (f *Frame) AppendTo(dst []byte, d *Delivery) ([]byte, error) {
	dst, err := f.AppendHeader(dst, d)
	if err != nil {
		return dst, err
	}
	return append(dst, f.payload...), nil
}

// AppendHeader is AppendTo without the payload, for writers that send it from
// where it lies.
func (f *Frame) AppendHeader(dst []byte, d *Delivery) ([]byte, error) {
	l := f.layout(d)
	if e := f.verify(d, l); e != nil {
		return dst, e
	}
	dst = appendHeader(dst, TypePublish, d.flags(), l.remaining)
	if d.OmitTopic && f.v >= V5 {
		dst = append(dst, emptyTopic...)
	} else {
		dst = append(dst, f.head[:f.topic]...)
	}
	if d.QoS > 0 {
		dst = binary.BigEndian.AppendUint16(dst, d.ID)
	}
	if f.v < V5 {
		return dst, nil
	}
	dst = appendVarint(dst, l.props)
	if l.own > 0 {
		dst = d.appendProps(dst)
	}
	return append(dst, f.head[f.topic:]...), nil
}

func (d *Delivery) appendProps(dst []byte) []byte {
	if d.MessageExpiry.Present {
		dst = binary.BigEndian.AppendUint32(append(dst, byte(PropMessageExpiry)), d.MessageExpiry.Value)
	}
	if d.TopicAlias.Present {
		dst = binary.BigEndian.AppendUint16(append(dst, byte(PropTopicAlias)), d.TopicAlias.Value)
	}
	return appendSubscriptionIDs(dst, d.SubscriptionIDs)
}

func (d *Delivery) flags() byte {
	return flag(d.Dup, flagDup) | flag(d.Retain, flagRetain) | d.QoS<<1&flagQoS
}

func (f *Frame) verify(d *Delivery, l layout) *Error {
	switch {
	case f.topic == 0:
		return malformed("empty frame")
	case d.QoS > 2:
		return malformed("QoS 3")
	case d.QoS > 0 && d.ID == 0:
		return checkID(d.ID)
	}
	if e := checkPublishFlags(d.flags()); e != nil {
		return e
	}
	if e := checkRemaining(l.remaining); e != nil || f.v < V5 {
		return e
	}
	switch {
	case d.TopicAlias.Present && d.TopicAlias.Value == 0:
		return &Error{Reason: TopicAliasInvalid, Kind: "topic alias 0"}
	case d.OmitTopic && !d.TopicAlias.Present:
		return protocolError("neither topic name nor topic alias")
	}
	return checkSubscriptionIDs(d.SubscriptionIDs)
}

// Release forgets the message and keeps the memory for the next Reset.
func (f *Frame) Release() { *f = Frame{head: f.head[:0]} }
