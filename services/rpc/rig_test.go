package rpc_test

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/routerrpc"
	"github.com/pando-mq/pando/services/rpc/rpctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = rpctest.Patience

func stop(t testing.TB, f func(context.Context) error)   { t.Helper(); rpctest.Stop(t, f) }
func eventually(t testing.TB, cond func() bool)          { t.Helper(); rpctest.Eventually(t, cond) }
func await[T any](t testing.TB, ch <-chan T) T           { t.Helper(); return rpctest.Await(t, ch) }
func wantKind(t testing.TB, err error, want broker.Kind) { t.Helper(); rpctest.WantKind(t, err, want) }

// fakeRouter is a router whose streams the test writes. Streams that nobody wrote ack each batch by its last publish.
type fakeRouter struct {
	routerrpc.Service // nil: calls that no test makes
	open              func(context.Context, broker.PublishOpen, func([]broker.PublishAck)) (broker.PublishStream, error)
	update            func(context.Context, broker.RouteUpdate) error
	retained          func(context.Context, int, broker.RetainedQuery, func([]*broker.Message) error) error
}

func (r *fakeRouter) OpenPublish(ctx context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	if r.open != nil {
		return r.open(ctx, o, acks)
	}
	return newFakeStream(acks), nil
}

func (r *fakeRouter) UpdateRoutes(ctx context.Context, u broker.RouteUpdate) error {
	return r.update(ctx, u)
}

func (r *fakeRouter) ReadRetainedPartition(ctx context.Context, p int, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	return r.retained(ctx, p, q, yield)
}

// fakeStream is the router's end of a publish stream.
type fakeStream struct {
	acks func([]broker.PublishAck)
	send func([]broker.Publish) error // nil: ack the last
	done chan struct{}

	mu     sync.Mutex
	err    error
	ended  bool
	closed bool
	got    []uint64
}

func newFakeStream(acks func([]broker.PublishAck)) *fakeStream {
	return &fakeStream{acks: acks, done: make(chan struct{})}
}

func (s *fakeStream) Epoch() uint64         { return 7 }
func (s *fakeStream) Done() <-chan struct{} { return s.done }

func (s *fakeStream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *fakeStream) Send(batch []broker.Publish) error {
	s.mu.Lock()
	for _, p := range batch {
		s.got = append(s.got, p.Seq)
	}
	s.mu.Unlock()
	if s.send != nil {
		return s.send(batch)
	}
	s.acks([]broker.PublishAck{{Seq: batch[len(batch)-1].Seq, Matched: true}})
	return nil
}

func (s *fakeStream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended, s.err = true, err
		close(s.done)
	}
}

func (s *fakeStream) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end(broker.E(broker.KindCanceled, "closed", nil))
}

func (s *fakeStream) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *fakeStream) received() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

// network is how test processes reach one another: TCP on loopback, or memory.
type network struct {
	mu   sync.Mutex
	pipe map[string]*bufconn.Listener // nil: TCP
}

func (n *network) listen(t testing.TB, id string) (l net.Listener, addr string) {
	t.Helper()
	if n.pipe == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l, l.Addr().String()
	}
	b := bufconn.Listen(1 << 20)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pipe[id] = b
	return b, id
}

func (n *network) options() []grpc.DialOption {
	if n.pipe == nil {
		return nil
	}
	return []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		n.mu.Lock()
		l := n.pipe[addr]
		n.mu.Unlock()
		return l.DialContext(ctx)
	})}
}

// rigT is a cluster in memory with router processes and one client.
type rigT struct {
	t        testing.TB
	net      network
	memory   *cluster.Memory
	server   rpc.ServerConfig
	client   rpc.ClientConfig
	registry *prometheus.Registry
	busy     func(cluster.Node, int)

	cluster cluster.Cluster
	dialer  *rpc.Dialer
	router  *routerrpc.Client
}

// newRig makes a rig; change lets a test alter it before the client starts.
func newRig(t testing.TB, change func(*rigT)) *rigT {
	t.Helper()
	r := &rigT{t: t, memory: cluster.NewMemory(), registry: prometheus.NewRegistry()}
	if change != nil {
		change(r)
	}
	r.cluster = r.join()
	d, err := rpc.NewDialer(r.client, r.cluster, rpc.Deps{Registerer: r.registry, Busy: r.busy}, r.net.options()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, d.Stop) })
	r.dialer, r.router = d, routerrpc.NewClient(d, routerrpc.Options{})
	return r
}

func (r *rigT) join() cluster.Cluster {
	r.t.Helper()
	meta := cluster.Meta{Partitions: map[cluster.Space]int{cluster.TopicSpace: 4, cluster.RetainedSpace: 2, cluster.SessionSpace: 2}}
	c, err := r.memory.Join(cluster.Options{Bootstrap: meta})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			r.t.Error(err)
		}
	})
	return c
}

// process is a router process of a rig.
type process struct {
	member cluster.Member
	node   cluster.Node
	hosts  sync.WaitGroup
}

// startRouter starts a router process that hosts partitions.
func (r *rigT) startRouter(id string, impl routerrpc.Service) *process {
	r.t.Helper()
	l, addr := r.net.listen(r.t, id)
	r.serve(l, impl)
	return r.registerAt(id, addr)
}

// registerAt registers a router process that hosts partitions.
func (r *rigT) registerAt(id, addr string) *process {
	r.t.Helper()
	p := &process{}
	c := r.join()
	m, err := c.Register(context.Background(), cluster.Node{Role: cluster.Router, ID: id, Addr: addr})
	if err != nil {
		r.t.Fatal(err)
	}
	p.member, p.node = m, m.Node()
	for _, space := range []cluster.Space{cluster.TopicSpace, cluster.RetainedSpace} {
		p.hosts.Go(func() { _ = m.Host(context.Background(), space, noHost{}) })
	}
	r.t.Cleanup(func() { p.leave(r.t) })
	return p
}

// listenAt listens at an address that was in use a moment ago.
func listenAt(t testing.TB, addr string) (l net.Listener) {
	t.Helper()
	eventually(t, func() bool {
		var err error
		l, err = net.Listen("tcp", addr)
		return err == nil
	})
	return l
}

func (r *rigT) serve(l net.Listener, impl routerrpc.Service) *rpc.Server {
	r.t.Helper()
	s, err := rpc.NewServer(r.server, rpc.Deps{})
	if err != nil {
		r.t.Fatal(err)
	}
	routerrpc.Register(s, impl)
	s.StartOn(l)
	r.t.Cleanup(func() { stop(r.t, s.Stop) })
	return s
}

// leave takes the process out of the cluster; its server goes on.
func (p *process) leave(t testing.TB) {
	t.Helper()
	stop(t, p.member.Leave)
	p.hosts.Wait()
}

// owned waits until the client's view shows an owner of every topic partition.
func (r *rigT) owned() {
	r.t.Helper()
	eventually(r.t, func() bool {
		for _, s := range []cluster.Space{cluster.TopicSpace, cluster.RetainedSpace} {
			for p := range r.cluster.Meta().Partitions[s] {
				if _, ok := r.cluster.View().Owner(s, p); !ok {
					return false
				}
			}
		}
		return true
	})
}

type noHost struct{}

func (noHost) Acquire(context.Context, cluster.Claim) error { return nil }
func (noHost) Release(context.Context, int)                 {}

// open opens a publish stream to a topic partition.
func (r *rigT) open(topic int, acks func([]broker.PublishAck)) broker.PublishStream {
	r.t.Helper()
	s, err := r.tryOpen(topic, acks)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rigT) tryOpen(topic int, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if acks == nil {
		acks = func([]broker.PublishAck) {}
	}
	return r.router.OpenPublish(ctx, broker.PublishOpen{Source: broker.Source{Incarnation: 1, Topic: topic}, Stream: 1, First: 1}, acks)
}

// count reads a counter or gauge of the client.
func (r *rigT) count(name string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func publishes(first uint64, n, payload int) []broker.Publish {
	batch := make([]broker.Publish, n)
	for i := range batch {
		batch[i] = broker.Publish{Seq: first + uint64(i), Msg: &broker.Message{Topic: "a/b/c", Payload: make([]byte, payload), QoS: 1}}
	}
	return batch
}
