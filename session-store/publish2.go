package sessionstore

import (
	"errors"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/journal"
)

// publish2 takes a QoS 2 publish of a session: held under its packet id and put into the outbox by one record, answered when that is durable (rule R1).
func (g *gatewayStream) publish2(c *client, r *broker.SessionRequest) {
	p := g.p
	if r.Publish2 == nil || r.Publish2.Msg == nil || r.Publish2.PacketID == 0 {
		g.refuse(r, broker.KindInvalid, "a QoS 2 publish needs a message and a packet id")
		return
	}
	id := r.ID
	if c.sess.Held(r.Publish2.PacketID) {
		p.after(func() { g.reply(broker.SessionReply{ID: id, Known: true}) })
		return
	}
	if p.st.outBytes+r.Publish2.Msg.Size() > int(p.s.cfg.MaxOutbox) {
		g.refuse(r, broker.KindBusy, "too many publishes wait for the routers")
		return
	}
	e := &received2{key: c.key, id: r.Publish2.PacketID, max: p.st.set.MaxAwaitingRel, at: p.now().UnixMilli(), msg: r.Publish2.Msg}
	if err := p.write(e); err != nil {
		if errors.Is(err, journal.ErrTooLarge) {
			g.refuse(r, broker.KindTooLarge, "the message does not fit into the log")
		}
		return
	}
	e.apply(p.st)
	p.follow()
	p.after(func() { g.reply(broker.SessionReply{ID: id, Err: e.err, Known: e.known}) })
}

// release lets an incoming packet id go. PUBCOMP is the answer, known or not; it does not wait for the outbox (rule R1).
func (g *gatewayStream) release(c *client, r *broker.SessionRequest) {
	known, id := c.sess.Held(r.PacketID), r.ID
	if known && !g.p.commit(&released2{key: c.key, id: r.PacketID}) {
		return
	}
	g.p.after(func() { g.reply(broker.SessionReply{ID: id, Known: known}) })
}

// ack takes a client's answer to a push. It names the index, so a repeat changes nothing. PUBREL goes out when the PUBREC is durable.
func (g *gatewayStream) ack(c *client, r *broker.SessionRequest) {
	p := g.p
	if r.Ack == nil {
		g.refuse(r, broker.KindInvalid, "an answer needs its parameters")
		return
	}
	e := &acked{key: c.key, ack: *r.Ack, at: p.now().UnixMilli()}
	e.apply(p.st)
	if e.done.Changed {
		if p.write(e) != nil {
			return
		}
		if r.Ack.Kind == broker.AckDropped {
			p.s.metrics.refusedAtGateway.Inc()
		}
	}
	p.follow()
	att := c.att
	p.after(func() {
		if e.done.Release && c.att == att {
			g.push(broker.Push{
				Op: broker.PushRelease, Tenant: c.key.tenant, ClientID: c.key.id, Conn: att.conn, Epoch: att.epoch,
				Index: e.ack.Index, PacketID: e.done.PacketID, QoS: e.done.QoS,
			})
		}
	})
	g.accept(r)
}
