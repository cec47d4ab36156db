package edgetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/edge"
)

// Backend is the rest of the suite.
type Backend struct {
	Auth     *Auth
	Router   *Router
	Sessions *Sessions
	Cluster  cluster.Cluster

	mu   sync.Mutex
	next int
}

// New makes a backend that ends with the test.
func New(t testing.TB) *Backend {
	t.Helper()
	c, err := cluster.NewStatic(cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &Backend{Auth: NewAuth(), Cluster: c}
	b.Router = newRouter()
	b.Sessions = newSessions(b.Router)
	b.Router.sessions = b.Sessions
	ctx, cancel := context.WithCancel(context.Background())
	m, err := c.Register(ctx, cluster.Node{Role: cluster.Router, ID: "router"})
	if err != nil {
		t.Fatal(err)
	}
	hosting := make(chan struct{})
	go func() {
		defer close(hosting)
		_ = m.Host(ctx, cluster.TopicSpace, host{})
	}()
	t.Cleanup(func() {
		cancel()
		<-hosting
		_ = c.Close()
		b.Sessions.close()
	})
	waitOwners(t, c)
	return b
}

// host takes every partition it is given.
type host struct{}

func (host) Acquire(context.Context, cluster.Claim) error { return nil }
func (host) Release(context.Context, int)                 {}

// waitOwners waits until every topic partition is owned: from then on announcements reach the router.
func waitOwners(t testing.TB, c cluster.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ok := false
	c.Watch(ctx, func(v *cluster.View) {
		for p := range c.Meta().Partitions[cluster.TopicSpace] {
			if _, owned := v.Owner(cluster.TopicSpace, p); !owned {
				return
			}
		}
		ok = true
		cancel()
	})
	if !ok {
		t.Fatal("no owners of topic partitions")
	}
}

// Deps makes the dependencies of one more edge, under a new incarnation.
func (b *Backend) Deps() edge.Deps {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	ref := broker.NodeRef{ID: fmt.Sprintf("g%d", b.next), Incarnation: uint64(1000 + b.next)}
	return edge.Deps{
		Node: ref, NodeName: ref.ID + "@test", Cluster: b.Cluster, Auth: b.Auth, Router: b.Router, Sessions: b.Sessions,
		Routers: func(cluster.Node) broker.RouterNode { return b.Router },
	}
}

// Edge starts an edge that is stopped, in good order, with the test. change may be nil.
func (b *Backend) Edge(t testing.TB, change func(*edge.Config, *edge.Deps)) *edge.Edge {
	t.Helper()
	cfg, deps := edge.DefaultConfig(), b.Deps()
	if change != nil {
		change(&cfg, &deps)
	}
	e, err := edge.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	b.Router.Attach(deps.Node, e)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.Stop(ctx); err != nil {
			t.Errorf("%v", err)
		}
		b.Router.Detach(deps.Node)
	})
	return e
}

// Connect connects a new device and fails the test if it is refused. The device is closed with the test.
func (b *Backend) Connect(t testing.TB, e *edge.Edge, req edge.ConnectRequest) *Device {
	t.Helper()
	d := NewDevice()
	t.Cleanup(d.Close)
	if r := d.Connect(e, req); r.Err != nil {
		t.Fatalf("connect %q: %v", req.Credentials.ClientID, r.Err)
	}
	return d
}

// Clean is a request for a clean session.
func Clean(clientID string) edge.ConnectRequest {
	return edge.ConnectRequest{Credentials: broker.Credentials{ClientID: clientID, Protocol: "mqtt", Version: 5}, CleanStart: true}
}

// Persistent is a request for a session that outlives the connection.
func Persistent(clientID string) edge.ConnectRequest {
	return edge.ConnectRequest{Credentials: broker.Credentials{ClientID: clientID, Protocol: "mqtt", Version: 5}, Expiry: broker.Forever}
}
