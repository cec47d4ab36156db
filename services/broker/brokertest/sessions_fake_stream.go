package brokertest

import (
	"context"

	"github.com/pando-mq/pando/services/broker"
)

// sessionStream is the stream of one gateway incarnation to one partition. Its fields belong to the lock of Sessions.
type sessionStream struct {
	p         *sessionPartition
	ref       broker.NodeRef
	node      string
	h         broker.SessionHandler
	epoch     uint64
	err       error
	done      chan struct{}
	out       []parcel
	scheduled bool
}

// parcel is one reply or one push.
type parcel struct {
	reply *broker.SessionReply
	push  *broker.Push
}

// OpenSession implements broker.Sessions.
func (s *Sessions) OpenSession(ctx context.Context, o broker.SessionOpen, h broker.SessionHandler) (broker.SessionStream, error) {
	if err := ctx.Err(); err != nil {
		return nil, broker.E(broker.KindCanceled, "open session stream", err)
	}
	s.enter()
	defer s.leave()
	if o.Partition < 0 || o.Partition >= len(s.parts) {
		return nil, broker.Errorf(broker.KindNotOwner, "session partition %d", o.Partition)
	}
	if s.sees(o.Gateway.Incarnation) != nil && s.flaws.keeps(deadGateway) {
		return nil, broker.E(broker.KindStale, "the gateway is not in view", nil)
	}
	p := s.parts[o.Partition]
	if old := p.streams[o.Gateway]; old != nil && s.flaws.keeps(newestSessionStream) {
		old.end(broker.E(broker.KindStale, "replaced by a newer stream", nil))
	}
	st := &sessionStream{p: p, ref: o.Gateway, node: o.NodeName, h: h, epoch: p.epoch, done: make(chan struct{})}
	p.streams[o.Gateway] = st
	for _, c := range p.clients {
		if c.att != nil && c.att.gateway == o.Gateway {
			c.ready = false
		}
		for _, old := range c.olds {
			if old.gateway == o.Gateway {
				c.kick(old, "conflict")
			}
		}
	}
	return st, nil
}

// Epoch implements broker.SessionStream.
func (st *sessionStream) Epoch() uint64 { return st.epoch }

// Done implements broker.SessionStream.
func (st *sessionStream) Done() <-chan struct{} { return st.done }

// Err implements broker.SessionStream.
func (st *sessionStream) Err() error {
	st.p.s.enter()
	defer st.p.s.leave()
	return st.err
}

// Close implements broker.SessionStream.
func (st *sessionStream) Close() {
	st.p.s.enter()
	defer st.p.s.leave()
	st.end(broker.E(broker.KindCanceled, "closed by its opener", nil))
}

// end ends the stream; Done is closed behind the last call of its handler. Called with the lock held.
func (st *sessionStream) end(err error) {
	if st.err != nil {
		return
	}
	st.err, st.out = err, nil
	if st.p.streams[st.ref] == st {
		delete(st.p.streams, st.ref)
	}
	st.p.s.call(func() { close(st.done) })
}

// Send implements broker.SessionStream.
func (st *sessionStream) Send(batch []broker.SessionRequest) error {
	st.p.s.enter()
	defer st.p.s.leave()
	if st.err != nil && st.p.s.flaws.keeps(sessionFailsAsAWhole) {
		return st.err
	}
	for i := range batch {
		st.handle(&batch[i])
	}
	return nil
}

// reply answers a request once everything so far is durable. Called with the lock held.
func (st *sessionStream) reply(r broker.SessionReply) {
	st.p.sink.after(func() { st.send(parcel{reply: &r}) })
}

// replyUnless answers once everything so far is durable, at once if that check is left out. Called with the lock held.
func (st *sessionStream) replyUnless(check string, r broker.SessionReply) {
	if st.p.s.flaws.keeps(check) {
		st.reply(r)
		return
	}
	st.send(parcel{reply: &r})
}

func (st *sessionStream) refuse(r *broker.SessionRequest, kind broker.Kind, why string) {
	st.reply(broker.SessionReply{ID: r.ID, Err: broker.E(kind, why, nil)})
}

// send queues one parcel for the handler. Called with the lock held.
func (st *sessionStream) send(x parcel) {
	if st.err != nil {
		return
	}
	st.out = append(st.out, x)
	if st.scheduled {
		return
	}
	st.scheduled = true
	st.p.s.call(func() {
		st.p.s.mu.Lock()
		out := st.out
		st.out, st.scheduled = nil, false
		st.p.s.mu.Unlock()
		for _, x := range out {
			if x.reply != nil {
				st.h.Replies([]broker.SessionReply{*x.reply})
			} else {
				st.h.Pushes([]broker.Push{*x.push})
			}
		}
	})
}

// handle does one request. Called with the lock held.
func (st *sessionStream) handle(r *broker.SessionRequest) {
	p := st.p
	k := clientName{r.Tenant, r.ClientID}
	at := connection{st.ref, r.Conn}
	c := p.clients[k]
	switch r.Op {
	case broker.OpAttach:
		st.attach(k, at, r)
		return
	case broker.OpAnnounce:
		st.announce(k, at, r)
		return
	case broker.OpDetach:
		if c != nil && c.att != nil && c.att.connection == at {
			c.detach(r.Detach)
		} else if c != nil {
			c.settleOld(at, r.Detach.DropWill)
		}
		st.reply(broker.SessionReply{ID: r.ID})
		return
	case broker.OpKicked:
		if c != nil {
			c.settleOld(at, r.Detach != nil && r.Detach.DropWill)
		}
		st.reply(broker.SessionReply{ID: r.ID})
		return
	}
	if (c == nil || c.att == nil || c.att.connection != at || c.att.epoch != r.Epoch) && p.s.flaws.keeps(connectionEpoch) {
		st.refuse(r, broker.KindStale, "this connection is not the present one")
		return
	}
	if c == nil || c.sess == nil {
		st.refuse(r, broker.KindInvalid, "a clean session lives at its gateway")
		return
	}
	st.request(c, r)
}

// request does what the present connection of a persistent session asks. Called with the lock held.
func (st *sessionStream) request(c *fakeClient, r *broker.SessionRequest) {
	switch r.Op {
	case broker.OpSubscribe:
		st.subscribe(c, r)
	case broker.OpUnsubscribe:
		st.unsubscribe(c, r)
	case broker.OpAck:
		c.acked(*r.Ack)
		st.reply(broker.SessionReply{ID: r.ID})
	case broker.OpPublish2:
		known := c.sess.held[r.Publish2.PacketID]
		c.sess.held[r.Publish2.PacketID] = true
		if !known || !st.p.s.flaws.keeps(heldPacketIDs) {
			m := r.Publish2.Msg
			st.p.sink.after(func() { st.p.outbox.publish(m, nil, nil) })
		}
		st.replyUnless(publish2Durable, broker.SessionReply{ID: r.ID, Known: known})
	case broker.OpRelease:
		known := c.sess.held[r.PacketID]
		if st.p.s.flaws.keeps(releaseFrees) {
			delete(c.sess.held, r.PacketID)
		}
		st.reply(broker.SessionReply{ID: r.ID, Known: known})
	case broker.OpSetExpiry:
		c.sess.expiry = r.Expiry
		st.reply(broker.SessionReply{ID: r.ID})
	default:
		st.refuse(r, broker.KindInvalid, "unknown request")
	}
}
