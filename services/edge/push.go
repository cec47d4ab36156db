package edge

import (
	"cmp"
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// pushed takes a push of the session partition. It is called by the stream, in order, and does not block. A push of an older epoch is ignored (rule N12).
func (c *Conn) pushed(p *broker.Push) {
	c.mu.Lock()
	if p.Epoch.Less(c.epoch) {
		c.mu.Unlock()
		return
	}
	due := false
	switch p.Op {
	case broker.PushPublish:
		due = c.pushPublish(p)
	case broker.PushRelease:
		if f := c.inflight.get(p.PacketID); c.clean || c.gone || f != nil && f.released && f.index == p.Index {
			break
		}
		c.pushes = append(c.pushes, *p)
		c.pumpDue = true
		due = c.schedule()
	case broker.PushKick:
		c.events = append(c.events, c.kickEvent(*p))
		due = c.schedule()
	case broker.PushSettled:
		c.events = append(c.events, func() { c.settled(false) })
		due = c.schedule()
	case broker.PushUnsubscribed:
		delete(c.subs, p.Reason)
	}
	c.mu.Unlock()
	if due {
		c.submit()
	}
}

// pushPublish queues a message of a persistent session. What is under way on this connection is not sent again (rule R5). Those with a packet id are bounded by the
// window, the others by output.max_pushed. Called with the lock held.
func (c *Conn) pushPublish(p *broker.Push) (due bool) {
	if c.clean || c.gone || p.Msg == nil {
		return false
	}
	size := p.Msg.Size()
	if p.PacketID == 0 {
		if c.pushBytes+size > int(c.e.cfg.Output.MaxPushed) {
			c.e.dropped(DropPushFull, 1)
			return false
		}
	} else {
		if f := c.inflight.get(p.PacketID); f != nil && f.index == p.Index {
			return false
		}
		c.inflight.put(flight{id: p.PacketID, index: p.Index, qos: p.QoS})
	}
	c.pushBytes += size
	c.pushes = append(c.pushes, *p)
	c.pumpDue = true
	return c.schedule()
}

// takePush fetches the next push. Called with the lock held.
func (c *Conn) takePush(o *outgoing, now time.Time) bool {
	if len(c.pushes) == 0 {
		return false
	}
	o.Push = c.pushes[0]
	c.pushes[0] = broker.Push{}
	c.pushes = c.pushes[1:]
	if len(c.pushes) == 0 {
		c.pushes = nil
	}
	if o.Op == broker.PushRelease {
		if c.inflight.get(o.PacketID) == nil { // its PUBREC came on an earlier connection
			c.inflight.put(flight{id: o.PacketID, index: o.Index, qos: 2})
		}
		c.released(o.PacketID)
		return true
	}
	c.pushBytes -= o.Msg.Size()
	o.expired = !o.Dup && o.Msg.Expired(now)
	return true
}

// settled ends the hold of publishes after a take-over: the older connection's gateway is done, or one second is over.
func (c *Conn) settled(late bool) {
	if !c.holding {
		return
	}
	c.holding = false
	if late {
		c.e.metrics.holdOver()
	}
	if next := c.parked; next != nil {
		c.parked = nil
		c.unblock(next)
	}
}

// announcement is the request that tells a new stream of this connection; ok is false if it is not attached.
func (c *Conn) announcement() (r broker.SessionRequest, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.attached {
		return r, false
	}
	r = broker.SessionRequest{Op: broker.OpAnnounce, Tenant: c.id.Tenant, ClientID: c.id.ClientID, Conn: c.number, Epoch: c.epoch}
	r.Announce = &broker.Announce{Attach: *c.will.attach}
	if !c.clean {
		c.inflight.each(func(f *flight) {
			r.Announce.Inflight = append(r.Announce.Inflight, broker.Inflight{Index: f.index, PacketID: f.id, QoS: f.qos, Received: f.received && (f.released || !f.recorded)})
		})
		slices.SortFunc(r.Announce.Inflight, func(a, b broker.Inflight) int { return cmp.Compare(a.Index, b.Index) })
	}
	return r, true
}

// announced takes the answer to an announcement: a refused one means that a newer connection has the client id, or that the new owner does not
// know what was sent here (rule R5).
func (c *Conn) announced(reply *broker.SessionReply) {
	if reply.Err == nil {
		return
	}
	switch broker.KindOf(reply.Err) {
	case broker.KindConflict, broker.KindStale:
		c.kick(KickTakenOver, "")
	default:
		c.kick(KickLost, "")
	}
}

func sortByIndex(list []outgoing) {
	slices.SortFunc(list, func(a, b outgoing) int { return cmp.Compare(a.Index, b.Index) })
}

// kicked is a kick of the session partition that waits for its answer (rule R6).
type kicked struct {
	epoch broker.ConnEpoch
	due   bool // one second is over: answer whatever is under way
	sent  bool
}

// kickEvent makes the function that ends this connection because the session partition says so.
func (c *Conn) kickEvent(p broker.Push) func() {
	return func() {
		k := c.kicked
		if k == nil {
			k = &kicked{epoch: p.Epoch}
			c.kicked = k
			c.after(time.Second, func() { k.due = true; c.settleKick() })
		} else if k.sent { // a new owner repeats the kick
			k.sent = false
		}
		code := KickAdmin
		switch p.Reason {
		case "conflict", "flapping":
			code = KickTakenOver
		case "resync": // the new owner does not know what was sent here (rule R5)
			code = KickLost
		}
		c.end(code, p.Reason)
		c.settleKick()
	}
}

// settleKick answers a kick when the connection reads nothing more and its publishes are answered, or when it is time.
func (c *Conn) settleKick() {
	k := c.kicked
	if k == nil || k.sent || !k.due && !c.silent() {
		return
	}
	k.sent = true
	r := c.request(broker.OpKicked)
	d := c.detachment()
	r.Detach = &d
	c.part.send(r, nil)
}

// silent says that nothing of this connection is read or under way any more.
func (c *Conn) silent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shut && !c.gate.closed() && c.answers[0].empty() && c.answers[1].empty()
}
