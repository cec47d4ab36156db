package gatewaymqtt

import (
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
)

// publish handles PUBLISH (MQTT 5.0 §3.3).
func (c *conn) publish(h packet.Header, body []byte, limits *packet.Limits) error {
	var p packet.Publish
	if err := packet.DecodePublish(h, body, c.version, limits, &p); err != nil {
		return err
	}
	if err := c.ln.cfg.Limits.refusePublish(&p); err != nil {
		return err
	}
	topic, err := c.topicOf(&p)
	if err != nil {
		return err
	}
	if err := c.window(&p); err != nil {
		return err
	}
	m := c.gw.edge.NewMessage(topic, p.Payload, broker.QoS(p.QoS), p.Retain)
	if c.five != nil {
		m.Props = propsOf(&p.Properties)
		if e := p.Properties.MessageExpiry; e.Present {
			m.Expires = time.Now().Add(time.Duration(e.Value) * time.Second)
		}
	}
	out := edge.Publish{Msg: m, PacketID: p.ID, Dup: p.Dup}
	if p.QoS > 0 {
		out.Done = c.published
	}
	c.link.Publish(out)
	return nil
}

// topicOf is the topic of a PUBLISH, with its alias resolved (§3.3.2.3.4).
func (c *conn) topicOf(p *packet.Publish) (string, error) {
	alias := p.Properties.TopicAlias
	switch {
	case len(p.Properties.SubscriptionIDs) > 0:
		return "", &packet.Error{Reason: packet.ProtocolError, Kind: "subscription identifier from a client"} // MQTT-3.3.4-6
	case !alias.Present:
		return c.intern(p.Topic), nil
	case int(alias.Value) > c.gw.cfg.TopicAliasMaximum:
		return "", &packet.Error{Reason: packet.TopicAliasInvalid, Kind: "topic alias above the maximum"} // MQTT-3.3.2-9
	case len(p.Topic) > 0:
		if c.five.aliasIn == nil {
			c.five.aliasIn = map[uint16]string{}
		}
		topic := c.intern(p.Topic)
		c.five.aliasIn[alias.Value] = topic
		return topic, nil
	}
	topic, known := c.five.aliasIn[alias.Value]
	if !known {
		return "", &packet.Error{Reason: packet.ProtocolError, Kind: "unknown topic alias"}
	}
	return topic, nil
}

// intern copies a topic out of the input buffer, unless it is the last one again.
func (c *conn) intern(topic []byte) string {
	if string(topic) != c.lastTopic {
		c.lastTopic = string(topic)
	}
	return c.lastTopic
}

// window counts a PUBLISH against the receive maximum (§3.3.4). A repeat of a QoS 2 packet id that is not released counts once.
func (c *conn) window(p *packet.Publish) error {
	f := c.five
	if f == nil || p.QoS == 0 {
		return nil
	}
	if p.QoS == 2 {
		if _, again := f.held[p.ID]; again {
			return nil
		}
	}
	if f.unacked >= c.gw.cfg.ReceiveMaximum {
		return &packet.Error{Reason: packet.ReceiveMaximumExceeded, Kind: "more unacknowledged messages than the receive maximum"}
	}
	f.unacked++
	if p.QoS == 2 {
		if f.held == nil {
			f.held = map[uint16]struct{}{}
		}
		f.held[p.ID] = struct{}{}
	}
	return nil
}

// release makes room in the receive maximum after the last packet of a QoS 2 exchange.
func (f *five) release(id uint16) {
	if f == nil {
		return
	}
	if _, held := f.held[id]; held {
		delete(f.held, id)
		f.unacked--
	}
}

// publishDone answers a PUBLISH.
func (c *conn) publishDone(r edge.PublishResult) {
	c.answerPublish(&r)
	if r.Disconnect {
		c.end(packet.NotAuthorized, packet.NotAuthorized, "", reasonPublish)
	}
}

// answerPublish sends PUBACK or PUBREC, or what the version has instead.
func (c *conn) answerPublish(r *edge.PublishResult) {
	a := packet.Ack{Type: packet.TypePuback, ID: r.PacketID}
	if r.QoS == 2 {
		a.Type = packet.TypePubrec
	}
	switch {
	case r.Err != nil:
		k := codesOf(broker.KindOf(r.Err))
		if c.five == nil && !c.answersOld(k.old) {
			return
		}
		a.Reason = k.publish
	case !r.Matched:
		a.Reason = packet.NoMatchingSubscriber
	}
	if c.five != nil {
		if r.QoS == 1 {
			c.five.unacked--
		} else if a.Reason.Failed() {
			c.five.release(r.PacketID)
		}
	}
	c.sendAck(&a)
}

// answersOld says whether a refused PUBLISH is acknowledged below 5.0, and closes if it is to be sent again.
func (c *conn) answersOld(o oldPublish) bool {
	if o == oldClose {
		c.close(reasonPublish)
	}
	return o == oldAnswer
}

// sendAck queues one of the four acknowledgements, without allocation.
func (c *conn) sendAck(a *packet.Ack) {
	b, err := a.AppendTo(c.buf[:0], c.version)
	if err != nil {
		c.gw.defect("an acknowledgement cannot be encoded", err)
		c.close(reasonOutput)
		return
	}
	if c.maxOut > 0 && len(b) > int(c.maxOut) {
		c.close(reasonOutput)
		return
	}
	c.write(b, a.Type)
}

// ack handles PUBACK, PUBREC, PUBREL and PUBCOMP (§3.4 to §3.7).
func (c *conn) ack(h packet.Header, body []byte, limits *packet.Limits) error {
	var a packet.Ack
	if err := packet.DecodeAck(h, body, c.version, limits, &a); err != nil {
		return err
	}
	switch a.Type {
	case packet.TypePuback:
		c.link.Ack(a.ID, broker.AckPuback, a.Reason.Failed())
	case packet.TypePubrec:
		if !c.link.Ack(a.ID, broker.AckPubrec, a.Reason.Failed()) && !a.Reason.Failed() {
			// The client holds a message that nobody here knows: it may let go of it (§4.13.1: 0x92).
			c.sendAck(&packet.Ack{Type: packet.TypePubrel, ID: a.ID, Reason: packet.PacketIDNotFound})
		}
	case packet.TypePubcomp:
		c.link.Ack(a.ID, broker.AckPubcomp, a.Reason.Failed())
	case packet.TypePubrel:
		if c.releasing == nil {
			c.releasing = c.released
		}
		c.link.Release(a.ID, c.releasing)
	}
	return nil
}

// released answers PUBREL. Without an answer of the suite there is none for the client, who repeats it when it comes back.
func (c *conn) released(id uint16, known bool, err error) {
	if err != nil {
		c.end(packet.ServerBusy, packet.ServerUnavailable, "", reasonRelease)
		return
	}
	c.five.release(id)
	a := packet.Ack{Type: packet.TypePubcomp, ID: id}
	if !known {
		a.Reason = packet.PacketIDNotFound
	}
	c.sendAck(&a)
}
