package edge

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/hook"
)

// sent notes that a message is about to go to the device.
func (c *Conn) sent(o *outgoing) {
	if o.PacketID == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.inflight.get(o.PacketID)
	if f == nil {
		return
	}
	f.sent = true
	if c.resend || !c.e.hooks.MessageAcked.Empty() {
		f.copy = &sentCopy{msg: o.Msg, retain: o.Retain, subIDs: o.SubIDs, at: c.e.now()}
	}
}

// forgetFlight ends an entry if it still is that of index.
func (c *Conn) forgetFlight(id uint16, index uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.inflight.get(id); f != nil && f.index == index {
		c.inflight.drop(id)
	}
}

// Ack handles PUBACK, PUBREC and PUBCOMP. failed is a reason code of 0x80 or above. It returns false for a packet id that waits for no such answer. After a
// PUBREC that did not fail, PUBREL follows by Device.Release, for a repeated one too.
func (c *Conn) Ack(packetID uint16, kind broker.AckKind, failed bool) (known bool) {
	f, msg, ok := c.answerOf(packetID, kind, failed)
	if !ok {
		c.missed(kind)
		return false
	}
	if kind == broker.AckPubrec && f.received { // a repeat
		if f.released {
			c.dev.Release(packetID)
		}
		return true
	}
	a := broker.ClientAck{Index: f.index, Kind: kind, Failed: failed}
	if c.clean {
		c.ackClean(packetID, a)
	} else {
		c.sendAck(packetID, a)
	}
	if msg != nil && kind != broker.AckPubcomp && !failed {
		c.e.hooks.MessageAcked.Run(c.id, msg, func(*broker.Message, hook.Result) {})
	}
	return true
}

// answerOf checks an answer against the table, notes it there, and returns the entry as it was before, with its message if that is kept.
func (c *Conn) answerOf(id uint16, kind broker.AckKind, failed bool) (was flight, msg *broker.Message, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.inflight.get(id)
	if f == nil || f.answered || !f.sent {
		return was, nil, false
	}
	was = *f
	if f.copy != nil {
		msg = f.copy.msg
	}
	switch {
	case kind == broker.AckPuback && f.qos == 1:
		f.answered = true
	case kind == broker.AckPubrec && f.qos == 2:
		if !f.received {
			f.received, f.answered = !failed, failed
		}
		if f.copy != nil {
			f.copy.msg, f.copy.subIDs = nil, nil
		}
	case kind == broker.AckPubcomp && f.qos == 2 && f.received:
		f.answered = true
	default:
		return was, nil, false
	}
	return was, msg, true
}

// missed counts an answer that nothing waits for.
func (c *Conn) missed(kind broker.AckKind) {
	switch kind {
	case broker.AckPuback:
		c.e.counters.Inc(PacketsPubackMissed)
	case broker.AckPubrec:
		c.e.counters.Inc(PacketsPubrecMissed)
	default:
		c.e.counters.Inc(PacketsPubcompMissed)
	}
}

// ackClean passes an answer to the session that is hosted here.
func (c *Conn) ackClean(id uint16, a broker.ClientAck) {
	c.mu.Lock()
	if c.sess == nil {
		c.mu.Unlock()
		return
	}
	r := c.sess.Ack(a, c.e.now())
	c.e.dropAll(c.sess.Dropped())
	if r.Release {
		c.released(id)
	}
	if r.Done || !r.Known {
		c.inflight.drop(id)
	}
	c.mu.Unlock()
	if r.Release {
		c.dev.Release(id)
	}
	c.flow()
}

// sendAck passes an answer to the session partition. The entry stays until that answered.
func (c *Conn) sendAck(id uint16, a broker.ClientAck) {
	last := a.Kind != broker.AckPubrec || a.Failed
	r := c.request(broker.OpAck)
	r.Ack = &a
	c.sendPart(r, func(*broker.SessionReply) {
		if last {
			c.forgetFlight(id, a.Index)
			return
		}
		c.mu.Lock()
		if f := c.inflight.get(id); f != nil {
			f.recorded = true
		}
		c.mu.Unlock()
	})
}

// released notes that PUBREL is about to go to the device. Called with the lock held.
func (c *Conn) released(id uint16) {
	f := c.inflight.get(id)
	if f == nil {
		return
	}
	f.sent, f.received, f.released = true, true, true
	if c.resend {
		f.copy = &sentCopy{at: c.e.now()}
	}
}

// repeat sends unanswered messages again, for protocols that do so on a live connection.
func (c *Conn) repeat() {
	if !c.flowing() {
		return
	}
	for _, o := range c.unanswered(c.e.now()) {
		if o.Op == broker.PushRelease {
			c.dev.Release(o.PacketID)
			continue
		}
		c.hand(&o)
	}
}

// unanswered lists what was sent a retry interval ago and has no answer, in order.
func (c *Conn) unanswered(now time.Time) []outgoing {
	every := c.e.set.Load().RetryInterval
	if every <= 0 { // it changed meanwhile
		return nil
	}
	due := now.Add(-every)
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []outgoing
	c.inflight.each(func(f *flight) {
		k := f.copy
		if !f.sent || f.answered || k == nil || k.at.After(due) || k.msg == nil && !f.released {
			return
		}
		k.at = now
		o := outgoing{Push: broker.Push{Op: broker.PushPublish, Index: f.index, PacketID: f.id, QoS: f.qos, Dup: true, Retain: k.retain, Msg: k.msg, SubIDs: k.subIDs}}
		if f.received {
			o.Op = broker.PushRelease
		}
		list = append(list, o)
	})
	sortByIndex(list)
	return list
}
