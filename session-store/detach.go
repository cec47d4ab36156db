package sessionstore

import (
	"github.com/pando-mq/pando/services/broker"
)

// detach ends a connection. For a superseded one it decides about its parked will (rule R6); of an unknown one it is a repeat.
func (g *gatewayStream) detach(k clientKey, r *broker.SessionRequest) {
	p, inc := g.p, g.g.ref.Incarnation
	d := r.Detach
	if d == nil || d.Expiry < 0 {
		g.refuse(r, broker.KindInvalid, "a detach needs its parameters")
		return
	}
	c := p.st.clients[k]
	switch {
	case c != nil && (c.att.at(inc, r.Conn) || c.old(inc, r.Conn) != nil):
		now := p.now()
		e := &detached{
			key: k, conn: conn{inc: inc, n: r.Conn}, at: now.UnixMilli(), id: p.s.ids.Next(now),
			dropWill: d.DropWill, hasExpiry: d.HasExpiry, expiry: int64(d.Expiry), reason: d.Reason,
		}
		if c.att.at(inc, r.Conn) {
			p.unhold(k)
		}
		if !p.commit(e) {
			return
		}
	default:
		if s := p.soft[k]; s != nil && s.att.at(inc, r.Conn) {
			s.att = nil
			p.unhold(k)
			p.softTidy(k, s)
		}
	}
	g.accept(r)
}

// kicked takes the answer to a kick: the old connection reads nothing more and its own publishes are acked.
func (g *gatewayStream) kicked(k clientKey, r *broker.SessionRequest) {
	p, inc := g.p, g.g.ref.Incarnation
	if c := p.st.clients[k]; c != nil && c.old(inc, r.Conn) != nil {
		now := p.now()
		e := &kicked{key: k, conn: conn{inc: inc, n: r.Conn}, at: now.UnixMilli(), id: p.s.ids.Next(now), dropWill: r.Detach != nil && r.Detach.DropWill}
		if !p.commit(e) {
			return
		}
	}
	if s := p.soft[k]; s != nil && s.dropOld(inc, r.Conn) {
		p.softTidy(k, s)
	}
	p.settled(k)
	g.accept(r)
}

// setExpiry changes how long the session outlives its connection.
func (g *gatewayStream) setExpiry(c *client, r *broker.SessionRequest) {
	if r.Expiry < 0 {
		g.refuse(r, broker.KindInvalid, "the expiry is negative")
		return
	}
	if c.sess.Expiry() == r.Expiry || g.p.commit(&expirySet{key: c.key, expiry: int64(r.Expiry)}) {
		g.accept(r)
	}
}
