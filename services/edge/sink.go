package edge

import (
	"context"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

const (
	forgetAfter = 10 * time.Minute // cursors of a gateway that is gone are kept so long (rule N9)
	forgetEvery = time.Minute
)

// topicSink is what this gateway knows of the deliveries of one topic partition: the newest epoch (rule N10), and a cursor per source, so that a
// router that takes over and sends again repeats nothing.
type topicSink struct {
	mu      sync.Mutex
	epoch   uint64
	cursors map[broker.Source]cursor
	dead    map[uint64]struct{} // incarnations whose cursors are forgotten: refused for ever
}

type cursor struct {
	seq  uint64
	gone time.Time // since when the source's gateway is not in view; zero: it is there
}

var errOldTopicEpoch = broker.E(broker.KindStale, "older epoch of the topic partition", nil)

// OpenDeliver implements broker.Sink.
func (e *Edge) OpenDeliver(_ context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	if s := e.state.Load(); s != stateRunning && s != stateDraining {
		return nil, errStopped
	}
	if o.Topic < 0 || o.Topic >= len(e.topics) {
		return nil, broker.Errorf(broker.KindInvalid, "topic partition %d", o.Topic)
	}
	t := &e.topics[o.Topic]
	t.mu.Lock()
	defer t.mu.Unlock()
	if o.TopicEpoch < t.epoch {
		return nil, errOldTopicEpoch
	}
	t.epoch = o.TopicEpoch
	s := &deliverStream{e: e, t: t, open: o, acks: acks, done: make(chan struct{})}
	e.streams.add(s)
	return s, nil
}

// deliverStream takes deliveries of one topic partition in one epoch.
type deliverStream struct {
	e    *Edge
	t    *topicSink
	open broker.DeliverOpen
	acks func([]broker.DeliverAck)
	no   uint64 // of the last delivery; under t.mu, like err and room
	room []broker.DeliverAck
	err  error
	done chan struct{}
}

// Done implements broker.DeliverStream.
func (s *deliverStream) Done() <-chan struct{} { return s.done }

// Err implements broker.DeliverStream.
func (s *deliverStream) Err() error {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	return s.err
}

// Close implements broker.DeliverStream.
func (s *deliverStream) Close() {
	s.end(broker.E(broker.KindUnavailable, "deliver stream closed", nil))
}

func (s *deliverStream) end(err error) {
	s.t.mu.Lock()
	s.endLocked(err)
	s.t.mu.Unlock()
}

func (s *deliverStream) endLocked(err error) {
	if s.err == nil {
		s.err = err
		close(s.done)
		s.e.streams.remove(s)
	}
}

// Send implements broker.DeliverStream: the batch is taken into the queues of the clean sessions before it returns.
func (s *deliverStream) Send(batch []broker.Delivery) error {
	if len(batch) == 0 {
		return nil
	}
	d := s.e.dispatch()
	acks, err := s.take(d, batch)
	d.wake()
	if err != nil {
		return err
	}
	s.acks(acks)
	return nil
}

// take works a batch off under the lock of the topic partition, so that two routers' streams do not mix.
func (s *deliverStream) take(d *dispatch, batch []broker.Delivery) ([]broker.DeliverAck, error) {
	t := s.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.err == nil && s.open.TopicEpoch < t.epoch {
		s.endLocked(errOldTopicEpoch)
	}
	if s.err != nil {
		return nil, s.err
	}
	acks := s.room[:0]           // one Send comes after the other
	version := s.e.ann.Version() // before the searches: a subscription made since has a newer one (rule N6)
	at := t.cursor(batch[0].Source)
	for i := range batch {
		s.no++
		a := broker.DeliverAck{No: s.no}
		if batch[i].Source != at.source {
			t.move(at)
			at = t.cursor(batch[i].Source)
		}
		if at.take(batch[i].Seq) {
			if !s.e.deliver(d, &batch[i]) {
				a = broker.DeliverAck{No: s.no, Result: broker.NoSub, Epoch: s.e.deps.Node.Incarnation, Version: version}
			}
		} else {
			s.e.dropped(DropDuplicate, 1)
		}
		if n := len(acks); n > 0 && a.Result == broker.OK && acks[n-1].Result == broker.OK {
			acks[n-1] = a
			continue
		}
		acks = append(acks, a)
	}
	t.move(at)
	s.room = acks
	return acks, nil
}

// place is where the deliveries of a source are, while a batch is taken.
type place struct {
	source broker.Source
	cursor
	moved bool
	dead  bool // nothing of it is taken any more
}

// cursor looks a source up. Called with the lock held.
func (t *topicSink) cursor(s broker.Source) place {
	_, dead := t.dead[s.Incarnation]
	return place{source: s, cursor: t.cursors[s], dead: dead && s.Kind == broker.FromGateway}
}

// take moves to a delivery, and reports whether it is new.
func (p *place) take(seq uint64) bool {
	if p.dead || seq <= p.seq {
		return false
	}
	p.seq, p.moved = seq, true
	return true
}

// move keeps where a source is. Called with the lock held.
func (t *topicSink) move(p place) {
	if !p.moved {
		return
	}
	if t.cursors == nil {
		t.cursors = make(map[broker.Source]cursor)
	}
	t.cursors[p.source] = p.cursor
}

// deliver gives one delivery to the clean sessions here; false: nobody has a subscription for it.
func (e *Edge) deliver(d *dispatch, v *broker.Delivery) bool {
	matched := v.Plain && d.plain(e, v.Msg)
	for i := range v.Shares {
		k := groupKey{v.Msg.Tenant, v.Shares[i].Share}
		if !d.share(&e.groups, k, v.Msg, "", v.Shares[i].Strategy) {
			e.again.later(v.Msg.Own(), k.Share)
		}
		matched = true
	}
	return matched
}

// forgetSources forgets the cursors of gateways that have been gone for long.
func (e *Edge) forgetSources(ctx context.Context) {
	for sleep(ctx, forgetEvery) {
		view, now := e.deps.Cluster.View(), e.now()
		alive := func(inc uint64) bool {
			_, ok := view.ByIncarnation(inc)
			return ok
		}
		for i := range e.topics {
			e.topics[i].forget(alive, now)
		}
	}
}

func (t *topicSink) forget(alive func(uint64) bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s, c := range t.cursors {
		switch {
		case s.Kind != broker.FromGateway:
			continue
		case alive(s.Incarnation):
			c.gone = time.Time{}
		case c.gone.IsZero():
			c.gone = now
		case now.Sub(c.gone) >= forgetAfter:
			if t.dead == nil {
				t.dead = make(map[uint64]struct{})
			}
			t.dead[s.Incarnation] = struct{}{}
			delete(t.cursors, s)
			continue
		}
		t.cursors[s] = c
	}
}

// deliverStreams are the open ones, to be ended with the edge.
type deliverStreams struct {
	mu sync.Mutex
	m  map[*deliverStream]struct{}
}

func (d *deliverStreams) add(s *deliverStream) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.m == nil {
		d.m = make(map[*deliverStream]struct{})
	}
	d.m[s] = struct{}{}
}

func (d *deliverStreams) remove(s *deliverStream) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.m, s)
}

// endStreams ends every deliver stream.
func (e *Edge) endStreams() {
	e.streams.mu.Lock()
	var open []*deliverStream
	for s := range e.streams.m {
		open = append(open, s)
	}
	e.streams.mu.Unlock()
	for _, s := range open {
		s.end(errStopped)
	}
}
