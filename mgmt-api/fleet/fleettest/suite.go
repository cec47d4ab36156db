package fleettest

import (
	"context"
	"sync"
	"time"

	"github.com/pando-mq/pando/mgmt-api/fleet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// TB is what a suite needs of a test; *testing.T has it.
type TB interface {
	Helper()
	Context() context.Context
	Cleanup(fn func())
	Error(args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// Suite is a cluster in memory.
type Suite struct {
	Cluster  cluster.Cluster
	Auth     *Auth
	t        TB
	mu       sync.Mutex
	gateways map[string]*Gateway
	stores   map[string]*Store
	routers  map[string]*Router
	configs  map[string]*Config
}

// New makes a suite without any process but the registry.
func New(t TB) *Suite {
	t.Helper()
	c, err := cluster.NewStatic(cluster.Options{Bootstrap: cluster.Meta{Partitions: map[cluster.Space]int{cluster.SessionSpace: 1, cluster.TopicSpace: 1, cluster.RetainedSpace: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Suite{Cluster: c, Auth: NewAuth(), t: t, gateways: map[string]*Gateway{}, stores: map[string]*Store{}, routers: map[string]*Router{}, configs: map[string]*Config{}}
}

// Deps of a fleet on this suite.
func (s *Suite) Deps(timeout time.Duration) fleet.Deps {
	return fleet.Deps{
		Cluster: s.Cluster, Gateways: s.GatewayOf, Stores: s.StoreOf, Routers: s.RouterOf, Processes: s.ProcessOf, Auth: s.Auth, Timeout: timeout,
		Asked: func(string, time.Duration, error) {},
	}
}

// Gateway registers a gateway with the node name name@test.
func (s *Suite) Gateway(id string) *Gateway {
	g := &Gateway{name: id + "@test", subs: map[string][]broker.Subscription{}}
	s.mu.Lock()
	s.gateways[id] = g
	s.mu.Unlock()
	s.register(cluster.Gateway, id)
	return g
}

// Store registers a session-store with the name name@test; the first one owns all sessions.
func (s *Suite) Store(id string) *Store {
	g := &Store{name: id + "@test", subs: map[string][]broker.Subscription{}}
	s.mu.Lock()
	s.stores[id] = g
	s.mu.Unlock()
	s.host(s.register(cluster.SessionStore, id), cluster.SessionSpace)
	return g
}

// Router registers a router; the first one owns all topics.
func (s *Suite) Router(id string) *Router {
	r := &Router{}
	s.mu.Lock()
	s.routers[id] = r
	s.mu.Unlock()
	s.host(s.register(cluster.Router, id), cluster.TopicSpace)
	return r
}

func (s *Suite) register(role cluster.Role, id string) cluster.Member {
	s.t.Helper()
	m, err := s.Cluster.Register(s.t.Context(), cluster.Node{Role: role, ID: id, Meta: map[string]string{"name": id + "@test"}})
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// keeper serves partitions without doing anything.
type keeper struct{}

func (keeper) Acquire(context.Context, cluster.Claim) error { return nil }
func (keeper) Release(context.Context, int)                 {}

// host has the member own what nobody owns yet, and waits for it.
func (s *Suite) host(m cluster.Member, space cluster.Space) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { _ = m.Host(ctx, space, keeper{}) })
	s.t.Cleanup(func() { cancel(); done.Wait() })
	owned, stop := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer stop()
	s.Cluster.Watch(owned, func(v *cluster.View) {
		if _, ok := v.Owner(space, 0); ok {
			stop()
		}
	})
	if _, ok := s.Cluster.View().Owner(space, 0); !ok {
		s.t.Fatalf("nobody owns %s", space)
	}
}

// GatewayOf finds the gateway of a node.
func (s *Suite) GatewayOf(n cluster.Node) broker.GatewayAdmin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gateways[n.ID]
}

// StoreOf finds the session-store of a node.
func (s *Suite) StoreOf(n cluster.Node) broker.SessionAdmin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stores[n.ID]
}

// RouterOf finds the router of a node.
func (s *Suite) RouterOf(n cluster.Node) broker.RouterAdmin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.routers[n.ID]
}
