package edge

import (
	"context"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/route"
)

var errExclusive = broker.E(broker.KindQuota, "another client is subscribed exclusively", nil)

// acquireAll has the exclusive subscriptions of one SUBSCRIBE of a clean session granted, one after the other, and answers. They are in the session, where nobody
// finds them yet; one becomes a subscription like any other when its topic is granted, the routers know, and the owner of the topic partition says the same
// again (see broker.Router.ClaimExclusive).
func (c *Conn) acquireAll(s *subscribing, only []int) {
	if len(only) == 0 {
		c.subscribedAll(s)
		return
	}
	i, rest := only[0], only[1:]
	if s.results[i].Err != nil {
		c.acquireAll(s, rest)
		return
	}
	c.acquire(s, i, 0, func(err error) {
		if err != nil {
			c.dropSub(s.subs[i].Filter)
			s.results[i].Err = err
		}
		c.acquireAll(s, rest)
	})
}

// acquire claims a topic until it is granted twice under one epoch, or refused.
func (c *Conn) acquire(s *subscribing, i int, last uint64, then func(error)) {
	claim := broker.ExclusiveClaim{
		Tenant: c.id.Tenant, Topic: s.parsed[i].Filter, ClientID: c.id.ClientID,
		Origin: broker.Origin{Kind: broker.FromGateway, Node: c.e.deps.Node, Epoch: c.e.deps.Node.Incarnation},
	}
	c.claim(claim, func(grant uint64, err error) {
		if err != nil || grant == last {
			then(err)
			return
		}
		keys, err := c.noteGrant(s, i, grant)
		if err != nil {
			then(err)
			return
		}
		c.waitRoutes(keys, func(err error) {
			if err != nil {
				then(err)
				return
			}
			c.acquire(s, i, grant, then)
		})
	})
}

// noteGrant notes a grant, and lists the routes that the routers must know of.
func (c *Conn) noteGrant(s *subscribing, i int, grant uint64) ([]route.Key, error) {
	p := s.parsed[i]
	c.mu.Lock()
	if c.sess == nil {
		c.mu.Unlock()
		return nil, errStopped
	}
	before, ok := c.sess.Grant(s.subs[i].Filter, grant)
	c.mu.Unlock()
	if !ok {
		return nil, broker.E(broker.KindNotFound, "unsubscribed meanwhile", nil)
	}
	if before == 0 {
		c.addRoute(p)
		c.holdRoute(p, grant, 1)
	} else {
		c.holdRoute(p, grant, 0)
	}
	return []route.Key{c.routeKey(p), route.ExclusiveKey(c.id.Tenant, p.Filter)}, nil
}

// claim asks the owner of the topic partition, in the background and while it moves again and again, and calls then on the executor.
func (c *Conn) claim(x broker.ExclusiveClaim, then func(uint64, error)) {
	asked := c.e.tasks.spawn(func() {
		grant, err := c.e.claim(c.e.ctx, x)
		c.post(func() { then(grant, err) })
	})
	if !asked {
		then(0, errStopped)
	}
}

func (e *Edge) claim(ctx context.Context, x broker.ExclusiveClaim) (uint64, error) {
	for pause := retryFloor; ; pause = min(2*pause, retryCeiling) {
		grant, err := e.deps.Router.ClaimExclusive(ctx, x)
		switch {
		case err == nil:
			return grant, nil
		case broker.KindOf(err) == broker.KindConflict:
			return 0, errExclusive
		case !broker.KindOf(err).Retryable() || !sleep(ctx, pause):
			return 0, err
		}
	}
}
