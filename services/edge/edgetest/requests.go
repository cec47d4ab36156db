package edgetest

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// handle does one request. Called with the lock held.
func (s *Sessions) handle(st *sessionStream, r *broker.SessionRequest) broker.SessionReply {
	if err := s.refuse[r.Op]; err != nil {
		return broker.SessionReply{Err: err}
	}
	k := clientKey{r.Tenant, r.ClientID}
	c := s.clients[k]
	switch r.Op {
	case broker.OpAttach:
		return s.attach(st, k, r)
	case broker.OpKicked:
		s.kicked(c, r)
		return broker.SessionReply{}
	}
	if c == nil || r.Epoch.Less(c.epoch) || r.Conn != c.conn {
		return broker.SessionReply{Err: broker.E(broker.KindStale, "not the present connection", nil)}
	}
	now := time.Now()
	switch r.Op {
	case broker.OpAnnounce:
		return s.announce(st, c, r)
	case broker.OpDetach:
		s.detach(k, c, r.Detach)
	case broker.OpSubscribe:
		return s.subscribe(c, r.Subs)
	case broker.OpUnsubscribe:
		return s.unsubscribe(c, r.Subs)
	case broker.OpAck:
		if c.sess == nil {
			break
		}
		if a := c.sess.Ack(*r.Ack, now); a.Release {
			st.push(broker.Push{
				Op: broker.PushRelease, Tenant: r.Tenant, ClientID: r.ClientID, Conn: c.conn, Epoch: c.epoch, Index: r.Ack.Index, PacketID: a.PacketID, QoS: 2,
			})
		}
	case broker.OpPublish2:
		known, err := c.sess.Receive2(r.Publish2.PacketID, now, s.set.MaxAwaitingRel)
		if err == nil && !known {
			s.route(r.Publish2.Msg)
		}
		return broker.SessionReply{Err: err, Known: known}
	case broker.OpRelease:
		return broker.SessionReply{Known: c.sess.Release2(r.PacketID)}
	case broker.OpSetExpiry:
		c.attach.Expiry = r.Expiry
	}
	return broker.SessionReply{}
}

// attach makes a connection the owner of its client id, and kicks the one before.
func (s *Sessions) attach(st *sessionStream, k clientKey, r *broker.SessionRequest) broker.SessionReply {
	old := s.clients[k]
	s.counter++
	c := &client{at: st, gateway: st.key.gateway, conn: r.Conn, epoch: broker.ConnEpoch{Partition: s.epoch, Counter: s.counter}, attach: *r.Attach, will: r.Attach.Will, superseded: map[uint64]*broker.Will{}}
	reply := &broker.AttachReply{Epoch: c.epoch, Delay: s.delay}
	if old != nil {
		c.superseded = old.superseded
		if old.at != nil {
			reply.HoldPublishes = true
			c.superseded[old.conn] = old.will
			old.at.push(broker.Push{Op: broker.PushKick, Tenant: k.tenant, ClientID: k.id, Conn: old.conn, Epoch: old.epoch, Reason: "conflict"})
		}
		if !r.Attach.CleanStart {
			c.sess = old.sess
		}
	}
	reply.Present = c.sess != nil
	if r.Attach.Expiry > 0 && c.sess == nil {
		c.sess = session.New(s.set, k.id, time.Now())
	}
	if c.sess != nil {
		c.sess.Attach(r.Attach.Window, time.Now())
		reply.Subs = c.sess.Subscriptions()
	}
	s.clients[k] = c
	return broker.SessionReply{Attach: reply}
}

// reattach moves a connection, whose Attach is repeated because the answer was lost, to the stream that it is repeated on.
func (s *Sessions) reattach(st *sessionStream, r *broker.SessionRequest) {
	c := s.clients[clientKey{r.Tenant, r.ClientID}]
	if c == nil || c.at == nil || c.conn != r.Conn {
		return
	}
	c.at = st
	if c.sess != nil {
		c.sess.Resume(nil, time.Now())
	}
}

// kicked ends the hold of the newer connection. The will of the older one is published unless DISCONNECT was read.
func (s *Sessions) kicked(c *client, r *broker.SessionRequest) {
	if c == nil {
		return
	}
	will, waits := c.superseded[r.Conn]
	if !waits {
		return
	}
	delete(c.superseded, r.Conn)
	if will != nil && (r.Detach == nil || !r.Detach.DropWill) {
		m := *will.Msg
		m.Published = time.Now()
		s.route(&m)
	}
	if c.at != nil {
		c.at.push(broker.Push{Op: broker.PushSettled, Tenant: r.Tenant, ClientID: r.ClientID, Conn: c.conn, Epoch: c.epoch})
	}
}

// announce takes a connection over from the streams before.
func (s *Sessions) announce(st *sessionStream, c *client, r *broker.SessionRequest) broker.SessionReply {
	c.at = st
	if c.sess != nil && !c.sess.Resume(r.Announce.Inflight, time.Now()) {
		return broker.SessionReply{Err: broker.E(broker.KindInvalid, "inflight does not fit", nil)}
	}
	return broker.SessionReply{}
}

// detach ends an attachment and publishes its will at once.
func (s *Sessions) detach(k clientKey, c *client, d *broker.Detach) {
	c.at = nil
	if c.will != nil && !d.DropWill {
		m := *c.will.Msg
		m.Published = time.Now()
		s.route(&m)
	}
	c.will = nil
	if c.sess == nil {
		delete(s.clients, k)
		return
	}
	c.sess.Detach(time.Now())
	if d.HasExpiry && d.Expiry == 0 || !d.HasExpiry && c.attach.Expiry == 0 {
		delete(s.clients, k) // the session ends with this connection
	}
}

func (s *Sessions) subscribe(c *client, subs []broker.Subscription) broker.SessionReply {
	reply := broker.SessionReply{Subs: make([]broker.SubscribeReply, len(subs))}
	for i, u := range subs {
		reply.Subs[i].Existed, reply.Subs[i].Err = c.sess.Subscribe(u, s.set.MaxSubscriptions)
	}
	return reply
}

func (s *Sessions) unsubscribe(c *client, subs []broker.Subscription) broker.SessionReply {
	reply := broker.SessionReply{Subs: make([]broker.SubscribeReply, len(subs))}
	for i, u := range subs {
		if reply.Subs[i].Existed = c.sess.Unsubscribe(u.Filter); !reply.Subs[i].Existed {
			reply.Subs[i].Err = broker.E(broker.KindNotFound, "no such subscription", nil)
		}
	}
	return reply
}
