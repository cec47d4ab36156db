package clustertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/cluster"
)

func viewTests() []test {
	return []test{
		{"Sync of revision 0 holds everything that was written before it", testSyncThrough},
		{"Sync returns a view at or past the revision", testSyncRevision},
		{"Sync returns the error of ctx", testSyncContext},
		{"Watch calls with the present view, then with newer ones only, up to the newest", testWatch},
		{"Watch returns when ctx ends and when the Cluster is closed", testWatchEnds},
		{"Nodes are sorted by id", testSorted},
		{"a view is immutable", testImmutable},
		{"clusters of different names share nothing", testNames},
	}
}

func testSyncThrough(e *env) {
	a, b := e.process(), e.process()
	for i := range 10 {
		m := e.register(a, cluster.Gateway, fmt.Sprint("g", i))
		if _, ok := e.sync(b, 0).ByIncarnation(m.Node().Incarnation); !ok {
			e.Errorf("%s is missing", m.Node().ID)
		}
		if err := m.Leave(e.context()); err != nil {
			e.Fatalf("leave: %v", err)
		}
		if _, ok := e.sync(b, 0).ByIncarnation(m.Node().Incarnation); ok {
			e.Errorf("%s is still there", m.Node().ID)
		}
	}
}

func testSyncRevision(e *env) {
	a, b := e.process(), e.process()
	for i := range 10 {
		inc := e.register(a, cluster.Gateway, fmt.Sprint("g", i)).Node().Incarnation
		v := e.sync(b, inc)
		if _, ok := v.ByIncarnation(inc); !ok || v.Revision < inc {
			e.Errorf("revision %d shows incarnation %d: %v", v.Revision, inc, ok)
		}
	}
}

func testSyncContext(e *env) {
	c := e.process()
	ctx, cancel := context.WithTimeout(e.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Sync(ctx, c.View().Revision+1_000_000); !errors.Is(err, context.DeadlineExceeded) {
		e.Errorf("sync: %v", err)
	}
}

func testWatch(e *env) {
	a, b := e.process(), e.process()
	first := e.register(a, cluster.Gateway, "first")
	e.sync(b, first.Node().Incarnation)
	ctx, cancel := context.WithCancel(e.Context())
	var mu sync.Mutex
	var revisions []uint64
	var last *cluster.View
	var watching sync.WaitGroup
	watching.Go(func() {
		b.Watch(ctx, func(v *cluster.View) {
			mu.Lock()
			defer mu.Unlock()
			if _, ok := v.ByIncarnation(first.Node().Incarnation); !ok && last == nil {
				e.Error("the first call does not have the present view")
			}
			revisions, last = append(revisions, v.Revision), v
		})
	})
	for i := range 20 {
		e.register(a, cluster.Gateway, fmt.Sprint("g", i))
		e.sync(b, 0) // reads and events interleave
	}
	e.eventually("the newest view is told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return last != nil && len(last.Nodes(cluster.Gateway)) == 21
	})
	cancel()
	watching.Wait()
	for i := 1; i < len(revisions); i++ {
		if revisions[i] <= revisions[i-1] {
			e.Errorf("revision %d after %d", revisions[i], revisions[i-1])
		}
	}
}

func testWatchEnds(e *env) {
	c := e.process()
	ctx, cancel := context.WithCancel(e.Context())
	var byContext, byClose sync.WaitGroup
	byContext.Go(func() { c.Watch(ctx, func(*cluster.View) {}) })
	byClose.Go(func() { c.Watch(e.context(), func(*cluster.View) {}) })
	cancel()
	byContext.Wait()
	if err := c.Close(); err != nil {
		e.Fatalf("close: %v", err)
	}
	byClose.Wait()
}

func testSorted(e *env) {
	c := e.process()
	for _, id := range []string{"b", "c", "a"} {
		e.register(c, cluster.Router, id)
	}
	ids := ""
	for _, n := range c.View().Nodes(cluster.Router) {
		ids += n.ID
	}
	if ids != "abc" {
		e.Errorf("order %s", ids)
	}
}

func testImmutable(e *env) {
	c := e.process()
	m := e.register(c, cluster.Router, "r1")
	v := c.View()
	if err := m.SetState(e.context(), "x"); err != nil {
		e.Fatalf("set state: %v", err)
	}
	e.register(c, cluster.Router, "r2")
	if n, _ := v.Node(cluster.Router, "r1"); n.State != cluster.StateServing || len(v.Nodes(cluster.Router)) != 1 {
		e.Errorf("the old view now shows %+v", v.Nodes(cluster.Router))
	}
}

func testNames(e *env) {
	a := e.process(func(o *cluster.Options) { o.Name += "a" })
	b := e.process(func(o *cluster.Options) { o.Name += "b" })
	e.register(a, cluster.Router, "r1")
	if n := e.sync(b, 0).Nodes(cluster.Router); len(n) != 0 {
		e.Errorf("the other cluster shows %+v", n)
	}
	e.register(b, cluster.Router, "r1")
}

func isLost(err error) bool { return errors.Is(err, cluster.ErrLost) }
