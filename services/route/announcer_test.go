package route_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/route"
)

// table is a router node that records deltas; it can be made to refuse or to hang.
type table struct {
	broker.RouterNode // what an Announcer does not use

	mu     sync.Mutex
	deltas []broker.RouteDelta
	refuse bool
	gate   chan struct{} // non-nil: updates wait until it is closed
}

func (r *table) UpdateRoutes(ctx context.Context, u broker.RouteUpdate) error {
	r.mu.Lock()
	gate := r.gate
	r.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse {
		return broker.E(broker.KindUnavailable, "refused by the test", nil)
	}
	r.deltas = append(r.deltas, u.Deltas...)
	return nil
}

// hang makes updates wait until the function that it returns is called.
func (r *table) hang() (release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gate := make(chan struct{})
	r.gate = gate
	return func() { close(gate) }
}

func (r *table) set(refuse bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = refuse
}

// last is the newest delta of a filter.
func (r *table) last(filter string) (broker.RouteDelta, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.deltas) - 1; i >= 0; i-- {
		if r.deltas[i].Filter == filter {
			return r.deltas[i], true
		}
	}
	return broker.RouteDelta{}, false
}

// host takes every partition it is given.
type host struct{}

func (host) Acquire(context.Context, cluster.Claim) error { return nil }
func (host) Release(context.Context, int)                 {}

// world is a cluster of routers in memory, with an Announcer of one session partition.
type world struct {
	cluster cluster.Cluster
	tables  map[string]*table
	a       *route.Announcer
}

func newWorld(t *testing.T, owners ...string) *world {
	t.Helper()
	c, err := cluster.NewStatic(cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{cluster: c, tables: map[string]*table{}}
	for _, id := range owners {
		w.join(t, id, true)
	}
	w.a = route.NewAnnouncer(route.AnnouncerConfig{
		Origin: broker.Origin{Kind: broker.FromSession, Partition: 3, Epoch: 9}, Cluster: c,
		Routers: func(n cluster.Node) broker.RouterNode { return w.tables[n.ID] },
	})
	t.Cleanup(func() { w.a.Close(); _ = c.Close() })
	return w
}

// join registers a router, and lets it own the topic partitions when owns is set.
func (w *world) join(t *testing.T, id string, owns bool) cluster.Member {
	t.Helper()
	w.tables[id] = &table{}
	m, err := w.cluster.Register(t.Context(), cluster.Node{Role: cluster.Router, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	if owns {
		go func() { _ = m.Host(context.WithoutCancel(t.Context()), cluster.TopicSpace, host{}) }()
		time.Sleep(time.Second)
	}
	synctest.Wait()
	return m
}

// wait subscribes at the announcer and reports a flag that turns true when everything is routed.
func (w *world) wait(k route.Key) *bool {
	routed := new(bool)
	w.a.Change(k, 1, 1)
	w.a.Wait(k, func(err error) { *routed = err == nil })
	synctest.Wait()
	return routed
}

func TestWaitNeedsEveryRouterForWildcards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "r1")
		w.join(t, "r2", false)
		w.tables["r2"].set(true)
		routed := w.wait(route.Key{Filter: "a/+"})
		if *routed {
			t.Fatal("routed although r2 refused")
		}
		if d, ok := w.tables["r1"].last("a/+"); !ok || d.Members != 1 {
			t.Fatalf("r1 has %+v", d)
		}
		w.tables["r2"].set(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !*routed {
			t.Fatal("not routed after r2 took it")
		}
	})
}

func TestWaitNeedsOnlyTheOwnerForExactFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "r1")
		w.join(t, "r2", false)
		w.tables["r2"].set(true)
		if !*w.wait(route.Key{Filter: "a/b"}) {
			t.Fatal("not routed by the owner alone")
		}
	})
}

// Rule N1: a router that took a snapshot is waited for, whatever the view says, until a view at its revision shows it gone.
func TestSnapshotRegistersTheRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "r1")
		late := w.join(t, "r2", false)
		w.tables["r2"].set(true)
		first := route.Key{Filter: "x/y"}
		w.wait(first)
		n := late.Node()
		var got []broker.RouteDelta
		info, err := w.a.SnapshotRoutes(t.Context(), broker.SnapshotQuery{
			Router: broker.NodeRef{ID: n.ID, Incarnation: n.Incarnation}, Topic: cluster.Partition("", "x/y", 64), Revision: 1 << 40,
		}, func(d []broker.RouteDelta) error { got = append(got, d...); return nil })
		if err != nil || len(got) != 1 || got[0].Filter != "x/y" || info.Version != got[0].Version {
			t.Fatalf("snapshot %+v %+v: %v", got, info, err)
		}
		if *w.wait(first) {
			t.Fatal("routed without the ack of a registered router")
		}
		w.tables["r2"].set(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !*w.wait(first) {
			t.Fatal("not routed although the registered router answers")
		}
	})
}

func TestRegistrationEndsWithTheRoutersKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "r1")
		late := w.join(t, "r2", false)
		w.tables["r2"].set(true)
		n := late.Node()
		_, err := w.a.SnapshotRoutes(t.Context(), broker.SnapshotQuery{
			Router: broker.NodeRef{ID: n.ID, Incarnation: n.Incarnation}, Wildcards: true, Revision: n.Incarnation,
		}, func([]broker.RouteDelta) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		routed := w.wait(route.Key{Filter: "#"})
		if *routed {
			t.Fatal("routed without r2")
		}
		if err := late.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !*routed {
			t.Fatal("still waits for a router that left")
		}
	})
}

func TestRemovedRouteIsAnnouncedWithANewerVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "r1")
		k := route.Key{Filter: "a/b"}
		w.wait(k)
		before, _ := w.tables["r1"].last("a/b")
		w.a.Change(k, -1, -1)
		w.a.Announce(k)
		synctest.Wait()
		after, _ := w.tables["r1"].last("a/b")
		if after.Members != 0 || after.Version <= before.Version {
			t.Fatalf("removal %+v after %+v", after, before)
		}
		w.wait(k)
		again, _ := w.tables["r1"].last("a/b")
		if again.Members != 1 || again.Version <= after.Version {
			t.Fatalf("re-added %+v after %+v", again, after)
		}
	})
}

// Rule N8: a second subscription to a filter that is there already waits for the routers too.
func TestSecondSubscriptionWaitsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "r1")
		w.tables["r1"].set(true)
		k := route.Key{Filter: "a/b"}
		first, second := w.wait(k), w.wait(k)
		if *first || *second {
			t.Fatal("routed while the router refuses")
		}
	})
}

func TestSharedRouteCountsMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "r1")
		k := route.Key{Filter: "a/b", Group: "g"}
		w.wait(k)
		w.wait(k)
		w.a.Change(k, 0, -1)
		w.a.Announce(k)
		synctest.Wait()
		if d, _ := w.tables["r1"].last("a/b"); d.Members != 2 || d.Online != 1 {
			t.Fatalf("members %d online %d", d.Members, d.Online)
		}
	})
}

func TestCloseAnswersWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "r1")
		w.tables["r1"].set(true)
		var got error
		w.a.Change(route.Key{Filter: "q"}, 1, 0)
		w.a.Wait(route.Key{Filter: "q"}, func(err error) { got = err })
		w.a.Close()
		if broker.KindOf(got) != broker.KindUnavailable {
			t.Fatalf("waiter got %v", got)
		}
	})
}

// A route that ends while one router does not answer: whoever waited for that router is answered when it comes back, and it forgets the route.
func TestWaitEndsAlthoughTheRouteEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "r1")
		w.join(t, "r2", false)
		k := route.Key{Filter: "a/+"}
		w.tables["r2"].set(true)
		routed := w.wait(k)
		r1, r2 := w.tables["r1"].hang(), w.tables["r2"].hang()
		w.a.Change(k, -1, -1)
		w.a.Announce(k)
		time.Sleep(time.Second) // the removal is on its way to both
		r1()
		synctest.Wait()
		if d, _ := w.tables["r1"].last("a/+"); d.Members != 0 || *routed {
			t.Fatalf("r1 has %+v, routed %v", d, *routed)
		}
		time.Sleep(10 * time.Second) // and is given up at r2
		w.tables["r2"].set(false)
		r2()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if !*routed {
			t.Error("still waiting for a router that is back")
		}
		if d, ok := w.tables["r2"].last("a/+"); !ok || d.Members != 0 {
			t.Errorf("r2 has %+v", d)
		}
	})
}
