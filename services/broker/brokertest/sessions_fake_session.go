package brokertest

import (
	"cmp"
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// fakeSession is one persistent session.
type fakeSession struct {
	subs   []broker.Subscription
	queue  []*queued // unacknowledged and waiting, in order
	last   uint64    // index of the newest entry
	expiry time.Duration
	held   map[uint16]bool // incoming QoS 2 packet ids
}

// queued is one message of a session.
type queued struct {
	index    uint64
	msg      *broker.Message
	qos      broker.QoS
	retain   bool
	subIDs   []uint32
	filters  []string
	out      bool // handed out on this connection
	dup      bool // handed out on an earlier one
	received bool // PUBREC came
	released bool // PUBREL went out on this connection
}

func newFakeSession() *fakeSession { return &fakeSession{held: map[uint16]bool{}} }

func packetID(index uint64) uint16 { return uint16(1 + index%65535) }

// restart forgets what the connection got, but for what its gateway knows to be under way (rule R5).
func (s *fakeSession) restart(table []broker.Inflight) {
	for _, q := range s.queue {
		q.dup = q.dup || q.out
		i := slices.IndexFunc(table, func(x broker.Inflight) bool { return x.Index == q.index })
		q.out = i >= 0
		q.received = q.received || i >= 0 && table[i].Received
		q.released = false
	}
}

// pump hands out what the window allows, in order. Called with the lock held.
func (c *fakeClient) pump() {
	if !c.ready || c.att == nil || c.sess == nil {
		return
	}
	st := c.p.streams[c.att.gateway]
	if st == nil {
		return
	}
	under := 0
	for _, q := range c.sess.queue {
		x := broker.Push{
			Op: broker.PushPublish, Tenant: c.name.tenant, ClientID: c.name.id, Conn: c.att.number, Epoch: c.att.epoch,
			Index: q.index, PacketID: packetID(q.index), QoS: q.qos, Dup: q.dup && c.p.s.flaws.keeps(dupFlag), Retain: q.retain, Msg: q.msg, SubIDs: q.subIDs, Filters: q.filters,
		}
		switch {
		case q.received && !q.released:
			q.released, q.out = true, true
			x.Op, x.Msg, x.SubIDs, x.Filters, x.Dup = broker.PushRelease, nil, nil, nil, false
			under++
		case q.out:
			under++
			continue
		case under >= int(c.att.window) && c.p.s.flaws.keeps(window):
			return
		default:
			q.out = true
			under++
		}
		st.send(parcel{push: &x})
	}
}

// acked takes what the client answered. Called with the lock held.
func (c *fakeClient) acked(a broker.ClientAck) {
	i := slices.IndexFunc(c.sess.queue, func(q *queued) bool { return q.index == a.Index })
	if i < 0 {
		return
	}
	q := c.sess.queue[i]
	if a.Kind == broker.AckPubrec && !a.Failed {
		q.received = true
		if c.p.s.flaws.keeps(releaseWaits) {
			c.p.sink.after(c.pump)
		} else {
			c.pump()
		}
		return
	}
	c.sess.queue = slices.Delete(c.sess.queue, i, i+1)
	c.p.sink.after(c.pump)
}

// take handles one delivery that is no duplicate. Called with the lock held.
func (p *sessionPartition) take(d *broker.Delivery) broker.DeliverAck {
	found := false
	if d.Plain {
		for _, c := range p.sorted() {
			found = c.match(d.Msg, "") || found
		}
	}
	for _, s := range d.Shares {
		found = p.share(d.Msg, s.Share) || found
	}
	a := broker.DeliverAck{Result: broker.OK}
	if !found && p.s.flaws.keeps(noSub) {
		a.Result, a.Epoch, a.Version = broker.NoReceiver, p.epoch, p.routes.version
		if d.Plain {
			a.Result = broker.NoSub
		}
	}
	return a
}

func (p *sessionPartition) sorted() []*fakeClient {
	var all []*fakeClient
	for _, c := range p.clients {
		if c.sess != nil {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *fakeClient) int { return cmp.Compare(a.name.id, b.name.id) })
	return all
}

// share gives a copy to one member of a group, a connected one if there is one. Called with the lock held.
func (p *sessionPartition) share(m *broker.Message, s broker.Share) bool {
	for _, connected := range []bool{true, false} {
		for _, c := range p.sorted() {
			if (c.att != nil) != connected && p.s.flaws.keeps(connectedFirst) {
				continue
			}
			for _, sub := range c.sess.subs {
				if x, err := topic.Parse(sub.Filter); err == nil && x.Shared && x.Share() == s {
					c.enqueue(m, []broker.Subscription{sub}, false)
					return true
				}
			}
		}
	}
	return false
}

// match queues a message for one session if an ordinary subscription matches. Called with the lock held.
func (c *fakeClient) match(m *broker.Message, only string) bool {
	var by []broker.Subscription
	if c.name.tenant != m.Tenant {
		return false
	}
	found := false
	for _, sub := range c.sess.subs {
		x, err := topic.Parse(sub.Filter)
		if err != nil || x.Shared || only != "" && sub.Filter != only || !topic.Match(x.Filter, m.Topic) {
			continue
		}
		found = true
		if !sub.NoLocal || m.From != c.name.id || !c.p.s.flaws.keeps(noLocal) {
			by = append(by, sub)
		}
	}
	if len(by) > 0 {
		c.enqueue(m, by, false)
	}
	return found
}

// enqueue puts a message behind the queue. Called with the lock held.
func (c *fakeClient) enqueue(m *broker.Message, by []broker.Subscription, retained bool) {
	q := &queued{msg: m, retain: retained}
	for _, sub := range by {
		q.qos = max(q.qos, sub.QoS)
		q.retain = q.retain || m.Retain && sub.RetainAsPublished
		q.filters = append(q.filters, sub.Filter)
		if sub.ID > 0 {
			q.subIDs = append(q.subIDs, sub.ID)
		}
	}
	if c.p.s.flaws.keeps(grantedQoS) {
		q.qos = min(q.qos, m.QoS)
	}
	if q.qos == 0 {
		if c.att != nil && c.ready && c.p.streams[c.att.gateway] != nil {
			c.p.streams[c.att.gateway].send(parcel{push: &broker.Push{
				Op: broker.PushPublish, Tenant: c.name.tenant, ClientID: c.name.id, Conn: c.att.number, Epoch: c.att.epoch,
				Retain: q.retain, Msg: m, SubIDs: q.subIDs, Filters: q.filters,
			}})
		}
		return
	}
	c.sess.last++
	q.index = c.sess.last
	c.sess.queue = append(c.sess.queue, q)
	c.p.sink.after(c.pump)
}
