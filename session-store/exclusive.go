package sessionstore

import (
	"context"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/route"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/topic"
)

const (
	claimFloor   = 20 * time.Millisecond
	claimCeiling = time.Second
)

// exclusive is one exclusive subscription on its way: it is in the session, where nobody finds it yet, and becomes one like any other when its topic is
// granted, that is written down, the routers know, and the owner of the topic partition says the same again (see broker.Router.ClaimExclusive).
type exclusive struct {
	p      *partition
	key    clientKey
	sess   *session.Session
	full   string
	parsed topic.Parsed
}

// exclusives lists those of a SUBSCRIBE. Called with the lock held.
func (p *partition) exclusives(c *client, e *subscribed) map[int]*exclusive {
	var all map[int]*exclusive
	for i, sub := range e.subs {
		parsed, err := topic.Parse(sub.Filter)
		if err != nil || !parsed.Exclusive || e.results[i].Err != nil {
			continue
		}
		if all == nil {
			all = map[int]*exclusive{}
		}
		all[i] = &exclusive{p: p, key: c.key, sess: c.sess, full: sub.Filter, parsed: parsed}
	}
	return all
}

// acquireAll has topics granted, in the background, and calls then with the lock held. What is refused is out of the session again.
func (p *partition) acquireAll(all map[int]*exclusive, results []broker.SubscribeReply, then func()) {
	p.spawn(func() {
		errs := map[int]error{}
		for i, x := range all {
			errs[i] = x.acquire()
		}
		p.enter()
		defer p.leave()
		for i, err := range errs {
			results[i].Err = err
		}
		if !p.dead {
			p.after(then)
		}
	})
}

// acquire works until the topic is granted twice under one epoch, or refused.
func (x *exclusive) acquire() error {
	last := uint64(0)
	for {
		grant, err := x.claim()
		if err != nil {
			x.giveUp()
			return err
		}
		if grant == last {
			return nil
		}
		if err := x.write(grant); err != nil {
			return err
		}
		last = grant
	}
}

// claim asks the owner of the topic partition, while it moves again and again.
func (x *exclusive) claim() (uint64, error) {
	p := x.p
	c := broker.ExclusiveClaim{
		Tenant: x.key.tenant, Topic: x.parsed.Filter, ClientID: x.key.id,
		Origin: broker.Origin{Kind: broker.FromSession, Partition: p.n, Node: p.s.self, Epoch: p.epoch},
	}
	for pause := claimFloor; ; pause = min(2*pause, claimCeiling) {
		grant, err := p.s.deps.Router.ClaimExclusive(p.ctx, c)
		switch {
		case err == nil:
			return grant, nil
		case broker.KindOf(err) == broker.KindConflict:
			return 0, broker.E(broker.KindQuota, "another client is subscribed exclusively", nil)
		case p.ctx.Err() != nil || !broker.KindOf(err).Retryable():
			return 0, err
		}
		if !rest(p.ctx, pause) {
			return 0, p.ctx.Err()
		}
	}
}

// write notes a grant, and waits until that is durable and the routers know.
func (x *exclusive) write(grant uint64) error {
	p := x.p
	known := make(chan struct{})
	p.enter()
	c := p.st.session(x.key)
	if p.dead || c == nil || c.sess != x.sess {
		p.leave()
		return broker.E(broker.KindNotFound, "the session ended", nil)
	}
	if _, ok := c.sess.Subscription(x.full); !ok {
		p.leave()
		return broker.E(broker.KindNotFound, "unsubscribed meanwhile", nil)
	}
	if p.commit(&exclusiveGranted{key: x.key, grant: grant, filter: x.full}) {
		p.after(func() {
			w := &routeWait{p: p, left: 1, done: func() { close(known) }}
			w.add(shareKey(x.key.tenant, x.parsed))
			w.add(route.ExclusiveKey(x.key.tenant, x.parsed.Filter))
			p.call(func() { w.answered(nil) })
		})
	}
	p.leave()
	select {
	case <-known:
		return nil
	case <-p.ctx.Done():
		return context.Cause(p.ctx)
	}
}

// giveUp takes a refused subscription out of the session.
func (x *exclusive) giveUp() {
	p := x.p
	p.enter()
	defer p.leave()
	if c := p.st.session(x.key); !p.dead && c != nil && c.sess == x.sess {
		p.commit(&unsubscribed{key: x.key, filters: []string{x.full}})
	}
}
