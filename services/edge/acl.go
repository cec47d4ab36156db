package edge

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// aclKey names a cached decision. Topics are without the mount point.
type aclKey struct {
	action broker.Action
	topic  string
}

type aclEntry struct {
	allow      bool
	generation uint64
	until      int64 // Unix milliseconds when it leaves the cache
	grant      int64 // Unix milliseconds when what was granted by it is over; 0: with the generation
}

// aclFew is up to how many decisions a list is used.
const aclFew = 8

// aclCache holds the decisions of one client; it belongs to the executor. Its zero value is empty. Most clients have one or two topics, over and over: a list
// is smaller then, and found sooner, because the text of the topic is the same.
type aclCache struct {
	few  []aclItem
	many map[aclKey]aclEntry // nil while the list is in use
}

type aclItem struct {
	aclKey
	aclEntry
}

// find looks a decision up, whether or not it still holds.
func (a *aclCache) find(k aclKey) (e aclEntry, ok bool) {
	if a.many != nil {
		e, ok = a.many[k]
		return e, ok
	}
	for i := range a.few {
		if a.few[i].action == k.action && a.few[i].topic == k.topic {
			return a.few[i].aclEntry, true
		}
	}
	return aclEntry{}, false
}

// get finds a decision that still holds under the present generation of the rules.
func (a *aclCache) get(k aclKey, generation uint64, now int64) (aclEntry, bool) {
	e, ok := a.find(k)
	if !ok || e.generation < generation || e.until <= now {
		return aclEntry{}, false
	}
	return e, true
}

// put keeps a decision; when the cache is full, what no longer holds goes first, then any other.
func (a *aclCache) put(k aclKey, e aclEntry, size int, generation uint64, now int64) {
	if size == 0 {
		return
	}
	old := func(v *aclEntry) bool { return v.generation < generation || v.until <= now }
	if a.many == nil && a.putFew(k, e, min(size, aclFew), old) {
		return
	}
	if a.many == nil {
		a.many = make(map[aclKey]aclEntry, 2*aclFew)
		for _, it := range a.few {
			a.many[it.aclKey] = it.aclEntry
		}
		a.few = nil
	}
	if _, there := a.many[k]; !there && len(a.many) >= size {
		maps.DeleteFunc(a.many, func(_ aclKey, v aclEntry) bool { return old(&v) })
		for other := range a.many {
			if len(a.many) < size {
				break
			}
			delete(a.many, other)
		}
	}
	a.many[k] = e
}

// putFew keeps a decision in the list; false: that has no room, and the cache may be larger.
func (a *aclCache) putFew(k aclKey, e aclEntry, size int, old func(*aclEntry) bool) bool {
	for i := range a.few {
		if a.few[i].aclKey == k {
			a.few[i].aclEntry = e
			return true
		}
	}
	if len(a.few) >= size {
		a.few = slices.DeleteFunc(a.few, func(it aclItem) bool { return old(&it.aclEntry) })
	}
	switch {
	case len(a.few) < size:
		a.few = append(a.few, aclItem{k, e})
	case size < aclFew:
		a.few[rand.IntN(size)] = aclItem{k, e}
	default:
		return false
	}
	return true
}

// cached is a decision that is at hand; ok is false if it must be asked for.
func (c *Conn) cached(action broker.Action, topic string) (aclEntry, bool) {
	if c.id.Superuser {
		return aclEntry{allow: true}, true
	}
	return c.topics.get(aclKey{action, topic}, c.e.rules.Load(), c.clock().UnixMilli())
}

// ask has topics decided, in the background, keeps the decisions, and calls then on the executor. There is one decision per topic unless err is set.
func (c *Conn) ask(action broker.Action, topics []string, then func([]broker.Decision, error)) {
	id := c.id
	ok := c.e.decide.submit(func() {
		ds, err := c.e.authorize(id, action, topics)
		c.post(func() {
			if err == nil {
				c.remember(action, topics, ds)
			}
			then(ds, err)
		})
	})
	if !ok {
		c.post(func() { then(nil, broker.E(broker.KindBusy, "too many questions about topics", nil)) })
	}
}

// remember puts decisions into the cache.
func (c *Conn) remember(action broker.Action, topics []string, ds []broker.Decision) {
	cfg, now := &c.e.cfg.ACL, c.e.now()
	for i, d := range ds {
		c.topics.put(aclKey{action, topics[i]}, entryOf(d, cfg.CacheTTL, now), cfg.CacheSize, c.e.rules.Load(), now.UnixMilli())
	}
}

// entryOf is a decision with its times.
func entryOf(d broker.Decision, most time.Duration, now time.Time) aclEntry {
	e := aclEntry{allow: d.Allow, generation: d.Generation, until: now.Add(most).UnixMilli()}
	if d.TTL > 0 {
		e.grant = now.Add(d.TTL).UnixMilli()
		e.until = min(e.until, e.grant)
	}
	return e
}

// authorize asks until every decision is of the present generation of the rules, or time is up. It blocks.
func (e *Edge) authorize(id *broker.Identity, action broker.Action, topics []string) ([]broker.Decision, error) {
	ctx, cancel := context.WithTimeout(e.ctx, e.cfg.Auth.Timeout)
	defer cancel()
	pause := retryFloor
	for {
		ds, err := e.deps.Auth.Authorize(ctx, id, action, topics)
		if err == nil && len(ds) != len(topics) {
			err = broker.Errorf(broker.KindInternal, "%d decisions for %d topics", len(ds), len(topics))
		}
		if err != nil {
			return nil, asError(err, broker.KindUnavailable, "authorize")
		}
		if current(ds, e.rules.Load()) {
			return ds, nil
		}
		if !sleep(ctx, pause) { // this authsvc has not read the newest rules yet
			return nil, broker.E(broker.KindUnavailable, "authorize: only decisions of older rules", nil)
		}
		pause = min(2*pause, retryCeiling)
	}
}

// current reports whether no decision is older than the rules.
func current(ds []broker.Decision, generation uint64) bool {
	for i := range ds {
		if ds[i].Generation < generation {
			return false
		}
	}
	return true
}
