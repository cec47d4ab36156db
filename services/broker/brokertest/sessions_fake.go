package brokertest

import (
	"cmp"
	"context"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// SessionsConfig says what a Sessions stands on. The zero value has no router.
type SessionsConfig struct {
	Partitions, Topics int               // 0: 4, 8
	Router             broker.Router     // publishes what leaves sessions (QoS 2, wills), and has the retained messages; nil: there is none
	Node               broker.RouterNode // the router that owns all topic partitions; nil: there is none
	HoldLimit          time.Duration     // how long publishes are held after a take-over; 0: 1 s
}

// Sessions is the whole tier of session partitions in memory: it implements broker.Sessions and broker.SessionAdmin. Close it.
type Sessions struct {
	loop
	cfg      SessionsConfig
	flaws    flaws
	routers  *fakeRouters
	revision uint64
	alive    map[uint64]broker.NodeRef
	parts    []*sessionPartition
	timers   map[*time.Timer]bool
	closed   bool
}

// sessionPartition is one session partition. Its fields belong to the lock of Sessions.
type sessionPartition struct {
	s       *Sessions
	n       int
	epoch   uint64
	counter uint64 // of connection epochs
	sink    sinkState
	routes  *fakeAnnouncer
	outbox  *fakeOutbox
	clients map[clientName]*fakeClient
	streams map[broker.NodeRef]*sessionStream
	over    map[connection]bool // connections that were attached and are not any more
}

type clientName struct{ tenant, id string }

// connection names one connection in the cluster.
type connection struct {
	gateway broker.NodeRef
	number  uint64
}

// NewSessions makes a tier that owns all its partitions and serves.
func NewSessions(cfg SessionsConfig) *Sessions { return newSessions(cfg, nil) }

func newSessions(cfg SessionsConfig, f flaws) *Sessions {
	cfg.Partitions, cfg.Topics, cfg.HoldLimit = cmp.Or(cfg.Partitions, 4), cmp.Or(cfg.Topics, 8), cmp.Or(cfg.HoldLimit, time.Second)
	s := &Sessions{cfg: cfg, flaws: f, alive: map[uint64]broker.NodeRef{}, timers: map[*time.Timer]bool{}, routers: newFakeRouters()}
	if cfg.Node != nil {
		s.routers.add("router", cfg.Node)
	}
	for n := range cfg.Partitions {
		s.revision++
		p := &sessionPartition{s: s, n: n, epoch: s.revision, clients: map[clientName]*fakeClient{}, streams: map[broker.NodeRef]*sessionStream{}, over: map[connection]bool{}}
		p.sink = newSinkState(&s.loop, f, s.sees)
		p.routes = newFakeAnnouncer(&s.loop, f, broker.Origin{Kind: broker.FromSession, Partition: n, Epoch: p.epoch}, s.routers, cfg.Topics)
		p.outbox = newFakeOutbox(cfg.Router, cfg.Topics, func() broker.NodeRef { return broker.NodeRef{ID: "sessions", Incarnation: 1} },
			func(t int) broker.Source { return broker.Source{Kind: broker.FromSession, Partition: n, Topic: t} })
		s.parts = append(s.parts, p)
	}
	return s
}

// Close ends all streams and waits for everything that runs.
func (s *Sessions) Close() {
	s.enter()
	s.closed = true
	for t := range s.timers {
		t.Stop()
	}
	for _, p := range s.parts {
		p.endStreams(broker.E(broker.KindUnavailable, "sessions closed", nil))
	}
	s.leave()
	s.routers.close()
	for _, p := range s.parts {
		p.outbox.close()
	}
}

// later runs fn, with the lock held, after a time, unless Sessions is closed before. Called with the lock held.
func (s *Sessions) later(d time.Duration, fn func()) *time.Timer {
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		s.enter()
		defer s.leave()
		delete(s.timers, t)
		if !s.closed {
			fn()
		}
	})
	s.timers[t] = true
	return t
}

// Partition is where a client id lives.
func (s *Sessions) Partition(tenant, clientID string) int {
	return hash(tenant, clientID, s.cfg.Partitions)
}

// TopicPartition is where the fake believes that a topic or an exact filter lives.
func (s *Sessions) TopicPartition(tenant, name string) int { return hash(tenant, name, s.cfg.Topics) }

// StartGateway makes a gateway incarnation that the owners see.
func (s *Sessions) StartGateway(id string) broker.NodeRef {
	s.enter()
	defer s.leave()
	s.revision++
	ref := broker.NodeRef{ID: id, Incarnation: s.revision}
	s.alive[ref.Incarnation] = ref
	return ref
}

// StopGateway makes the owners see that an incarnation is gone: its connections are detached, and their wills published.
func (s *Sessions) StopGateway(ref broker.NodeRef) {
	s.enter()
	defer s.leave()
	delete(s.alive, ref.Incarnation)
	for _, p := range s.parts {
		if st := p.streams[ref]; st != nil {
			st.end(broker.E(broker.KindStale, "the gateway is gone", nil))
		}
		for _, c := range p.clients {
			for i := len(c.olds) - 1; i >= 0; i-- {
				if c.olds[i].gateway == ref {
					c.settleOld(c.olds[i].connection, false)
				}
			}
			if c.att != nil && c.att.gateway == ref && s.flaws.keeps(deadGatewayDetached) {
				c.detach(&broker.Detach{Reason: "gateway_gone"})
			}
		}
	}
}

// StartRouter adds a router process that owns no topic partition.
func (s *Sessions) StartRouter(id string, node broker.RouterNode) broker.NodeRef {
	return s.routers.add(id, node)
}

// StopRouter takes a router process out of the view.
func (s *Sessions) StopRouter(ref broker.NodeRef) { s.routers.remove(ref) }

// MovePartition gives a partition to a new owner with a new epoch: clean attachments are forgotten, everything else stays.
func (s *Sessions) MovePartition(n int) {
	s.enter()
	defer s.leave()
	p := s.parts[n]
	s.revision++
	p.endStreams(broker.E(broker.KindNotOwner, "session partition released", nil))
	p.sink.waiting, p.sink.hold = nil, false
	p.epoch, p.counter = s.revision, 0
	p.routes.origin.Epoch = p.epoch
	for k, c := range p.clients {
		c.ready = false
		if c.sess == nil && c.will == nil && (c.att == nil || c.att.will == nil) {
			delete(p.clients, k)
		}
		if c.sess != nil && !s.flaws.keeps(queueSurvives) {
			c.sess.queue = nil
		}
	}
}

// endStreams ends every stream of the partition. Called with the lock held.
func (p *sessionPartition) endStreams(err error) {
	for _, st := range p.streams {
		st.end(err)
	}
	p.sink.endAll(err)
}

// HoldLog keeps everything of a partition from becoming durable until release is called.
func (s *Sessions) HoldLog(n int) (release func()) {
	s.enter()
	defer s.leave()
	p := s.parts[n]
	p.sink.hold = true
	return func() {
		s.enter()
		defer s.leave()
		p.sink.durable()
	}
}

// sees says why a gateway incarnation is not alive. Called with the lock held.
func (s *Sessions) sees(incarnation uint64) error {
	switch _, ok := s.alive[incarnation]; {
	case ok:
		return nil
	case incarnation > s.revision:
		return broker.E(broker.KindUnavailable, "the gateway is not in view yet", nil)
	}
	return broker.E(broker.KindStale, "the gateway is gone", nil)
}

// OpenDeliver implements broker.Sink.
func (s *Sessions) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	if err := ctx.Err(); err != nil {
		return nil, broker.E(broker.KindCanceled, "open deliver", err)
	}
	s.enter()
	defer s.leave()
	if o.Partition < 0 || o.Partition >= len(s.parts) {
		return nil, broker.Errorf(broker.KindNotOwner, "session partition %d", o.Partition)
	}
	p := s.parts[o.Partition]
	d, err := p.sink.open(o, acks, p.take)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// SnapshotRoutes implements broker.RouteSource.
func (s *Sessions) SnapshotRoutes(ctx context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	if q.Partition < 0 || q.Partition >= len(s.parts) {
		return broker.SnapshotInfo{}, broker.Errorf(broker.KindNotOwner, "session partition %d", q.Partition)
	}
	return s.parts[q.Partition].routes.snapshot(ctx, q, yield)
}
