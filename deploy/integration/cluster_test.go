package integration_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/cluster/clustertest"
)

// etcdNode is an etcd of one server on the loopback that can be stopped and started again on its data and ports.
type etcdNode struct {
	config  *embed.Config
	running *embed.Etcd
}

// startEtcd starts a server with fast ticks, so that leases may be as short as a second.
func startEtcd(t *testing.T) *etcdNode {
	t.Helper()
	c := embed.NewConfig()
	c.Dir = t.TempDir()
	c.LogLevel = "fatal"
	c.TickMs, c.ElectionMs = 10, 100
	c.UnsafeNoFsync = true
	client, peer := loopbackURL(t), loopbackURL(t)
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	n := &etcdNode{config: c}
	n.start(t)
	t.Cleanup(n.stop)
	return n
}

// loopbackURL returns an address that was free a moment ago: etcd does not tell which port it got for port 0.
func loopbackURL(t *testing.T) url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return url.URL{Scheme: "http", Host: l.Addr().String()}
}

func (n *etcdNode) start(t *testing.T) {
	t.Helper()
	e, err := embed.StartEtcd(n.config)
	if err != nil {
		t.Fatal(err)
	}
	n.running = e
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		t.Fatal(err)
	case <-time.After(30 * time.Second):
		t.Fatal("etcd is not ready")
	}
}

func (n *etcdNode) stop() {
	if n.running != nil {
		n.running.Close()
		n.running = nil
	}
}

func (n *etcdNode) addr() string { return n.config.ListenClientUrls[0].Host }

// etcdClient connects to a server, or to a proxy before it.
func etcdClient(t *testing.T, addr string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"http://" + addr}, DialTimeout: 10 * time.Second, DialKeepAliveTime: 2 * time.Second, DialKeepAliveTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func etcdCluster(t *testing.T, client *clientv3.Client, o cluster.Options) cluster.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := cluster.New(ctx, client, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestClusterOnEtcd(t *testing.T) {
	t.Parallel()
	client := etcdClient(t, startEtcd(t).addr())
	var number atomic.Int64
	clustertest.Run(t, func(*testing.T) clustertest.Join {
		name := fmt.Sprint("test", number.Add(1))
		return func(t *testing.T, o cluster.Options) cluster.Cluster {
			o.Name = name + o.Name
			return etcdCluster(t, client, o)
		}
	})
}

// hosting registers a session-store and lets it own all session partitions.
type hosting struct {
	c      cluster.Cluster
	m      cluster.Member
	host   *clustertest.Host
	result chan error
}

func hostSessions(t *testing.T, client *clientv3.Client, l *clustertest.Ledger, id string) *hosting {
	t.Helper()
	c := etcdCluster(t, client, cluster.Options{TTL: 2 * time.Second, Margin: 500 * time.Millisecond, DrainTimeout: 5 * time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	m, err := c.Register(ctx, cluster.Node{Role: cluster.SessionStore, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	h := &hosting{c: c, m: m, host: l.Host(id, cluster.SessionSpace), result: make(chan error, 1)}
	var running sync.WaitGroup
	running.Go(func() { h.result <- m.Host(context.WithoutCancel(t.Context()), cluster.SessionSpace, h.host) })
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		running.Wait()
	})
	return h
}

func (h *hosting) owns(t *testing.T, n int) {
	t.Helper()
	within(t, fmt.Sprintf("%d partitions are served", n), func() bool { return len(h.host.Serving()) == n })
}

// within waits until cond holds.
func within(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// While etcd is down claims are not Valid, but not lost either: an owner with a fence of its own goes on. When etcd comes back with the
// lease alive, the same claims are Valid again.
func TestClusterEtcdRestart(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := hostSessions(t, etcdClient(t, etcd.addr()), clustertest.NewLedger(t), "s1")
	s.owns(t, 16)
	before := s.host.Serving()
	etcd.stop()
	within(t, "the member is not valid", func() bool { return !s.m.Valid() })
	for p, c := range before {
		if c.Valid() || isClosed(c.Lost) {
			t.Errorf("partition %d: valid %v, lost %v", p, c.Valid(), isClosed(c.Lost))
		}
	}
	if _, ok := s.c.View().Owner(cluster.SessionSpace, 3); !ok {
		t.Error("the view forgot while etcd was down")
	}
	etcd.start(t)
	within(t, "the member is valid again", s.m.Valid)
	for p, c := range s.host.Serving() {
		if c.Epoch != before[p].Epoch || !c.Valid() || isClosed(c.Lost) {
			t.Errorf("partition %d: epoch %d before, %d now, valid %v", p, before[p].Epoch, c.Epoch, c.Valid())
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	g, err := s.c.Register(ctx, cluster.Node{Role: cluster.Gateway, ID: "g1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Leave(ctx); err != nil {
		t.Error(err)
	}
}

// A process that is cut off stops being Valid, another takes over, and the first learns of its loss when it is back.
func TestClusterCutOff(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	proxy := newProxy(t, etcd.addr())
	l := clustertest.NewLedger(t)
	cut := hostSessions(t, etcdClient(t, proxy.addr()), l, "s1")
	cut.owns(t, 16)
	other := hostSessions(t, etcdClient(t, etcd.addr()), l, "s2")
	other.owns(t, 8)
	cut.owns(t, 8)
	proxy.cut()
	within(t, "the other serves all", func() bool { l.Check(); return len(other.host.Serving()) == 16 })
	if isClosed(cut.m.Lost()) {
		t.Error("lost without an answer of etcd")
	}
	if n := len(cut.host.Serving()); n != 8 {
		t.Errorf("the host without etcd serves %d partitions of which it did not hear that they are lost", n)
	}
	proxy.heal()
	within(t, "the loss is known", func() bool { return isClosed(cut.m.Lost()) })
	within(t, "the lost partitions are released", func() bool { return len(cut.host.Serving()) == 0 })
	l.Check()
}

// A process that was away while the revisions it missed were compacted reads the cluster anew.
func TestClusterCompaction(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	direct := etcdClient(t, etcd.addr())
	proxy := newProxy(t, etcd.addr())
	away := etcdCluster(t, etcdClient(t, proxy.addr()), cluster.Options{})
	here := etcdCluster(t, direct, cluster.Options{})
	t.Cleanup(func() {
		if err := here.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		if err := away.Close(); err != nil {
			t.Error(err)
		}
	})
	gone := registerGateway(t, here, "gone")
	within(t, "the first gateway is seen", func() bool { return len(away.View().Nodes(cluster.Gateway)) == 1 })
	revision := away.View().Revision

	proxy.cut()
	if err := gone.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		registerGateway(t, here, fmt.Sprint("g", i))
	}
	if _, err := direct.Compact(t.Context(), int64(here.View().Revision), clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	if away.View().Revision != revision {
		t.Fatal("the proxy is not cut")
	}
	proxy.heal()
	within(t, "the view catches up", func() bool {
		v := away.View()
		_, old := v.ByIncarnation(gone.Node().Incarnation)
		return len(v.Nodes(cluster.Gateway)) == 5 && !old
	})
	last := registerGateway(t, here, "last")
	within(t, "events come again", func() bool {
		_, ok := away.View().ByIncarnation(last.Node().Incarnation)
		return ok
	})
}

func registerGateway(t *testing.T, c cluster.Cluster, id string) cluster.Member {
	t.Helper()
	m, err := c.Register(t.Context(), cluster.Node{Role: cluster.Gateway, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
