package router

import (
	"context"

	"github.com/pando-mq/pando/services/broker"
)

// publishStream is one source's stream into one topic partition. Its fields belong to the partition's lock.
type publishStream struct {
	p    *partition
	open broker.PublishOpen
	acks func([]broker.PublishAck)

	ended   bool
	err     error
	done    chan struct{}
	pending []*pending // to be acked, in order
	out     []broker.PublishAck
	room    []broker.PublishAck // for the next out
	acking  bool                // one goroutine calls acks
	closing bool                // it ended meanwhile: that goroutine closes done
}

// pending is one accepted publish on its way: of QoS 1 or 2, or the last one of its batch.
type pending struct {
	s       *publishStream
	seq     uint64
	matched bool
	refused bool // a retained partition has no room for another delayed message
	await   int  // durable destinations that have not answered
}

// OpenPublish binds a stream to its topic partition in the present epoch. See broker.Router.
func (r *Router) OpenPublish(ctx context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	if err := ctx.Err(); err != nil {
		return nil, broker.E(broker.KindCanceled, "open publish", err)
	}
	p := r.partition(o.Source.Topic)
	if p == nil {
		return nil, broker.Errorf(broker.KindNotOwner, "open publish to topic partition %d", o.Source.Topic)
	}
	if err := r.alive(o); err != nil {
		return nil, err
	}
	s := &publishStream{p: p, open: o, acks: acks, done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == stateEnded {
		return nil, broker.E(broker.KindNotOwner, "open publish", nil)
	}
	if old := p.streams[o.Source]; old != nil {
		if old.open.Stream >= o.Stream && old.open.From == o.From {
			return nil, broker.Errorf(broker.KindStale, "publish stream %d of a source that has %d", o.Stream, old.open.Stream)
		}
		p.end(old, broker.E(broker.KindStale, "replaced by a newer stream", nil))
	}
	p.streams[o.Source] = s
	return s, nil
}

// alive refuses sources whose incarnation is gone (rules N9, R6): it is gone for ever if the view is past it, and not yet seen otherwise.
func (r *Router) alive(o broker.PublishOpen) error {
	v := r.deps.Cluster.View()
	if _, ok := v.ByIncarnation(o.From.Incarnation); ok {
		return nil
	}
	if v.Revision < o.From.Incarnation {
		return broker.Errorf(broker.KindUnavailable, "process %s is not in view yet", o.From.ID)
	}
	return broker.Errorf(broker.KindStale, "process %s, incarnation %d, is gone", o.From.ID, o.From.Incarnation)
}

// Epoch is the claim's epoch.
func (s *publishStream) Epoch() uint64 { return s.p.claim.Epoch }

// Done is closed when the stream has ended.
func (s *publishStream) Done() <-chan struct{} { return s.done }

// Err says why the stream ended.
func (s *publishStream) Err() error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	return s.err
}

// Send routes a batch. See broker.PublishStream.
func (s *publishStream) Send(batch []broker.Publish) error {
	if len(batch) == 0 {
		return nil
	}
	return s.p.accept(s, batch)
}

// Close ends the stream.
func (s *publishStream) Close() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.end(s, broker.E(broker.KindCanceled, "closed by its opener", nil))
}

// collect moves what is answered, from the head, to the acks that go out. The lease is looked at after matching and before acking: without it the
// stream ends and nothing is acked. Called with the partition's lock held.
func (s *publishStream) collect() {
	if s.ended {
		return
	}
	n := 0
	for n < len(s.pending) && s.pending[n].await == 0 {
		n++
	}
	if n == 0 {
		return
	}
	if !s.p.claim.Valid() {
		s.p.end(s, broker.E(broker.KindUnavailable, "lease not valid", nil))
		return
	}
	for _, q := range s.pending[:n] {
		s.out = append(s.out, broker.PublishAck{Seq: q.seq, Matched: q.matched, Refused: q.refused})
		if *q = (pending{}); len(s.p.spare) < spareKept {
			s.p.spare = append(s.p.spare, q)
		}
	}
	s.pending = cut(s.pending, n)
}

// cut takes the first n elements off a queue. An empty one keeps its memory, unless that is much.
func cut[T any](queue []T, n int) []T {
	clear(queue[:n])
	switch {
	case n < len(queue):
		return queue[n:]
	case cap(queue) > queueKept:
		return nil
	}
	return queue[:0]
}

// queueKept is how many elements an empty queue keeps room for.
const queueKept = 256

// flush calls the opener with what is answered. One goroutine at a time does, so the order holds.
func (s *publishStream) flush() {
	s.p.mu.Lock()
	if s.acking {
		s.p.mu.Unlock()
		return
	}
	s.acking = true
	for {
		s.collect()
		out := s.out
		s.out, s.room = s.room, nil
		if len(out) == 0 {
			s.room = out
			s.acking = false
			if s.closing {
				s.closing = false
				close(s.done)
			}
			s.p.mu.Unlock()
			return
		}
		s.p.mu.Unlock()
		s.acks(out)
		s.p.mu.Lock()
		s.room = cut(out, len(out))
	}
}
