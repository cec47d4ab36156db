package brokertest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// fakeAnnouncer keeps the routes of one fake origin in force at routers: all of them for wildcards and groups; for exact filters the owner, which is the
// first router, and those that took a snapshot (rule N1). Its fields belong to the loop's lock.
type fakeAnnouncer struct {
	l          *loop
	flaws      flaws
	origin     broker.Origin
	topicOf    func(tenant, filter string) int
	routers    *fakeRouters
	version    uint64
	routes     map[routeName]*announced
	registered map[broker.NodeRef]map[int]bool // router -> topic partitions it took snapshots of
}

type announced struct {
	members, online int
	version         uint64
}

// fakeRouters are the routers in the view of a fake, and what runs for them.
type fakeRouters struct {
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	list  []fakeRouter
	count uint64
}

type fakeRouter struct {
	ref  broker.NodeRef
	node broker.RouterNode
}

func newFakeRouters(nodes ...broker.RouterNode) *fakeRouters {
	r := &fakeRouters{}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for _, n := range nodes {
		if n != nil {
			r.add("router", n)
		}
	}
	return r
}

func (r *fakeRouters) add(id string, node broker.RouterNode) broker.NodeRef {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	ref := broker.NodeRef{ID: id, Incarnation: 1<<32 + r.count}
	r.list = append(r.list, fakeRouter{ref, node})
	return ref
}

func (r *fakeRouters) remove(ref broker.NodeRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(r.list, func(x fakeRouter) bool { return x.ref == ref })
}

func (r *fakeRouters) all() []fakeRouter {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

// spawn runs fn in a goroutine that close waits for; not at all after close.
func (r *fakeRouters) spawn(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() == nil {
		r.wg.Go(fn)
	}
}

func (r *fakeRouters) close() {
	r.mu.Lock()
	r.cancel()
	r.mu.Unlock()
	r.wg.Wait()
}

func newFakeAnnouncer(l *loop, f flaws, o broker.Origin, routers *fakeRouters, topics int) *fakeAnnouncer {
	return &fakeAnnouncer{
		l: l, flaws: f, origin: o, routers: routers, routes: map[routeName]*announced{}, registered: map[broker.NodeRef]map[int]bool{},
		topicOf: func(tenant, filter string) int { return hash(tenant, filter, topics) },
	}
}

func wildRoute(k routeName) bool { return k.group != "" || topic.HasWildcard(k.filter) }

// change adds to the members of a route, or takes from them. Called with the lock held.
func (a *fakeAnnouncer) change(k routeName, members, online int) {
	e := a.routes[k]
	if e == nil {
		e = &announced{}
		a.routes[k] = e
	}
	was := e.members
	e.members += members
	e.online += online
	if k.group != "" || (was == 0) != (e.members == 0) {
		a.version++
		e.version = a.version
	}
}

// delta is the present state of a route. Called with the lock held.
func (a *fakeAnnouncer) delta(k routeName) broker.RouteDelta {
	e := a.routes[k]
	return broker.RouteDelta{Tenant: k.tenant, Filter: k.filter, Group: k.group, Version: e.version, Members: min(e.members, a.most(k, e)), Online: e.online}
}

func (a *fakeAnnouncer) most(k routeName, e *announced) int {
	if k.group != "" {
		return e.members
	}
	return 1
}

// announce tells every router that may route k, and calls done, if not nil, with the lock held when all of them have it (rule N8). Called with the lock held.
func (a *fakeAnnouncer) announce(keys []routeName, done func()) {
	var need []fakeRouter
	var deltas []broker.RouteDelta
	routers := a.routers.all()
	for _, k := range keys {
		deltas = append(deltas, a.delta(k))
		for i, r := range routers {
			if wildRoute(k) || i == 0 || a.registered[r.ref][a.topicOf(k.tenant, k.filter)] && a.flaws.keeps(snapshotRegisters) {
				need = append(need, r)
			}
		}
	}
	u := broker.RouteUpdate{Origin: a.origin, Deltas: deltas}
	a.routers.spawn(func() {
		for _, r := range need {
			if !a.routers.tell(r, u, a.flaws) {
				return
			}
		}
		if done != nil {
			a.l.enter()
			done()
			a.l.leave()
		}
	})
}

// tell repeats an update until the router took it, or is gone. false: the fake was closed, or the origin is stale.
func (r *fakeRouters) tell(to fakeRouter, u broker.RouteUpdate, f flaws) bool {
	retry := time.NewTicker(time.Millisecond)
	defer retry.Stop()
	for {
		if !slices.Contains(r.all(), to) && f.keeps(goneRouter) {
			return true
		}
		err := to.node.UpdateRoutes(r.ctx, u)
		switch {
		case err == nil || broker.KindOf(err) == broker.KindNotOwner:
			return true
		case broker.KindOf(err) == broker.KindStale:
			return false
		}
		select {
		case <-r.ctx.Done():
			return false
		case <-retry.C:
		}
	}
}

// snapshot answers a router that synchronises, and registers it in the same step (rule N1). Called without the lock.
func (a *fakeAnnouncer) snapshot(ctx context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	if err := ctx.Err(); err != nil {
		return broker.SnapshotInfo{}, broker.E(broker.KindCanceled, "snapshot of routes", err)
	}
	a.l.enter()
	if a.registered[q.Router] == nil {
		a.registered[q.Router] = map[int]bool{}
	}
	if !q.Wildcards {
		a.registered[q.Router][q.Topic] = true
	}
	var out []broker.RouteDelta
	for k, e := range a.routes {
		selected := wildRoute(k) == q.Wildcards && (q.Wildcards || a.topicOf(k.tenant, k.filter) == q.Topic)
		if e.members > 0 && (selected || !a.flaws.keeps(snapshotSelects)) {
			out = append(out, a.delta(k))
		}
	}
	info := broker.SnapshotInfo{Origin: a.origin, Version: a.version}
	a.l.leave()
	slices.SortFunc(out, func(x, y broker.RouteDelta) int { return cmp.Compare(x.Version, y.Version) })
	for len(out) > 0 {
		n := min(len(out), 16)
		if err := yield(out[:n:n]); err != nil {
			return broker.SnapshotInfo{}, err
		}
		out = out[n:]
	}
	return info, nil
}
