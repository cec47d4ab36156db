package brokertest

import "github.com/pando-mq/pando/services/broker"

// fakeLog is the log of a fake partition: a record is durable at once, unless a test holds it. Its fields belong to the loop's lock.
type fakeLog struct {
	hold    bool
	waiting []func()
}

// after runs fn, with the lock held, when everything so far is durable.
func (g *fakeLog) after(fn func()) {
	if g.hold {
		g.waiting = append(g.waiting, fn)
		return
	}
	fn()
}

// durable makes everything durable, from now on at once. Called with the lock held.
func (g *fakeLog) durable() {
	g.hold = false
	for len(g.waiting) > 0 {
		fn := g.waiting[0]
		g.waiting = g.waiting[1:]
		fn()
	}
}

// sinkState is what makes a fake destination a broker.Sink: cursors, epochs of topic partitions, streams. Its fields belong to the loop's lock.
type sinkState struct {
	fakeLog
	l       *loop
	flaws   flaws
	epochs  map[int]uint64 // by topic partition: the highest seen
	cursors map[broker.Source]uint64
	streams map[*deliverStream]bool
	sees    func(incarnation uint64) error // says why a gateway incarnation is not alive
}

func newSinkState(l *loop, f flaws, sees func(uint64) error) sinkState {
	return sinkState{l: l, flaws: f, sees: sees, epochs: map[int]uint64{}, cursors: map[broker.Source]uint64{}, streams: map[*deliverStream]bool{}}
}

// deliverStream is one stream into a fake destination.
type deliverStream struct {
	s    *sinkState
	open broker.DeliverOpen
	acks func([]broker.DeliverAck)
	take func(*broker.Delivery) broker.DeliverAck // handles one that is no duplicate
	no   uint64
	out  []broker.DeliverAck
	err  error
	done chan struct{}
}

// open makes a stream. Called with the lock held.
func (s *sinkState) open(o broker.DeliverOpen, acks func([]broker.DeliverAck), take func(*broker.Delivery) broker.DeliverAck) (*deliverStream, error) {
	if o.TopicEpoch < s.epochs[o.Topic] && s.flaws.keeps(topicEpoch) {
		return nil, broker.Errorf(broker.KindStale, "open deliver in epoch %d of topic partition %d", o.TopicEpoch, o.Topic)
	}
	s.epochs[o.Topic] = max(s.epochs[o.Topic], o.TopicEpoch)
	d := &deliverStream{s: s, open: o, acks: acks, take: take, done: make(chan struct{})}
	s.streams[d] = true
	return d, nil
}

// endAll ends every stream, and what waits for durability stays unanswered. Called with the lock held.
func (s *sinkState) endAll(err error) {
	for d := range s.streams {
		d.end(err)
	}
}

// Send implements broker.DeliverStream.
func (d *deliverStream) Send(batch []broker.Delivery) error {
	d.s.l.enter()
	defer d.s.l.leave()
	if d.open.TopicEpoch < d.s.epochs[d.open.Topic] && d.s.flaws.keeps(topicEpoch) {
		d.end(broker.E(broker.KindStale, "a newer owner of the topic partition delivers", nil))
	}
	if d.err != nil {
		return d.err
	}
	for i := range batch {
		if d.err == nil {
			d.handle(&batch[i])
		}
	}
	return nil
}

// handle takes one delivery over. Called with the lock held.
func (d *deliverStream) handle(x *broker.Delivery) {
	s, a := d.s, broker.DeliverAck{}
	if x.Source.Kind == broker.FromGateway && s.cursors[x.Source] == 0 {
		if err := s.sees(x.Source.Incarnation); err != nil && s.flaws.keeps(deadSource) {
			d.end(err)
			return
		}
	}
	d.no++
	duplicate := x.Seq <= s.cursors[x.Source] && s.flaws.keeps(cursors)
	if !duplicate {
		s.cursors[x.Source] = x.Seq
		a = d.take(x)
	}
	a.No = d.no
	answer := func() { d.answer(a) }
	if duplicate && !s.flaws.keeps(duplicatesWait) || !s.flaws.keeps(ackWhenDurable) {
		answer()
		return
	}
	s.after(answer)
}

// answer hands out one answer. Called with the lock held.
func (d *deliverStream) answer(a broker.DeliverAck) {
	if d.err != nil {
		return
	}
	d.out = append(d.out, a)
	d.s.l.call(func() {
		d.s.l.mu.Lock()
		out := d.out
		d.out = nil
		d.s.l.mu.Unlock()
		if len(out) > 0 {
			d.acks(out)
		}
	})
}

// end ends the stream; Done is closed after the last answer. Called with the lock held.
func (d *deliverStream) end(err error) {
	if d.err != nil {
		return
	}
	d.err, d.out = err, nil
	delete(d.s.streams, d)
	d.s.l.call(func() { close(d.done) })
}

// Done implements broker.DeliverStream.
func (d *deliverStream) Done() <-chan struct{} { return d.done }

// Err implements broker.DeliverStream.
func (d *deliverStream) Err() error {
	d.s.l.enter()
	defer d.s.l.leave()
	return d.err
}

// Close implements broker.DeliverStream.
func (d *deliverStream) Close() {
	d.s.l.enter()
	defer d.s.l.leave()
	d.end(broker.E(broker.KindCanceled, "closed by its opener", nil))
}
