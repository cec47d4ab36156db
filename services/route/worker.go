package route

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

const (
	deltaBatch    = 1024
	updateTimeout = 5 * time.Second
)

// worker sends deltas to one router, one update at a time. What waits is a set of keys, so it is bounded by the routes of the origin; the
// newest state of a key is read when it is sent.
type worker struct {
	a      *Announcer
	node   cluster.Node
	cancel context.CancelFunc
	ctx    context.Context
	wake   chan struct{}    // holds one token: look again
	dirty  map[Key]struct{} // under the Announcer's lock
}

// worker finds or starts the worker of a router. Called with the lock held.
func (a *Announcer) worker(inc uint64) *worker {
	if w := a.workers[inc]; w != nil {
		return w
	}
	n, ok := a.view.ByIncarnation(inc)
	if !ok || a.closed {
		return nil
	}
	w := &worker{a: a, node: n, wake: make(chan struct{}, 1), dirty: map[Key]struct{}{}}
	w.ctx, w.cancel = context.WithCancel(a.ctx)
	a.workers[inc] = w
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		w.run()
	}()
	return w
}

// retire takes out the workers of routers that are neither in view nor registered. Called with the lock held.
func (a *Announcer) retire() []*worker {
	keep := map[uint64]bool{}
	for _, n := range a.view.Nodes(cluster.Router) {
		keep[n.Incarnation] = true
	}
	for r := range a.regs {
		keep[r.router] = true
	}
	var gone []*worker
	for inc, w := range a.workers {
		if !keep[inc] {
			delete(a.workers, inc)
			gone = append(gone, w)
		}
	}
	return gone
}

// queue marks a key to be sent. Called with the Announcer's lock held.
func (w *worker) queue(k Key) {
	w.dirty[k] = struct{}{}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *worker) stop() { w.cancel() }

func (w *worker) run() {
	router := w.a.cfg.Routers(w.node)
	pause := retryFloor
	for {
		select {
		case <-w.ctx.Done():
			return
		case <-w.wake:
		}
		for {
			deltas, keys := w.take()
			if len(deltas) == 0 {
				break
			}
			ctx, cancel := context.WithTimeout(w.ctx, updateTimeout)
			err := router.UpdateRoutes(ctx, broker.RouteUpdate{Origin: w.a.cfg.Origin, Deltas: deltas})
			cancel()
			if err == nil {
				pause = retryFloor
				w.sent(keys, deltas)
				continue
			}
			w.again(keys)
			if w.ctx.Err() == nil {
				w.a.cfg.Log.Debug("route update refused", slog.String("router", w.node.ID), slog.Any("error", err))
			}
			if !sleep(w.ctx, pause) {
				return
			}
			pause = min(2*pause, retryCeiling)
		}
	}
}

// take reads the state of the next dirty keys, in the order of their versions. Keys that this router has ceased to route are left out. A
// route that is forgotten already is told as removed: a router that missed its removal still has it, and somebody may wait for that.
func (w *worker) take() ([]broker.RouteDelta, []Key) {
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	deltas := make([]broker.RouteDelta, 0, min(len(w.dirty), deltaBatch))
	for k := range w.dirty {
		if len(deltas) == deltaBatch {
			break
		}
		delete(w.dirty, k)
		if _, ok := w.a.targets(k)[w.node.Incarnation]; ok {
			deltas = append(deltas, w.a.delta(k, w.a.state(k)))
		}
	}
	slices.SortFunc(deltas, func(x, y broker.RouteDelta) int { return cmp.Compare(x.Version, y.Version) })
	keys := make([]Key, len(deltas))
	for i := range deltas {
		keys[i] = Key{Tenant: deltas[i].Tenant, Filter: deltas[i].Filter, Group: deltas[i].Group}
	}
	return deltas, keys
}

// state is what a route is now. Called with the lock held.
func (a *Announcer) state(k Key) *entry {
	if e := a.route(k); e != nil {
		return e
	}
	return &entry{version: a.version}
}

// delta tells of a route. Called with the lock held.
func (a *Announcer) delta(k Key, e *entry) broker.RouteDelta {
	d := broker.RouteDelta{Tenant: k.Tenant, Filter: k.Filter, Group: k.Group, Version: e.version, Members: int(e.members), Online: int(e.online)}
	if len(a.routes.holds) > 0 {
		h := a.routes.holds[k]
		d.Holder, d.Grant = h.Client, h.Grant
	}
	return d
}

// again puts keys back after a failure.
func (w *worker) again(keys []Key) {
	w.a.mu.Lock()
	defer w.a.mu.Unlock()
	for _, k := range keys {
		w.dirty[k] = struct{}{}
	}
}

// sent tells waiters that this router has the versions of deltas, and forgets removed routes.
func (w *worker) sent(keys []Key, deltas []broker.RouteDelta) {
	acked := make(map[Key]uint64, len(keys))
	for i, k := range keys {
		acked[k] = deltas[i].Version
	}
	w.a.mu.Lock()
	ready := w.a.settle(func(x *waiter) {
		if v, ok := acked[x.key]; ok && v >= x.version {
			delete(x.need, w.node.Incarnation)
		}
	})
	for _, k := range keys {
		if e := w.a.route(k); e != nil && e.members == 0 && e.version == acked[k] && !w.a.dirtyAnywhere(k) {
			w.a.forget(k)
		}
	}
	w.a.mu.Unlock()
	for _, x := range ready {
		x.done(nil)
	}
}

// dirtyAnywhere says whether some router still has to hear of k. Called with the lock held.
func (a *Announcer) dirtyAnywhere(k Key) bool {
	for _, w := range a.workers {
		if _, ok := w.dirty[k]; ok {
			return true
		}
	}
	return false
}
