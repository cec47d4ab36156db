package edge

import (
	"cmp"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/route"
	"github.com/pando-mq/pando/services/topic"
)

// publishing is one publish on its way through the gate.
//
//	Publish ─ rate ─ held id? ─ topic ─ ACL ─ mount point ─ message.publish ─ $local ─ room ─ router
//	                                                                        └ room ─ session partition ─ $local (persistent QoS 2)
//
// Each step may answer, and ends it then.
type publishing struct {
	msg    *broker.Message
	id     uint16
	dup    bool
	size   int
	answer *answer // nil: nobody asks
	prefix string  // $delayed/<s>/
	inner  string  // topic without prefix and mount point
	local  bool    // a $local subscription took it
	kept   bool    // something refers to it beyond the call
}

// publishings are not in use.
var publishings = sync.Pool{New: func() any { return new(publishing) }}

// Batch begins a series of calls: what is published in it leaves together, and answers come at its end, which End is. Calls may do without.
func (c *Conn) Batch() {
	c.batch, c.began = batchOpen, c.e.now()
	if c.occupy() {
		c.batch = batchMine
	}
}

// End ends what Batch began.
func (c *Conn) End() {
	mine := c.batch == batchMine
	c.batch = batchNone
	c.gathered.Send()
	if c.partDue {
		c.partDue = false
		c.part.pump()
	}
	c.flushAnswers()
	c.vacate(mine)
}

// sendPart passes a request to the session partition, in a batch at its end.
func (c *Conn) sendPart(r broker.SessionRequest, done func(*broker.SessionReply)) {
	if c.batch == batchNone {
		c.part.send(r, done)
		return
	}
	c.partDue = c.part.queue(r, done) || c.partDue
}

// clock is the time, as it was at the beginning of a batch.
func (c *Conn) clock() time.Time {
	if c.batch != batchNone {
		return c.began
	}
	return c.e.now()
}

// batchState says whether calls come between Batch and End, and whether that keeps others from posting run.
type batchState uint8

const (
	batchNone batchState = iota
	batchOpen
	batchMine
)

// Publish handles an incoming message.
func (c *Conn) Publish(p Publish) {
	size := p.Msg.Size()
	q := publishings.Get().(*publishing)
	*q = publishing{msg: p.Msg, id: p.PacketID, dup: p.Dup, size: size}
	c.countReceived(p.Msg.QoS)
	if c.rate != nil {
		c.throttle(size, c.e.now())
	}
	if p.Done != nil {
		q.answer = c.expect(p.Msg.QoS, p.PacketID, size, p.Done)
	}
	if c.gate.closed() {
		q.kept = true
		c.enter(size, func() { c.publish(q) })
		return
	}
	if c.batch != batchNone {
		c.publish(q)
	} else {
		mine := c.occupy()
		c.publish(q)
		c.gathered.Send()
		c.flushAnswers()
		c.vacate(mine)
	}
	if !q.kept {
		q.msg, q.answer = nil, nil
		publishings.Put(q)
	}
}

// blockFor makes the packets behind q wait until unblock, and keeps q.
func (c *Conn) blockFor(q *publishing) {
	q.kept = true
	c.block()
}

func (c *Conn) countReceived(qos broker.QoS) {
	c.Stats.RecvMsgs.Add(1)
	n := &c.e.counters
	n.Inc(MessagesReceived)
	switch qos {
	case 0:
		n.Inc(MessagesQoS0Received)
	case 1:
		n.Inc(MessagesQoS1Received)
	default:
		n.Inc(MessagesQoS2Received)
	}
}

// publish does the steps up to the ACL.
func (c *Conn) publish(q *publishing) {
	m := q.msg
	if c.phase != phaseOpen || c.e.over() {
		q.answer.finish(PublishResult{Err: errStopped})
		return
	}
	if m.QoS > 2 {
		q.answer.finish(PublishResult{Err: broker.E(broker.KindInvalid, "quality of service", nil)})
		return
	}
	if c.holding {
		c.blockFor(q)
		c.parked = func() { c.publish(q) }
		return
	}
	if m.QoS == 2 && c.clean && c.held(q.id) {
		q.answer.finish(PublishResult{Repeated: true, Matched: true})
		return
	}
	if err := cmp.Or(c.e.checkName(m.Topic, len(c.mount)+len(m.Topic)), c.shallow(m.Topic)); err != nil {
		q.answer.finish(PublishResult{Err: err})
		return
	}
	q.prefix, q.inner = topic.SplitDelayed(m.Topic)
	if d, ok := c.cached(broker.ActionPublish, q.inner); ok {
		c.authorised(q, d.allow, nil)
		return
	}
	c.blockFor(q)
	c.ask(broker.ActionPublish, []string{q.inner}, func(ds []broker.Decision, err error) {
		c.unblock(func() { c.authorised(q, err == nil && ds[0].Allow, err) })
	})
}

// held reports whether a QoS 2 packet id of a clean session waits for PUBREL.
func (c *Conn) held(id uint16) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sess != nil && c.sess.Held(id)
}

// authorised goes on after the ACL: the message gets its final form, and the hooks see it.
func (c *Conn) authorised(q *publishing, allow bool, err error) {
	switch {
	case err != nil:
		q.answer.finish(PublishResult{Err: err})
		return
	case !allow:
		c.denied(q)
		return
	}
	m := q.msg
	now := c.clock()
	m.ID = c.e.ids.Next(now)
	m.Tenant, m.From, m.Username, m.Node = c.id.Tenant, c.id.ClientID, c.id.Username, c.e.deps.NodeName
	m.Published = now
	if c.mount != "" {
		m.Topic = q.prefix + c.mount + q.inner
	}
	points := &c.e.hooks.MessagePublish
	if points.Empty() {
		c.accepted(q)
		return
	}
	c.blockFor(q)
	out, r, ready := points.Run(c.id, m, func(out *broker.Message, r hook.Result) {
		c.post(func() { c.unblock(func() { c.hooked(q, out, r) }) })
	})
	if ready {
		c.gate.busy = false
		c.hooked(q, out, r)
	}
}

// denied answers a publish that the ACL refused.
func (c *Conn) denied(q *publishing) {
	c.e.metrics.deniedAction(broker.ActionPublish)
	leave := c.e.cfg.ACL.DenyAction == DenyDisconnect
	q.answer.finish(PublishResult{Err: broker.E(broker.KindDenied, "publish", nil), Disconnect: leave})
	if leave && q.answer == nil {
		c.end(KickDenied, KickDenied.String())
	}
}

// hooked goes on after message.publish.
func (c *Conn) hooked(q *publishing, m *broker.Message, r hook.Result) {
	switch r {
	case hook.Refused:
		q.answer.finish(PublishResult{Err: broker.E(broker.KindDenied, "a hook refused", nil)})
		return
	case hook.Stopped: // not routed, yet acknowledged
		if q.msg.QoS == 2 && c.clean && !c.hold2(q) {
			return
		}
		q.answer.finish(PublishResult{})
		return
	}
	if m == nil || c.e.checkName(m.Topic, len(m.Topic)) != nil {
		q.answer.finish(PublishResult{Err: broker.E(broker.KindInvalid, "a hook left no valid message", nil)})
		return
	}
	if m.QoS != q.msg.QoS { // the exchange with the client goes by what it sent
		fixed := *m
		fixed.QoS = q.msg.QoS
		m = &fixed
	}
	q.msg = m
	c.accepted(q)
}

// accepted sends a message on its way.
func (c *Conn) accepted(q *publishing) {
	if q.msg.QoS == 2 && c.clean && !c.hold2(q) {
		return
	}
	if q.msg.QoS == 2 && !c.clean {
		q.kept = true
		c.whenRoom(func() { c.publishHeld(q) })
		return
	}
	q.local = c.e.dispatchLocal(q.msg)
	c.route(q)
}

// hold2 takes a QoS 2 packet id of a clean session; false: answered, because too many are held.
func (c *Conn) hold2(q *publishing) bool {
	c.mu.Lock()
	if c.sess == nil {
		c.mu.Unlock()
		q.answer.finish(PublishResult{Err: errStopped})
		return false
	}
	_, err := c.sess.Receive2(q.id, c.e.now(), c.e.set.Load().MaxAwaitingRel)
	c.mu.Unlock()
	if err != nil {
		c.e.counters.Inc(MessagesQoS2Dropped)
		q.answer.finish(PublishResult{Err: err})
		return false
	}
	return true
}

var errRefused = broker.E(broker.KindQuota, "delayed publish", nil)

// route passes a message to the routers. When their queue is full QoS 0 is dropped, and anything else waits, with everything behind it.
func (c *Conn) route(q *publishing) {
	var done route.Waiter
	if q.answer != nil {
		q.answer.local = q.local
		done = q.answer
	}
	err := c.e.pub.Gather(&c.gathered, q.msg, done)
	switch {
	case err == nil:
		return
	case broker.KindOf(err) != broker.KindBusy:
		q.answer.finish(PublishResult{Err: err})
		return
	}
	waits := c.holds&holdRoom != 0
	c.hold(holdRoom, true)
	if q.msg.QoS == 0 {
		c.e.dropped(DropPressure, 1)
		if !waits {
			c.e.pub.NotifyRoom(func() { c.post(func() { c.hold(holdRoom, false) }) })
		}
		return
	}
	c.blockFor(q)
	c.e.pub.NotifyRoom(func() {
		c.post(func() {
			c.hold(holdRoom, false)
			c.unblock(func() { c.route(q) })
		})
	})
}

// publishHeld passes a QoS 2 message of a persistent session to its session partition, which answers when it is durable and routes it (rule R1). Only then do
// $local subscriptions get it, which the partition knows nothing of: unless it held the packet id already because the client repeats itself. It may also have
// held it because this gateway repeated an unanswered request (rule R3); then the client has not set DUP (MQTT-3.3.1-1).
func (c *Conn) publishHeld(q *publishing) {
	r := c.request(broker.OpPublish2)
	r.Publish2 = &broker.Publish2{PacketID: q.id, Msg: q.msg}
	c.sendPart(r, func(reply *broker.SessionReply) {
		if reply.Err != nil {
			if broker.KindOf(reply.Err) == broker.KindQuota {
				c.e.counters.Inc(MessagesQoS2Dropped)
			}
			q.answer.finish(PublishResult{Err: reply.Err})
			return
		}
		if !reply.Known || !q.dup {
			c.e.dispatchLocal(q.msg)
		}
		q.answer.finish(PublishResult{Matched: true, Repeated: reply.Known})
	})
}

// Release handles PUBREL. done, which may be the same for every call, is called with the packet id on the executor: send PUBCOMP, unless err says that it could not be made durable (the client repeats). known
// is false for an id that was not held.
func (c *Conn) Release(packetID uint16, done func(packetID uint16, known bool, err error)) {
	c.charge(waitingPacket)
	if c.gate.closed() {
		c.enter(waitingPacket, func() { c.release(packetID, done) })
		return
	}
	c.release(packetID, done)
}

func (c *Conn) release(packetID uint16, done func(uint16, bool, error)) {
	if c.clean {
		c.mu.Lock()
		known := c.sess != nil && c.sess.Release2(packetID)
		c.mu.Unlock()
		if !known {
			c.e.counters.Inc(PacketsPubrelMissed)
		}
		c.credit(waitingPacket)
		c.tell(func() { done(packetID, known, nil) })
		return
	}
	if c.part == nil {
		c.credit(waitingPacket)
		c.tell(func() { done(packetID, false, errStopped) })
		return
	}
	c.whenRoom(func() { c.releaseHeld(packetID, done) })
}

// releaseHeld passes a PUBREL to the session partition, which answers when it is durable.
func (c *Conn) releaseHeld(packetID uint16, done func(uint16, bool, error)) {
	r := c.request(broker.OpRelease)
	r.PacketID = packetID
	c.sendPart(r, func(reply *broker.SessionReply) {
		known, err := reply.Known, reply.Err
		c.post(func() {
			if !known && err == nil {
				c.e.counters.Inc(PacketsPubrelMissed)
			}
			c.credit(waitingPacket)
			c.tell(func() { done(packetID, known, err) })
		})
	})
}
