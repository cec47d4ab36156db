package sessionstore

import (
	"errors"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/journal"
)

// attach makes a connection the owner of its client id (rules N12 and R6).
func (g *gatewayStream) attach(k clientKey, r *broker.SessionRequest) {
	p, a := g.p, r.Attach
	if err := checkAttach(r); err != nil {
		g.refuse(r, broker.KindInvalid, err.Error())
		return
	}
	if !alive(p.s.deps.Cluster.View(), g.g.ref.Incarnation) {
		g.refuse(r, broker.KindStale, "the gateway is not in view")
		return
	}
	if g.attachAgain(k, r) {
		return
	}
	now := p.now()
	p.own.counter++
	att := &attachment{gw: g.g.ref, node: g.g.node, conn: r.Conn, epoch: broker.ConnEpoch{Partition: p.epoch, Counter: p.own.counter}}
	delay := p.flapping(k, now)
	if p.durably(k, a) {
		g.attachDurably(k, r, att, delay, now)
		return
	}
	if !p.own.claim.Valid() {
		g.refuse(r, broker.KindUnavailable, "the ownership of the partition is not certain now")
		return
	}
	p.softIDs[g.g.ref.Incarnation] = max(p.softIDs[g.g.ref.Incarnation], r.ID)
	p.softAttach(k, att)
	p.holdFor(k, att)
	g.reply(broker.SessionReply{ID: r.ID, Attach: p.attachReply(k, att, delay)}) // it is in no log, so it waits for none
}

// durably says whether an Attach must be in the log: it makes, ends or finds something that is.
func (p *partition) durably(k clientKey, a *broker.Attach) bool {
	return a.Expiry > 0 || a.Will != nil || p.st.clients[k] != nil
}

func checkAttach(r *broker.SessionRequest) error {
	switch {
	case r.Attach == nil || r.ClientID == "":
		return errors.New("an attach needs a client id and its parameters")
	case r.Attach.Will != nil && r.Attach.Will.Msg == nil:
		return errors.New("a will needs a message")
	case r.Attach.Expiry < 0:
		return errors.New("the expiry is negative")
	}
	return nil
}

// attachAgain answers repeats: of the present connection's Attach the same, of a superseded one's a refusal, as often as it comes (rule R6). Requests of a
// gateway are handled in the order of their ids, so one that is not above the highest seen was seen; an Attach that is in no log counts only for
// the owner that saw it, because after a fail-over its repeat may be the first that is answered.
func (g *gatewayStream) attachAgain(k clientKey, r *broker.SessionRequest) bool {
	p, inc := g.p, g.g.ref.Incarnation
	c, s := p.st.clients[k], p.soft[k]
	switch {
	case c != nil && c.att.at(inc, r.Conn):
		if c.sess != nil && !c.ready {
			c.sess.Resume(nil, p.now()) // nothing that was pushed behind a lost answer was taken
		}
		g.answerAttach(r.ID, k, c.att, c, 0)
	case s != nil && s.att.at(inc, r.Conn):
		g.answerAttach(r.ID, k, s.att, nil, 0)
	case p.oldOf(k, inc, r.Conn) != nil, r.ID <= p.softIDs[inc], p.durably(k, r.Attach) && r.ID <= p.st.attaches[inc]:
		g.refuse(r, broker.KindConflict, "a newer connection of the client id took over, or this one is over")
	default:
		return false
	}
	return true
}

// oldOf finds a superseded connection, durable or not.
func (p *partition) oldOf(k clientKey, inc, n uint64) *attachment {
	if c := p.st.clients[k]; c != nil {
		if o := c.old(inc, n); o != nil {
			return o
		}
	}
	if s := p.soft[k]; s != nil {
		for _, o := range s.olds {
			if o.at(inc, n) {
				return o
			}
		}
	}
	return nil
}

func (g *gatewayStream) attachDurably(k clientKey, r *broker.SessionRequest, att *attachment, delay time.Duration, now time.Time) {
	p, a := g.p, r.Attach
	e := &attached{
		key: k, gw: att.gw, node: att.node, conn: att.conn, request: r.ID, epoch: att.epoch, at: now.UnixMilli(), id: p.s.ids.Next(now),
		clean: a.CleanStart || p.endsNow(k), expiry: int64(a.Expiry), window: a.Window, user: a.Identity.Username, will: a.Will,
	}
	if err := p.write(e); err != nil {
		if errors.Is(err, journal.ErrTooLarge) {
			g.refuse(r, broker.KindTooLarge, "the will is too large")
		}
		return
	}
	if s := p.soft[k]; s != nil && s.att != nil {
		p.softSupersede(k, s, att.epoch)
	}
	e.apply(p.st)
	p.follow()
	if e.ended {
		p.s.metrics.ended.WithLabelValues("clean_start").Inc()
	}
	p.holdFor(k, e.c.att)
	g.answerAttach(r.ID, k, e.c.att, e.c, delay)
}

// endsNow reports whether the session of a client id ends with the connection that is being taken over: one without an expiry interval does (MQTT 5.0
// §3.1.2.11.2, MQTT-3.1.4-3), and what comes is then a new session, as after a clean start.
func (p *partition) endsNow(k clientKey) bool {
	c := p.st.clients[k]
	return c != nil && c.att != nil && c.sess != nil && c.sess.Expiry() == 0
}

// answerAttach answers once everything is durable, and then lets pushes go to the connection: what was under way first, with DUP, then the queue.
func (g *gatewayStream) answerAttach(id uint64, k clientKey, att *attachment, c *client, delay time.Duration) {
	p := g.p
	reply := p.attachReply(k, att, delay)
	var version uint64
	if c != nil && c.sess != nil {
		if att.present {
			reply.Subs = c.sess.Subscriptions()
		}
		version = c.sess.Version()
	}
	p.after(func() {
		g.reply(broker.SessionReply{ID: id, Attach: reply})
		if c != nil && c.att == att && p.gateways[att.gw.Incarnation] == g.g && g.g.stream == g {
			c.ready, c.durable = true, max(c.durable, version)
			p.pump(c)
		}
	})
}

func (p *partition) attachReply(k clientKey, att *attachment, delay time.Duration) *broker.AttachReply {
	h := p.holds[k]
	return &broker.AttachReply{Epoch: att.epoch, Present: att.present, Delay: delay, HoldPublishes: h != nil && h.att == att}
}
