package clustertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/cluster"
)

func handOverTests() []test {
	return []test{
		{"a node that joins gets its share, each partition after its old owner released it", testJoin},
		{"no more partitions move than the balance needs", testMinimal},
		{"a draining node gets nothing, and what it has is moved", testDraining},
		{"when the lease of the owner ends others take over, the assigner's too", testTakeOver},
		{"while a Release lasts nobody else acquires", testSlowRelease},
		{"a drain is given a deadline", testDrainDeadline},
		{"a claim whose lease ends during Release turns not Valid and Lost", testLossInRelease},
		{"the last node keeps its assignment when it leaves", testLast},
		{"epochs of a partition never overlap in their Valid time, whatever comes and goes", testChurn},
	}
}

func testJoin(e *env) {
	l := NewLedger(e)
	one := e.serve(e.process(), l.Host("s1", cluster.SessionSpace))
	e.owns(one, 16)
	two := e.serve(e.process(), l.Host("s2", cluster.SessionSpace))
	e.owns(two, 8)
	e.owns(one, 8)
	for p := range two.Serving() {
		old := l.last(one.Host, p)
		if old.released != 1 || old.Valid() || !old.validAtRelease || !old.validAfterDrain {
			e.Errorf("partition %d moved: %+v", p, old)
		}
	}
	l.Check()
}

// assigned returns the whole map of a space once it names n nodes evenly.
func (e *env) assigned(c cluster.Cluster, s cluster.Space, n int) []string {
	e.Helper()
	ids := make([]string, c.Meta().Partitions[s])
	e.eventually(fmt.Sprintf("%d nodes share space %s", n, s), func() bool {
		v := c.View()
		count := make(map[string]int)
		for p := range ids {
			ids[p] = v.Assigned(s, p)
			count[ids[p]]++
		}
		for _, k := range count {
			if k < len(ids)/n {
				return false
			}
		}
		return len(count) == n && count[""] == 0
	})
	return ids
}

func testMinimal(e *env) {
	l := NewLedger(e)
	c := e.process()
	e.serve(c, l.Host("s1", cluster.SessionSpace))
	before := e.assigned(c, cluster.SessionSpace, 1)
	var last *serving
	for n, most := range []int{8, 5, 4} { // 16 partitions: what the 2nd, 3rd, 4th node gets
		before = append([]string(nil), before...)
		last = e.serve(e.process(), l.Host(fmt.Sprint("s", n+2), cluster.SessionSpace))
		after := e.assigned(c, cluster.SessionSpace, n+2)
		if moved := differences(before, after); moved != most {
			e.Errorf("%d partitions moved when node %d came, want %d", moved, n+2, most)
		}
		before = after
	}
	if err := last.m.Leave(e.context()); err != nil {
		e.Fatalf("leave: %v", err)
	}
	before = append([]string(nil), before...)
	after := e.assigned(c, cluster.SessionSpace, 3)
	if moved := differences(before, after); moved != 4 {
		e.Errorf("%d partitions moved when one node of four went, want 4", moved)
	}
}

func differences(a, b []string) int {
	n := 0
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

func testDraining(e *env) {
	l := NewLedger(e)
	one := e.serve(e.process(), l.Host("r1", cluster.TopicSpace))
	e.owns(one, 8)
	if err := one.m.SetState(e.context(), cluster.StateDraining); err != nil {
		e.Fatalf("set state: %v", err)
	}
	e.owns(one, 8) // nobody else is there
	two := e.serve(e.process(), l.Host("r2", cluster.TopicSpace))
	e.owns(two, 8)
	e.owns(one, 0)
	if err := one.m.SetState(e.context(), cluster.StateServing); err != nil {
		e.Fatalf("set state: %v", err)
	}
	e.owns(one, 4)
	e.owns(two, 4)
	l.Check()
}

func testTakeOver(e *env) {
	l := NewLedger(e)
	one := e.serve(e.process(), l.Host("s1", cluster.SessionSpace)) // the only one is the assigner
	e.owns(one, 16)
	two := e.serve(e.process(), l.Host("s2", cluster.SessionSpace))
	e.owns(two, 8)
	Pause(e, one.m)
	for len(two.Serving()) < 16 {
		l.Check()
		if e.Context().Err() != nil || e.Failed() {
			e.Fatal("the partitions were not taken over")
		}
		e.tick()
	}
	e.owns(two, 16)
	e.closed("Lost", one.m.Lost())
	if err := e.returned(one); !isLost(err) {
		e.Errorf("host: %v", err)
	}
	l.Check()
}

// tick waits a moment.
func (e *env) tick() {
	t := time.NewTimer(2 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-e.Context().Done():
	}
}

func testSlowRelease(e *env) {
	l := NewLedger(e)
	h := l.Host("a1", cluster.AuthSpace)
	entered, leave := make(chan struct{}), make(chan struct{})
	h.OnRelease = func(context.Context, int) { close(entered); <-leave }
	one := e.serve(e.process(), h)
	e.owns(one, 1)
	two := e.serve(e.process(), l.Host("a2", cluster.AuthSpace))
	one.stop()
	e.closed("entry of Release", entered)
	e.eventually("the partition is assigned to the other", func() bool { return two.c.View().Assigned(cluster.AuthSpace, 0) == "a2" })
	for range 50 {
		if len(two.Serving()) != 0 || !l.last(h, 0).Valid() {
			e.Fatal("taken over during Release")
		}
		e.tick()
	}
	close(leave)
	e.owns(two, 1)
}

func testDrainDeadline(e *env) {
	h := NewLedger(e).Host("a1", cluster.AuthSpace)
	h.OnRelease = func(ctx context.Context, _ int) {
		if _, ok := ctx.Deadline(); !ok {
			e.Error("Release has no deadline")
		}
		<-ctx.Done()
	}
	one := e.serve(e.process(func(o *cluster.Options) { o.DrainTimeout = 100 * time.Millisecond }), h)
	e.owns(one, 1)
	one.stop()
	if err := e.returned(one); err != nil {
		e.Errorf("host: %v", err)
	}
}

func testLossInRelease(e *env) {
	h := NewLedger(e).Host("a1", cluster.AuthSpace)
	entered := make(chan struct{})
	h.OnRelease = func(context.Context, int) {
		close(entered)
		c := h.ledger.last(h, 0)
		e.closed("Lost during Release", c.Lost)
		if c.Valid() {
			e.Error("a lost claim is valid")
		}
	}
	one := e.serve(e.process(), h)
	e.owns(one, 1)
	one.stop()
	e.closed("entry of Release", entered)
	Expire(e, one.m)
	if err := e.returned(one); !isLost(err) {
		e.Errorf("host: %v", err)
	}
}

func testLast(e *env) {
	l := NewLedger(e)
	a, b := e.process(), e.process()
	one := e.serve(a, l.Host("r1", cluster.TopicSpace))
	e.owns(one, 8)
	if err := one.m.Leave(e.context()); err != nil {
		e.Fatalf("leave: %v", err)
	}
	if id := e.sync(b, 0).Assigned(cluster.TopicSpace, 0); id != "r1" {
		e.Errorf("assigned to %q", id)
	}
	e.owns(e.serve(b, l.Host("r2", cluster.TopicSpace)), 8)
}

// testChurn lets members come, leave, lose their leases and pause at random, and asks all the time whether two claims are valid.
func testChurn(e *env) {
	l := NewLedger(e)
	seed := uint64(time.Now().UnixNano())
	e.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	ctx, stop := context.WithCancel(e.Context())
	var checking sync.WaitGroup
	checking.Go(func() {
		for ctx.Err() == nil {
			l.Check()
			e.tick()
		}
	})
	nodes := make([]*serving, 3)
	for i := range nodes {
		c := e.process()
		nodes[i] = e.serve(c, l.Host(fmt.Sprint("s", i), cluster.SessionSpace))
	}
	for step := range 12 {
		i := random.IntN(len(nodes))
		nodes[i] = e.disturb(l, nodes[i], random, step)
	}
	total := func() (n int) {
		for _, s := range nodes {
			n += len(s.Serving())
		}
		return n
	}
	e.eventually("each partition is served once", func() bool { return total() == 16 })
	for _, s := range nodes {
		Resume(e, s.m)
	}
	stop()
	checking.Wait()
}

// disturb does one random thing to a node and returns what hosts in its place.
func (e *env) disturb(l *Ledger, s *serving, random *rand.Rand, step int) *serving {
	name := s.m.Node().ID
	again := func() *serving {
		h := l.Host(name, cluster.SessionSpace)
		h.Name = fmt.Sprintf("%s at step %d", name, step)
		return e.hostWith(s.c, e.register(s.c, cluster.SessionStore, name), h)
	}
	switch random.IntN(4) {
	case 0:
		Expire(e, s.m)
		return again()
	case 1:
		if err := s.m.Leave(e.context()); err != nil {
			e.Errorf("leave: %v", err)
		}
		return again()
	case 2:
		Pause(e, s.m)
		e.closed("Lost", s.m.Lost())
		return again()
	default:
		Pause(e, s.m)
		for range 20 {
			e.tick()
		}
		Resume(e, s.m)
		return s
	}
}
