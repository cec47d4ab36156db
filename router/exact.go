package router

import (
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// exactRoutes are the filters without wildcards of one topic partition, by tenant. They belong to the partition's lock.
type exactRoutes struct {
	tenants map[string]*topic.Table[origins]
	holds   map[holdKey]hold  // of exclusive topics
	graves  []grave[routeKey] // in the order of time
}

// origins are the routes of one filter, one at least. Most filters have one, and there are very many filters.
type origins struct {
	one  [1]exactRoute
	more *[]exactRoute // if there are several: all of them
}

type exactRoute struct {
	to destination
	route
}

type holdKey struct {
	routeKey
	to destination
}

// hold is who has an exclusive topic, and since which epoch of the topic partition.
type hold struct {
	client string
	grant  uint64
}

func (o *origins) all() []exactRoute {
	if o.more != nil {
		return *o.more
	}
	return o.one[:]
}

func (o *origins) add(e exactRoute) {
	if o.more == nil {
		o.more = &[]exactRoute{o.one[0]}
		o.one = [1]exactRoute{}
	}
	*o.more = append(*o.more, e)
}

// keep removes the routes that fn does not want, and reports whether any are left; without any the filter is to be removed.
func (o *origins) keep(fn func(*exactRoute) bool) bool {
	if o.more == nil {
		return fn(&o.one[0])
	}
	left := slices.DeleteFunc(*o.more, func(e exactRoute) bool { return !fn(&e) })
	if *o.more = left; len(left) == 1 {
		o.one[0], o.more = left[0], nil
	}
	return len(left) > 0
}

func newExactRoutes() *exactRoutes {
	return &exactRoutes{tenants: map[string]*topic.Table[origins]{}, holds: map[holdKey]hold{}}
}

// origins finds a filter; nil if it has no routes. What it gives is valid until the next change.
func (t *exactRoutes) origins(k routeKey) *origins {
	x := t.tenants[k.tenant]
	if x == nil {
		return nil
	}
	return x.Get(k.filter)
}

// of lists the routes of a filter until the next change.
func (t *exactRoutes) of(k routeKey) []exactRoute {
	if o := t.origins(k); o != nil {
		return o.all()
	}
	return nil
}

// find is the route of a filter to a destination; nil if there is none. It is valid until the next change.
func (t *exactRoutes) find(k routeKey, to destination) *exactRoute {
	list := t.of(k)
	if i := slices.IndexFunc(list, func(e exactRoute) bool { return e.to == to }); i >= 0 {
		return &list[i]
	}
	return nil
}

// each visits all routes that bring messages, those of one filter one after the other.
func (t *exactRoutes) each(fn func(k routeKey, to destination)) {
	for tenant, x := range t.tenants {
		for f := range x.All() {
			k := routeKey{tenant, f}
			t.carriers(k, func(to destination) { fn(k, to) })
		}
	}
}

// apply takes a delta, unless it is older than what is there. A removed route stays for a while, without members.
func (t *exactRoutes) apply(to destination, epoch uint64, d broker.RouteDelta) {
	k := routeKey{d.Tenant, d.Filter}
	next := exactRoute{to, newRoute(epoch, d)}
	if old := t.find(k, to); old != nil {
		if !old.newer(epoch, d.Version) {
			return
		}
		*old = next
	} else {
		t.add(k, next)
	}
	if d.Holder != "" {
		t.holds[holdKey{k, to}] = hold{d.Holder, d.Grant}
	} else if len(t.holds) > 0 {
		delete(t.holds, holdKey{k, to})
	}
	t.dig(k, next)
}

func (t *exactRoutes) add(k routeKey, e exactRoute) {
	x := t.tenants[k.tenant]
	if x == nil {
		x = new(topic.Table[origins])
		t.tenants[k.tenant] = x
	}
	if o, isNew := x.Put(k.filter); isNew {
		o.one[0] = e
	} else {
		o.add(e)
	}
}

// dig notes a route that has no members.
func (t *exactRoutes) dig(k routeKey, e exactRoute) {
	if e.members == 0 {
		t.graves = append(t.graves, grave[routeKey]{k, e.to, e.route, time.Now()})
	}
}

// bury removes routes that have had no members for long enough.
func (t *exactRoutes) bury(now time.Time) {
	for len(t.graves) > 0 && now.Sub(t.graves[0].since) >= rest {
		g := t.graves[0]
		t.graves = t.graves[1:]
		t.keep(g.key, t.origins(g.key), func(e *exactRoute) bool { return e.to != g.to || e.route != g.route })
	}
}

// keep removes the routes of a filter that fn does not want, and the filter when none are left.
func (t *exactRoutes) keep(k routeKey, o *origins, fn func(*exactRoute) bool) {
	if o == nil || o.keep(func(e *exactRoute) bool {
		wanted := fn(e)
		if !wanted && len(t.holds) > 0 {
			delete(t.holds, holdKey{k, e.to})
		}
		return wanted
	}) {
		return
	}
	x := t.tenants[k.tenant]
	if x.Delete(k.filter); x.Len() == 0 {
		delete(t.tenants, k.tenant)
	}
}

// replace installs a snapshot of one origin: what it does not name, and is not newer, goes.
func (t *exactRoutes) replace(to destination, epoch, version uint64, deltas []broker.RouteDelta) {
	for tenant, x := range t.tenants {
		for f, o := range x.All() {
			t.keep(routeKey{tenant, f}, o, func(e *exactRoute) bool { return e.to != to || e.newerThan(epoch, version) })
		}
	}
	for _, d := range deltas {
		t.apply(to, epoch, d)
	}
}

// drop removes a route that its origin says is not wanted, if it has not changed since.
func (t *exactRoutes) drop(k routeKey, to destination, epoch, version uint64) {
	e := t.find(k, to)
	if e == nil || e.epoch != epoch || e.version > version {
		return
	}
	e.members = 0
	t.dig(k, *e)
}

// forget removes everything of an origin that is gone.
func (t *exactRoutes) forget(to destination) { t.replace(to, ^uint64(0), ^uint64(0), nil) }

// carriers visits the origins to which a filter brings messages. A route that says who has an exclusive topic brings none.
func (t *exactRoutes) carriers(k routeKey, yield func(to destination)) {
	for _, e := range t.of(k) {
		if e.members > 0 && !t.holding(k, e.to) {
			yield(e.to)
		}
	}
}

func (t *exactRoutes) holding(k routeKey, to destination) bool {
	if len(t.holds) == 0 {
		return false
	}
	_, ok := t.holds[holdKey{k, to}]
	return ok
}
