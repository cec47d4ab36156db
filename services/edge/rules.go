package edge

import (
	"context"
	"log/slog"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// When the rules change (their generation rises), or a grant's time is over, every subscription is decided again before anything more is delivered by it
// (promise 6). A connection that has deliveries waiting does so at once, the others are visited one after another. What is refused is unsubscribed;
// messages that wait by it are dropped when their turn comes.

// watchRules follows the generation of the rules until ctx ends.
func (e *Edge) watchRules(ctx context.Context) {
	rose := make(chan struct{}, 1)
	e.tasks.spawn(func() { e.sweep(ctx, rose) })
	pause := retryFloor
	for ctx.Err() == nil {
		err := e.deps.Auth.WatchRules(ctx, func(generation uint64) {
			pause = retryFloor
			if generation <= e.rules.Load() {
				return
			}
			e.rules.Store(generation)
			select {
			case rose <- struct{}{}:
			default:
			}
		})
		if ctx.Err() == nil {
			e.log.Debug("rules are not followed", slog.Any("error", err))
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, retryCeiling)
	}
}

// sweep has every connection look at the rules, each time they rose.
func (e *Edge) sweep(ctx context.Context, rose <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-rose:
			e.each(func(c *Conn) { c.post(c.review) })
		}
	}
}

// outdated says that the subscriptions have to be decided again.
func (c *Conn) outdated() bool {
	return c.recheck || c.checked < c.e.rules.Load() || c.until != 0 && c.e.now().UnixMilli() >= c.until
}

// review has all subscriptions decided again if that is due. Deliveries wait meanwhile.
func (c *Conn) review() {
	if c.id.Superuser || c.ended || c.waiting || c.phase != phaseOpen || !c.outdated() {
		return
	}
	c.waiting = true
	generation := c.e.rules.Load()
	filters := c.reviewed()
	topics := make([]string, len(filters))
	for i, f := range filters {
		topics[i] = c.innerOf(f)
	}
	_, will := topic.SplitDelayed(c.will.topic)
	id := c.id
	ok := c.e.decide.submit(func() {
		ds, willDenied, err := c.e.decideAll(id, topics, will)
		c.post(func() { c.redecided(generation, filters, ds, willDenied, err) })
	})
	if !ok {
		c.redecided(generation, filters, nil, false, broker.E(broker.KindBusy, "too many questions about topics", nil))
	}
}

// decideAll asks about subscriptions, and about a will. It blocks.
func (e *Edge) decideAll(id *broker.Identity, topics []string, will string) (ds []broker.Decision, willDenied bool, err error) {
	if len(topics) > 0 {
		if ds, err = e.authorize(id, broker.ActionSubscribe, topics); err != nil {
			return nil, false, err
		}
	}
	if will != "" {
		ws, err := e.authorize(id, broker.ActionPublish, []string{will})
		if err != nil {
			return nil, false, err
		}
		willDenied = !ws[0].Allow
	}
	return ds, willDenied, nil
}

// reviewed lists the subscriptions, and forgets decisions about other filters.
func (c *Conn) reviewed() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetOrphans()
	list := c.listSubs()
	filters := make([]string, len(list))
	for i := range list {
		filters[i] = list[i].Filter
	}
	return filters
}

// redecided takes the decisions. Without any, nothing goes out, and they are asked for again.
func (c *Conn) redecided(generation uint64, filters []string, ds []broker.Decision, willDenied bool, err error) {
	if err != nil {
		c.after(retryCeiling, func() {
			c.waiting = false
			c.review()
			c.pump()
		})
		return
	}
	c.checked, c.recheck, c.until, c.will.denied = generation, false, 0, willDenied
	now := c.e.now()
	var refused []string
	c.mu.Lock()
	for i, f := range filters {
		if !ds[i].Allow {
			if _, known := c.decision(f); known {
				refused = append(refused, f)
			}
			continue
		}
		if c.renew(f, ds[i]) { // it may be unsubscribed meanwhile
			c.until = earlier(c.until, entryOf(ds[i], c.e.cfg.ACL.CacheTTL, now).grant)
		}
	}
	c.mu.Unlock()
	c.revoke(refused)
	c.resume()
}

// revoke ends subscriptions that are not allowed any more. What waits by them is refused from now on.
func (c *Conn) revoke(filters []string) {
	if len(filters) == 0 {
		return
	}
	r := c.request(broker.OpUnsubscribe)
	for _, f := range filters {
		c.e.metrics.revoked()
		if c.clean {
			c.dropSub(f)
		} else {
			r.Subs = append(r.Subs, broker.Subscription{Filter: f})
		}
		c.mu.Lock()
		x := c.setSub(broker.Subscription{Filter: f})
		x.refused, x.orphan = true, true
		c.orphans++
		c.mu.Unlock()
	}
	if len(r.Subs) > 0 {
		c.part.send(r, nil)
	}
}

// orphansMax is how many decisions about filters that are no subscriptions are kept.
const orphansMax = 1024

// noteOrphans keeps decisions about filters by which queued messages came, and which are no subscriptions any more.
func (c *Conn) noteOrphans(filters []string, ds []broker.Decision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.orphans+len(filters) > orphansMax {
		c.forgetOrphans()
	}
	for i, f := range filters {
		if _, known := c.decision(f); known {
			continue
		}
		x := c.setSub(broker.Subscription{Filter: f, Generation: ds[i].Generation})
		x.refused, x.orphan = !ds[i].Allow, true
		c.until = earlier(c.until, entryOf(ds[i], c.e.cfg.ACL.CacheTTL, c.e.now()).grant)
		c.orphans++
	}
}

// forgetOrphans forgets decisions about filters that are no subscriptions. Called with the lock held.
func (c *Conn) forgetOrphans() {
	for f, s := range c.subs {
		if s.orphan {
			delete(c.subs, f)
		}
	}
	c.orphans = 0
}
