package brokertest

import (
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// fakeClient is one client id: its attachment, the connections it superseded, its session, its delayed will.
type fakeClient struct {
	p     *sessionPartition
	name  clientName
	user  string
	att   *attachment
	olds  []*attachment // kicked and not answered
	sess  *fakeSession  // nil: a clean session, at its gateway
	ready bool          // pushes may go to the connection
	will  *broker.Will  // waits for its delay
	due   *time.Timer   // of the will
	end   *time.Timer   // of the session
	hold  bool          // the connection's publishes are held
	taken time.Time     // when it was last taken over
	pause time.Duration // before the CONNACK of the present connection
}

// flapTime is the time within which a second take-over is to and fro, and the pause that it gets.
const flapTime = time.Second

// attachment is one connection of a client id.
type attachment struct {
	connection
	epoch   broker.ConnEpoch
	present bool
	window  uint16
	will    *broker.Will
	node    string
	since   time.Time
}

// attach makes a connection the owner of its client id (rules N12, R6). Called with the lock held.
func (st *sessionStream) attach(k clientName, at connection, r *broker.SessionRequest) {
	p, a := st.p, r.Attach
	c := p.clients[k]
	switch {
	case c != nil && c.att != nil && c.att.connection == at && p.s.flaws.keeps(attachRepeats):
		st.attached(c, r.ID) // a repeat: the same answer
		return
	case p.over[at] && p.s.flaws.keeps(supersededRefused):
		st.refuse(r, broker.KindConflict, "a newer connection took over")
		return
	}
	if c == nil {
		c = &fakeClient{p: p, name: k}
		p.clients[k] = c
	}
	p.counter++
	att := &attachment{connection: at, epoch: broker.ConnEpoch{Partition: p.epoch, Counter: p.counter}, window: max(1, a.Window), will: a.Will, node: st.node, since: a.At}
	c.supersede(att, a.CleanStart)
	if a.CleanStart && p.s.flaws.keeps(cleanStart) {
		c.drop()
	}
	att.present = c.sess != nil
	if c.sess == nil && a.Expiry > 0 {
		c.sess = newFakeSession()
	}
	if c.sess != nil {
		c.sess.expiry = a.Expiry
		c.online(1)
	}
	c.att, c.user, c.ready = att, a.Identity.Username, false
	st.attached(c, r.ID)
}

// supersede ends what a new connection takes the place of. Called with the lock held.
func (c *fakeClient) supersede(by *attachment, clean bool) {
	if c.end != nil {
		c.end.Stop()
		c.end = nil
	}
	if w := c.will; w != nil { // a delayed will is cancelled, unless the new connection starts clean
		c.will = nil
		c.due.Stop()
		if clean {
			c.publishWill(w)
		}
	}
	old := c.att
	c.pause = 0
	if old == nil {
		return
	}
	now := time.Now()
	if now.Sub(c.taken) < flapTime && c.p.s.flaws.keeps(flapping) {
		c.pause = flapTime
	}
	c.taken = now
	if c.sess != nil {
		c.online(-1)
	}
	c.p.over[old.connection] = true
	if w := old.will; w != nil && w.Delay > 0 {
		old.will = nil
		if clean {
			c.publishWill(w)
		}
	}
	c.att = by
	c.olds = append(c.olds, old)
	c.hold = true
	c.p.sink.after(func() { c.kick(old, "conflict") })
	c.p.s.later(c.p.s.cfg.HoldLimit, func() { c.settled(by) })
}

// kick asks a gateway to end a connection. The push carries the epoch of the connection that took over. Called with the lock held.
func (c *fakeClient) kick(old *attachment, why string) {
	if st := c.p.streams[old.gateway]; st != nil && c.p.s.flaws.keeps(kickPush) {
		epoch := old.epoch
		if c.att != nil {
			epoch = c.att.epoch
		}
		st.send(parcel{push: &broker.Push{Op: broker.PushKick, Tenant: c.name.tenant, ClientID: c.name.id, Conn: old.number, Epoch: epoch, Reason: why}})
	}
}

// attached answers an Attach and lets pushes go. Called with the lock held.
func (st *sessionStream) attached(c *fakeClient, id uint64) {
	att := c.att
	reply := &broker.AttachReply{Epoch: att.epoch, Present: att.present, HoldPublishes: c.hold, Delay: c.pause}
	if att.present && c.sess != nil {
		reply.Subs = slices.Clone(c.sess.subs)
	}
	if c.sess == nil && att.will == nil {
		st.send(parcel{reply: &broker.SessionReply{ID: id, Attach: reply}}) // nothing to record (rule N12)
		c.ready = true
		return
	}
	st.replyUnless(attachDurable, broker.SessionReply{ID: id, Attach: reply})
	st.p.sink.after(func() {
		if c.att == att && st.err == nil && c.sess != nil {
			c.ready = true
			c.sess.restart(nil)
			c.pump()
		}
	})
}

// announce takes up a connection that lived on (rules R3, R5). Called with the lock held.
func (st *sessionStream) announce(k clientName, at connection, r *broker.SessionRequest) {
	p := st.p
	c := p.clients[k]
	if c != nil && c.att != nil && c.att.connection == at {
		st.reply(broker.SessionReply{ID: r.ID})
		c.ready = true
		if c.sess != nil {
			table := r.Announce.Inflight
			if !p.s.flaws.keeps(inflightTable) {
				table = nil
			}
			c.sess.restart(table)
			c.pump()
		}
		return
	}
	if c != nil || p.over[at] || r.Announce.Attach.Expiry > 0 {
		st.refuse(r, broker.KindConflict, "this connection is not the present one")
		st.send(parcel{push: &broker.Push{Op: broker.PushKick, Tenant: k.tenant, ClientID: k.id, Conn: r.Conn, Epoch: r.Epoch, Reason: "conflict"}})
		return
	}
	p.clients[k] = &fakeClient{p: p, name: k, ready: true, att: &attachment{connection: at, epoch: r.Epoch, node: st.node}}
	st.reply(broker.SessionReply{ID: r.ID})
}

// settleOld lets go of a superseded connection and decides about its will. Called with the lock held.
func (c *fakeClient) settleOld(at connection, dropWill bool) {
	i := slices.IndexFunc(c.olds, func(o *attachment) bool { return o.connection == at })
	if i < 0 {
		return
	}
	if w := c.olds[i].will; w != nil && !dropWill {
		c.publishWill(w)
	}
	c.olds = slices.Delete(c.olds, i, i+1)
	if len(c.olds) == 0 && c.att != nil && c.p.s.flaws.keeps(settledAtOnce) {
		c.settled(c.att)
	}
}

// settled lets held publishes go on. Called with the lock held.
func (c *fakeClient) settled(att *attachment) {
	if !c.hold || c.att != att {
		return
	}
	c.hold = false
	if st := c.p.streams[att.gateway]; st != nil && c.p.s.flaws.keeps(settledPush) {
		c.p.sink.after(func() {
			st.send(parcel{push: &broker.Push{Op: broker.PushSettled, Tenant: c.name.tenant, ClientID: c.name.id, Conn: att.number, Epoch: att.epoch}})
		})
	}
}

// detach ends the present connection. Called with the lock held.
func (c *fakeClient) detach(d *broker.Detach) {
	s, w := c.p.s, c.att.will
	c.p.over[c.att.connection] = true
	c.att, c.ready, c.hold = nil, false, false
	expiry := time.Duration(0)
	if c.sess != nil {
		if d.HasExpiry {
			c.sess.expiry = d.Expiry
		}
		expiry = c.sess.expiry
		c.online(-1)
	}
	switch {
	case w == nil || d.DropWill && s.flaws.keeps(willDropped):
	case w.Delay <= 0 || expiry == 0:
		c.publishWill(w)
	default:
		c.will = w
		c.due = s.later(w.Delay, func() {
			if c.will == w {
				c.will = nil
				c.publishWill(w)
			}
		})
	}
	switch {
	case expiry == 0:
		c.drop()
		c.tidy()
	case expiry != broker.Forever && s.flaws.keeps(sessionExpiry):
		c.end = s.later(expiry, func() {
			if c.att == nil {
				c.drop()
				c.tidy()
			}
		})
	}
}

// publishWill publishes a will, with a time of its own. Called with the lock held.
func (c *fakeClient) publishWill(w *broker.Will) {
	m := *w.Msg
	m.Published = time.Now()
	if w.Expiry > 0 {
		m.Expires = m.Published.Add(w.Expiry)
	}
	c.p.sink.after(func() { c.p.outbox.publish(&m, nil, nil) })
}

// drop ends the session for good; a will that waits goes with it. Called with the lock held.
func (c *fakeClient) drop() {
	if w := c.will; w != nil {
		c.will = nil
		c.due.Stop()
		c.publishWill(w)
	}
	if c.sess == nil {
		return
	}
	var keys []routeName
	for _, sub := range c.sess.subs {
		keys = append(keys, c.unroute(sub.Filter))
	}
	c.sess = nil
	c.p.routes.announce(keys, nil)
}

func (c *fakeClient) tidy() {
	if c.att == nil && c.sess == nil && len(c.olds) == 0 && c.will == nil {
		delete(c.p.clients, c.name)
	}
}
