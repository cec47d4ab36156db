package router_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/router"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/journal"
)

// world is one router between recorded destinations, in memory and in virtual time.
type world struct {
	t        *testing.T
	memory   *cluster.Memory
	cluster  cluster.Cluster
	member   cluster.Member
	router   *router.Router
	journal  journal.Store
	sessions *sessions
	streams  uint64
	mu       sync.Mutex
	gateways map[string]*gateway
	limits   router.Config
	retained router.RetainedConfig
	dir      string // of the routers' files
}

// start makes a cluster of one session-store that owns all session partitions, and one router.
func start(t *testing.T, change ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), memory: cluster.NewMemory(), journal: journal.NewMemory(), gateways: map[string]*gateway{}}
	w.limits, w.retained = router.Default()
	w.cluster = w.join()
	w.sessions = &sessions{routes: map[int][]broker.RouteDelta{}, hold: map[int]bool{}, refuse: map[int]bool{}, parked: map[int]bool{}}
	for _, fn := range change {
		fn(w)
	}
	w.store("s1")
	w.startRouter("r1")
	return w
}

func (w *world) join() cluster.Cluster {
	c, err := w.memory.Join(cluster.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// eachStorage runs a test of retained messages with those that are in the log.
func eachStorage(t *testing.T, fn func(t *testing.T, in func(*world))) {
	for _, storage := range []string{router.StorageDisc, router.StorageDiscOnly} {
		t.Run(storage, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { fn(t, func(w *world) { w.retained.Storage = storage }) })
		})
	}
}

// store registers a session-store that takes the session partitions assigned to it.
func (w *world) store(id string) cluster.Member {
	w.t.Helper()
	m := w.register(cluster.Node{Role: cluster.SessionStore, ID: id})
	go func() { _ = m.Host(context.WithoutCancel(w.t.Context()), cluster.SessionSpace, w.sessions) }()
	settle()
	return m
}

func (w *world) register(n cluster.Node) cluster.Member {
	w.t.Helper()
	m, err := w.cluster.Register(w.t.Context(), n)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) startRouter(id string) {
	w.t.Helper()
	w.member = w.register(cluster.Node{Role: cluster.Router, ID: id})
	r, err := router.New(w.limits, w.retained, router.Deps{
		Cluster: w.cluster, Member: w.member, Sessions: w.sessions, Journal: w.journal, Clock: time.Now,
		Gateways: w.gatewayOf, Dir: filepath.Join(w.dir, id),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := r.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.router = r
	w.t.Cleanup(func() { _ = r.Stop(context.WithoutCancel(w.t.Context())) })
	settle()
}

// gateway registers a gateway.
func (w *world) gateway(id string) *gateway {
	w.t.Helper()
	g := &gateway{w: w, id: id}
	w.mu.Lock()
	w.gateways[id] = g
	w.mu.Unlock()
	g.member = w.register(cluster.Node{Role: cluster.Gateway, ID: id})
	settle()
	return g
}

func (w *world) gatewayOf(n cluster.Node) broker.Gateway {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gateways[n.ID]
}

// settle lets virtual time pass until retries and snapshots are over.
func settle() { elapse(3 * time.Second) }

// elapse lets virtual time pass, and everything that is due then happen. Outside of a synctest bubble it panics.
func elapse(d time.Duration) {
	synctest.Wait()
	time.Sleep(d)
	synctest.Wait()
}

// subscribe adds a route of a session partition, as its Announcer would.
func (w *world) subscribe(partition int, filter, group string, version uint64) error {
	o, _ := w.cluster.View().Owner(cluster.SessionSpace, partition)
	return w.router.UpdateRoutes(w.t.Context(), broker.RouteUpdate{
		Origin: broker.Origin{Kind: broker.FromSession, Partition: partition, Epoch: o.Epoch},
		Deltas: []broker.RouteDelta{{Filter: filter, Group: group, Version: version, Members: 1, Online: 1}},
	})
}

func (w *world) mustSubscribe(partition int, filter, group string) {
	w.t.Helper()
	if err := w.subscribe(partition, filter, group, 1); err != nil {
		w.t.Fatal(err)
	}
}

// publisher is a source that counts its acks.
type publisher struct {
	w      *world
	g      *gateway
	topic  string
	stream broker.PublishStream
	opens  uint64
	seq    uint64

	mu   sync.Mutex
	acks []broker.PublishAck
}

func (w *world) publisher(g *gateway, topic string) *publisher {
	w.t.Helper()
	p := &publisher{w: w, g: g, topic: topic}
	p.open()
	return p
}

func (p *publisher) tryOpen() error {
	n := p.g.member.Node()
	part := cluster.Partition("", p.topic, 64)
	p.w.streams++
	p.opens = max(p.opens+1, p.w.streams)
	s, err := p.w.router.OpenPublish(p.w.t.Context(), broker.PublishOpen{
		Source: broker.Source{Incarnation: n.Incarnation, Topic: part},
		From:   broker.NodeRef{ID: n.ID, Incarnation: n.Incarnation}, Stream: p.opens,
	}, func(acks []broker.PublishAck) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.acks = append(p.acks, acks...)
	})
	p.stream = s
	return err
}

func (p *publisher) open() {
	p.w.t.Helper()
	if err := p.tryOpen(); err != nil {
		p.w.t.Fatal(err)
	}
}

// send publishes n messages at a QoS in one batch.
func (p *publisher) send(n int, qos broker.QoS, change ...func(*broker.Message)) error {
	var batch []broker.Publish
	for range n {
		p.seq++
		m := &broker.Message{Topic: p.topic, Payload: fmt.Appendf(nil, "%d", p.seq), QoS: qos, Published: time.Now()}
		for _, fn := range change {
			fn(m)
		}
		batch = append(batch, broker.Publish{Seq: p.seq, Msg: m})
	}
	return p.stream.Send(batch)
}

func (p *publisher) mustSend(n int, qos broker.QoS, change ...func(*broker.Message)) {
	p.w.t.Helper()
	if err := p.send(n, qos, change...); err != nil {
		p.w.t.Fatal(err)
	}
	synctest.Wait()
}

func (p *publisher) acked() []uint64 {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	var seqs []uint64
	for _, a := range p.acks {
		seqs = append(seqs, a.Seq)
	}
	return seqs
}

// recorder is a destination that keeps what it got and answers when the test lets it.
type recorder struct {
	mu     sync.Mutex
	got    []broker.Delivery
	opens  []broker.DeliverOpen
	newest []*recorderStream
}

type recorderStream struct {
	r      *recorder
	acks   func([]broker.DeliverAck)
	hold   func() bool
	once   sync.Once
	done   chan struct{}
	count  uint64
	refuse func(broker.Delivery) (broker.DeliverAck, bool)
}

func (s *recorderStream) Done() <-chan struct{} { return s.done }
func (s *recorderStream) Err() error {
	return broker.E(broker.KindUnavailable, "ended by the test", nil)
}
func (s *recorderStream) Close() { s.once.Do(func() { close(s.done) }) }
func (s *recorderStream) Send(batch []broker.Delivery) error {
	s.r.mu.Lock()
	s.r.got = append(s.r.got, batch...)
	s.r.mu.Unlock()
	for _, d := range batch {
		s.count++
		if s.hold() {
			continue
		}
		if s.refuse != nil {
			if a, no := s.refuse(d); no {
				a.No = s.count
				s.acks([]broker.DeliverAck{a})
				continue
			}
		}
		s.acks([]broker.DeliverAck{{No: s.count}})
	}
	return nil
}

func (r *recorder) payloads() []string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, d := range r.got {
		list = append(list, string(d.Msg.Payload))
	}
	return list
}

func (r *recorder) stream(i int) *recorderStream {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if i < 0 {
		i = len(r.newest) + i
	}
	return r.newest[i]
}

// sessions is the tier of session partitions: it hosts the partitions in the cluster and records deliveries.
type sessions struct {
	broker.Sessions

	mu     sync.Mutex
	parts  map[int]*recorder
	routes map[int][]broker.RouteDelta // answered to snapshots
	claims [64]cluster.Claim
	hold   map[int]bool // deliveries are not answered
	refuse map[int]bool // streams are not opened
	parked map[int]bool // snapshots fail
	unsub  func(broker.Delivery) (broker.DeliverAck, bool)
	asked  []broker.SnapshotQuery
}

// Acquire takes a partition.
func (s *sessions) Acquire(_ context.Context, c cluster.Claim) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims[c.Partition] = c
	return nil
}

// Release gives it back.
func (s *sessions) Release(context.Context, int) {}

func (s *sessions) part(n int) *recorder {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts == nil {
		s.parts = map[int]*recorder{}
	}
	if s.parts[n] == nil {
		s.parts[n] = &recorder{}
	}
	return s.parts[n]
}

func (s *sessions) set(m map[int]bool, n int, v bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m[n] = v
}

func (s *sessions) is(m map[int]bool, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return m[n]
}

// OpenDeliver implements broker.Sink.
func (s *sessions) OpenDeliver(_ context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	if s.is(s.refuse, o.Partition) {
		return nil, broker.E(broker.KindUnavailable, "refused by the test", nil)
	}
	r := s.part(o.Partition)
	st := &recorderStream{r: r, acks: acks, done: make(chan struct{}), hold: func() bool { return s.is(s.hold, o.Partition) }, refuse: s.unsub}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opens = append(r.opens, o)
	r.newest = append(r.newest, st)
	return st, nil
}

// SnapshotRoutes implements broker.RouteSource.
func (s *sessions) SnapshotRoutes(_ context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	s.mu.Lock()
	s.asked = append(s.asked, q)
	claim, routes, parked := s.claims[q.Partition], s.routes[q.Partition], s.parked[q.Partition]
	s.mu.Unlock()
	if parked {
		return broker.SnapshotInfo{}, broker.E(broker.KindUnavailable, "parked by the test", nil)
	}
	var out []broker.RouteDelta
	for _, d := range routes {
		wild := d.Group != "" || d.Filter == "#" || d.Filter == "w/+"
		if wild == q.Wildcards && (wild || cluster.Partition("", d.Filter, 64) == q.Topic) {
			out = append(out, d)
		}
	}
	if err := yield(out); err != nil {
		return broker.SnapshotInfo{}, err
	}
	return broker.SnapshotInfo{Origin: broker.Origin{Kind: broker.FromSession, Partition: q.Partition, Epoch: claim.Epoch}, Version: 100}, nil
}

// gateway records deliveries for clean sessions.
type gateway struct {
	broker.Gateway
	w      *world
	id     string
	member cluster.Member
	recorder
	hold   bool
	refuse bool
}

// OpenDeliver implements broker.Sink.
func (g *gateway) OpenDeliver(_ context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	if g.refuse {
		return nil, broker.E(broker.KindUnavailable, "refused by the test", nil)
	}
	st := &recorderStream{r: &g.recorder, acks: acks, done: make(chan struct{}), hold: func() bool { return g.hold }}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.newest = append(g.newest, st)
	return st, nil
}

// SnapshotRoutes implements broker.RouteSource: routes come by deltas in these tests.
func (g *gateway) SnapshotRoutes(context.Context, broker.SnapshotQuery, func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	n, _ := g.w.cluster.View().Node(cluster.Gateway, g.id)
	return broker.SnapshotInfo{Origin: broker.Origin{Kind: broker.FromGateway, Node: broker.NodeRef{ID: n.ID, Incarnation: n.Incarnation}, Epoch: n.Incarnation}}, nil
}

// subscribe adds a route of the gateway's clean sessions.
func (g *gateway) subscribe(w *world, filter, group string) {
	w.t.Helper()
	n := g.member.Node()
	ref := broker.NodeRef{ID: n.ID, Incarnation: n.Incarnation}
	err := w.router.UpdateRoutes(w.t.Context(), broker.RouteUpdate{
		Origin: broker.Origin{Kind: broker.FromGateway, Node: ref, Epoch: n.Incarnation},
		Deltas: []broker.RouteDelta{{Filter: filter, Group: group, Version: 1, Members: 1, Online: 1}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
