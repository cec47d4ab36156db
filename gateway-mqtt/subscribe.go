package gatewaymqtt

import (
	"strings"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
)

// subscribe handles SUBSCRIBE (MQTT 5.0 §3.8).
func (c *conn) subscribe(p *packet.Subscribe) error {
	var sid uint32
	if ids := p.Properties.SubscriptionIDs; len(ids) > 0 {
		sid = ids[0]
	}
	subs := make([]broker.Subscription, len(p.Subscriptions))
	for i, s := range p.Subscriptions {
		subs[i] = broker.Subscription{
			Filter: s.Filter, QoS: broker.QoS(s.QoS), NoLocal: s.NoLocal, RetainAsPublished: s.RetainAsPublished, RetainHandling: s.RetainHandling, ID: sid,
		}
		if c.bridge {
			c.asBridge(&subs[i])
		}
	}
	c.subscribeAllowed(p.ID, subs)
	return nil
}

// asBridge gives the bridges of MQTT 3 what they mean by their bit: the retain flag is kept, and nothing comes back to them.
func (c *conn) asBridge(s *broker.Subscription) {
	s.RetainAsPublished = true
	s.NoLocal = !strings.HasPrefix(s.Filter, "$share/") && !strings.HasPrefix(s.Filter, "$queue/")
}

// subscribed sends SUBACK. Below 5.0 an invalid filter ends the connection (MQTT 3.1.1 §4.7, MQTT-4.8.0-1).
func (c *conn) subscribed(id uint16, rs []edge.SubscribeResult) {
	answer := &packet.Suback{ID: id, Reasons: make([]packet.ReasonCode, len(rs))}
	for i, r := range rs {
		switch {
		case r.Err == nil:
			answer.Reasons[i] = packet.ReasonCode(r.QoS)
		case c.five == nil && broker.KindOf(r.Err) == broker.KindInvalid:
			c.close(reasonFilter)
			return
		default:
			answer.Reasons[i] = subackCode(r.Err)
		}
	}
	c.send(answer)
}

// subackCode is the table's code, which must be a failure: in SUBACK the others mean a QoS.
func subackCode(err error) packet.ReasonCode {
	if n, ok := err.(*notGranted); ok {
		return n.code
	}
	if code := codesOf(broker.KindOf(err)).suback; code.Failed() {
		return code
	}
	return packet.UnspecifiedError
}

// unsubscribe handles UNSUBSCRIBE (§3.10).
func (c *conn) unsubscribe(p *packet.Unsubscribe) error {
	id := p.ID
	c.link.Unsubscribe(p.Filters, func(rs []edge.SubscribeResult) { c.unsubscribed(id, rs) })
	return nil
}

// unsubscribed sends UNSUBACK. Below 5.0 an invalid filter ends the connection, as with SUBSCRIBE.
func (c *conn) unsubscribed(id uint16, rs []edge.SubscribeResult) {
	answer := &packet.Unsuback{ID: id, Reasons: make([]packet.ReasonCode, len(rs))}
	for i, r := range rs {
		if c.five == nil && broker.KindOf(r.Err) == broker.KindInvalid {
			c.close(reasonFilter)
			return
		}
		if r.Err != nil {
			answer.Reasons[i] = unsubackCode(r.Err)
		}
	}
	c.send(answer)
}

// unsubackCode is the table's code, as far as UNSUBACK may carry it.
func unsubackCode(err error) packet.ReasonCode {
	if code := codesOf(broker.KindOf(err)).suback; code.AllowedIn(packet.TypeUnsuback) {
		return code
	}
	return packet.UnspecifiedError
}
