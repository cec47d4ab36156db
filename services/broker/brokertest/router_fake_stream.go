package brokertest

import (
	"context"
	"slices"

	"github.com/pando-mq/pando/services/broker"
)

// topicPartition is one topic partition in one epoch.
type topicPartition struct {
	r       *Router
	n       int
	epoch   uint64
	owned   bool
	serving bool
	exact   routeTable
	streams map[broker.Source]*publishStream
	dests   map[destination]*fakeDest
	waiting []waitingPublishes
	waits   int // bytes of waiting

	reserved map[routeName]string // exclusive topics that were claimed -> client
}

type waitingPublishes struct {
	s     *publishStream
	batch []broker.Publish
}

func newTopicPartition(r *Router, n int, epoch uint64) *topicPartition {
	return &topicPartition{
		r: r, n: n, epoch: epoch, owned: true, serving: true, exact: routeTable{},
		streams: map[broker.Source]*publishStream{}, dests: map[destination]*fakeDest{},
	}
}

// serve routes what waited. Called with the lock held.
func (p *topicPartition) serve() {
	p.serving = true
	for _, w := range p.waiting {
		if w.s.err == nil {
			p.route(w.s, w.batch)
		}
	}
	p.waiting, p.waits = nil, 0
}

// close ends the partition with all streams. Called with the lock held.
func (p *topicPartition) close(err error) {
	p.owned = false
	for _, s := range p.streams {
		if p.r.flaws.keeps(endsWithPartition) {
			s.end(err)
		}
	}
	for _, d := range p.dests {
		d.abandon()
	}
	p.dests, p.waiting = map[destination]*fakeDest{}, nil
}

// publishStream is one stream of one source. Its fields belong to the router's lock.
type publishStream struct {
	p       *topicPartition
	open    broker.PublishOpen
	acks    func([]broker.PublishAck)
	done    chan struct{}
	err     error // why it ended
	pending []*pendingPublish
	out     []broker.PublishAck
}

// pendingPublish is one accepted publish.
type pendingPublish struct {
	s       *publishStream
	seq     uint64
	qos     broker.QoS
	last    bool // of its batch
	matched bool
	await   int // durable destinations that have not answered
}

// OpenPublish implements broker.Router.
func (r *Router) OpenPublish(ctx context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	if err := ctx.Err(); err != nil && r.flaws.keeps(cancelledContext) {
		return nil, broker.E(broker.KindCanceled, "open publish", err)
	}
	r.enter()
	defer r.leave()
	p := r.topics[o.Source.Topic]
	if !p.owned {
		return nil, broker.E(broker.KindNotOwner, "open publish", nil)
	}
	if err := r.sees(o.From.Incarnation); err != nil && r.flaws.keeps(deadSource) {
		return nil, err
	}
	if old := p.streams[o.Source]; old != nil {
		if old.open.Stream >= o.Stream && old.open.From == o.From && r.flaws.keeps(streamNumbers) {
			return nil, broker.E(broker.KindStale, "open publish: an older stream", nil)
		}
		if r.flaws.keeps(newestPublishStream) {
			old.end(broker.E(broker.KindStale, "replaced by a newer stream", nil))
		}
	}
	s := &publishStream{p: p, open: o, acks: acks, done: make(chan struct{})}
	p.streams[o.Source] = s
	return s, nil
}

// sees refuses incarnations that are gone, or not yet there (rule N9).
func (r *Router) sees(incarnation uint64) error {
	switch _, ok := r.alive[incarnation]; {
	case ok:
		return nil
	case incarnation > r.revision:
		return broker.E(broker.KindUnavailable, "the source is not in view yet", nil)
	}
	return broker.E(broker.KindStale, "the source is gone", nil)
}

// Epoch implements broker.PublishStream.
func (s *publishStream) Epoch() uint64 { return s.p.epoch }

// Done implements broker.PublishStream.
func (s *publishStream) Done() <-chan struct{} { return s.done }

// Err implements broker.PublishStream.
func (s *publishStream) Err() error {
	s.p.r.enter()
	defer s.p.r.leave()
	return s.err
}

// Close implements broker.PublishStream.
func (s *publishStream) Close() {
	s.p.r.enter()
	defer s.p.r.leave()
	s.end(broker.E(broker.KindCanceled, "closed by its opener", nil))
}

// Send implements broker.PublishStream.
func (s *publishStream) Send(batch []broker.Publish) error {
	p := s.p
	p.r.enter()
	defer p.r.leave()
	if s.err != nil && p.r.flaws.keeps(failsAsAWhole) {
		return s.err
	}
	if p.serving {
		p.route(s, batch)
		return nil
	}
	for i := range batch {
		p.waits += batch[i].Msg.Size()
	}
	if p.waits > p.r.cfg.SyncQueueBytes && p.r.flaws.keeps(syncBound) {
		s.end(broker.E(broker.KindBusy, "routes are being collected", nil))
		return s.err
	}
	p.waiting = append(p.waiting, waitingPublishes{s, slices.Clone(batch)})
	return nil
}

// end ends the stream; Done is closed after the last answer. Called with the lock held.
func (s *publishStream) end(err error) {
	if s.err != nil {
		return
	}
	s.err, s.out, s.pending = err, nil, nil
	if s.p.streams[s.open.Source] == s {
		delete(s.p.streams, s.open.Source)
	}
	s.p.r.call(func() { close(s.done) })
}

// route matches a batch and queues it at its destinations. Called with the lock held.
func (p *topicPartition) route(s *publishStream, batch []broker.Publish) {
	for i := range batch {
		pub := &batch[i]
		q := &pendingPublish{s: s, seq: pub.Seq, qos: pub.Msg.QoS, last: i == len(batch)-1}
		s.pending = append(s.pending, q)
		for _, t := range p.match(pub) {
			if t.to.kind == toGateway && s.p.r.alive[t.to.n].Incarnation == 0 {
				continue
			}
			d := p.dest(t.to)
			x := sending{delivery: broker.Delivery{Source: s.open.Source, Seq: pub.Seq, Msg: pub.Msg, Plain: t.plain, Shares: t.shares}}
			if t.to.durable() && pub.Msg.QoS > 0 && p.r.flaws.keeps(waitForDurable) {
				x.q = q
				q.await++
			} else {
				q.matched = q.matched || t.to.kind != toRetained
			}
			d.queue = append(d.queue, x)
			p.r.call(d.pump)
		}
	}
	s.collect()
}

// collect takes what is answered, from the head, and hands it out. Called with the lock held.
func (s *publishStream) collect() {
	n := 0
	for n < len(s.pending) && s.pending[n].await == 0 {
		n++
	}
	if !s.p.r.flaws.keeps(ackOrder) {
		n = s.outOfOrder()
	}
	if n == 0 {
		return
	}
	for _, q := range s.pending[:n] {
		if q.qos > 0 || q.last && s.p.r.flaws.keeps(lastOfBatch) {
			s.out = append(s.out, broker.PublishAck{Seq: q.seq, Matched: q.matched || !s.p.r.flaws.keeps(matchedFlag)})
		}
	}
	s.pending = s.pending[n:]
	s.p.r.call(func() {
		s.p.r.mu.Lock()
		out := s.out
		s.out = nil
		s.p.r.mu.Unlock()
		if len(out) > 0 {
			s.acks(out)
		}
	})
}

// outOfOrder brings what is answered to the head, whatever waits before it: a fault for the tests of the suite.
func (s *publishStream) outOfOrder() (n int) {
	var waits []*pendingPublish
	var all []*pendingPublish
	for _, q := range s.pending {
		if q.await == 0 {
			all = append(all, q)
		} else {
			waits = append(waits, q)
		}
	}
	s.pending = append(all, waits...)
	return len(all)
}
