package integration_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pando-mq/pando/router"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/broker/brokertest"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/journal"
	sessionstore "github.com/pando-mq/pando/session-store"
)

// reader is a client that counts what it gets and takes nothing while it is stopped.
type reader struct {
	got  atomic.Int64
	room atomic.Bool

	posts chan func()
	conn  *edge.Conn
	mu    sync.Mutex
	gone  bool
}

// Deliver implements edge.Device.
func (r *reader) Deliver(*edge.Delivery) edge.Outcome {
	r.got.Add(1)
	if r.room.Load() {
		return edge.Sent
	}
	return edge.SentFull
}

// Release implements edge.Device.
func (r *reader) Release(uint16) {}

// Hold implements edge.Device.
func (r *reader) Hold(bool) {}

// Kick implements edge.Device.
func (r *reader) Kick(edge.Kick) { r.Post(func() { r.close() }) }

// Pending implements edge.Device.
func (r *reader) Pending() int { return 0 }

// Post implements edge.Device.
func (r *reader) Post(fn func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return false
	}
	r.posts <- fn
	return true
}

func (r *reader) run() {
	for fn := range r.posts {
		fn()
	}
}

// close ends the connection, on the executor.
func (r *reader) close() {
	r.mu.Lock()
	gone := r.gone
	r.gone = true
	r.mu.Unlock()
	if !gone {
		r.conn.Closed("closed")
		close(r.posts)
	}
}

// startSuite starts a session-store and an edge in one process and in memory.
func startSuite(t *testing.T) *edge.Edge {
	t.Helper()
	m := cluster.NewMemory()
	c, err := m.Join(cluster.Options{})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	t.Cleanup(func() { _ = c.Close() })
	register := func(role cluster.Role, id string) cluster.Member {
		x, err := c.Register(t.Context(), cluster.Node{Role: role, ID: id})
		must(err)
		return x
	}
	run := func(s interface {
		Start(context.Context) error
		Stop(context.Context) error
	}) {
		must(s.Start(context.WithoutCancel(t.Context())))
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			_ = s.Stop(ctx)
		})
	}
	log := journal.NewMemory()
	tier := &struct{ broker.Sessions }{}
	var e *edge.Edge
	cfg, retained := router.Default()
	r, err := router.New(cfg, retained, router.Deps{
		Cluster: c, Member: register(cluster.Router, "r"), Sessions: tier, Gateways: func(cluster.Node) broker.Gateway { return e }, Journal: log,
	})
	must(err)
	nodes := func(cluster.Node) broker.RouterNode { return r }
	s, err := sessionstore.New(sessionstore.DefaultConfig(), sessionstore.Deps{
		Cluster: c, Member: register(cluster.SessionStore, "s"), Router: r, Routers: nodes, Gateways: func(cluster.Node) broker.Gateway { return e }, Journal: log,
	})
	must(err)
	tier.Sessions = s
	g := register(cluster.Gateway, "g").Node()
	auth := brokertest.NewAuth()
	edges := edge.DefaultConfig()
	edges.Output.StallTime = replayPatience // readers are stopped for as long as the others need
	e, err = edge.New(edges, edge.Deps{
		Node: broker.NodeRef{ID: g.ID, Incarnation: g.Incarnation}, NodeName: "g", Cluster: c, Auth: auth, Router: r, Routers: nodes, Sessions: s,
	})
	must(err)
	run(r)
	run(s)
	run(e)
	return e
}

func connectReader(t *testing.T, e *edge.Edge, id string) *reader {
	t.Helper()
	r := &reader{posts: make(chan func(), 4096)}
	r.room.Store(true)
	go r.run()
	connectDevice(t, e, id, r, r)
	return r
}

// connectDevice connects a device that r is, or is part of.
func connectDevice(t *testing.T, e *edge.Edge, id string, d edge.Device, r *reader) {
	t.Helper()
	done := make(chan edge.ConnectResult, 1)
	r.posts <- func() {
		r.conn = e.Connect(d, &edge.ConnectRequest{Credentials: broker.Credentials{ClientID: id}, CleanStart: true}, func(res edge.ConnectResult) { done <- res })
	}
	if res := receive(t, "CONNACK", done); res.Err != nil {
		t.Fatal(res.Err)
	}
	t.Cleanup(func() { r.Post(r.close) })
}

// heap is what lives after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// replay is one size of TestRetainedReplayIsPaced.
type replay struct {
	messages int
	quick    int  // subscribers that take what comes
	stopped  int  // those that take nothing until all the others have everything
	leave    bool // they leave then; otherwise they go on, and get everything, too
}

// Many subscribers of # at once each get every retained message, at their own pace: those that take nothing for a while cost a bounded part of memory, and
// hold back nobody.
func TestRetainedReplayIsPaced(t *testing.T) {
	for _, r := range replays {
		t.Run(fmt.Sprintf("%d messages, %d and %d readers", r.messages, r.quick, r.stopped), r.test)
	}
}

func (r replay) test(t *testing.T) {
	e := startSuite(t)
	r.fill(t, e)
	before, begin := heap(), time.Now()
	quick, stopped := r.subscribe(t, e, "quick", r.quick, true), r.subscribe(t, e, "stopped", r.stopped, false)
	r.all(t, "quick", quick)
	if grown := heap() - before; grown > int64(r.quick+r.stopped)*replayBudget {
		t.Errorf("%d bytes for %d readers, %d of them stopped", grown, r.quick+r.stopped, r.stopped)
	} else {
		t.Logf("%d KiB for %d readers, %d of them stopped; the others have everything after %s", grown>>10, r.quick+r.stopped, r.stopped, time.Since(begin).Round(time.Millisecond))
	}
	if !r.leave {
		for _, one := range stopped {
			one.room.Store(true)
			one.Post(func() { one.conn.Drained() })
		}
		r.all(t, "stopped", stopped)
	}
	if n := e.Dropped(edge.DropQueueFull); n != 0 {
		t.Errorf("%d dropped", n)
	}
}

// fill has the messages retained.
func (r replay) fill(t *testing.T, e *edge.Edge) {
	t.Helper()
	as := broker.Identity{ClientID: "pub", Superuser: true}
	payload := make([]byte, 100)
	var wg sync.WaitGroup
	failed := make(chan error, 64)
	for w := range 64 {
		wg.Go(func() {
			for i := w; i < r.messages; i += 64 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				_, err := e.Inject(ctx, as, &broker.Message{Topic: fmt.Sprintf("r/%d/%d", i%100, i), Payload: payload, QoS: 1, Retain: true})
				cancel()
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
}

// subscribe connects n readers of #.
func (r replay) subscribe(t *testing.T, e *edge.Edge, name string, n int, room bool) (list []*reader) {
	t.Helper()
	for i := range n {
		one := connectReader(t, e, fmt.Sprint(name, i))
		one.room.Store(room)
		one.Post(func() { one.conn.Subscribe([]broker.Subscription{{Filter: "#"}}, func([]edge.SubscribeResult) {}) })
		list = append(list, one)
	}
	return list
}

// all waits until each of them has everything.
func (r replay) all(t *testing.T, what string, list []*reader) {
	t.Helper()
	deadline, tick := time.After(replayPatience), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for i, one := range list {
		for one.got.Load() < int64(r.messages) {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("%s reader %d has %d of %d", what, i, one.got.Load(), r.messages)
			}
		}
	}
}
