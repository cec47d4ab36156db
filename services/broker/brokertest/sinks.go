package brokertest

import (
	"context"
	"sync"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// Sinks are the destinations of a router under a test's control: the tier of session partitions, and gateways. They record deliveries, answer when the
// test lets them, and answer snapshots with the routes that the test gave them. The harness of a router makes it send there.
type Sinks struct {
	mu       sync.Mutex
	sessions map[int]*sink
	gateways map[broker.NodeRef]*sink
}

// NewSinks makes destinations without routes; session partitions are in epoch 1.
func NewSinks() *Sinks {
	return &Sinks{sessions: map[int]*sink{}, gateways: map[broker.NodeRef]*sink{}}
}

// SetEpoch says in which epoch a session partition is: what its snapshots and route updates carry. Where ownership is real, call it at each claim.
func (s *Sinks) SetEpoch(partition int, epoch uint64) {
	d := s.session(partition)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.origin.Epoch = epoch
}

// Sessions is the tier of session partitions. It opens no session streams.
func (s *Sinks) Sessions() broker.Sessions { return sinkTier{s} }

// Gateway is the gateway of that incarnation. It has no management.
func (s *Sinks) Gateway(ref broker.NodeRef) broker.Gateway {
	return sinkGateway{d: s.gateway(ref)}
}

func (s *Sinks) session(partition int) *sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.sessions[partition]
	if d == nil {
		d = newSink(broker.Origin{Kind: broker.FromSession, Partition: partition, Epoch: 1})
		s.sessions[partition] = d
	}
	return d
}

func (s *Sinks) gateway(ref broker.NodeRef) *sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.gateways[ref]
	if d == nil {
		d = newSink(broker.Origin{Kind: broker.FromGateway, Node: ref, Epoch: ref.Incarnation})
		s.gateways[ref] = d
	}
	return d
}

// sinkTier is Sinks as a broker.Sessions.
type sinkTier struct{ s *Sinks }

// OpenDeliver implements broker.Sink.
func (t sinkTier) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	return t.s.session(o.Partition).open(ctx, o, acks)
}

// SnapshotRoutes implements broker.RouteSource.
func (t sinkTier) SnapshotRoutes(ctx context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	return t.s.session(q.Partition).snapshot(ctx, q, yield)
}

// OpenSession implements broker.Sessions.
func (t sinkTier) OpenSession(context.Context, broker.SessionOpen, broker.SessionHandler) (broker.SessionStream, error) {
	return nil, broker.E(broker.KindUnavailable, "recorded session partitions have no session streams", nil)
}

// sinkGateway is one sink as a broker.Gateway.
type sinkGateway struct {
	broker.GatewayAdmin // nil: a router does not manage gateways
	d                   *sink
}

// OpenDeliver implements broker.Sink.
func (g sinkGateway) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	return g.d.open(ctx, o, acks)
}

// SnapshotRoutes implements broker.RouteSource.
func (g sinkGateway) SnapshotRoutes(ctx context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	return g.d.snapshot(ctx, q, yield)
}

// routeName names a route of an origin.
type routeName struct{ tenant, filter, group string }

// sink is one destination.
type sink struct {
	mu      sync.Mutex
	origin  broker.Origin
	version uint64
	routes  map[routeName]broker.RouteDelta
	asked   []broker.SnapshotQuery
	got     []broker.Delivery
	streams []*sinkStream
	hold    bool                                                 // deliveries are not answered
	parked  bool                                                 // snapshots fail
	answer  func(broker.Delivery) (broker.DeliverAck, bool)      // another answer than OK
	place   func(tenant, filter string, topicPartition int) bool // is an exact filter of that topic partition
}

func newSink(o broker.Origin) *sink {
	return &sink{origin: o, routes: map[routeName]broker.RouteDelta{}}
}

// change notes a route and returns its update for the routers. Members 0 removes it; all are connected.
func (d *sink) change(filter, group string, members int) broker.RouteUpdate {
	return d.changeTo(filter, group, members, members)
}

// changeTo is change for a group of which some members are connected.
func (d *sink) changeTo(filter, group string, members, online int) broker.RouteUpdate {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.version++
	x := broker.RouteDelta{Filter: filter, Group: group, Version: d.version, Members: members, Online: online}
	d.routes[routeName{"", filter, group}] = x
	return broker.RouteUpdate{Origin: d.origin, Deltas: []broker.RouteDelta{x}}
}

func (d *sink) snapshot(_ context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	d.mu.Lock()
	d.asked = append(d.asked, q)
	info := broker.SnapshotInfo{Origin: d.origin, Version: d.version}
	var out []broker.RouteDelta
	for _, x := range d.routes {
		wild := x.Group != "" || topic.HasWildcard(x.Filter)
		if x.Members > 0 && wild == q.Wildcards && (wild || d.place == nil || d.place(x.Tenant, x.Filter, q.Topic)) {
			out = append(out, x)
		}
	}
	parked := d.parked
	d.mu.Unlock()
	if parked {
		return broker.SnapshotInfo{}, broker.E(broker.KindUnavailable, "snapshot parked by the test", nil)
	}
	if len(out) > 0 {
		if err := yield(out); err != nil {
			return broker.SnapshotInfo{}, err
		}
	}
	return info, nil
}

// open opens a stream into the sink.
func (d *sink) open(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	if err := ctx.Err(); err != nil {
		return nil, broker.E(broker.KindCanceled, "open deliver", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := &sinkStream{d: d, open: o, acks: acks, done: make(chan struct{})}
	d.streams = append(d.streams, s)
	return s, nil
}

// deliveries is what came so far, on all streams.
func (d *sink) deliveries() []broker.Delivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]broker.Delivery(nil), d.got...)
}

// seqs are the sequence numbers of what came for one topic, in order of arrival.
func (d *sink) seqs(topic string) []uint64 {
	var list []uint64
	for _, x := range d.deliveries() {
		if x.Msg.Topic == topic {
			list = append(list, x.Seq)
		}
	}
	return list
}

// set changes what the sink does from now on.
func (d *sink) set(change func(*sink)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// newest is the newest stream; nil if there is none.
func (d *sink) newest() *sinkStream {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.streams) == 0 {
		return nil
	}
	return d.streams[len(d.streams)-1]
}

// release answers everything held, on all streams.
func (d *sink) release() {
	d.mu.Lock()
	d.hold = false
	streams := append([]*sinkStream(nil), d.streams...)
	d.mu.Unlock()
	for _, s := range streams {
		s.settle()
	}
}

// sinkStream is one deliver stream into a sink. Its fields belong to the sink's lock.
type sinkStream struct {
	d      *sink
	open   broker.DeliverOpen
	acks   func([]broker.DeliverAck)
	done   chan struct{}
	over   bool
	got    []broker.Delivery
	told   int
	inside bool // acks is being called: one goroutine at a time
}

// Send implements broker.DeliverStream.
func (s *sinkStream) Send(batch []broker.Delivery) error {
	s.d.mu.Lock()
	if s.over {
		s.d.mu.Unlock()
		return s.Err()
	}
	s.got = append(s.got, batch...)
	s.d.got = append(s.d.got, batch...)
	s.d.mu.Unlock()
	s.settle()
	return nil
}

// settle answers what is unanswered, unless the sink holds.
func (s *sinkStream) settle() {
	s.d.mu.Lock()
	if s.inside {
		s.d.mu.Unlock()
		return
	}
	s.inside = true
	for !s.over && !s.d.hold && s.told < len(s.got) {
		x := s.got[s.told]
		s.told++
		a := broker.DeliverAck{No: uint64(s.told), Epoch: s.d.origin.Epoch}
		if s.d.answer != nil {
			if other, ok := s.d.answer(x); ok {
				a = other
				a.No = uint64(s.told)
			}
		}
		s.d.mu.Unlock()
		s.acks([]broker.DeliverAck{a})
		s.d.mu.Lock()
	}
	s.inside = false
	s.d.mu.Unlock()
}

// confirm answers deliveries up to a number with OK, whether the sink holds or not.
func (s *sinkStream) confirm(no uint64) {
	s.d.mu.Lock()
	s.told = max(s.told, int(no))
	s.d.mu.Unlock()
	s.acks([]broker.DeliverAck{{No: no}})
}

// Done implements broker.DeliverStream.
func (s *sinkStream) Done() <-chan struct{} { return s.done }

// Err implements broker.DeliverStream.
func (s *sinkStream) Err() error {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if !s.over {
		return nil
	}
	return broker.E(broker.KindUnavailable, "deliver stream ended by the test", nil)
}

// Close implements broker.DeliverStream.
func (s *sinkStream) Close() {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	if !s.over {
		s.over = true
		close(s.done)
	}
}
