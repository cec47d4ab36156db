package route

import (
	"context"
	"log/slog"
	"sync"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/topic"
)

// Key names a route of an origin: an inner filter, and for shared subscriptions the group.
type Key struct {
	Tenant string
	Filter string
	Group  string
}

// AnnouncerConfig says for whom an Announcer speaks.
type AnnouncerConfig struct {
	Origin  broker.Origin
	Cluster cluster.Cluster
	// Routers gives the interface of one router process, by the identity that the view shows.
	Routers func(cluster.Node) broker.RouterNode
	Log     *slog.Logger
}

// Announcer keeps the routes of one origin (a gateway incarnation, or a session partition in one epoch) in force at the routers.
// It lives as long as that origin: a new incarnation or epoch makes a new Announcer, whose versions start again.
type Announcer struct {
	cfg    AnnouncerConfig
	topics int
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	view    *cluster.View
	version uint64
	routes  routes
	workers map[uint64]*worker      // by router incarnation
	regs    map[registration]uint64 // -> revision of the key it lives by (rule N1)
	waiters map[*waiter]struct{}
}

// Hold is who has an exclusive topic, for the route that says so (see broker.ExclusivePrefix).
type Hold struct {
	Client string
	Grant  uint64 // epoch of the topic partition
}

// ExclusiveKey names the route that says who has a topic for itself.
func ExclusiveKey(tenant, topic string) Key {
	return Key{Tenant: tenant, Filter: broker.ExclusivePrefix + topic}
}

// registration is one router that took a snapshot: of the wildcards (topic -1), or of one topic partition.
type registration struct {
	router uint64
	topic  int
}

// waiter is one Wait: need shrinks as routers ack, or cease to matter.
type waiter struct {
	key     Key
	version uint64
	need    map[uint64]struct{}
	done    func(error)
}

// NewAnnouncer makes an Announcer that follows the cluster's view until Close.
func NewAnnouncer(cfg AnnouncerConfig) *Announcer {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &Announcer{
		cfg: cfg, topics: cfg.Cluster.Meta().Partitions[cluster.TopicSpace], view: cfg.Cluster.View(),
		routes: newRoutes(), workers: map[uint64]*worker{}, regs: map[registration]uint64{}, waiters: map[*waiter]struct{}{},
	}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		cfg.Cluster.Watch(a.ctx, a.follow)
	}()
	return a
}

// Change adds to the members of a route (negative: removes) and, for shared groups, to those that are connected. It changes the state that snapshots show, in this
// step; routers hear of it by Wait or Announce. It returns the route's version.
func (a *Announcer) Change(k Key, members, online int) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.make(k)
	was := e.members
	e.members += int32(members)
	e.online += int32(online)
	if k.Group != "" || (was == 0) != (e.members == 0) {
		a.version++
		e.version = a.version
	}
	return e.version
}

// Hold is Change for the route of an exclusive topic, and says who has it. An origin has one holder of a topic at a time.
func (a *Announcer) Hold(k Key, h Hold, members int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.make(k)
	was := e.members
	e.members += int32(members)
	if (was == 0) != (e.members == 0) || e.members > 0 && a.routes.holds[k] != h {
		a.version++
		e.version = a.version
	}
	if e.members > 0 {
		a.routes.holds[k] = h
	}
}

// Version is the origin's newest route version.
func (a *Announcer) Version() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.version
}

// Announce tells the routers of a route's present state some time soon.
func (a *Announcer) Announce(k Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.send(k)
}

// Wait tells the routers of a route's present state and calls done(nil) when every router that may route it now, in view or registered, has acked
// this version or a later one (rule N8). done is called once, at once if there is no router, with an error only after Close. It must not block.
func (a *Announcer) Wait(k Key, done func(error)) {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		done(ErrClosed)
		return
	}
	w := &waiter{key: k, need: a.send(k), done: done}
	if e := a.route(k); e != nil {
		w.version = e.version
	}
	if len(w.need) == 0 {
		a.mu.Unlock()
		done(nil)
		return
	}
	a.waiters[w] = struct{}{}
	a.mu.Unlock()
}

// send queues the present state of k at every router that matters and returns their incarnations. Called with the lock held.
func (a *Announcer) send(k Key) map[uint64]struct{} {
	need := a.targets(k)
	e := a.route(k)
	if e == nil || a.closed {
		return nil
	}
	for inc := range need {
		if w := a.worker(inc); w != nil { // nil: registered, but the view does not show it yet; follow catches up
			w.queue(k)
		}
	}
	if e.members == 0 && len(need) == 0 {
		a.forget(k)
	}
	return need
}

// exactTopic is the topic partition whose owner routes k, or -1 when every router does.
func (a *Announcer) exactTopic(k Key) int {
	if k.Group != "" || topic.HasWildcard(k.Filter) {
		return -1
	}
	return cluster.Partition(k.Tenant, k.Filter, a.topics)
}

// targets are the routers that may route k: those in view, and the registered ones. Called with the lock held.
func (a *Announcer) targets(k Key) map[uint64]struct{} {
	need := map[uint64]struct{}{}
	t := a.exactTopic(k)
	if t < 0 {
		for _, n := range a.view.Nodes(cluster.Router) {
			need[n.Incarnation] = struct{}{}
		}
	} else if o, ok := a.view.Owner(cluster.TopicSpace, t); ok {
		need[o.Node.Incarnation] = struct{}{}
	}
	for r := range a.regs {
		if r.topic == t {
			need[r.router] = struct{}{}
		}
	}
	return need
}

// follow takes a newer view: registrations that ended are forgotten, workers of routers that are gone end, waiters are looked at again.
func (a *Announcer) follow(v *cluster.View) {
	a.mu.Lock()
	a.view = v
	for r, revision := range a.regs {
		if v.Revision >= revision && !registered(v, r) {
			delete(a.regs, r)
		}
	}
	gone := a.retire()
	a.catchUp()
	ready := a.settle(func(w *waiter) {
		still := a.targets(w.key)
		for inc := range w.need {
			if _, ok := still[inc]; !ok {
				delete(w.need, inc)
			}
		}
	})
	a.mu.Unlock()
	for _, w := range gone {
		w.stop()
	}
	for _, w := range ready {
		w.done(nil)
	}
}

// catchUp sends what waiters want to routers that registered before the view showed them. Called with the lock held.
func (a *Announcer) catchUp() {
	for w := range a.waiters {
		for inc := range w.need {
			if a.workers[inc] != nil {
				continue
			}
			if r := a.worker(inc); r != nil {
				r.queue(w.key)
			}
		}
	}
}

// registered says whether the key that a registration lives by is there.
func registered(v *cluster.View, r registration) bool {
	if r.topic < 0 {
		_, ok := v.ByIncarnation(r.router)
		return ok
	}
	o, ok := v.Owner(cluster.TopicSpace, r.topic)
	return ok && o.Node.Incarnation == r.router
}

// settle applies fn to every waiter and takes out those that need nobody any more. Called with the lock held.
func (a *Announcer) settle(fn func(*waiter)) []*waiter {
	var ready []*waiter
	for w := range a.waiters {
		fn(w)
		if len(w.need) == 0 {
			delete(a.waiters, w)
			ready = append(ready, w)
		}
	}
	return ready
}

// Close stops following the view and sending. Waiters get an error.
func (a *Announcer) Close() {
	a.mu.Lock()
	a.closed = true
	left := a.waiters
	a.waiters = map[*waiter]struct{}{}
	a.mu.Unlock()
	a.cancel()
	a.wg.Wait()
	for w := range left {
		w.done(ErrClosed)
	}
}
