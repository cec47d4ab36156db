package edge

import (
	"context"
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

// aclCache holds the decisions of one client; it belongs to the executor. Its zero value is empty. Most clients have one or two, for which a map takes half a
// kilobyte, so those are a list.
type aclCache struct {
	few  []aclPair           // at most aclFew
	many map[aclKey]aclEntry // nil while few suffices; then few is nil
}

type aclPair struct {
	aclKey
	aclEntry
}

const aclFew = 4

// get finds a decision that still holds under the present generation of the rules.
func (a *aclCache) get(k aclKey, generation uint64, now int64) (aclEntry, bool) {
	e, ok := a.many[k]
	for i := range a.few {
		if a.few[i].aclKey == k {
			e, ok = a.few[i].aclEntry, true
			break
		}
	}
	if !ok || !e.holds(generation, now) {
		return aclEntry{}, false
	}
	return e, true
}

func (e *aclEntry) holds(generation uint64, now int64) bool {
	return e.generation >= generation && e.until > now
}

// put keeps a decision; when the cache is full, what no longer holds goes first, then any other.
func (a *aclCache) put(k aclKey, e aclEntry, size int, generation uint64, now int64) {
	if size == 0 {
		return
	}
	if a.many == nil && a.putFew(k, e, size, generation, now) {
		return
	}
	if _, there := a.many[k]; !there && len(a.many) >= size {
		for old, v := range a.many {
			if !v.holds(generation, now) {
				delete(a.many, old)
			}
		}
		for old := range a.many {
			if len(a.many) < size {
				break
			}
			delete(a.many, old)
		}
	}
	a.many[k] = e
}

// putFew keeps a decision in the list, in place of an old one if it can; false: the map begins.
func (a *aclCache) putFew(k aclKey, e aclEntry, size int, generation uint64, now int64) bool {
	spare := -1
	for i := range a.few {
		if a.few[i].aclKey == k {
			a.few[i].aclEntry = e
			return true
		}
		if !a.few[i].holds(generation, now) {
			spare = i
		}
	}
	if spare < 0 && len(a.few) >= size {
		spare = 0
	}
	switch {
	case spare >= 0:
		a.few[spare] = aclPair{k, e}
	case len(a.few) < aclFew:
		a.few = append(a.few, aclPair{k, e})
	default:
		a.many = make(map[aclKey]aclEntry, 2*aclFew)
		for i := range a.few {
			a.many[a.few[i].aclKey] = a.few[i].aclEntry
		}
		a.few = nil
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
