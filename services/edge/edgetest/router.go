package edgetest

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// Router is the router tier and each router process of it. Messages go to edges by their announced routes, to persistent sessions, and into the retained store.
type Router struct {
	sessions *Sessions

	mu       sync.Mutex
	edges    map[broker.NodeRef]*destination
	streams  map[broker.Source]*publishStream
	retained map[string]*broker.Message
	cursors  map[broker.Source]uint64
	seen     []*broker.Message
	forgets  bool // seen stays as it is
	epoch    uint64
	held     bool
	waiting  []func() // answers held back
	refuse   int
	lose     int // batches to break the stream after, unanswered
	repeat   bool
	robin    int
	shut     bool // UpdateRoutes fails
	strategy string
	holders  map[routeKey]string // of exclusive topics -> client
}

// destination is one edge with its routes.
type destination struct {
	sink    broker.Sink
	routes  map[routeKey]int // members
	streams map[int]broker.DeliverStream
}

type routeKey struct{ tenant, filter, group string }

func newRouter() *Router {
	return &Router{
		edges: map[broker.NodeRef]*destination{}, streams: map[broker.Source]*publishStream{}, retained: map[string]*broker.Message{},
		cursors: map[broker.Source]uint64{}, epoch: 1, holders: map[routeKey]string{},
	}
}

// Attach makes an edge's sink known; Backend.Edge does so.
func (r *Router) Attach(n broker.NodeRef, s broker.Sink) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.edge(n).sink = s
}

// Detach forgets an edge.
func (r *Router) Detach(n broker.NodeRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.edges, n)
}

func (r *Router) edge(n broker.NodeRef) *destination {
	d := r.edges[n]
	if d == nil {
		d = &destination{routes: map[routeKey]int{}, streams: map[int]broker.DeliverStream{}}
		r.edges[n] = d
	}
	return d
}

// Seen is every message that was routed, in order, without repeats.
func (r *Router) Seen() []*broker.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// Forget makes messages that are routed from now on no part of Seen: a test sends more than it wants to keep in memory.
func (r *Router) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgets = true
}

// Routes lists the filters an edge has announced.
func (r *Router) Routes(n broker.NodeRef) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for k, members := range r.edge(n).routes {
		if members > 0 {
			list = append(list, k.group+":"+k.filter)
		}
	}
	slices.Sort(list)
	return list
}

// Hold keeps acks back until Release.
func (r *Router) Hold() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = true
}

// Release sends the acks that were held back, the last ones first: topics are answered in any order.
func (r *Router) Release() {
	r.mu.Lock()
	waiting := r.waiting
	r.held, r.waiting = false, nil
	r.mu.Unlock()
	for _, fn := range slices.Backward(waiting) {
		fn()
	}
}

// RefuseOpens makes the next n opens of publish streams fail.
func (r *Router) RefuseOpens(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = n
}

// LoseBatches makes the next n batches be routed and their stream break before the answer.
func (r *Router) LoseBatches(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lose = n
}

// RepeatDeliveries makes every delivery to an edge be sent twice, as a router does that took over.
func (r *Router) RepeatDeliveries() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.repeat = true
}

// StallRoutes makes route updates fail until it is called with false.
func (r *Router) StallRoutes(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shut = on
}

// Break ends all publish streams.
func (r *Router) Break() {
	r.mu.Lock()
	streams := r.streams
	r.streams = map[broker.Source]*publishStream{}
	r.mu.Unlock()
	for _, s := range streams {
		s.Close()
	}
}

// OpenPublish implements broker.Router.
func (r *Router) OpenPublish(_ context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse > 0 {
		r.refuse--
		return nil, broker.E(broker.KindUnavailable, "no owner", nil)
	}
	old := r.streams[o.Source]
	s := &publishStream{r: r, o: o, acks: acks, done: make(chan struct{})}
	r.streams[o.Source] = s
	if old != nil {
		old.Close()
	}
	return s, nil
}

type publishStream struct {
	r    *Router
	o    broker.PublishOpen
	acks func([]broker.PublishAck)
	once sync.Once
	done chan struct{}
}

// Epoch implements broker.PublishStream.
func (s *publishStream) Epoch() uint64 { return 1 }

// Done implements broker.PublishStream.
func (s *publishStream) Done() <-chan struct{} { return s.done }

// Err implements broker.PublishStream.
func (s *publishStream) Err() error { return broker.E(broker.KindUnavailable, "stream broken", nil) }

// Close implements broker.PublishStream.
func (s *publishStream) Close() { s.once.Do(func() { close(s.done) }) }

// Send implements broker.PublishStream.
func (s *publishStream) Send(batch []broker.Publish) error {
	select {
	case <-s.done:
		return s.Err()
	default:
	}
	acks := make([]broker.PublishAck, 0, len(batch))
	for i := range batch {
		acks = append(acks, broker.PublishAck{Seq: batch[i].Seq, Matched: s.r.route(s.o.Source, &batch[i])})
	}
	s.r.mu.Lock()
	lost := s.r.lose > 0
	if lost {
		s.r.lose--
	}
	held := s.r.held
	if held && !lost {
		s.r.waiting = append(s.r.waiting, func() { s.acks(acks) })
	}
	s.r.mu.Unlock()
	switch {
	case lost:
		s.Close()
	case !held:
		s.acks(acks)
	}
	return nil
}

// route gives one message to everybody; what is not above the source's cursor was routed before.
func (r *Router) route(src broker.Source, p *broker.Publish) (matched bool) {
	r.mu.Lock()
	if p.Seq <= r.cursors[src] {
		r.mu.Unlock()
		return true
	}
	r.cursors[src] = p.Seq
	if !r.forgets {
		r.seen = append(r.seen, p.Msg)
	}
	if p.Msg.Retain && p.Share == nil {
		r.keep(p.Msg)
	}
	sends := r.match(src, p)
	r.mu.Unlock()
	for _, send := range sends {
		send()
	}
	persistent := p.Share == nil && r.sessions.deliver(p.Msg)
	return len(sends) > 0 || persistent
}

// keep stores a retained message. Called with the lock held.
func (r *Router) keep(m *broker.Message) {
	if len(m.Payload) == 0 {
		delete(r.retained, m.Tenant+"\x00"+m.Topic)
		return
	}
	r.retained[m.Tenant+"\x00"+m.Topic] = m
}

// match finds the edges of a message. Called with the lock held; what it returns is run without.
func (r *Router) match(src broker.Source, p *broker.Publish) (sends []func()) {
	shares := map[routeKey][]*destination{}
	for _, d := range r.edges {
		plain := false
		for k, members := range d.routes {
			if members == 0 || k.tenant != p.Msg.Tenant || !topic.Match(k.filter, p.Msg.Topic) {
				continue
			}
			if k.group == "" {
				plain = plain || p.Share == nil
			} else if p.Share == nil || p.Share.Group == k.group && p.Share.Filter == k.filter {
				shares[k] = append(shares[k], d)
			}
		}
		if plain {
			sends = append(sends, r.send(d, broker.Delivery{Source: src, Seq: p.Seq, Msg: p.Msg, Plain: true}))
		}
	}
	for k, ds := range shares {
		r.robin++
		share := broker.ShareCopy{Share: broker.Share{Group: k.group, Filter: k.filter}, Strategy: r.strategy}
		other := broker.Source{Kind: broker.FromRetained, Partition: 100 + src.Topic, Topic: src.Topic} // a source of its own, so that its cursor is
		r.cursors[other]++
		sends = append(sends, r.send(ds[r.robin%len(ds)], broker.Delivery{Source: other, Seq: r.cursors[other], Msg: p.Msg, Shares: []broker.ShareCopy{share}}))
	}
	return sends
}

// send makes the function that sends to one edge. Called with the lock held.
func (r *Router) send(d *destination, v broker.Delivery) func() {
	times := 1
	if r.repeat {
		times = 2
	}
	return func() {
		for range times {
			if s, err := r.stream(d, v.Source.Topic); err == nil {
				_ = s.Send([]broker.Delivery{v})
			}
		}
	}
}

// stream opens the deliver stream of an edge and topic partition.
func (r *Router) stream(d *destination, t int) (broker.DeliverStream, error) {
	r.mu.Lock()
	s, sink := d.streams[t], d.sink
	r.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := sink.OpenDeliver(context.Background(), broker.DeliverOpen{Router: broker.NodeRef{ID: "router", Incarnation: 1}, Topic: t, TopicEpoch: 1}, func([]broker.DeliverAck) {})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d.streams[t] = s
	return s, nil
}

// ReadRetained implements broker.Router.
func (r *Router) ReadRetained(ctx context.Context, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	r.mu.Lock()
	var all []*broker.Message
	for _, m := range r.retained {
		if m.Tenant == q.Tenant && topic.Match(q.Filter, m.Topic) {
			all = append(all, m)
		}
	}
	r.mu.Unlock()
	slices.SortFunc(all, func(a, b *broker.Message) int { return slices.Compare(a.ID[:], b.ID[:]) })
	for batch := range slices.Chunk(all, 100) {
		if err := ctx.Err(); err != nil {
			return broker.E(broker.KindCanceled, "read retained", err)
		}
		if err := yield(batch); err != nil {
			return err
		}
	}
	return nil
}

// ReadRetainedPartition implements broker.RouterNode.
func (r *Router) ReadRetainedPartition(ctx context.Context, _ int, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	return r.ReadRetained(ctx, q, yield)
}

// OpenDeliver implements broker.Sink: nothing forwards to retained partitions here.
func (r *Router) OpenDeliver(context.Context, broker.DeliverOpen, func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	return nil, broker.E(broker.KindNotOwner, "no retained partition", nil)
}

// UpdateRoutes implements broker.RouterNode.
func (r *Router) UpdateRoutes(_ context.Context, u broker.RouteUpdate) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shut {
		return broker.E(broker.KindUnavailable, "stalled by the test", nil)
	}
	d := r.edge(u.Origin.Node)
	for _, x := range u.Deltas {
		if topic, ok := strings.CutPrefix(x.Filter, broker.ExclusivePrefix); ok {
			r.holders[routeKey{x.Tenant, topic, ""}] = ""
			if x.Members > 0 {
				r.holders[routeKey{x.Tenant, topic, ""}] = x.Holder
			}
			continue
		}
		d.routes[routeKey{x.Tenant, x.Filter, x.Group}] = x.Members
	}
	return nil
}

// ClaimExclusive implements broker.Router: the first who asks has the topic until its route is taken away.
func (r *Router) ClaimExclusive(_ context.Context, c broker.ExclusiveClaim) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := routeKey{c.Tenant, c.Topic, ""}
	if h := r.holders[k]; h != "" && h != c.ClientID {
		return 0, broker.E(broker.KindConflict, "another client has the topic", nil)
	}
	r.holders[k] = c.ClientID
	return r.epoch, nil
}

// SetStrategy says how gateways are to pick the members of shared groups.
func (r *Router) SetStrategy(strategy string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.strategy = strategy
}
