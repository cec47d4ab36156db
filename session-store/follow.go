package sessionstore

import (
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/session"
)

// pump is a session that may have something to send, at the version that is durable when the pump is due.
type pump struct {
	c       *client
	sess    *session.Session
	version uint64
}

// follow takes what the last event led to: timers are set at once, the rest waits for the event to be durable.
func (p *partition) follow() {
	to := p.st.to
	for _, c := range to.due {
		p.arm(c)
	}
	for _, id := range to.limbo {
		p.limboTimer(id)
	}
	for _, d := range to.drops {
		p.s.metrics.dropped.WithLabelValues(d.Reason.String()).Inc()
	}
	for _, c := range to.marks {
		p.watermarks(c)
	}
	clear(to.due)
	clear(to.drops)
	clear(to.marks)
	to.due, to.limbo, to.drops, to.marks = to.due[:0], to.limbo[:0], to.drops[:0], to.marks[:0]
	if len(to.kicks)+len(to.sends)+len(to.lanes)+len(to.routes)+len(to.pumps)+len(to.ends) == 0 {
		return
	}
	p.st.to = &aftermath{}
	pumps := make([]pump, len(to.pumps))
	for i, c := range to.pumps {
		if pumps[i] = (pump{c: c, sess: c.sess}); c.sess != nil {
			pumps[i].version = c.sess.Version()
		}
	}
	last := make([]uint64, len(to.lanes))
	for i, k := range to.lanes {
		last[i] = p.st.lanes[k].last
	}
	p.after(func() { p.consequences(to, pumps, last) })
}

// consequences lets out what one durable event led to.
func (p *partition) consequences(to *aftermath, pumps []pump, last []uint64) {
	for _, k := range to.kicks {
		p.kick(k)
	}
	for _, e := range to.sends {
		p.send(e)
	}
	for i, k := range to.lanes {
		p.lane(k).ready(last[i])
	}
	for _, k := range to.routes {
		p.own.routes.Announce(k)
	}
	for _, e := range to.ends {
		p.terminated(e)
	}
	for _, x := range pumps {
		if x.sess != nil && x.c.sess == x.sess {
			x.c.durable = max(x.c.durable, x.version)
			p.pump(x.c)
		}
	}
}

// terminated tells the hooks of a session that ended. Called with the lock held, which they do not see.
func (p *partition) terminated(e hook.Terminated) {
	if h := p.s.deps.Hooks; h != nil && !h.SessionTerminated.Empty() {
		p.call(func() { h.SessionTerminated.Run(e, hook.None{}, func(hook.None, hook.Result) {}) })
	}
}

// pump pushes what a session has for its client (rules R4 and R5): QoS 2 only when its record is durable, QoS 1 may go out before that.
func (p *partition) pump(c *client) {
	if !c.ready || c.sess == nil || c.att == nil {
		return
	}
	g := p.gateways[c.att.gw.Incarnation]
	if g == nil || g.stream == nil {
		return
	}
	now := p.now()
	for {
		out, ok := c.sess.Next(now, c.durable)
		for _, d := range c.sess.Dropped() {
			p.s.metrics.dropped.WithLabelValues(d.Reason.String()).Inc()
		}
		if !ok {
			p.watermarks(c)
			return
		}
		if out.Expired {
			ack := broker.ClientAck{Index: out.Index, Kind: broker.AckDropped}
			if !p.commit(&acked{key: c.key, ack: ack, at: now.UnixMilli()}) {
				return
			}
			continue
		}
		out.Tenant, out.ClientID, out.Conn, out.Epoch = c.key.tenant, c.key.id, c.att.conn, c.att.epoch
		g.stream.push(out.Push)
	}
}
