package edge

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/topic"
)

// pumpBatch is how many messages go to a device before others get their turn.
const pumpBatch = 256

// outgoing is one step towards the client: a message, or a PUBREL.
type outgoing struct {
	broker.Push
	expired bool
	stage   stage
}

// stage is how far an outgoing message came.
type stage uint8

const (
	stageNew        stage = iota
	stageAuthorised       // promise 6 holds
	stageHooked           // message.delivered was run
)

// pump gives the device what waits, as long as it takes it.
//
//	clean: session.Next ─┐
//	                     ├─ expired? ─ authorised? ─ message.delivered ─ Device.Deliver
//	persistent: pushes  ─┘                 └──────────────┴─ may answer later: then everything behind waits
func (c *Conn) pump() {
	if !c.flowing() {
		return
	}
	now := c.e.now()
	for n := 0; c.flowing(); n++ {
		if n == pumpBatch {
			c.wake()
			return
		}
		var o outgoing
		if c.stash != nil {
			o = *c.stash
			c.stash = nil
		} else if !c.take(&o, now) {
			return
		}
		c.advance(&o)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sess != nil {
		c.sess.Pass(false)
	}
}

// flowing says that the device may be given something.
func (c *Conn) flowing() bool {
	return c.phase == phaseOpen && !c.ended && !c.full.Load() && !c.waiting && !c.e.over()
}

// take fetches the next thing to do.
func (c *Conn) take(o *outgoing, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sess == nil {
		return c.takePush(o, now)
	}
	out, ok := c.sess.Next(now, session.Volatile)
	c.e.dropAll(c.sess.Dropped())
	c.alarm()
	c.uncrowd()
	if !ok {
		c.sess.Pass(true)
		return false
	}
	o.Push, o.expired = out.Push, out.Expired
	if o.PacketID != 0 && o.Op == broker.PushPublish {
		c.inflight.put(flight{id: o.PacketID, index: o.Index, qos: o.QoS})
	}
	return true
}

// advance brings one outgoing message to the device, or stashes it to wait.
func (c *Conn) advance(o *outgoing) {
	if o.Op == broker.PushRelease {
		c.dev.Release(o.PacketID)
		return
	}
	if o.expired {
		c.drop(o, DropExpired)
		return
	}
	if o.stage < stageAuthorised && !c.authorise(o) {
		return
	}
	if o.stage < stageHooked && !c.runDelivered(o) {
		return
	}
	c.hand(o)
}

// authorise reports whether a message may go out now; otherwise it was dropped, or waits.
func (c *Conn) authorise(o *outgoing) bool {
	if c.id.Superuser {
		return true
	}
	if c.outdated() {
		c.keep(o)
		c.review()
		return false
	}
	allow, filters, names := c.granted(o)
	switch {
	case allow:
		return true
	case len(filters) == 0 && names == "":
		c.e.metrics.deniedDelivery()
		c.drop(o, DropDenied)
		return false
	}
	c.keep(o)
	c.askDelivery(filters, names)
	return false
}

// keep stashes a message.
func (c *Conn) keep(o *outgoing) {
	held := *o
	held.Msg = o.Msg.Own()
	c.stash = &held
}

// granted looks at what a message came by. If that does not decide, it names the filters, or the topic, to ask for.
func (c *Conn) granted(o *outgoing) (allow bool, filters []string, name string) {
	if o.Filters == nil || c.e.cfg.ACL.CheckDelivery == CheckTopic {
		name = topic.Unmount(c.mount, o.Msg.Topic)
		d, ok := c.cached(broker.ActionSubscribe, name)
		if ok {
			return d.allow, nil, ""
		}
		return false, nil, name
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range o.Filters {
		allow, known := c.decision(f)
		if allow {
			return true, nil, ""
		}
		if !known {
			filters = append(filters, f)
		}
	}
	return false, filters, ""
}

// askDelivery has a topic, or filters that are no subscriptions any more, decided, and goes on then.
func (c *Conn) askDelivery(filters []string, name string) {
	c.waiting = true
	topics := []string{name}
	if filters != nil {
		topics = topics[:0]
		for _, f := range filters {
			topics = append(topics, c.innerOf(f))
		}
	}
	c.ask(broker.ActionSubscribe, topics, func(ds []broker.Decision, err error) {
		if err != nil {
			c.after(retryCeiling, c.resume) // fails closed: nothing goes out undecided
			return
		}
		if filters != nil {
			c.noteOrphans(filters, ds)
		} else {
			c.decideStash(ds[0].Allow)
		}
		c.resume()
	})
}

// innerOf is the inner filter of a mounted one, without the mount point: what the ACL knows.
func (c *Conn) innerOf(full string) string {
	p, err := topic.Parse(topic.Unmount(c.mount, full))
	if err != nil {
		return full
	}
	return p.Filter
}

// decideStash takes a decision about the stashed message that no cache keeps.
func (c *Conn) decideStash(allow bool) {
	o := c.stash
	if o == nil {
		return
	}
	if allow {
		o.stage = stageAuthorised
		return
	}
	c.stash = nil
	c.e.metrics.deniedDelivery()
	c.drop(o, DropDenied)
}

// resume ends waiting.
func (c *Conn) resume() {
	c.waiting = false
	c.review() // the rules may have changed again meanwhile, and what does so finds the review under way
	c.pump()
}

// runDelivered runs message.delivered; false: the message waits or is dropped.
func (c *Conn) runDelivered(o *outgoing) bool {
	points := &c.e.hooks.MessageDelivered
	if points.Empty() {
		return true
	}
	o.stage = stageAuthorised
	held := *o
	c.waiting = true
	m, r, ready := points.Run(c.id, o.Msg, func(m *broker.Message, r hook.Result) {
		c.post(func() {
			c.waiting = false
			if c.hookedDelivery(&held, m, r) {
				c.stash = &held
			}
			c.pump()
		})
	})
	if !ready {
		return false
	}
	c.waiting = false
	ok := c.hookedDelivery(&held, m, r)
	*o = held
	return ok
}

// hookedDelivery takes what message.delivered said.
func (c *Conn) hookedDelivery(o *outgoing, m *broker.Message, r hook.Result) bool {
	if r != hook.Passed || m == nil {
		c.drop(o, DropRefused)
		return false
	}
	o.Msg, o.stage = m, stageHooked
	return true
}

// hand gives a message to the device.
func (c *Conn) hand(o *outgoing) {
	d := &c.out
	d.Msg, d.QoS, d.PacketID, d.Dup, d.Retain, d.SubIDs = o.Msg, o.QoS, o.PacketID, o.Dup, o.Retain, o.SubIDs
	d.Topic = topic.Unmount(c.mount, o.Msg.Topic)
	c.sent(o)
	outcome := c.dev.Deliver(d)
	d.Msg, d.SubIDs = nil, nil
	if outcome == Refused {
		c.drop(o, DropRefused)
		return
	}
	if outcome == SentFull {
		c.full.Store(true)
	}
	c.Stats.SentMsgs.Add(1)
	if isSystem(o.Msg.Topic) {
		return
	}
	n := &c.e.counters
	n.Inc(MessagesSent)
	switch o.QoS {
	case 0:
		n.Inc(MessagesQoS0Sent)
	case 1:
		n.Inc(MessagesQoS1Sent)
	default:
		n.Inc(MessagesQoS2Sent)
	}
}

// drop ends a message that will not go out.
func (c *Conn) drop(o *outgoing, why DropReason) {
	c.e.dropped(why, 1)
	if o.QoS == 0 || o.Index == 0 {
		return
	}
	c.mu.Lock()
	a := broker.ClientAck{Index: o.Index, Kind: broker.AckDropped}
	if c.clean {
		c.inflight.drop(o.PacketID)
		if c.sess != nil {
			c.sess.Ack(a, c.e.now()) // what it notes as dropped is counted above
		}
		c.mu.Unlock()
		return
	}
	if f := c.inflight.get(o.PacketID); f != nil {
		f.answered = true
	}
	c.mu.Unlock()
	c.sendAck(o.PacketID, a)
}
