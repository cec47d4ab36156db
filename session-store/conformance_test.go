package sessionstore_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sessionstore "github.com/pando-mq/pando/session-store"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/broker/brokertest"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/journal/journaltest"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/sessionrpc"
)

// TestConformance runs the suite of the contract on a session-store in a cluster in memory, called directly and over gRPC. A partition moves when the lease of
// the store is lost and the next store starts.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, remote := range map[string]bool{"local": false, "remote": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			brokertest.TestSessions(t, func(t *testing.T) brokertest.SessionsHarness { return newConforming(t, remote).harness() })
		})
	}
}

func (c *conforming) harness() brokertest.SessionsHarness {
	h := brokertest.SessionsHarness{
		Sessions: storeTier{c}, Admin: storeTier{c}, Upstream: c.upstream,
		Partition:      func(tenant, clientID string) int { return cluster.Partition(tenant, clientID, conformingSessions) },
		TopicPartition: func(tenant, name string) int { return cluster.Partition(tenant, name, conformingTopics) },
		StartGateway:   c.startGateway, StopGateway: c.stopGateway, StartRouter: c.startRouter, StopRouter: c.stopRouter,
		MovePartition: func(int) { c.move() },
		HoldLog: func(n int) func() {
			_, release := c.faults.Hold(fmt.Sprintf("SS_%d", n))
			return release
		},
	}
	if c.client != nil {
		h.Sessions = c.client
	}
	return h
}

const conformingTopics, conformingSessions = 8, 4

// conforming is a cluster of one session-store at a time, routers that a test controls and gateways that only the cluster knows.
type conforming struct {
	t        *testing.T
	cluster  cluster.Cluster
	faults   *journaltest.Faults
	upstream *brokertest.Upstream
	store    atomic.Pointer[sessionstore.Store]
	member   cluster.Member
	stores   int
	client   *sessionrpc.Client // nil: the store is called directly
	server   *rpc.Server

	mu       sync.Mutex
	routers  map[string]broker.RouterNode
	members  map[broker.NodeRef]cluster.Member // of the routers
	gateways map[broker.NodeRef]cluster.Member
}

func newConforming(t *testing.T, remote bool) *conforming {
	t.Helper()
	joined, err := cluster.NewStatic(cluster.Options{Bootstrap: cluster.Meta{Partitions: map[cluster.Space]int{
		cluster.TopicSpace: conformingTopics, cluster.SessionSpace: conformingSessions,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = joined.Close() })
	c := &conforming{
		t: t, cluster: joined, faults: journaltest.NewFaults(journal.NewMemoryStreams()), upstream: brokertest.NewUpstream(),
		routers: map[string]broker.RouterNode{}, members: map[broker.NodeRef]cluster.Member{}, gateways: map[broker.NodeRef]cluster.Member{},
	}
	if remote {
		c.dial()
	}
	c.startRouter("owner", c.upstream)
	owner, _ := joined.View().Node(cluster.Router, "owner")
	c.until(func() bool {
		for n := range conformingTopics {
			if o, ok := joined.View().Owner(cluster.TopicSpace, n); !ok || o.Node.Incarnation != owner.Incarnation {
				return false
			}
		}
		return true
	})
	c.start()
	t.Cleanup(c.stop)
	return c
}

// dial makes the client that reaches whichever store there is.
func (c *conforming) dial() {
	c.t.Helper()
	d, err := rpc.NewDialer(rpc.ClientConfig{Backoff: 50 * time.Millisecond}, c.cluster, rpc.Deps{})
	c.check(err)
	c.check(d.Start(c.t.Context()))
	c.t.Cleanup(func() { c.check(d.Stop(context.WithoutCancel(c.t.Context()))) })
	c.client = sessionrpc.NewClient(d, sessionrpc.Options{})
}

func (c *conforming) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// start makes the next session-store, and waits until it serves every partition.
func (c *conforming) start() {
	c.t.Helper()
	ctx := context.WithoutCancel(c.t.Context())
	c.stores++
	l, err := net.Listen("tcp", "127.0.0.1:0")
	c.check(err)
	node := cluster.Node{Role: cluster.SessionStore, ID: fmt.Sprintf("s%d", c.stores), Addr: l.Addr().String()}
	member, err := c.cluster.Register(ctx, node)
	c.check(err)
	s, err := sessionstore.New(sessionstore.DefaultConfig(), sessionstore.Deps{
		Cluster: c.cluster, Member: member, Router: c.upstream, Routers: c.router,
		Journal: journal.New(c.faults, journal.Options{Level: journal.Memory, Timeout: time.Minute}, journal.Deps{}),
	})
	c.check(err)
	c.server, err = rpc.NewServer(rpc.ServerConfig{}, rpc.Deps{})
	c.check(err)
	sessionrpc.Register(c.server, s)
	c.server.StartOn(l)
	c.check(s.Start(ctx))
	c.member = member
	c.store.Store(s)
	c.until(func() bool {
		for n := range conformingSessions {
			_, err := s.SnapshotRoutes(ctx, broker.SnapshotQuery{Partition: n, Wildcards: true}, func([]broker.RouteDelta) error { return nil })
			if err != nil {
				return false
			}
		}
		return true
	})
}

func (c *conforming) stop() {
	ctx := context.WithoutCancel(c.t.Context())
	c.check(c.store.Load().Stop(ctx))
	_ = c.member.Leave(ctx)
	c.check(c.server.Stop(ctx))
}

// move takes the lease away and starts the next store.
func (c *conforming) move() {
	c.t.Helper()
	c.member.(interface{ Expire(context.Context) }).Expire(context.WithoutCancel(c.t.Context()))
	c.stop()
	c.start()
}

// router is Deps.Routers.
func (c *conforming) router(n cluster.Node) broker.RouterNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.routers[n.ID]
}

// startRouter registers a router process; the first one owns the topic partitions.
func (c *conforming) startRouter(id string, node broker.RouterNode) broker.NodeRef {
	c.t.Helper()
	c.mu.Lock()
	c.routers[id] = node
	first := len(c.routers) == 1
	c.mu.Unlock()
	m, err := c.cluster.Register(c.t.Context(), cluster.Node{Role: cluster.Router, ID: id})
	c.check(err)
	if first {
		ctx, cancel := context.WithCancel(context.WithoutCancel(c.t.Context()))
		var hosting sync.WaitGroup
		hosting.Go(func() { _ = m.Host(ctx, cluster.TopicSpace, idle{}) })
		c.t.Cleanup(func() { cancel(); hosting.Wait() })
	}
	ref := broker.NodeRef{ID: id, Incarnation: m.Node().Incarnation}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[ref] = m
	return ref
}

func (c *conforming) stopRouter(ref broker.NodeRef) {
	c.t.Helper()
	c.mu.Lock()
	m := c.members[ref]
	c.mu.Unlock()
	c.check(m.Leave(c.t.Context()))
}

func (c *conforming) startGateway(id string) broker.NodeRef {
	c.t.Helper()
	m, err := c.cluster.Register(c.t.Context(), cluster.Node{Role: cluster.Gateway, ID: id})
	c.check(err)
	ref := broker.NodeRef{ID: id, Incarnation: m.Node().Incarnation}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gateways[ref] = m
	return ref
}

func (c *conforming) stopGateway(ref broker.NodeRef) {
	c.t.Helper()
	c.mu.Lock()
	m := c.gateways[ref]
	c.mu.Unlock()
	c.check(m.Leave(c.t.Context()))
	c.until(func() bool {
		_, there := c.cluster.View().ByIncarnation(ref.Incarnation)
		return !there
	})
}

// until waits for a condition of the cluster.
func (c *conforming) until(cond func() bool) {
	c.t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			c.t.Fatal("the cluster never came to that")
		}
	}
}

// storeTier is whichever store there is.
type storeTier struct{ c *conforming }

// OpenSession implements broker.Sessions.
func (s storeTier) OpenSession(ctx context.Context, o broker.SessionOpen, h broker.SessionHandler) (broker.SessionStream, error) {
	return s.c.store.Load().OpenSession(ctx, o, h)
}

// OpenDeliver implements broker.Sink.
func (s storeTier) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	return s.c.store.Load().OpenDeliver(ctx, o, acks)
}

// SnapshotRoutes implements broker.RouteSource.
func (s storeTier) SnapshotRoutes(ctx context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	return s.c.store.Load().SnapshotRoutes(ctx, q, yield)
}

// admin is the management of the present store.
func (s storeTier) admin() broker.SessionAdmin {
	if s.c.client != nil {
		return s.c.client.Node(s.c.member.Node())
	}
	return s.c.store.Load()
}

// Sessions implements broker.SessionAdmin.
func (s storeTier) Sessions(ctx context.Context, q broker.ClientQuery) ([]broker.SessionInfo, error) {
	return s.admin().Sessions(ctx, q)
}

// SessionSubscriptions implements broker.SessionAdmin.
func (s storeTier) SessionSubscriptions(ctx context.Context, q broker.ClientQuery) ([]broker.SubscriptionInfo, error) {
	return s.admin().SessionSubscriptions(ctx, q)
}

// Drop implements broker.SessionAdmin.
func (s storeTier) Drop(ctx context.Context, tenant, clientID string) error {
	return s.admin().Drop(ctx, tenant, clientID)
}

// KickClient implements broker.SessionAdmin.
func (s storeTier) KickClient(ctx context.Context, tenant, clientID, reason string) error {
	return s.admin().KickClient(ctx, tenant, clientID, reason)
}

// SessionStats implements broker.SessionAdmin.
func (s storeTier) SessionStats(ctx context.Context) (map[string]int64, error) {
	return s.admin().SessionStats(ctx)
}
