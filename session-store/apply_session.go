package sessionstore

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// session finds the session of a client, nil if there is none.
func (st *state) session(k clientKey) *client {
	if c := st.clients[k]; c != nil && c.sess != nil {
		return c
	}
	return nil
}

func (e *subscribed) apply(st *state) {
	c := st.session(e.key)
	if c == nil {
		return
	}
	e.results = make([]broker.SubscribeReply, len(e.subs))
	for i, sub := range e.subs {
		existed, err := c.sess.Subscribe(sub, e.max)
		e.results[i] = broker.SubscribeReply{Err: err, Existed: existed}
		if err != nil || existed {
			continue
		}
		if p, err := topic.Parse(sub.Filter); err == nil {
			st.know(c, p, c.sess.Attached())
		}
	}
}

func (e *unsubscribed) apply(st *state) {
	c := st.session(e.key)
	if c == nil {
		return
	}
	e.results = make([]broker.SubscribeReply, len(e.filters))
	for i, full := range e.filters {
		if e.results[i].Existed = st.let(c, full); !e.results[i].Existed {
			e.results[i].Err = broker.E(broker.KindNotFound, "unsubscribe", nil)
		}
	}
}

func (e *exclusiveGranted) apply(st *state) {
	c := st.session(e.key)
	if c == nil {
		return
	}
	p, err := topic.Parse(e.filter)
	if err != nil {
		return
	}
	before, ok := c.sess.Grant(e.filter, e.grant)
	switch {
	case !ok:
	case before == 0:
		st.know(c, p, c.sess.Attached())
	default:
		st.held(c, p, e.grant, 0)
	}
}

func (e *acked) apply(st *state) {
	if c := st.session(e.key); c != nil {
		e.done = c.sess.Ack(e.ack, millis(e.at))
		st.touch(c)
	}
}

func (e *received2) apply(st *state) {
	c := st.session(e.key)
	if c == nil {
		return
	}
	if e.known, e.err = c.sess.Receive2(e.id, millis(e.at), e.max); e.err == nil && !e.known {
		st.enqueue(e.msg, nil)
	}
}

func (e *released2) apply(st *state) {
	if c := st.session(e.key); c != nil {
		e.known = c.sess.Release2(e.id)
	}
}

func (e *expirySet) apply(st *state) {
	if c := st.session(e.key); c != nil {
		c.sess.SetExpiry(time.Duration(e.expiry))
		st.later(c)
	}
}

func (e *delivered) apply(st *state) {
	if e.sourced {
		st.cursors[e.source] = max(st.cursors[e.source], e.seq)
		st.epochs[e.topic] = max(st.epochs[e.topic], e.epoch)
	}
	for i := range e.refs {
		st.queue(&e.refs[i], e.msg, e.at)
	}
	for i := range e.copies {
		c := &e.copies[i]
		c.seq = st.direct(&c.to, c.share, e.msg, e.at)
	}
}

// queue gives a message to one session.
func (st *state) queue(f *ref, m *broker.Message, at int64) {
	if c := st.numbers[f.client]; c != nil && c.sess != nil {
		c.sess.Enqueue(m, f.grant, millis(at))
		st.touch(c)
	}
}

// direct sends a copy for a group where it was decided, and returns its number if that is a lane.
func (st *state) direct(to *target, share broker.Share, m *broker.Message, at int64) (seq uint64) {
	switch to.kind {
	case toLimbo:
		st.wait(share, m)
	case toLane:
		return st.assign(to.lane, share, m)
	case toMember:
		st.queue(&to.ref, m, at)
	}
	return 0
}

func (e *outboxDone) apply(st *state) { st.acked(e.topic, e.upTo) }

func (e *laneDone) apply(st *state) { st.taken(e.lane, e.upTo) }

func (e *reassigned) apply(st *state) {
	if x, ok := st.unassign(e.lane, e.seq); ok {
		e.newSeq = st.direct(&e.to, x.share, x.msg, e.at)
	}
}

func (e *rerouted) apply(st *state) {
	if x, ok := st.limbo[e.id]; ok {
		delete(st.limbo, e.id)
		st.laneBytes -= x.msg.Size()
		st.enqueue(x.msg, &x.share)
	}
}
