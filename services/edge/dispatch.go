package edge

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/topic"
)

// found is one subscription that a message matches.
type found struct {
	filter string
	c      *Conn
}

// dispatch gives one message to the clean sessions of this node, and remembers whom to wake. It takes the lock of one connection at a time.
type dispatch struct {
	now     time.Time
	hits    []found
	filters []string // of one connection
	wakes   []*Conn
}

var dispatches = sync.Pool{New: func() any { return new(dispatch) }}

// dispatch begins one.
func (e *Edge) dispatch() *dispatch {
	d := dispatches.Get().(*dispatch)
	d.now = e.now()
	return d
}

// dispatchKeep is how much room a dispatch may have to be kept.
const dispatchKeep = 1 << 14

// wake has everybody that got something deliver it, and gives d back. Called without any lock.
func (d *dispatch) wake() {
	for _, c := range d.wakes {
		c.submit()
	}
	if cap(d.hits) > dispatchKeep || cap(d.filters) > dispatchKeep || cap(d.wakes) > dispatchKeep {
		return
	}
	clear(d.hits)
	clear(d.filters)
	clear(d.wakes)
	d.hits, d.wakes = d.hits[:0], d.wakes[:0]
	dispatches.Put(d)
}

// plain gives a message to everybody with an ordinary subscription that matches, once each, and reports whether there is such a subscription.
func (d *dispatch) plain(e *Edge, m *broker.Message) bool {
	start, mixed := len(d.hits), false
	e.plain.Match(m.Topic, func(filter string, c *Conn, _ struct{}) {
		if c.id.Tenant != m.Tenant {
			return
		}
		mixed = mixed || len(d.hits) > start && d.hits[start].filter != filter
		d.hits = append(d.hits, found{filter, c})
	})
	hits := d.hits[start:]
	if mixed { // a connection may be there several times
		slices.SortFunc(hits, func(a, b found) int { return cmp.Compare(a.c.number, b.c.number) })
	}
	for i := 0; i < len(hits); {
		c := hits[i].c
		d.filters = d.filters[:0]
		for ; i < len(hits) && hits[i].c == c; i++ {
			d.filters = append(d.filters, hits[i].filter)
		}
		d.take(c, func(s *session.Session) (session.Grant, bool) { return s.MatchBy(m, "", d.filters...) }, m)
	}
	d.hits = d.hits[:start]
	return len(hits) > 0
}

// take enqueues a message for one connection if grant wants it.
func (d *dispatch) take(c *Conn, grant func(*session.Session) (session.Grant, bool), m *broker.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sess == nil {
		return
	}
	if g, ok := grant(c.sess); ok {
		if _, lost := c.enqueue(m, g, d.now); lost > 0 {
			c.e.dropped(lost-1, 1)
		}
		d.due(c)
	}
}

// due notes that a connection has something to deliver. One whose device is full is left alone: Drained pumps. Called with its lock held.
func (d *dispatch) due(c *Conn) {
	if c.full.Load() && len(c.events) == 0 {
		return
	}
	c.pumpDue = true
	if c.schedule() {
		d.wakes = append(d.wakes, c)
	}
}

// enqueue puts a message into a clean session. lost is 1 + the reason if this message itself was dropped, which is not counted yet; otherwise 0.
// Called with the lock held.
func (c *Conn) enqueue(m *broker.Message, g session.Grant, now time.Time) (index uint64, lost DropReason) {
	if g.QoS > 0 {
		m = m.Own() // its drop is known by the pointer
	}
	index, drops := c.sess.Enqueue(m, g, now)
	for i := range drops {
		if drops[i].Msg == m {
			lost = DropReason(drops[i].Reason) + 1
			continue
		}
		c.e.dropped(DropReason(drops[i].Reason), 1)
	}
	c.alarm()
	return index, lost
}

// alarm reports a queue that passed a watermark. Called with the lock held: the receiver is told by an event.
func (c *Conn) alarm() {
	mark := c.sess.Mark()
	hear := c.e.deps.QueueAlarm
	if mark == session.MarkNone || hear == nil {
		return
	}
	queued := c.sess.Queued()
	c.events = append(c.events, func() { hear(c.id, mark == session.MarkHigh, queued) })
}

// share gives a message to one member of a group: by the strategy, one with room before the others. false: nobody took it.
func (d *dispatch) share(g *groups, k groupKey, m *broker.Message, node, strategy string) bool {
	members, first := g.turn(k, m, strategy)
	for _, room := range [...]bool{true, false} {
		for i := range members {
			c := members[(first+i)%len(members)]
			if !d.offer(c, k.Share, m, node, room) {
				continue
			}
			if strategy == broker.StrategySticky {
				g.took(k, c)
			}
			return true
		}
	}
	return false
}

// offer gives a message to a member unless it cannot take it; with room, unless it would have to wait.
func (d *dispatch) offer(c *Conn, s broker.Share, m *broker.Message, node string, room bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sess == nil {
		return false
	}
	if live, size := c.sess.Window(); room && (live >= size || c.sess.Queued() > 0) {
		return false
	}
	full, ok := c.sess.ShareFilter(s, m, node)
	if !ok {
		return false
	}
	grant, ok := c.sess.GrantFor(full, m, node)
	if !ok {
		return false
	}
	if _, lost := c.enqueue(m, grant, d.now); lost > 0 {
		return false
	}
	d.due(c)
	return true
}

// dispatchLocal gives a message that entered here to the $local subscriptions of this node, and reports whether there is one.
func (e *Edge) dispatchLocal(m *broker.Message) bool {
	if filters, _ := e.local.Len(); filters == 0 && e.shares.empty() {
		return false
	}
	if delay, _ := topic.SplitDelayed(m.Topic); delay != "" {
		return false // it is published by a router, in its time
	}
	d := e.dispatch()
	defer d.wake()
	node := e.deps.NodeName
	e.local.Match(m.Topic, func(filter string, c *Conn, _ struct{}) {
		if c.id.Tenant == m.Tenant {
			d.hits = append(d.hits, found{filter, c})
		}
	})
	taken := len(d.hits) > 0
	slices.SortFunc(d.hits, func(a, b found) int { return cmp.Compare(a.c.number, b.c.number) })
	for i := 0; i < len(d.hits); {
		n := i + 1
		for n < len(d.hits) && d.hits[n].c == d.hits[i].c {
			n++
		}
		same := d.hits[i:n]
		d.take(same[0].c, func(s *session.Session) (session.Grant, bool) { return best(s, same, m, node) }, m)
		i = n
	}
	for _, k := range e.shares.matching(m.Tenant, m.Topic) {
		taken = d.share(&e.shares, k, m, node, broker.StrategyRoundRobin) || taken
	}
	return taken
}

// best is the grant with the highest QoS among several $local subscriptions of one client.
func best(s *session.Session, hits []found, m *broker.Message, node string) (grant session.Grant, ok bool) {
	for i := range hits {
		if g, wanted := s.GrantFor("$local/"+hits[i].filter, m, node); wanted && (!ok || g.QoS > grant.QoS) {
			grant, ok = g, true
		}
	}
	return grant, ok
}

// has reports whether a group has a member.
func (g *groups) has(k groupKey) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.m[k] != nil
}

// empty reports whether there is no group at all.
func (g *groups) empty() bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.m) == 0
}
