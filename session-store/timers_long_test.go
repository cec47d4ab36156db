//go:build long

package sessionstore_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	sessionstore "github.com/pando-mq/pando/session-store"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/journal/journaltest"
)

// TestTimersMeasured measures on the real clock, with a log in memory, how late wills with a delay leave for the router, and wills of sessions that expire, at
// 1,000 a second for five seconds each.
func TestTimersMeasured(t *testing.T) {
	for name, c := range map[string][2]time.Duration{"will delay": {time.Hour, 2 * time.Second}, "session expiry": {2 * time.Second, time.Hour}} {
		t.Run(name, func(t *testing.T) {
			w := realWorld(t)
			g := w.gateway("g1")
			const n = 5 * willRate
			due := leaving(g, n, c[0], c[1], func() {
				await(t, "every client is attached", func() bool {
					g.mu.Lock()
					defer g.mu.Unlock()
					return len(g.replies) == n
				})
			})
			await(t, "every will came", func() bool { return len(w.router.published()) == n })
			late := w.router.lateness(due)
			slices.Sort(late)
			p99 := late[n*99/100]
			t.Logf("%s, 1,000/s: p50 %v, p99 %v, max %v late", name, late[n/2], p99, late[n-1])
			if p99 > 50*time.Millisecond {
				t.Errorf("p99 is %v, want at most 50 ms", p99)
			}
		})
	}
}

// await waits for a condition.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		<-time.NewTimer(10 * time.Millisecond).C
	}
}

// realWorld is a world on the real clock, with a session-store that serves.
func realWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, memory: cluster.NewMemory(), faults: journaltest.NewFaults(journal.NewMemoryStreams()), cfg: sessionstore.DefaultConfig(),
		router: newRouter(), tier: &tier{}, gws: map[uint64]*gateway{},
	}
	w.cluster = w.join()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := w.cluster.Register(ctx, cluster.Node{Role: cluster.Router, ID: "r1"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := w.cluster.Register(ctx, cluster.Node{Role: cluster.SessionStore, ID: "s1"})
	if err != nil {
		t.Fatal(err)
	}
	var hosting sync.WaitGroup
	hosting.Go(func() { _ = r.Host(ctx, cluster.TopicSpace, idle{}) })
	w.store, err = sessionstore.New(w.cfg, sessionstore.Deps{
		Cluster: w.cluster, Member: m, Router: w.router, Routers: func(cluster.Node) broker.RouterNode { return w.router }, Sessions: w.tier,
		Gateways: func(n cluster.Node) broker.Gateway { return w.gws[n.Incarnation] }, Journal: w.journal(),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.tier.set(w.store)
	if err := w.store.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		cancel()
		hosting.Wait()
		_ = w.cluster.Close()
	})
	await(t, "the partitions are served", func() bool {
		stats, err := w.store.SessionStats(t.Context())
		return err == nil && stats["partitions/count"] == sessions
	})
	return w
}
