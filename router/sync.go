package router

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// wildcardScope is the scope of all wildcards and shared groups; other scopes are topic partitions.
const wildcardScope = -1

// synchroniser collects the routes of every origin, for the wildcards and for each owned topic partition, and again when a session partition changes hands.
//
// A scope is complete when each session partition (of a known epoch) and each gateway that was in view at or after the scope's key has answered a
// snapshot (rules N2, N3). A topic partition serves when its own scope and the wildcards are complete.
type synchroniser struct {
	r *Router

	mu      sync.Mutex
	view    *cluster.View
	epochs  map[int]uint64                 // session partition -> highest epoch seen
	done    map[int]map[destination]uint64 // scope -> origin -> epoch of the installed snapshot
	busy    map[snapshotJob]struct{}       // snapshots under way
	claims  map[int]uint64                 // scope -> epoch of the claim that done belongs to
	wakeups chan struct{}
}

type snapshotJob struct {
	scope int
	claim uint64 // revision of the key that the scope lives by
	from  destination
	epoch uint64 // of the origin
}

func newSynchroniser(r *Router) *synchroniser {
	return &synchroniser{
		r: r, view: r.deps.Cluster.View(), epochs: map[int]uint64{}, done: map[int]map[destination]uint64{},
		busy: map[snapshotJob]struct{}{}, claims: map[int]uint64{}, wakeups: make(chan struct{}, 1),
	}
}

// wake makes the synchroniser look again.
func (y *synchroniser) wake() {
	select {
	case y.wakeups <- struct{}{}:
	default:
	}
}

// follow takes a newer view: routes of gateways that are gone are forgotten.
func (y *synchroniser) follow(v *cluster.View) {
	y.mu.Lock()
	old := y.view
	y.view = v
	for p := range y.r.count(cluster.SessionSpace) {
		if o, ok := v.Owner(cluster.SessionSpace, p); ok {
			y.epochs[p] = max(y.epochs[p], o.Epoch)
		}
	}
	y.mu.Unlock()
	for _, n := range old.Nodes(cluster.Gateway) {
		if _, ok := v.ByIncarnation(n.Incarnation); !ok {
			y.r.forget(destination{toGateway, n.Incarnation})
		}
	}
	y.wake()
}

// forget drops all routes of a gateway that is gone.
func (r *Router) forget(gateway destination) {
	r.wild.forget(gateway)
	for _, p := range r.owned() {
		p.mu.Lock()
		p.exact.forget(gateway)
		p.mu.Unlock()
	}
}

// known is the highest epoch seen of a session partition.
func (y *synchroniser) known(partition int) uint64 {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.epochs[partition]
}

// seen notes an epoch of a session partition and refuses an older one.
func (y *synchroniser) seen(partition int, epoch uint64) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	if epoch < y.epochs[partition] {
		return broker.Errorf(broker.KindStale, "session partition %d, epoch %d: %d is known", partition, epoch, y.epochs[partition])
	}
	y.epochs[partition] = epoch
	return nil
}

// run starts the snapshots that are missing until the router stops.
func (y *synchroniser) run() {
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for {
		idle := y.step()
		if idle {
			select {
			case <-y.r.ctx.Done():
				return
			case <-y.wakeups:
			}
			continue
		}
		select {
		case <-y.r.ctx.Done():
			return
		case <-y.wakeups:
		case <-retry.C:
		}
	}
}

// step starts what is missing and lets complete partitions serve. It reports that nothing is missing.
func (y *synchroniser) step() bool {
	wild := y.scope(wildcardScope, y.r.self.Incarnation)
	idle := wild
	for _, p := range y.r.owned() {
		own := y.scope(p.topic, p.claim.Epoch)
		if own && wild {
			p.serve()
		}
		idle = idle && own
	}
	return idle
}

// scope starts the missing snapshots of one scope and reports whether it is complete.
func (y *synchroniser) scope(scope int, claim uint64) bool {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.claims[scope] != claim {
		y.claims[scope] = claim
		y.done[scope] = map[destination]uint64{}
	}
	if y.view.Revision < claim {
		return false // rule N2: first a view that is at or past the own key
	}
	done, complete := y.done[scope], true
	for p := range y.r.count(cluster.SessionSpace) {
		to := destination{toSession, uint64(p)}
		o, ok := y.view.Owner(cluster.SessionSpace, p)
		if !ok {
			complete = complete && done[to] != 0 // rule N3: a partition without an owner is waited for
			continue
		}
		if done[to] < o.Epoch {
			complete = complete && done[to] != 0 // once synchronised, a change of hands is no reason to stop
			y.start(snapshotJob{scope, claim, to, o.Epoch})
		}
	}
	for _, n := range y.view.Nodes(cluster.Gateway) {
		to := destination{toGateway, n.Incarnation}
		if done[to] == 0 {
			complete = false
			y.start(snapshotJob{scope, claim, to, n.Incarnation})
		}
	}
	return complete
}

// start begins one snapshot unless it is under way. Called with the lock held.
func (y *synchroniser) start(j snapshotJob) {
	if _, ok := y.busy[j]; ok {
		return
	}
	y.busy[j] = struct{}{}
	y.r.spawn(func() {
		epoch, err := y.take(j)
		y.mu.Lock()
		delete(y.busy, j)
		if err == nil && y.claims[j.scope] == j.claim {
			y.done[j.scope][j.from] = max(y.done[j.scope][j.from], epoch)
		}
		y.mu.Unlock()
		if err != nil && y.r.ctx.Err() == nil {
			y.r.deps.Log.Debug("snapshot of routes", slog.Int("scope", j.scope), slog.Any("error", err))
		}
		if err == nil {
			y.wake()
		}
	})
}

// take asks one origin, which registers this router in the same step (rule N1), and installs what it says. It returns the origin's epoch.
func (y *synchroniser) take(j snapshotJob) (uint64, error) {
	ctx, cancel := context.WithTimeout(y.r.ctx, y.r.cfg.SyncTimeout)
	defer cancel()
	source, err := y.source(j.from)
	if err != nil {
		return 0, err
	}
	q := broker.SnapshotQuery{Router: y.r.self, Wildcards: j.scope == wildcardScope, Topic: max(j.scope, 0), Revision: j.claim}
	if j.from.kind == toSession {
		q.Partition = int(j.from.n)
	}
	var deltas []broker.RouteDelta
	info, err := source.SnapshotRoutes(ctx, q, func(part []broker.RouteDelta) error {
		deltas = append(deltas, part...)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if j.from.kind == toSession {
		if err := y.seen(int(j.from.n), info.Origin.Epoch); err != nil {
			return 0, err
		}
	}
	return info.Origin.Epoch, y.install(j, info, deltas)
}

func (y *synchroniser) source(from destination) (broker.RouteSource, error) {
	if from.kind == toSession {
		return y.r.deps.Sessions, nil
	}
	n, ok := y.r.deps.Cluster.View().ByIncarnation(from.n)
	if !ok {
		return nil, errors.New("gateway left")
	}
	return y.r.deps.Gateways(n), nil
}

// install replaces the origin's routes in the scope.
func (y *synchroniser) install(j snapshotJob, info broker.SnapshotInfo, deltas []broker.RouteDelta) error {
	if j.scope == wildcardScope {
		y.r.wild.replace(j.from, info.Origin.Epoch, info.Version, deltas)
		return nil
	}
	p := y.r.partition(j.scope)
	if p == nil || p.claim.Epoch != j.claim {
		return errors.New("partition was released")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exact.replace(j.from, info.Origin.Epoch, info.Version, deltas)
	return nil
}

// UpdateRoutes applies deltas of one origin. See broker.RouterNode.
func (r *Router) UpdateRoutes(_ context.Context, u broker.RouteUpdate) error {
	from := destination{toGateway, u.Origin.Node.Incarnation}
	if u.Origin.Kind == broker.FromSession {
		from = destination{toSession, uint64(u.Origin.Partition)}
		if err := r.sync.seen(u.Origin.Partition, u.Origin.Epoch); err != nil {
			return err
		}
	} else if r.gone(u.Origin.Node.Incarnation) {
		return broker.Errorf(broker.KindStale, "gateway %s is gone", u.Origin.Node.ID)
	}
	foreign := 0
	for _, d := range u.Deltas {
		if d.Group != "" || hasWildcard(d.Filter) {
			r.wild.apply(from, u.Origin.Epoch, d)
			continue
		}
		if !r.applyExact(from, u.Origin.Epoch, d) {
			foreign++
		}
	}
	if foreign > 0 {
		return broker.Errorf(broker.KindNotOwner, "%d of %d exact filters are another router's", foreign, len(u.Deltas))
	}
	return nil
}

// applyExact applies a delta of an exact filter; false if its topic partition is not owned, or not with a valid lease.
func (r *Router) applyExact(from destination, epoch uint64, d broker.RouteDelta) bool {
	p := r.partition(cluster.Partition(d.Tenant, d.Filter, r.count(cluster.TopicSpace)))
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == stateEnded || !p.claim.Valid() {
		return false
	}
	p.exact.apply(from, epoch, d)
	if d.Holder != "" && d.Members == 0 {
		p.released(routeKey{d.Tenant, d.Filter}, d.Holder)
	}
	return true
}
