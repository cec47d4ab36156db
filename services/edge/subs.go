package edge

import (
	"cmp"
	"slices"

	"github.com/pando-mq/pando/services/broker"
)

// subscribed is one filter of a connection: a subscription of a persistent session, whose other half is elsewhere, or (orphan) only a decision about a filter by
// which queued messages came. Subscriptions of a clean session are in the session, once: there may be very many.
type subscribed struct {
	broker.Subscription
	refused bool
	orphan  bool
}

// setSub notes a subscription that is granted, or a decision. Called with the lock held.
func (c *Conn) setSub(s broker.Subscription) *subscribed {
	if c.subs == nil {
		c.subs = make(map[string]*subscribed)
	}
	x := &subscribed{Subscription: s}
	c.subs[s.Filter] = x
	return x
}

// decision says what is known of a filter: that it is a subscription which was granted, or what was decided about it. Called with the lock held.
func (c *Conn) decision(full string) (allow, known bool) {
	if s := c.subs[full]; s != nil {
		return !s.refused, true
	}
	if c.sess == nil {
		return false, false
	}
	_, ok := c.sess.Subscription(full)
	return ok, ok
}

// renew notes the generation of the rules under which a subscription was granted again, and reports whether there is such a subscription. Called with the lock held.
func (c *Conn) renew(full string, d broker.Decision) bool {
	if c.sess != nil {
		return c.sess.Renew(full, d.Generation)
	}
	s := c.subs[full]
	if s != nil {
		s.Generation = d.Generation
	}
	return s != nil
}

// listSubs lists the subscriptions in order of their filters. Called with the lock held.
func (c *Conn) listSubs() []broker.Subscription {
	if c.sess != nil {
		return c.sess.Subscriptions()
	}
	list := make([]broker.Subscription, 0, len(c.subs))
	for _, s := range c.subs {
		if !s.orphan {
			list = append(list, s.Subscription)
		}
	}
	slices.SortFunc(list, func(a, b broker.Subscription) int { return cmp.Compare(a.Filter, b.Filter) })
	return list
}
