package brokertest

import (
	"context"
	"slices"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// routeOf is the route that a full filter needs.
func (c *fakeClient) routeOf(full string) routeName {
	x, _ := topic.Parse(full)
	return routeName{c.name.tenant, x.Filter, x.Group}
}

// unroute takes one member from a route. Called with the lock held.
func (c *fakeClient) unroute(full string) routeName {
	k := c.routeOf(full)
	c.p.routes.change(k, -1, -c.connected())
	return k
}

func (c *fakeClient) connected() int {
	if c.att != nil {
		return 1
	}
	return 0
}

// online tells the shared groups that a member came or went. Called with the lock held.
func (c *fakeClient) online(n int) {
	var keys []routeName
	for _, sub := range c.sess.subs {
		if k := c.routeOf(sub.Filter); k.group != "" {
			c.p.routes.change(k, 0, n)
			keys = append(keys, k)
		}
	}
	if len(keys) > 0 {
		c.p.routes.announce(keys, nil)
	}
}

// subscribe adds subscriptions; it is answered when every router has them, also if they were there before (rule N8). Called with the lock held.
func (st *sessionStream) subscribe(c *fakeClient, r *broker.SessionRequest) {
	reply := broker.SessionReply{ID: r.ID}
	var keys []routeName
	for _, sub := range r.Subs {
		a := broker.SubscribeReply{}
		if _, err := topic.Parse(sub.Filter); err != nil && st.p.s.flaws.keeps(validFilters) {
			a.Err = broker.E(broker.KindInvalid, "subscribe", err)
			reply.Subs = append(reply.Subs, a)
			continue
		}
		i := slices.IndexFunc(c.sess.subs, func(x broker.Subscription) bool { return x.Filter == sub.Filter })
		if a.Existed = i >= 0; a.Existed {
			c.sess.subs[i] = sub
		} else {
			c.sess.subs = append(c.sess.subs, sub)
			c.p.routes.change(c.routeOf(sub.Filter), 1, c.connected())
		}
		keys = append(keys, c.routeOf(sub.Filter))
		reply.Subs = append(reply.Subs, a)
	}
	subs := slices.Clone(r.Subs)
	st.p.sink.after(func() {
		done := func() {
			st.send(parcel{reply: &reply})
			for i, sub := range subs {
				if reply.Subs[i].Err == nil {
					st.p.retained(c, sub, reply.Subs[i].Existed)
				}
			}
		}
		if !st.p.s.flaws.keeps(subackMeansRouted) {
			done()
			done = nil
		}
		st.p.routes.announce(keys, done)
	})
}

// retained reads what is retained for a new subscription and queues it. Called with the lock held.
func (p *sessionPartition) retained(c *fakeClient, sub broker.Subscription, existed bool) {
	x, _ := topic.Parse(sub.Filter)
	if x.Shared || sub.RetainHandling == 2 || sub.RetainHandling == 1 && existed || p.s.cfg.Router == nil {
		return
	}
	sess := c.sess
	p.s.routers.spawn(func() {
		_ = p.s.cfg.Router.ReadRetained(p.s.routers.ctx, broker.RetainedQuery{Tenant: c.name.tenant, Filter: x.Filter}, func(batch []*broker.Message) error {
			p.s.enter()
			defer p.s.leave()
			if c.sess != sess {
				return context.Canceled
			}
			for _, m := range batch {
				c.enqueue(m, []broker.Subscription{sub}, p.s.flaws.keeps(retainFlag))
			}
			return nil
		})
	})
}

// unsubscribe removes subscriptions: here at once, at the routers some time soon. Called with the lock held.
func (st *sessionStream) unsubscribe(c *fakeClient, r *broker.SessionRequest) {
	reply := broker.SessionReply{ID: r.ID}
	var keys []routeName
	for _, sub := range r.Subs {
		i := slices.IndexFunc(c.sess.subs, func(x broker.Subscription) bool { return x.Filter == sub.Filter })
		if i < 0 {
			reply.Subs = append(reply.Subs, broker.SubscribeReply{Err: broker.E(broker.KindNotFound, "unsubscribe", nil)})
			continue
		}
		c.sess.subs = slices.Delete(c.sess.subs, i, i+1)
		keys = append(keys, c.unroute(sub.Filter))
		reply.Subs = append(reply.Subs, broker.SubscribeReply{Existed: true})
	}
	st.p.routes.announce(keys, nil)
	st.reply(reply)
}
