package gatewaymqtt

import (
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/transport"
)

// encoder is what one delivery needs to be encoded; it is reused.
type encoder struct {
	frame packet.Frame
	props packet.Properties
	d     packet.Delivery
	err   error
	write func(dst []byte) []byte // append, made once so that passing it allocates nothing
}

func newEncoder() *encoder {
	e := new(encoder)
	e.write = e.append
	return e
}

func (e *encoder) append(dst []byte) []byte {
	dst, e.err = e.frame.AppendTo(dst, &e.d)
	return dst
}

// reset forgets everything but the memory.
func (e *encoder) reset() {
	e.frame.Release()
	e.props = packet.Properties{User: e.props.User[:0]}
	e.d, e.err = packet.Delivery{}, nil
}

// load prepares a delivery for a version; false if it cannot be expressed, or if its time is over. What was sent before goes on all the same
// (MQTT-4.3.3-7), with nothing left of its interval.
func (e *encoder) load(d *edge.Delivery, v packet.Version) bool {
	e.d = packet.Delivery{QoS: byte(d.QoS), ID: d.PacketID, Dup: d.Dup, Retain: d.Retain}
	var props *packet.Properties
	if v >= packet.V5 {
		e.d.SubscriptionIDs = d.SubIDs
		if at := d.Msg.Expires; !at.IsZero() {
			left := time.Until(at)
			if left <= 0 && !d.Dup {
				return false
			}
			e.d.MessageExpiry = packet.Some(seconds(max(left, 0))) // MQTT-3.3.2-6
		}
		if d.Msg.Props != nil {
			e.loadProps(d.Msg.Props)
			props = &e.props
		}
	}
	return e.frame.Reset(v, d.Topic, props, d.Msg.Payload) == nil
}

// loadProps is propsOf the other way round.
func (e *encoder) loadProps(p *broker.Properties) {
	if p.PayloadUTF8 {
		e.props.PayloadFormat = packet.Some(byte(1))
	}
	if p.ContentType != "" {
		e.props.ContentType = packet.Some(p.ContentType)
	}
	if p.ResponseTopic != "" {
		e.props.ResponseTopic = packet.Some(p.ResponseTopic)
	}
	if p.CorrelationData != nil {
		e.props.CorrelationData = packet.Some(p.CorrelationData)
	}
	for _, u := range p.User {
		e.props.User = append(e.props.User, packet.UserProperty{Name: u.Key, Value: u.Value})
	}
}

// propsOf copies the properties that travel with a message out of the input buffer (§3.3.2.3); nil if there are none.
func propsOf(p *packet.Properties) *broker.Properties {
	if !p.PayloadFormat.Present && !p.ContentType.Present && !p.ResponseTopic.Present && !p.CorrelationData.Present && len(p.User) == 0 {
		return nil
	}
	out := &broker.Properties{
		PayloadUTF8: p.PayloadFormat.Value == 1, ContentType: p.ContentType.Value, ResponseTopic: p.ResponseTopic.Value,
	}
	if p.CorrelationData.Present {
		out.CorrelationData = append([]byte{}, p.CorrelationData.Value...)
	}
	for _, u := range p.User {
		out.User = append(out.User, broker.UserProperty{Key: u.Name, Value: u.Value})
	}
	return out
}

// Deliver implements edge.Device: it sends a PUBLISH.
func (c *conn) Deliver(d *edge.Delivery) edge.Outcome {
	if c.state != open {
		return edge.Sent // lost with the connection, like all that was sent and not read
	}
	e := c.gw.encoders.Get().(*encoder)
	defer c.gw.encoders.Put(e)
	defer e.reset()
	if !e.load(d, c.version) {
		return edge.Refused
	}
	isNew := c.alias(d.Topic, &e.d)
	size := e.frame.Size(&e.d)
	if c.maxOut > 0 && size > int(c.maxOut) {
		return edge.Refused
	}
	c.tc.AppendFrom(e.write)
	if e.err != nil {
		return edge.Refused
	}
	if isNew {
		c.five.aliasOut[d.Topic] = e.d.TopicAlias.Value
	}
	c.countSent(packet.TypePublish, size)
	if !c.tc.Writable() {
		c.slow()
		return edge.SentFull
	}
	return edge.Sent
}

// alias uses a topic alias if the client allows one (§3.1.2.11.5): topics get theirs in the order in which they come, until there are no more. It reports
// whether the alias is used for the first time; the caller remembers it once the packet is on its way.
func (c *conn) alias(topic string, d *packet.Delivery) (isNew bool) {
	f := c.five
	if f == nil || f.outMax == 0 {
		return false
	}
	if a, known := f.aliasOut[topic]; known {
		d.TopicAlias, d.OmitTopic = packet.Some(a), true
		return false
	}
	if len(f.aliasOut) >= f.outMax {
		return false
	}
	if f.aliasOut == nil {
		f.aliasOut = map[string]uint16{}
	}
	d.TopicAlias = packet.Some(uint16(len(f.aliasOut) + 1))
	return true
}

// Release implements edge.Device: it sends PUBREL.
func (c *conn) Release(packetID uint16) {
	c.sendAck(&packet.Ack{Type: packet.TypePubrel, ID: packetID})
}

// Hold implements edge.Device.
func (c *conn) Hold(on bool) {
	if on {
		c.hold(holdEdge)
	} else {
		c.resume(holdEdge)
	}
}

// Kick implements edge.Device: it says why with MQTT 5.0, and closes.
func (c *conn) Kick(k edge.Kick) {
	code, text := kickCode(k.Code), ""
	if k.Reason != k.Code.String() {
		text = k.Reason
	}
	c.end(code, code, text, transport.Reason(k.Code.String()))
}

// Post implements edge.Device.
func (c *conn) Post(fn func()) bool { return c.tc.Post(fn) }

// Pending implements edge.Device.
func (c *conn) Pending() int { return c.tc.Pending() }
