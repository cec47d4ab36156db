package sessionstore

import (
	"log/slog"

	"github.com/pando-mq/pando/services/broker"
)

// announce takes up a connection that lived on while the partition changed hands, or while its gateway's stream was broken (rules R3, R5). Of two
// connections of one client id the one with the lower epoch is kicked (rule N12).
func (g *gatewayStream) announce(k clientKey, r *broker.SessionRequest) {
	p, inc := g.p, g.g.ref.Incarnation
	if r.Announce == nil {
		g.refuse(r, broker.KindInvalid, "an announcement needs its parameters")
		return
	}
	c, s := p.st.clients[k], p.soft[k]
	switch {
	case c != nil && c.att.at(inc, r.Conn) && c.att.epoch == r.Epoch:
		g.resume(c, r)
	case s != nil && s.att.at(inc, r.Conn) && s.att.epoch == r.Epoch:
		g.accept(r)
	case p.durably(k, &r.Announce.Attach) || p.oldOf(k, inc, r.Conn) != nil:
		// everything durable is known here: this connection was superseded, or detached because its gateway seemed to be gone
		g.refuseLower(k, r)
	case s != nil && s.att != nil && !s.att.epoch.Less(r.Epoch):
		s.olds = append(s.olds, g.attachment(r))
		g.refuseLower(k, r)
	default:
		g.announceSoft(k, r)
	}
}

func (g *gatewayStream) attachment(r *broker.SessionRequest) *attachment {
	return &attachment{gw: g.g.ref, node: g.g.node, conn: r.Conn, epoch: r.Epoch}
}

// announceSoft takes up a connection that is in no log, in place of an older one.
func (g *gatewayStream) announceSoft(k clientKey, r *broker.SessionRequest) {
	p := g.p
	switch {
	case !p.own.claim.Valid():
		g.end(broker.E(broker.KindUnavailable, "the ownership of the partition is not certain now", nil))
		return
	case !alive(p.s.deps.Cluster.View(), g.g.ref.Incarnation):
		g.end(broker.E(broker.KindStale, "the gateway is not in view", nil))
		return
	}
	if r.Epoch.Partition == p.epoch {
		p.own.counter = max(p.own.counter, r.Epoch.Counter)
	}
	att := g.attachment(r)
	p.softAttach(k, att)
	p.holdFor(k, att)
	g.accept(r)
}

// refuseLower answers that a newer connection is the present one, and kicks the one announced.
func (g *gatewayStream) refuseLower(k clientKey, r *broker.SessionRequest) {
	att := g.attachment(r)
	g.refuse(r, broker.KindConflict, "this connection is not the present one")
	g.p.after(func() { g.p.kickOld(k, att) })
}

// resume goes on with a durable attachment: what the gateway does not know to be under way is pushed, nothing else.
func (g *gatewayStream) resume(c *client, r *broker.SessionRequest) {
	p, att := g.p, c.att
	fits := c.sess == nil || c.sess.Resume(r.Announce.Inflight, p.now())
	g.accept(r)
	if !fits {
		// an early QoS 1 push went down with the old owner: its place in the queue may be another message's now
		p.slog.Info("connection closed: it holds messages that are in no log", slog.String("client_id", c.key.id))
		p.after(func() { p.kick(kick{key: c.key, att: att, epoch: att.epoch, why: "resync"}) })
		return
	}
	var version uint64
	if c.sess != nil {
		version = c.sess.Version()
	}
	p.after(func() {
		if c.att == att && g.g.stream == g {
			c.ready, c.durable = true, max(c.durable, version)
			p.pump(c)
		}
	})
}
