package sessionstore

import (
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// handle does one request. Whatever is answered is answered once everything before is durable, so a repeat of a request whose record is under way waits for it.
func (g *gatewayStream) handle(r *broker.SessionRequest) {
	p := g.p
	k := clientKey{tenant: r.Tenant, id: r.ClientID}
	p.s.metrics.requests.WithLabelValues(opName(r.Op)).Inc()
	if cluster.Partition(r.Tenant, r.ClientID, p.s.sessions) != p.n {
		g.refuse(r, broker.KindInvalid, "the client id belongs to another partition")
		return
	}
	switch r.Op {
	case broker.OpAttach:
		g.attach(k, r)
	case broker.OpAnnounce:
		g.announce(k, r)
	case broker.OpDetach:
		g.detach(k, r)
	case broker.OpKicked:
		g.kicked(k, r)
	default:
		if c := g.current(k, r); c != nil {
			g.sessionRequest(c, r)
		}
	}
}

// sessionRequest does what only the present connection of a session may ask for.
func (g *gatewayStream) sessionRequest(c *client, r *broker.SessionRequest) {
	switch r.Op {
	case broker.OpSubscribe:
		g.subscribe(c, r)
	case broker.OpUnsubscribe:
		g.unsubscribe(c, r)
	case broker.OpAck:
		g.ack(c, r)
	case broker.OpPublish2:
		g.publish2(c, r)
	case broker.OpRelease:
		g.release(c, r)
	case broker.OpSetExpiry:
		g.setExpiry(c, r)
	default:
		g.refuse(r, broker.KindInvalid, "unknown request")
	}
}

// current finds the session of a request, and refuses the request if its connection is not the present one (rule N12) or has no session here.
func (g *gatewayStream) current(k clientKey, r *broker.SessionRequest) *client {
	c := g.p.st.clients[k]
	if c == nil || !c.att.at(g.g.ref.Incarnation, r.Conn) || c.att.epoch != r.Epoch {
		if s := g.p.soft[k]; s != nil && s.att.at(g.g.ref.Incarnation, r.Conn) {
			g.refuse(r, broker.KindInvalid, "a clean session lives at its gateway")
			return nil
		}
		g.refuse(r, broker.KindStale, "this connection is not the present one")
		return nil
	}
	if c.sess == nil {
		g.refuse(r, broker.KindInvalid, "a clean session lives at its gateway")
		return nil
	}
	return c
}

// refuse answers with an error.
func (g *gatewayStream) refuse(r *broker.SessionRequest, kind broker.Kind, why string) {
	id, err := r.ID, broker.E(kind, why, nil)
	g.p.after(func() { g.reply(broker.SessionReply{ID: id, Err: err}) })
}

// accept answers that all is well.
func (g *gatewayStream) accept(r *broker.SessionRequest) {
	id := r.ID
	g.p.after(func() { g.reply(broker.SessionReply{ID: id}) })
}

func opName(op broker.SessionOp) string {
	if int(op) < len(opNames) {
		return opNames[op]
	}
	return opNames[0]
}

var opNames = [...]string{
	"unknown", "attach", "announce", "detach", "kicked", "subscribe", "unsubscribe", "ack", "publish2", "release", "set_expiry",
}
