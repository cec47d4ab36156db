package edge

import (
	"strings"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/topic"
)

// unsubscribing is one UNSUBSCRIBE on its way.
type unsubscribing struct {
	filters []string // as the client sent them, then with mount point
	results []SubscribeResult
	size    int // charged until the answer
	done    func([]SubscribeResult)
	always  bool // done is not the gateway's: it is called after Closed too
}

// Unsubscribe handles UNSUBSCRIBE. done is called on the executor with one result per filter; KindNotFound says that there was no such subscription.
func (c *Conn) Unsubscribe(filters []string, done func([]SubscribeResult)) {
	c.startUnsubscribe(&unsubscribing{filters: filters, done: done})
}

func (c *Conn) startUnsubscribe(u *unsubscribing) {
	u.results = make([]SubscribeResult, len(u.filters))
	for i := range u.filters {
		u.size += waitingPacket + len(u.filters[i])
	}
	c.charge(u.size)
	c.enter(u.size, func() { c.unsubscribe(u) })
}

// unsubscribe runs client.unsubscribe.
func (c *Conn) unsubscribe(u *unsubscribing) {
	points := &c.e.hooks.ClientUnsubscribe
	if points.Empty() {
		c.unsubscribeAll(u)
		return
	}
	c.block()
	table, r, ready := points.Run(c.id, u.filters, func(table []string, r hook.Result) {
		c.post(func() { c.unblock(func() { c.unsubscribeHooked(u, table, r) }) })
	})
	if ready {
		c.gate.busy = false
		c.unsubscribeHooked(u, table, r)
	}
}

// unsubscribeHooked takes the table that the hooks left: entry n stands for the n-th filter; missing and empty ones are refused.
func (c *Conn) unsubscribeHooked(u *unsubscribing, table []string, r hook.Result) {
	for i := range u.filters {
		if r != hook.Passed || i >= len(table) || table[i] == "" {
			u.results[i].Err = broker.E(broker.KindDenied, "a hook refused", nil)
			continue
		}
		u.filters[i] = table[i]
	}
	c.unsubscribeAll(u)
}

// unsubscribeAll takes the subscriptions out of the session.
func (c *Conn) unsubscribeAll(u *unsubscribing) {
	if c.phase != phaseOpen {
		for i := range u.results {
			u.results[i].Err = errStopped
		}
	}
	var places []int
	for i := range u.filters {
		if u.results[i].Err != nil {
			continue
		}
		if _, err := topic.Parse(u.filters[i]); err != nil {
			u.results[i].Err = broker.E(broker.KindInvalid, "filter", err)
			continue
		}
		u.filters[i] = topic.Mount(c.mount, u.filters[i])
		if !c.clean {
			places = append(places, i)
			continue
		}
		if !c.dropSub(u.filters[i]) {
			u.results[i].Err = broker.E(broker.KindNotFound, "no such subscription", nil)
		}
	}
	if len(places) == 0 {
		c.unsubscribedAll(u)
		return
	}
	c.whenRoom(func() { c.unsubscribePersistent(u, places) })
}

// unsubscribePersistent asks the session partition, which answers when it is durable.
func (c *Conn) unsubscribePersistent(u *unsubscribing, places []int) {
	r := c.request(broker.OpUnsubscribe)
	for _, i := range places {
		r.Subs = append(r.Subs, broker.Subscription{Filter: u.filters[i]})
		c.forgetSub(u.filters[i])
	}
	c.part.send(r, func(reply *broker.SessionReply) {
		replies, err := reply.Subs, reply.Err
		c.post(func() {
			for n, i := range places {
				switch {
				case err != nil:
					u.results[i].Err = err
				case n < len(replies):
					u.results[i].Err, u.results[i].Existed = replies[n].Err, replies[n].Existed
				}
			}
			c.unsubscribedAll(u)
		})
	})
}

// dropSub takes a subscription out of a clean session; the routers hear of it some time.
func (c *Conn) dropSub(full string) bool {
	c.mu.Lock()
	g := gone{full: full}
	if c.sess != nil {
		g.grant = c.sess.Granted(full)
	}
	ok := c.sess != nil && c.sess.Unsubscribe(full)
	if ok {
		g.another = c.another(full)
	}
	delete(c.subs, full)
	c.mu.Unlock()
	if ok {
		c.removeRoute(g)
	}
	return ok
}

// another reports whether the session has the inner filter of a subscription that ended by another one, with or without $exclusive/. Called with the lock held.
func (c *Conn) another(full string) bool {
	inner, exclusive := strings.CutPrefix(full, broker.ExclusivePrefix)
	if exclusive {
		_, ok := c.sess.Subscription(inner)
		return ok
	}
	return c.sess.Granted(broker.ExclusivePrefix+full) != 0
}

func (c *Conn) forgetSub(full string) {
	c.mu.Lock()
	delete(c.subs, full)
	c.mu.Unlock()
}

// unsubscribedAll answers and tells the hooks.
func (c *Conn) unsubscribedAll(u *unsubscribing) {
	c.credit(u.size)
	if u.always || !c.shut {
		u.done(u.results)
	}
	points := &c.e.hooks.SessionUnsubscribed
	if points.Empty() {
		return
	}
	for i := range u.filters {
		if u.results[i].Err == nil {
			points.Run(hook.Subscribed{Client: c.id, Subscription: broker.Subscription{Filter: u.filters[i]}, Existed: true}, hook.None{}, ignore)
		}
	}
}
