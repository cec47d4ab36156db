package router

import (
	"context"
	"errors"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/journal"
)

// retainStream is one deliver stream from a topic partition. Its fields belong to the retained partition's lock.
type retainStream struct {
	p    *retainedPartition
	open broker.DeliverOpen
	acks func([]broker.DeliverAck)

	ended   bool
	err     error
	done    chan struct{}
	got     uint64 // deliveries taken
	ready   uint64 // answered up to here; not yet told
	told    uint64
	full    []uint64 // deliveries that found no room, in order
	telling bool
	closing bool // it ended meanwhile: who tells closes done
}

// OpenDeliver opens a stream into a retained partition of this router. See broker.Sink.
func (r *Router) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	if err := ctx.Err(); err != nil {
		return nil, broker.E(broker.KindCanceled, "open deliver", err)
	}
	p := r.retained.partition(o.Partition)
	if p == nil {
		return nil, broker.Errorf(broker.KindNotOwner, "deliver to retained partition %d", o.Partition)
	}
	s := &retainStream{p: p, open: o, acks: acks, done: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == nil || p.closed {
		return nil, broker.E(broker.KindUnavailable, "retained partition is not open", nil)
	}
	if o.TopicEpoch < p.state.epochs[o.Topic] {
		return nil, broker.Errorf(broker.KindStale, "topic partition %d, epoch %d", o.Topic, o.TopicEpoch)
	}
	p.state.epochs[o.Topic] = o.TopicEpoch
	p.streams[s] = struct{}{}
	return s, nil
}

// Send takes deliveries over, in order. See broker.DeliverStream.
func (s *retainStream) Send(batch []broker.Delivery) error {
	s.p.mu.Lock()
	for i := range batch {
		if s.ended {
			break
		}
		s.got++
		if err := s.p.take(s, &batch[i]); err != nil {
			s.end(err)
		}
	}
	s.p.snapshot()
	s.p.answer(s)
	err := s.err
	s.p.mu.Unlock()
	s.tell()
	return err
}

// Done is closed when the stream has ended.
func (s *retainStream) Done() <-chan struct{} { return s.done }

// Err says why it ended.
func (s *retainStream) Err() error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	return s.err
}

// Close ends the stream.
func (s *retainStream) Close() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.end(broker.E(broker.KindCanceled, "closed by its opener", nil))
}

// end is called with the lock held.
func (s *retainStream) end(err error) {
	if s.ended {
		return
	}
	s.ended, s.err = true, err
	delete(s.p.streams, s)
	if s.telling {
		s.closing = true // tell closes done, behind the answer that it gives just now
		return
	}
	close(s.done)
}

// take handles one delivery. Called with the lock held.
func (p *retainedPartition) take(s *retainStream, d *broker.Delivery) error {
	if s.open.TopicEpoch < p.state.epochs[s.open.Topic] {
		return broker.E(broker.KindStale, "a newer owner of the topic partition delivers", nil)
	}
	cursor, known := p.state.cursors[d.Source]
	if known && d.Seq <= cursor {
		p.s.r.metrics.duplicates.Inc()
		return nil // answered with the newest event: the one that moved the cursor is not after it (rule N5)
	}
	if !known && d.Source.Kind == broker.FromGateway && p.s.r.gone(d.Source.Incarnation) {
		return broker.Errorf(broker.KindStale, "gateway incarnation %d is gone", d.Source.Incarnation)
	}
	if isDelayed(d.Msg) {
		return p.delay(s, d)
	}
	m, keep := p.kept(d.Msg)
	if !keep {
		p.state.cursors[d.Source] = d.Seq
		return nil
	}
	stored := *d
	stored.Msg = m
	h := held{m: m}
	if len(m.Payload) > 0 {
		var err error
		if h, err = p.state.hold(m); err != nil {
			return broker.E(broker.KindUnavailable, "retain message", err)
		}
	}
	if p.s.cfg.Storage != StorageRAM {
		if err := p.append(appendEvent(nil, &stored, s.open.TopicEpoch)); err != nil {
			p.state.let(h)
			return err
		}
	}
	p.state.cursors[d.Source] = d.Seq
	before := p.state.len()
	if len(m.Payload) == 0 {
		p.state.remove(m.Tenant, m.Topic)
	} else {
		p.state.put(h)
	}
	p.s.count.Add(int64(p.state.len() - before))
	return nil
}

// kept decides whether a message is stored, with the expiry it is stored under.
func (p *retainedPartition) kept(m *broker.Message) (*broker.Message, bool) {
	cfg := &p.s.cfg
	_, exists := p.state.get(m.Tenant, m.Topic)
	if len(m.Payload) == 0 {
		return m, exists
	}
	if cfg.MaxPayload > 0 && int64(len(m.Payload)) > cfg.MaxPayload {
		p.s.r.metrics.dropped.WithLabelValues("retained_too_large").Inc()
		return m, false
	}
	if !exists && p.s.full() {
		p.s.r.metrics.dropped.WithLabelValues("retained_full").Inc()
		return m, false
	}
	system := len(m.Topic) >= 5 && m.Topic[:5] == "$SYS/"
	switch {
	case system && !m.Expires.IsZero():
		c := *m
		c.Expires = c.Expires.AddDate(1000, 0, 0)
		return &c, true
	case !system && cfg.Expiry > 0 && m.Expires.IsZero():
		c := *m
		c.Expires = m.Published.Add(cfg.Expiry)
		return &c, true
	}
	return m, true
}

// append adds one event to the log. Called with the lock held; the log never calls back from within Append.
func (p *retainedPartition) append(event []byte) error {
	number, log := p.newest+1, p.log
	err := log.Append(event, func(err error) {
		if err == nil {
			p.settled(log, number)
		}
	})
	switch {
	case errors.Is(err, journal.ErrFull):
		return broker.E(broker.KindBusy, "retained log is full", err)
	case err != nil:
		return broker.E(broker.KindUnavailable, "retained log", err)
	}
	p.newest = number
	return nil
}

// snapshot hands the state over when that is due. It must reflect every event that was appended, so nothing may be appended and not applied yet. Called
// with the lock held.
func (p *retainedPartition) snapshot() {
	if p.state == nil || p.broken != nil || !p.log.SnapshotDue() {
		return
	}
	b, err := p.state.snapshot()
	if err != nil {
		p.spoil(err)
		return
	}
	p.log.Snapshot(b)
}

// answer queues or grants the answer of everything a stream has taken so far. Called with the lock held.
func (p *retainedPartition) answer(s *retainStream) {
	if s.ended {
		return
	}
	if p.durable == p.newest {
		s.ready = s.got
		return
	}
	p.waiting = append(p.waiting, waitingAck{p.newest, s, s.got})
}

// settled takes note of a durable event and answers who waited for it.
func (p *retainedPartition) settled(log journal.Log, event uint64) {
	p.mu.Lock()
	if p.log != log {
		p.mu.Unlock()
		return
	}
	p.durable = max(p.durable, event)
	n := 0
	var tell []*retainStream
	for n < len(p.waiting) && p.waiting[n].event <= p.durable {
		w := p.waiting[n]
		n++
		if !w.s.ended {
			w.s.ready = max(w.s.ready, w.no)
			tell = append(tell, w.s)
		}
	}
	p.waiting = p.waiting[n:]
	sends := p.box != nil && p.box.durable(p.durable)
	p.mu.Unlock()
	if sends {
		p.nudge()
	}
	for _, s := range tell {
		s.tell()
	}
}

// answers lists what is to be told: one OK stands for all before it that are not answered otherwise. Called with the lock held.
func (s *retainStream) answers() []broker.DeliverAck {
	var acks []broker.DeliverAck
	for len(s.full) > 0 && s.full[0] <= s.ready {
		acks = append(acks, broker.DeliverAck{No: s.full[0], Result: broker.Full, Epoch: s.p.claim.Epoch})
		s.full = s.full[1:]
	}
	s.told = s.ready
	return append(acks, broker.DeliverAck{No: s.told, Result: broker.OK, Epoch: s.p.claim.Epoch})
}

// tell calls the router with what is answered; one goroutine at a time, so the order holds.
func (s *retainStream) tell() {
	s.p.mu.Lock()
	if s.telling {
		s.p.mu.Unlock()
		return
	}
	s.telling = true
	for !s.ended && s.ready > s.told {
		acks := s.answers()
		s.p.mu.Unlock()
		s.acks(acks)
		s.p.mu.Lock()
	}
	s.telling = false
	if s.closing {
		s.closing = false
		close(s.done)
	}
	s.p.mu.Unlock()
}
