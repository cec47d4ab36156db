package edge

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/hook"
)

// flight is one message with a packet id that is under way on this connection (rule R5). For persistent sessions it stays until the session partition has
// answered what the client said; then its owner, or the next one, knows.
type flight struct {
	index    uint64
	qos      broker.QoS
	sent     bool // given to the device
	received bool // PUBREC came
	recorded bool // the session partition answered the PUBREC
	released bool // PUBREL was asked for
	answered bool // the client has no more to say
	at       int64
	msg      *broker.Message // kept if somebody will ask for it: message.acked, repeats
	retain   bool
	subIDs   []uint32
}

// track notes a message. Called with the lock held.
func (c *Conn) track(id uint16, f flight) {
	if c.inflight == nil {
		c.inflight = make(map[uint16]flight)
	}
	c.inflight[id] = f
}

// mark changes an entry, if it is there. Called with the lock held.
func (c *Conn) mark(id uint16, fn func(*flight)) {
	if f, ok := c.inflight[id]; ok {
		fn(&f)
		c.inflight[id] = f
	}
}

// sent notes that a message is about to go to the device.
func (c *Conn) sent(o *outgoing) {
	if o.PacketID == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mark(o.PacketID, func(f *flight) {
		f.sent = true
		if c.resend || !c.e.hooks.MessageAcked.Empty() {
			f.msg, f.retain, f.subIDs, f.at = o.Msg, o.Retain, o.SubIDs, c.e.now().UnixMilli()
		}
	})
}

// forgetFlight ends an entry if it still is that of index.
func (c *Conn) forgetFlight(id uint16, index uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f, ok := c.inflight[id]; ok && f.index == index {
		delete(c.inflight, id)
		if len(c.inflight) == 0 {
			c.inflight = nil
		}
	}
}

// Ack handles PUBACK, PUBREC and PUBCOMP. failed is a reason code of 0x80 or above. It returns false for a packet id that waits for no such answer. After a
// PUBREC that did not fail, PUBREL follows by Device.Release, for a repeated one too.
func (c *Conn) Ack(packetID uint16, kind broker.AckKind, failed bool) (known bool) {
	f, ok := c.answerOf(packetID, kind, failed)
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
	if f.msg != nil && kind != broker.AckPubcomp && !failed {
		c.e.hooks.MessageAcked.Run(c.id, f.msg, func(*broker.Message, hook.Result) {})
	}
	return true
}

// answerOf checks an answer against the table, notes it there, and returns the entry as it was before.
func (c *Conn) answerOf(id uint16, kind broker.AckKind, failed bool) (was flight, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.inflight[id]
	if !ok || f.answered || !f.sent {
		return f, false
	}
	was = f
	switch {
	case kind == broker.AckPuback && f.qos == 1:
		f.answered = true
	case kind == broker.AckPubrec && f.qos == 2:
		if !f.received {
			f.received, f.answered = !failed, failed
		}
		f.msg = nil
	case kind == broker.AckPubcomp && f.qos == 2 && f.received:
		f.answered = true
	default:
		return f, false
	}
	c.inflight[id] = f
	return was, true
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
		c.mark(id, func(f *flight) { f.released, f.at = true, c.e.now().UnixMilli() })
	}
	if r.Done || !r.Known {
		delete(c.inflight, id)
		if len(c.inflight) == 0 {
			c.inflight = nil
		}
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
	c.part.send(r, func(*broker.SessionReply) {
		if last {
			c.forgetFlight(id, a.Index)
			return
		}
		c.mu.Lock()
		c.mark(id, func(f *flight) { f.recorded = true })
		c.mu.Unlock()
	})
}

// repeat sends unanswered messages again, for protocols that do so on a live connection.
func (c *Conn) repeat() {
	if !c.flowing() {
		return
	}
	now := c.e.now()
	due := now.Add(-c.e.cfg.Session.RetryInterval)
	for _, o := range c.unanswered(due, now) {
		if o.Op == broker.PushRelease {
			c.dev.Release(o.PacketID)
			continue
		}
		c.hand(&o)
	}
}

// unanswered lists what was sent before due and has no answer, in order.
func (c *Conn) unanswered(due, now time.Time) []outgoing {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []outgoing
	for id, f := range c.inflight {
		if !f.sent || f.answered || f.at == 0 || f.at > due.UnixMilli() || f.msg == nil && !f.released {
			continue
		}
		o := outgoing{Push: broker.Push{Op: broker.PushPublish, Index: f.index, PacketID: id, QoS: f.qos, Dup: true, Retain: f.retain, Msg: f.msg, SubIDs: f.subIDs}}
		if f.received {
			o.Op = broker.PushRelease
		}
		f.at = now.UnixMilli()
		c.inflight[id] = f
		list = append(list, o)
	}
	sortByIndex(list)
	return list
}
