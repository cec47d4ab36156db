package router

import (
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// route is one origin's interest in one filter. (epoch, version) orders its changes (rule N7).
type route struct {
	epoch, version  uint64
	members, online int32
}

func newRoute(epoch uint64, d broker.RouteDelta) route {
	return route{epoch, d.Version, int32(d.Members), int32(d.Online)}
}

// newer reports whether (epoch, version) is after what r has.
func (r route) newer(epoch, version uint64) bool {
	return epoch > r.epoch || epoch == r.epoch && version > r.version
}

type routeKey struct{ tenant, filter string }

// rest is how long a route without members is kept, so that an older delta that is still on its way cannot bring it back (rule N7). No update is
// under way for longer.
const rest = time.Minute

// grave is a route that lost its members.
type grave[K any] struct {
	key   K
	to    destination
	route route
	since time.Time
}

// newerThan reports whether r changed after (epoch, version).
func (r route) newerThan(epoch, version uint64) bool {
	return r.epoch > epoch || r.epoch == epoch && r.version > version
}

// wildKey names a wildcard or shared route within its filter.
type wildKey struct {
	to    destination
	group string
}

// wildcards are the filters with wildcards and the shared groups of every origin. Safe for concurrent use.
type wildcards struct {
	mu      sync.RWMutex
	tenants map[string]*topic.Index[wildKey, route]
	origins map[destination]map[ownScope]*topic.Table[struct{}] // what each origin has, to replace it
	graves  []grave[originKey]                                  // in the order of time
}

type originKey struct{ tenant, filter, group string }

// ownScope is where filters of an origin belong to: ordinary ones (group "") or those of one group.
type ownScope struct{ tenant, group string }

// own notes that an origin has a route. Called with the lock held.
func (w *wildcards) own(to destination, o originKey) {
	all := w.origins[to]
	if all == nil {
		all = map[ownScope]*topic.Table[struct{}]{}
		w.origins[to] = all
	}
	s := ownScope{o.tenant, o.group}
	if all[s] == nil {
		all[s] = new(topic.Table[struct{}])
	}
	all[s].Put(o.filter)
}

// disown is the reverse. Called with the lock held.
func (w *wildcards) disown(to destination, o originKey) {
	all, s := w.origins[to], ownScope{o.tenant, o.group}
	x := all[s]
	if x == nil || !x.Delete(o.filter) || x.Len() > 0 {
		return
	}
	if delete(all, s); len(all) == 0 {
		delete(w.origins, to)
	}
}

func newWildcards() *wildcards {
	return &wildcards{tenants: map[string]*topic.Index[wildKey, route]{}, origins: map[destination]map[ownScope]*topic.Table[struct{}]{}}
}

// index finds the index of a tenant; made when missing. Called with the lock held for writing.
func (w *wildcards) index(tenant string) *topic.Index[wildKey, route] {
	x := w.tenants[tenant]
	if x == nil {
		x = topic.NewIndex[wildKey, route](8)
		w.tenants[tenant] = x
	}
	return x
}

// apply takes a delta, unless it is older than what is there.
func (w *wildcards) apply(to destination, epoch uint64, d broker.RouteDelta) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.put(to, epoch, d)
}

func (w *wildcards) put(to destination, epoch uint64, d broker.RouteDelta) {
	x, k := w.index(d.Tenant), wildKey{to, d.Group}
	if old, ok := x.Get(d.Filter, k); ok && !old.newer(epoch, d.Version) {
		return
	}
	r, o := newRoute(epoch, d), originKey{d.Tenant, d.Filter, d.Group}
	x.Add(d.Filter, k, r)
	w.own(to, o)
	w.dig(o, to, r)
}

// dig notes a route that has no members. Called with the lock held.
func (w *wildcards) dig(o originKey, to destination, r route) {
	if r.members == 0 {
		w.graves = append(w.graves, grave[originKey]{o, to, r, time.Now()})
	}
}

// bury removes routes that have had no members for long enough.
func (w *wildcards) bury(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.graves) > 0 && now.Sub(w.graves[0].since) >= rest {
		g := w.graves[0]
		w.graves = w.graves[1:]
		x, k := w.tenants[g.key.tenant], wildKey{g.to, g.key.group}
		if x == nil {
			continue
		}
		if r, ok := x.Get(g.key.filter, k); ok && r == g.route {
			x.Remove(g.key.filter, k)
			w.disown(g.to, g.key)
		}
	}
}

// replace installs a snapshot of one origin.
func (w *wildcards) replace(to destination, epoch, version uint64, deltas []broker.RouteDelta) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for own, filters := range w.origins[to] {
		x, k := w.index(own.tenant), wildKey{to, own.group}
		for f := range filters.All() {
			if old, ok := x.Get(f, k); ok && !old.newerThan(epoch, version) {
				x.Remove(f, k)
				w.disown(to, originKey{own.tenant, f, own.group})
			}
		}
	}
	for _, d := range deltas {
		w.put(to, epoch, d)
	}
}

// forget removes everything of an origin that is gone.
func (w *wildcards) forget(to destination) { w.replace(to, ^uint64(0), ^uint64(0), nil) }

// match calls fn for each route with members.
func (w *wildcards) match(tenant, name string, fn func(filter string, k wildKey, r route)) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if x := w.tenants[tenant]; x != nil {
		x.Match(name, func(filter string, k wildKey, r route) {
			if r.members > 0 {
				fn(filter, k, r)
			}
		})
	}
}

// group calls fn for each origin with members of one shared group.
func (w *wildcards) group(tenant string, s broker.Share, fn func(to destination, r route)) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if x := w.tenants[tenant]; x != nil {
		x.Each(s.Filter, func(k wildKey, r route) {
			if k.group == s.Group && r.members > 0 {
				fn(k.to, r)
			}
		})
	}
}

// dropPlain removes the ordinary wildcard routes of an origin that match a topic, if they have not changed since (epoch, version).
func (w *wildcards) dropPlain(tenant, name string, to destination, epoch, version uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.tenants[tenant]
	if x == nil {
		return
	}
	var filters []string
	x.Match(name, func(filter string, k wildKey, r route) {
		if k.to == to && k.group == "" && r.epoch == epoch && r.version <= version {
			filters = append(filters, filter)
		}
	})
	for _, f := range filters {
		w.clear(tenant, f, wildKey{to, ""})
	}
}

// dropShare removes a shared route of an origin, if it has not changed since.
func (w *wildcards) dropShare(tenant string, s broker.Share, to destination, epoch, version uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x := w.tenants[tenant]; x != nil {
		k := wildKey{to, s.Group}
		if r, ok := x.Get(s.Filter, k); ok && r.epoch == epoch && r.version <= version {
			w.clear(tenant, s.Filter, k)
		}
	}
}

// clear takes the members of a route and keeps its version. Called with the lock held.
func (w *wildcards) clear(tenant, filter string, k wildKey) {
	x := w.tenants[tenant]
	if r, ok := x.Get(filter, k); ok {
		r.members, r.online = 0, 0
		x.Add(filter, k, r)
		w.dig(originKey{tenant, filter, k.group}, k.to, r)
	}
}

func hasWildcard(filter string) bool { return topic.HasWildcard(filter) }
