package sessionstore

import (
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// apply makes the connection the owner of its client id: rules N12 and R6, MQTT 5.0 §3.1.2.4, §3.1.2.5, §3.1.3.2.2.
func (e *attached) apply(st *state) {
	at := millis(e.at)
	c := st.client(e.key)
	st.attaches[e.gw.Incarnation] = max(st.attaches[e.gw.Incarnation], e.request)
	if c.will != nil && e.clean {
		st.publishWill(c.will, e.id, e.at)
	}
	c.will, c.due = nil, 0
	if c.att != nil {
		st.supersede(c, e.clean, e.epoch, "conflict")
	}
	if e.clean && c.sess != nil {
		e.ended = true
		st.endSession(c, endDiscarded)
	}
	c.user, c.ready = e.user, false
	c.att = &attachment{gw: e.gw, node: e.node, conn: e.conn, epoch: e.epoch, present: c.sess != nil, will: e.will}
	if c.sess == nil && e.expiry > 0 {
		c.sess = session.New(st.set, e.key.id, at)
	}
	if c.sess != nil {
		if !c.sess.Attached() {
			st.online(c, true)
		}
		c.sess.SetExpiry(time.Duration(e.expiry))
		c.sess.Attach(max(1, e.window), at)
		st.touch(c)
	}
	st.later(c)
	e.c = c
}

// apply ends the present connection, or settles the will of a superseded one.
func (e *detached) apply(st *state) {
	c := st.clients[e.key]
	if c == nil {
		return
	}
	if c.att.at(e.conn.inc, e.conn.n) {
		e.disconnect(st, c)
	} else if o := c.old(e.conn.inc, e.conn.n); o != nil {
		st.settleWill(o, e.dropWill, e.id, e.at)
		if e.gone {
			c.olds = slices.DeleteFunc(c.olds, func(x *attachment) bool { return x == o })
		}
	}
	st.tidy(c)
}

func (e *detached) disconnect(st *state, c *client) {
	w := c.att.will
	c.att, c.ready = nil, false
	expiry := time.Duration(0)
	if c.sess != nil {
		if e.hasExpiry {
			c.sess.SetExpiry(time.Duration(e.expiry))
		}
		expiry = c.sess.Expiry()
		st.online(c, false)
		c.sess.Detach(millis(e.at))
	}
	switch {
	case w == nil || e.dropWill:
	case w.Delay <= 0 || expiry == 0:
		st.publishWill(w, e.id, e.at)
	default:
		c.will, c.due = w, millis(e.at).Add(w.Delay).UnixMilli()
	}
	if expiry == 0 {
		st.endSession(c, e.reason)
	}
}

// apply lets go of a superseded connection.
func (e *kicked) apply(st *state) {
	c := st.clients[e.key]
	if c == nil {
		return
	}
	if o := c.old(e.conn.inc, e.conn.n); o != nil {
		st.settleWill(o, e.dropWill, e.id, e.at)
		c.olds = slices.DeleteFunc(c.olds, func(x *attachment) bool { return x == o })
	}
	st.tidy(c)
}

// settleWill decides about a parked will.
func (st *state) settleWill(o *attachment, drop bool, id broker.MessageID, at int64) {
	if o.will != nil && !drop {
		st.publishWill(o.will, id, at)
	}
	o.will = nil
}

// publishWill puts a will into the outbox; that it is gone from where it was is part of the same record (rule R6).
func (st *state) publishWill(w *broker.Will, id broker.MessageID, at int64) {
	m := *w.Msg
	m.ID, m.Published = id, millis(at)
	if w.Expiry > 0 {
		m.Expires = millis(m.Published.Add(w.Expiry).UnixMilli())
	}
	st.enqueue(&m, nil)
}

// apply ends a session; a will that waits for its delay is published with it (MQTT 5.0 §3.1.3.2.2).
func (e *ended) apply(st *state) {
	c := st.clients[e.key]
	if c == nil || c.att != nil && !e.dropped {
		return
	}
	if c.will != nil {
		st.publishWill(c.will, e.id, e.at)
		c.will, c.due = nil, 0
	}
	if c.att != nil {
		st.supersede(c, true, c.att.epoch, "kicked")
	}
	reason := endExpired
	if e.dropped {
		reason = endDropped
	}
	st.endSession(c, reason)
	st.tidy(c)
}

// apply publishes a will whose delay is over.
func (e *willDue) apply(st *state) {
	c := st.clients[e.key]
	if c == nil || c.will == nil || c.due > e.at {
		return
	}
	st.publishWill(c.will, e.id, e.at)
	c.will, c.due = nil, 0
	st.tidy(c)
}

// knows reports whether there is anything to forget of a gateway incarnation.
func (st *state) knows(inc uint64) bool {
	for s := range st.cursors {
		if s.Kind == broker.FromGateway && s.Incarnation == inc {
			return true
		}
	}
	return st.attaches[inc] > 0 || st.lanes[laneKey{session: -1, incarnation: inc}] != nil
}

// apply forgets a gateway incarnation: from now on it is refused.
func (e *forgotten) apply(st *state) {
	for s := range st.cursors {
		if s.Kind == broker.FromGateway && s.Incarnation == e.inc {
			delete(st.cursors, s)
		}
	}
	delete(st.attaches, e.inc)
	k := laneKey{session: -1, incarnation: e.inc}
	if q := st.lanes[k]; q != nil && len(q.entries) == 0 {
		delete(st.lanes, k)
	}
}
