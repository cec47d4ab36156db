package brokertest

import (
	"cmp"
	"context"
	"sync"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// Upstream is a router under a test's control: it records the routes that session partitions and gateways announce and what they publish, refuses or holds
// answers as the test says, and has the retained messages that the test gave it. It implements broker.Router and broker.RouterNode.
type Upstream struct {
	mu        sync.Mutex
	routes    map[upstreamRoute]broker.RouteDelta
	origins   map[upstreamRoute]broker.Origin
	refuse    bool // UpdateRoutes fails
	published []upstreamPublish
	streams   map[broker.Source]*upstreamStream
	hold      bool // publishes are not acked
	retained  []*broker.Message
}

type upstreamRoute struct {
	kind      broker.SourceKind
	partition int
	node      uint64
	routeName
}

// upstreamPublish is one publish as it came.
type upstreamPublish struct {
	source broker.Source
	broker.Publish
}

// NewUpstream makes a router that takes everything.
func NewUpstream() *Upstream {
	return &Upstream{routes: map[upstreamRoute]broker.RouteDelta{}, origins: map[upstreamRoute]broker.Origin{}, streams: map[broker.Source]*upstreamStream{}}
}

// UpdateRoutes implements broker.RouterNode.
func (u *Upstream) UpdateRoutes(ctx context.Context, r broker.RouteUpdate) error {
	if err := ctx.Err(); err != nil {
		return broker.E(broker.KindCanceled, "update routes", err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.refuse {
		return broker.E(broker.KindUnavailable, "routes refused by the test", nil)
	}
	for _, d := range r.Deltas {
		k := upstreamRoute{r.Origin.Kind, r.Origin.Partition, 0, routeName{d.Tenant, d.Filter, d.Group}}
		if r.Origin.Kind == broker.FromGateway {
			k.node = r.Origin.Node.Incarnation
		}
		if old := u.routes[k]; u.origins[k].Epoch > r.Origin.Epoch || u.origins[k].Epoch == r.Origin.Epoch && old.Version > d.Version {
			continue
		}
		u.routes[k], u.origins[k] = d, r.Origin
	}
	return nil
}

// members is how many members a route has, over all origins.
func (u *Upstream) members(filter, group string) (n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, d := range u.routes {
		if k.filter == filter && k.group == group {
			n += d.Members
		}
	}
	return n
}

func (u *Upstream) set(change func(*Upstream)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	change(u)
}

// payloads is what was published to a topic, each sequence number of a source once, in order of arrival.
func (u *Upstream) payloads(topic string) (list []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	highest := map[broker.Source]uint64{}
	for _, p := range u.published {
		if p.Seq <= highest[p.source] {
			continue
		}
		highest[p.source] = p.Seq
		if p.Msg.Topic == topic {
			list = append(list, string(p.Msg.Payload))
		}
	}
	return list
}

// messages is what was published to a topic, as it came.
func (u *Upstream) messages(topic string) (list []upstreamPublish) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, p := range u.published {
		if p.Msg.Topic == topic {
			list = append(list, p)
		}
	}
	return list
}

// release acks everything held.
func (u *Upstream) release() {
	u.mu.Lock()
	u.hold = false
	var all []*upstreamStream
	for _, s := range u.streams {
		all = append(all, s)
	}
	u.mu.Unlock()
	for _, s := range all {
		s.settle()
	}
}

// breakStreams ends all publish streams; what is unanswered stays so.
func (u *Upstream) breakStreams() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, s := range u.streams {
		s.end(broker.E(broker.KindUnavailable, "publish stream broken by the test", nil))
	}
}

// OpenPublish implements broker.Router.
func (u *Upstream) OpenPublish(ctx context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	if err := ctx.Err(); err != nil {
		return nil, broker.E(broker.KindCanceled, "open publish", err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if old := u.streams[o.Source]; old != nil {
		old.end(broker.E(broker.KindStale, "replaced by a newer stream", nil))
	}
	s := &upstreamStream{u: u, source: o.Source, acks: acks, done: make(chan struct{})}
	u.streams[o.Source] = s
	return s, nil
}

// OpenDeliver implements broker.Router; nothing is forwarded to an Upstream.
func (u *Upstream) OpenDeliver(context.Context, broker.DeliverOpen, func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	return nil, broker.E(broker.KindNotOwner, "open deliver", nil)
}

// ReadRetained implements broker.Router.
func (u *Upstream) ReadRetained(ctx context.Context, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	u.mu.Lock()
	all := u.retained
	u.mu.Unlock()
	left := cmp.Or(q.Limit, len(all))
	for _, m := range all {
		if err := ctx.Err(); err != nil {
			return broker.E(broker.KindCanceled, "read retained", err)
		}
		if m.Tenant == q.Tenant && topic.Match(q.Filter, m.Topic) && left > 0 {
			left--
			if err := yield([]*broker.Message{m}); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadRetainedPartition implements broker.RouterNode.
func (u *Upstream) ReadRetainedPartition(context.Context, int, broker.RetainedQuery, func([]*broker.Message) error) error {
	return broker.E(broker.KindNotOwner, "read retained", nil)
}

// upstreamStream is one publish stream. Its fields belong to the Upstream's lock.
type upstreamStream struct {
	u      *Upstream
	source broker.Source
	acks   func([]broker.PublishAck)
	got    []broker.Publish
	told   int
	inside bool
	err    error
	done   chan struct{}
}

// Epoch implements broker.PublishStream.
func (s *upstreamStream) Epoch() uint64 { return 1 }

// Send implements broker.PublishStream.
func (s *upstreamStream) Send(batch []broker.Publish) error {
	s.u.mu.Lock()
	if err := s.err; err != nil {
		s.u.mu.Unlock()
		return err
	}
	s.got = append(s.got, batch...)
	for _, p := range batch {
		s.u.published = append(s.u.published, upstreamPublish{s.source, p})
	}
	s.u.mu.Unlock()
	s.settle()
	return nil
}

// settle acks what is not acked, unless the test holds.
func (s *upstreamStream) settle() {
	s.u.mu.Lock()
	defer s.u.mu.Unlock()
	if s.inside {
		return
	}
	s.inside = true
	for s.err == nil && !s.u.hold && s.told < len(s.got) {
		a := broker.PublishAck{Seq: s.got[s.told].Seq, Matched: true}
		s.told++
		s.u.mu.Unlock()
		s.acks([]broker.PublishAck{a})
		s.u.mu.Lock()
	}
	s.inside = false
	if s.err != nil {
		s.finish()
	}
}

// end ends the stream; Done is closed behind the last ack. Called with the lock held.
func (s *upstreamStream) end(err error) {
	if s.err == nil {
		s.err = err
	}
	if !s.inside {
		s.finish()
	}
}

func (s *upstreamStream) finish() {
	if !closed(s.done) {
		close(s.done)
	}
}

// Done implements broker.PublishStream.
func (s *upstreamStream) Done() <-chan struct{} { return s.done }

// Err implements broker.PublishStream.
func (s *upstreamStream) Err() error {
	s.u.mu.Lock()
	defer s.u.mu.Unlock()
	return s.err
}

// Close implements broker.PublishStream.
func (s *upstreamStream) Close() {
	s.u.mu.Lock()
	defer s.u.mu.Unlock()
	s.end(broker.E(broker.KindCanceled, "closed by its opener", nil))
}
