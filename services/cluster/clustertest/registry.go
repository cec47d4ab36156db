package clustertest

import (
	"context"
	"errors"
	"time"

	"github.com/pando-mq/pando/services/cluster"
)

func registryTests() []test {
	return []test{
		{"when Register returns, this Cluster's view shows the node", testRegister},
		{"role and id must not be empty nor contain a slash", testBadNames},
		{"each Register has a greater incarnation, whatever the role", testIncarnations},
		{"a living key of the same role and id is waited for until its lease ends", testSameID},
		{"Register returns the error of ctx while the id is taken", testTaken},
		{"with Sole the lease of a living key of the same id is ended", testSole},
		{"SetState writes the state and the incarnation stays", testSetState},
		{"after Leave the keys are gone, Valid is false, Lost is not closed", testLeave},
		{"a member that left refuses with ErrClosed", testLeft},
		{"a node that left registers again with a new incarnation", testReturn},
		{"Close leaves with each member", testClose},
		{"a closed Cluster refuses with ErrClosed", testClosed},
		{"Meta is what the first process wrote", testMeta},
	}
}

func testRegister(e *env) {
	c := e.process()
	m, err := c.Register(e.context(), cluster.Node{
		Role: cluster.Gateway, ID: "g1", Addr: "host:9704", Meta: map[string]string{"name": "pando@host"},
	})
	if err != nil {
		e.Fatalf("register: %v", err)
	}
	if !m.Valid() {
		e.Error("a new member is not valid")
	}
	n, ok := c.View().Node(cluster.Gateway, "g1")
	if !ok || n.Addr != "host:9704" || n.Meta["name"] != "pando@host" || n.State != cluster.StateServing || n.Incarnation == 0 {
		e.Errorf("view shows %+v, %v", n, ok)
	}
	if m.Node().Incarnation != n.Incarnation {
		e.Errorf("the member's incarnation is %d, the view's %d", m.Node().Incarnation, n.Incarnation)
	}
	if _, ok := c.View().Node(cluster.Router, "g1"); ok {
		e.Error("the node is there in another role")
	}
}

func testBadNames(e *env) {
	c := e.process()
	for _, n := range []cluster.Node{
		{Role: cluster.Router}, {ID: "r1"}, {Role: cluster.Router, ID: "a/b"}, {Role: "a/b", ID: "r1"},
	} {
		if _, err := c.Register(e.context(), n); err == nil {
			e.Errorf("%q/%q was registered", n.Role, n.ID)
		}
	}
}

func testIncarnations(e *env) {
	a, b := e.process(), e.process()
	last := uint64(0)
	for i, c := range []cluster.Cluster{a, b, a} {
		role := []cluster.Role{cluster.Router, cluster.Gateway, cluster.Mgmt}[i]
		inc := e.register(c, role, "x").Node().Incarnation
		if inc <= last {
			e.Errorf("incarnation %d after %d", inc, last)
		}
		last = inc
	}
}

func testSameID(e *env) {
	a, b := e.process(), e.process()
	old := e.register(a, cluster.Router, "r1")
	got := make(chan cluster.Member)
	ctx := e.context()
	go func() {
		defer close(got)
		m, err := b.Register(ctx, cluster.Node{Role: cluster.Router, ID: "r1"})
		if err != nil {
			e.Errorf("register: %v", err)
			return
		}
		if old.Valid() {
			e.Error("the old member is valid beside the new one")
		}
		got <- m
	}()
	Pause(e, old)
	m, ok := <-got
	if !ok {
		return
	}
	if m.Node().Incarnation <= old.Node().Incarnation {
		e.Errorf("incarnation %d after %d", m.Node().Incarnation, old.Node().Incarnation)
	}
	if _, ok := e.sync(b, 0).ByIncarnation(old.Node().Incarnation); ok {
		e.Error("the old incarnation is still there")
	}
	e.closed("Lost of the old member", old.Lost())
}

func testTaken(e *env) {
	a, b := e.process(), e.process()
	old := e.register(a, cluster.Router, "r1")
	ctx, cancel := context.WithTimeout(e.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := b.Register(ctx, cluster.Node{Role: cluster.Router, ID: "r1"})
	if !errors.Is(err, context.DeadlineExceeded) {
		e.Errorf("register: %v", err)
	}
	if n, ok := e.sync(b, 0).Node(cluster.Router, "r1"); !ok || n.Incarnation != old.Node().Incarnation {
		e.Errorf("the living node was replaced by %+v", n)
	}
}

func testSole(e *env) {
	a := e.process()
	b := e.process(func(o *cluster.Options) { o.Sole = true })
	old := e.register(a, cluster.Router, "r1")
	m := e.register(b, cluster.Router, "r1")
	if m.Node().Incarnation <= old.Node().Incarnation {
		e.Errorf("incarnation %d after %d", m.Node().Incarnation, old.Node().Incarnation)
	}
	e.closed("Lost of the member whose key was taken away", old.Lost())
	if old.Valid() {
		e.Error("a lost member is valid")
	}
}

func testSetState(e *env) {
	a, b := e.process(), e.process()
	m := e.register(a, cluster.Router, "r1")
	if err := m.SetState(e.context(), cluster.StateDraining); err != nil {
		e.Fatalf("set state: %v", err)
	}
	n, ok := e.sync(b, 0).Node(cluster.Router, "r1")
	if !ok || n.State != cluster.StateDraining || n.Incarnation != m.Node().Incarnation || n.Addr != "r1:1" {
		e.Errorf("another process sees %+v, %v", n, ok)
	}
	if m.Node().State != cluster.StateDraining {
		e.Errorf("the member says %q", m.Node().State)
	}
}

func testLeave(e *env) {
	a, b := e.process(), e.process()
	m := e.register(a, cluster.Gateway, "g1")
	if err := m.Leave(e.context()); err != nil {
		e.Fatalf("leave: %v", err)
	}
	if m.Valid() {
		e.Error("valid after Leave")
	}
	e.open("Lost after Leave", m.Lost())
	if _, ok := e.sync(b, 0).ByIncarnation(m.Node().Incarnation); ok {
		e.Error("the node is still there")
	}
	if err := m.Leave(e.context()); err != nil {
		e.Errorf("second leave: %v", err)
	}
}

func testLeft(e *env) {
	m := e.register(e.process(), cluster.Router, "r1")
	if err := m.Leave(e.context()); err != nil {
		e.Fatalf("leave: %v", err)
	}
	if err := m.SetState(e.context(), "x"); !errors.Is(err, cluster.ErrClosed) {
		e.Errorf("set state: %v", err)
	}
	host := NewLedger(e).Host("r1", cluster.TopicSpace)
	if err := m.Host(e.context(), cluster.TopicSpace, host); !errors.Is(err, cluster.ErrClosed) {
		e.Errorf("host: %v", err)
	}
}

func testReturn(e *env) {
	c := e.process()
	old := e.register(c, cluster.Router, "r1")
	if err := old.Leave(e.context()); err != nil {
		e.Fatalf("leave: %v", err)
	}
	m := e.register(c, cluster.Router, "r1")
	if m.Node().Incarnation <= old.Node().Incarnation {
		e.Errorf("incarnation %d after %d", m.Node().Incarnation, old.Node().Incarnation)
	}
	if !m.Valid() || old.Valid() {
		e.Errorf("new valid %v, old valid %v", m.Valid(), old.Valid())
	}
}

func testClose(e *env) {
	a, b := e.process(), e.process()
	m := e.register(a, cluster.Gateway, "g1")
	if err := a.Close(); err != nil {
		e.Fatalf("close: %v", err)
	}
	if m.Valid() {
		e.Error("valid after Close")
	}
	if _, ok := e.sync(b, 0).Node(cluster.Gateway, "g1"); ok {
		e.Error("the node is still there")
	}
}

func testClosed(e *env) {
	c := e.process()
	v := c.View()
	if err := c.Close(); err != nil {
		e.Fatalf("close: %v", err)
	}
	if _, err := c.Register(e.context(), cluster.Node{Role: cluster.Router, ID: "r1"}); !errors.Is(err, cluster.ErrClosed) {
		e.Errorf("register: %v", err)
	}
	if _, err := c.Sync(e.context(), v.Revision+1000); !errors.Is(err, cluster.ErrClosed) {
		e.Errorf("sync: %v", err)
	}
	c.Watch(e.context(), func(*cluster.View) {}) // returns
	if c.View() == nil {
		e.Error("no view")
	}
}

func testMeta(e *env) {
	boot := func(session, replicas int) func(*cluster.Options) {
		return func(o *cluster.Options) {
			o.Bootstrap = cluster.Meta{Partitions: map[cluster.Space]int{cluster.SessionSpace: session}, Replicas: replicas}
		}
	}
	first := e.process(boot(64, 3)).Meta()
	second := e.process(boot(16, 1)).Meta()
	for _, m := range []cluster.Meta{first, second} {
		if m.Partitions[cluster.SessionSpace] != 64 || m.Replicas != 3 {
			e.Errorf("meta %+v", m)
		}
		if m.Partitions[cluster.TopicSpace] != 64 || m.Partitions[cluster.RetainedSpace] != 16 || m.Partitions[cluster.AuthSpace] != 1 {
			e.Errorf("defaults are not filled in: %+v", m)
		}
	}
}
