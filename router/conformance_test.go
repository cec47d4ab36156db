package router_test

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pando-mq/pando/router"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/broker/brokertest"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/journal/journaltest"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/routerrpc"
)

// TestConformance runs the suite of the contract on a router in a cluster in memory, called directly and over gRPC. A partition moves when the router starts
// again.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, remote := range map[string]bool{"local": false, "remote": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			brokertest.TestRouter(t, func(t *testing.T) brokertest.RouterHarness { return newConforming(t, remote).harness() })
		})
	}
}

func (c *conforming) harness() brokertest.RouterHarness {
	meta := c.cluster.Meta().Partitions
	restart := func(int) { c.stop(); c.start() }
	h := brokertest.RouterHarness{
		Router: c, Node: c, Admin: c, Sinks: c.sinks,
		TopicPartition:    func(tenant, topic string) int { return cluster.Partition(tenant, topic, meta[cluster.TopicSpace]) },
		RetainedPartition: func(tenant, topic string) int { return cluster.Partition(tenant, topic, meta[cluster.RetainedSpace]) },
		StartGateway:      c.startGateway, StopGateway: c.stopGateway,
		UnseenGateway: func() broker.NodeRef {
			return broker.NodeRef{ID: "unseen", Incarnation: c.cluster.View().Revision + 1000}
		},
		MoveTopic: restart, MoveRetained: restart,
		ReleaseTopic: func(int) { c.check(c.Stop(context.WithoutCancel(c.t.Context()))) },
		HoldRetained: func(n int) func() {
			_, release := c.faults.Hold("RT_" + strconv.Itoa(n))
			return release
		},
	}
	if c.client != nil {
		h.Router, h.Node, h.Admin = c.client, remoteNode{c}, remoteNode{c}
	}
	return h
}

// remoteNode is the present router process, over gRPC.
type remoteNode struct{ c *conforming }

// UpdateRoutes implements broker.RouterNode.
func (n remoteNode) UpdateRoutes(ctx context.Context, u broker.RouteUpdate) error {
	return n.c.client.Node(n.c.member.Node()).UpdateRoutes(ctx, u)
}

// ReadRetainedPartition implements broker.RouterNode.
func (n remoteNode) ReadRetainedPartition(ctx context.Context, partition int, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	return n.c.client.Node(n.c.member.Node()).ReadRetainedPartition(ctx, partition, q, yield)
}

// Routes implements broker.RouterAdmin.
func (n remoteNode) Routes(ctx context.Context, q broker.RouteQuery) ([]broker.RouteInfo, error) {
	return n.c.client.Node(n.c.member.Node()).Routes(ctx, q)
}

// RouterStats implements broker.RouterAdmin.
func (n remoteNode) RouterStats(ctx context.Context) (map[string]int64, error) {
	return n.c.client.Node(n.c.member.Node()).RouterStats(ctx)
}

// conforming is the present incarnation of a router, with a session-store and gateways that only the cluster knows.
type conforming struct {
	*router.Router
	t       *testing.T
	cluster cluster.Cluster
	member  cluster.Member
	faults  *journaltest.Faults
	journal journal.Store
	sinks   *brokertest.Sinks
	client  *routerrpc.Client // nil: the router is called directly
	server  *rpc.Server

	mu       sync.Mutex
	gateways map[broker.NodeRef]cluster.Member
}

func newConforming(t *testing.T, remote bool) *conforming {
	t.Helper()
	joined, err := cluster.NewStatic(cluster.Options{Bootstrap: cluster.Meta{Partitions: map[cluster.Space]int{
		cluster.TopicSpace: 8, cluster.SessionSpace: 4, cluster.RetainedSpace: 4,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = joined.Close() })
	c := &conforming{t: t, cluster: joined, faults: journaltest.NewFaults(journal.NewMemoryStreams()), sinks: brokertest.NewSinks(), gateways: map[broker.NodeRef]cluster.Member{}}
	c.journal = journal.New(c.faults, journal.Options{Level: journal.Memory, Timeout: time.Minute}, journal.Deps{})
	if remote {
		c.dial()
	}
	store, err := joined.Register(t.Context(), cluster.Node{Role: cluster.SessionStore, ID: "s1"})
	c.check(err)
	var hosting sync.WaitGroup
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	all := &owners{sinks: c.sinks}
	hosting.Go(func() { _ = store.Host(ctx, cluster.SessionSpace, all) })
	t.Cleanup(func() { cancel(); hosting.Wait() })
	c.until(func() bool { return all.count.Load() == 4 })
	c.start()
	t.Cleanup(c.stop)
	return c
}

// dial makes the client that reaches whichever router there is.
func (c *conforming) dial() {
	c.t.Helper()
	d, err := rpc.NewDialer(rpc.ClientConfig{Backoff: 50 * time.Millisecond}, c.cluster, rpc.Deps{})
	c.check(err)
	c.check(d.Start(c.t.Context()))
	c.t.Cleanup(func() { c.check(d.Stop(context.WithoutCancel(c.t.Context()))) })
	c.client = routerrpc.NewClient(d, routerrpc.Options{})
}

// owners tells the sinks in which epoch a session partition is.
type owners struct {
	sinks *brokertest.Sinks
	count atomic.Int32
}

func (o *owners) Acquire(_ context.Context, c cluster.Claim) error {
	o.sinks.SetEpoch(c.Partition, c.Epoch)
	o.count.Add(1)
	return nil
}
func (*owners) Release(context.Context, int) {}

func (c *conforming) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// start makes the next incarnation of the router, and waits until it owns everything.
func (c *conforming) start() {
	c.t.Helper()
	ctx := context.WithoutCancel(c.t.Context())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	c.check(err)
	member, err := c.cluster.Register(ctx, cluster.Node{Role: cluster.Router, ID: "r1", Addr: l.Addr().String()})
	c.check(err)
	cfg, retained := router.Default()
	cfg.SyncQueueBytes = 1 << 20
	r, err := router.New(cfg, retained, router.Deps{
		Cluster: c.cluster, Member: member, Sessions: c.sinks.Sessions(), Journal: c.journal,
		Gateways: func(n cluster.Node) broker.Gateway {
			return c.sinks.Gateway(broker.NodeRef{ID: n.ID, Incarnation: n.Incarnation})
		},
	})
	c.check(err)
	c.server, err = rpc.NewServer(rpc.ServerConfig{}, rpc.Deps{})
	c.check(err)
	routerrpc.Register(c.server, r)
	c.server.StartOn(l)
	c.check(r.Start(ctx))
	c.Router, c.member = r, member
	c.until(func() bool {
		owned, _ := r.Serving()
		nothing := func([]*broker.Message) error { return nil }
		return owned == 8 && r.ReadRetained(ctx, broker.RetainedQuery{Filter: "#"}, nothing) == nil
	})
}

func (c *conforming) stop() {
	ctx := context.WithoutCancel(c.t.Context())
	_ = c.Stop(ctx)
	_ = c.member.Leave(ctx)
	c.check(c.server.Stop(ctx))
}

func (c *conforming) startGateway(id string) broker.NodeRef {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	m, err := c.cluster.Register(c.t.Context(), cluster.Node{Role: cluster.Gateway, ID: id + "-" + strconv.Itoa(len(c.gateways))})
	c.check(err)
	n := m.Node()
	ref := broker.NodeRef{ID: n.ID, Incarnation: n.Incarnation}
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
