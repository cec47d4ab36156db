package edge

import (
	"cmp"
	"sync/atomic"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/route"
	"github.com/pando-mq/pando/services/topic"
)

// subscribing is one SUBSCRIBE on its way.
//
//	Subscribe ─ filters and limits ─ ACL per inner filter ─ client.subscribe ─ mount point ─ session ─ routed everywhere ─ answer ─ retained messages
type subscribing struct {
	subs    []broker.Subscription // as the client sent them, then with mount point
	parsed  []topic.Parsed        // of the mounted ones
	grants  []aclEntry
	results []SubscribeResult
	asked   int // how many filters the client sent: only those are answered
	size    int // charged until the answer
	done    func([]SubscribeResult)
	always  bool // done is not the gateway's: it is called after Closed too
}

// Subscribe handles SUBSCRIBE. done is called on the executor, with one result per filter, when the granted ones are routed everywhere. subs belongs to the edge.
func (c *Conn) Subscribe(subs []broker.Subscription, done func([]SubscribeResult)) {
	c.startSubscribe(&subscribing{subs: subs, done: done})
}

func (c *Conn) startSubscribe(s *subscribing) {
	s.grants, s.results = make([]aclEntry, len(s.subs)), make([]SubscribeResult, len(s.subs))
	s.asked = len(s.subs)
	for i := range s.subs {
		s.size += waitingPacket + len(s.subs[i].Filter)
	}
	c.charge(s.size)
	c.enter(s.size, func() { c.subscribe(s) })
}

// subscribe checks filters, and has those decided that are not at hand.
func (c *Conn) subscribe(s *subscribing) {
	if c.phase != phaseOpen || c.part == nil {
		s.refuseAll(errStopped)
		c.subscribedAll(s)
		return
	}
	var topics []string
	var places []int
	for i := range s.subs {
		inner, err := c.checkFilter(s.subs[i].Filter)
		if err == nil && s.subs[i].QoS > 2 {
			err = broker.E(broker.KindInvalid, "quality of service", nil)
		}
		if err != nil {
			s.results[i].Err = err
			continue
		}
		d, ok := c.cached(broker.ActionSubscribe, inner)
		if !ok {
			topics, places = append(topics, inner), append(places, i)
		}
		s.grants[i] = d
	}
	if len(topics) == 0 {
		c.subscribeDecided(s)
		return
	}
	c.block()
	c.ask(broker.ActionSubscribe, topics, func(ds []broker.Decision, err error) {
		now := c.e.now()
		for n, i := range places {
			if err != nil {
				s.results[i].Err = err
				continue
			}
			s.grants[i] = entryOf(ds[n], c.e.cfg.ACL.CacheTTL, now)
		}
		c.unblock(func() { c.subscribeDecided(s) })
	})
}

// checkFilter validates a filter as the client sent it and returns its inner filter.
func (c *Conn) checkFilter(filter string) (string, error) {
	p, err := topic.Parse(filter)
	if err != nil {
		return "", broker.E(broker.KindInvalid, "filter", err)
	}
	if err := cmp.Or(c.e.checkSize(p.Filter, len(c.mount)+len(filter)), c.shallow(p.Filter)); err != nil {
		return "", err
	}
	return p.Filter, nil
}

func (s *subscribing) refuseAll(err error) {
	for i := range s.results {
		if s.results[i].Err == nil {
			s.results[i].Err = err
		}
	}
}

var errDenied = broker.E(broker.KindDenied, "subscribe", nil)

// subscribeDecided runs client.subscribe on what was granted.
func (c *Conn) subscribeDecided(s *subscribing) {
	var table []broker.Subscription
	var places []int
	for i := range s.subs {
		switch {
		case s.results[i].Err != nil:
		case !s.grants[i].allow:
			c.e.metrics.deniedAction(broker.ActionSubscribe)
			s.results[i].Err = errDenied
		default:
			table, places = append(table, s.subs[i]), append(places, i)
		}
	}
	points := &c.e.hooks.ClientSubscribe
	if len(table) == 0 || points.Empty() {
		c.subscribeAll(s)
		return
	}
	c.block()
	out, r, ready := points.Run(c.id, table, func(out []broker.Subscription, r hook.Result) {
		c.post(func() { c.unblock(func() { c.subscribeHooked(s, places, out, r) }) })
	})
	if ready {
		c.gate.busy = false
		c.subscribeHooked(s, places, out, r)
	}
}

// subscribeHooked takes the table that the hooks left. Entry n stands for the n-th granted filter, whatever it says now; one with an empty filter, or that
// is missing, is refused; further ones are subscribed to as well, unanswered.
func (c *Conn) subscribeHooked(s *subscribing, places []int, table []broker.Subscription, r hook.Result) {
	if r != hook.Passed {
		s.refuseAll(errDenied)
		c.subscribeAll(s)
		return
	}
	for n, i := range places {
		if n >= len(table) || table[n].Filter == "" {
			s.results[i].Err = errDenied
			continue
		}
		s.subs[i] = table[n]
		if _, err := c.checkFilter(table[n].Filter); err != nil {
			s.results[i].Err = err
		}
	}
	for n := len(places); n < len(table); n++ {
		_, err := c.checkFilter(table[n].Filter)
		s.subs = append(s.subs, table[n])
		s.grants = append(s.grants, aclEntry{allow: true, generation: c.e.rules.Load()})
		s.results = append(s.results, SubscribeResult{Err: err})
	}
	c.subscribeAll(s)
}

// subscribeAll mounts what is granted and hands it to the session.
func (c *Conn) subscribeAll(s *subscribing) {
	s.parsed = make([]topic.Parsed, len(s.subs))
	any := false
	for i := range s.subs {
		if s.results[i].Err != nil {
			continue
		}
		u := &s.subs[i]
		u.Filter = topic.Mount(c.mount, u.Filter)
		u.Generation = s.grants[i].generation
		s.results[i].QoS = u.QoS
		var err error
		if s.parsed[i], err = topic.Parse(u.Filter); err != nil {
			s.results[i].Err = broker.E(broker.KindInvalid, "filter", err)
			continue
		}
		any = true
	}
	switch {
	case !any:
		c.subscribedAll(s)
	case c.clean:
		c.subscribeClean(s)
	default:
		c.whenRoom(func() { c.subscribePersistent(s) })
	}
}

// subscribeClean subscribes in the session that is hosted here, and waits until the routers know.
func (c *Conn) subscribeClean(s *subscribing) {
	var keys []route.Key
	var only []int // exclusive ones
	for i := range s.subs {
		if s.results[i].Err != nil {
			continue
		}
		existed, err := c.addSub(s.subs[i], s.grants[i].grant)
		s.results[i].Existed = existed
		if err != nil {
			s.results[i].Err = err
			continue
		}
		if s.parsed[i].Exclusive {
			only = append(only, i)
			continue
		}
		if !existed {
			c.addRoute(s.parsed[i])
		}
		if !s.parsed[i].Local {
			keys = append(keys, c.routeKey(s.parsed[i]))
		}
	}
	c.waitRoutes(keys, func(err error) {
		if err != nil {
			s.refuseAll(err)
		}
		c.acquireAll(s, only)
	})
}

// waitRoutes calls then on the executor, when the routers know of routes: at once if there are none.
func (c *Conn) waitRoutes(keys []route.Key, then func(error)) {
	if len(keys) == 0 {
		then(nil)
		return
	}
	var left, failed atomic.Int32
	left.Store(int32(len(keys)))
	for _, k := range keys {
		c.e.ann.Wait(k, func(err error) {
			if err != nil {
				failed.Add(1)
			}
			if left.Add(-1) > 0 {
				return
			}
			c.post(func() {
				if failed.Load() > 0 {
					then(errStopped)
					return
				}
				then(nil)
			})
		})
	}
}

// addSub subscribes in the session. until is when the grant is over.
func (c *Conn) addSub(u broker.Subscription, until int64) (existed bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sess == nil {
		return false, errStopped
	}
	existed, err = c.sess.Subscribe(u, c.e.set.Load().MaxSubscriptions)
	if err != nil {
		return false, err
	}
	delete(c.subs, u.Filter) // what was decided before it was a subscription
	c.until = earlier(c.until, until)
	return existed, nil
}

// subscribePersistent asks the session partition, which answers when it is durable and routed.
func (c *Conn) subscribePersistent(s *subscribing) {
	var places []int
	r := c.request(broker.OpSubscribe)
	for i := range s.subs {
		if s.results[i].Err == nil {
			r.Subs, places = append(r.Subs, s.subs[i]), append(places, i)
		}
	}
	c.part.send(r, func(reply *broker.SessionReply) {
		replies, err := reply.Subs, reply.Err
		c.post(func() {
			for n, i := range places {
				switch {
				case err != nil:
					s.results[i].Err = err
				case n < len(replies):
					s.results[i].Err, s.results[i].Existed = replies[n].Err, replies[n].Existed
				default:
					s.results[i].Err = broker.E(broker.KindInternal, "filter was not answered", nil)
				}
				if s.results[i].Err == nil {
					c.mu.Lock()
					c.setSub(s.subs[i])
					c.mu.Unlock()
					c.until = earlier(c.until, s.grants[i].grant)
				}
			}
			c.subscribedAll(s)
		})
	})
}

// subscribedAll answers, tells the hooks, and has retained messages read.
func (c *Conn) subscribedAll(s *subscribing) {
	c.credit(s.size)
	if s.always || !c.shut {
		s.done(s.results[:s.asked])
	}
	for i := range s.subs {
		if s.results[i].Err != nil {
			continue
		}
		if points := &c.e.hooks.SessionSubscribed; !points.Empty() {
			points.Run(hook.Subscribed{Client: c.id, Subscription: s.subs[i], Existed: s.results[i].Existed}, hook.None{}, ignore)
		}
		if c.clean && !s.parsed[i].Shared && (s.subs[i].RetainHandling == 0 || s.subs[i].RetainHandling == 1 && !s.results[i].Existed) {
			c.readRetained(retainedJob{full: s.subs[i].Filter, inner: s.parsed[i].Filter})
		}
	}
}
