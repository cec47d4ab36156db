package sessionstore

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/journal"
)

// deliverStream is a stream of deliveries: from a topic partition of a router, or from the home of shared groups. Its fields belong to the partition's lock, but
// for done.
type deliverStream struct {
	p       *partition
	open    broker.DeliverOpen
	forward bool // from a home: members are picked here, nothing is passed on
	acks    func([]broker.DeliverAck)
	done    chan struct{}
	err     error

	no        uint64              // deliveries so far
	answers   []broker.DeliverAck // of the present batch
	out       []broker.DeliverAck // to be handed over
	scheduled bool
}

// OpenDeliver implements broker.Sink. Besides the topic partitions there is one number for each home of shared groups (see doc.go): they
// come after those of the topic partitions.
func (s *Store) OpenDeliver(_ context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	p, err := s.partition(o.Partition, "open deliver stream")
	if err != nil {
		return nil, err
	}
	if o.Topic < 0 || o.Topic >= s.topics+s.sessions {
		return nil, broker.Errorf(broker.KindInvalid, "open deliver stream of topic partition %d", o.Topic)
	}
	p.enter()
	defer p.leave()
	if !p.serving {
		return nil, broker.E(broker.KindNotOwner, "open deliver stream", nil)
	}
	seen, old := p.st.epochs[o.Topic], p.streams[o.Topic]
	if old != nil {
		seen = max(seen, old.open.TopicEpoch)
	}
	if o.TopicEpoch < seen { // rule N10
		return nil, broker.Errorf(broker.KindStale, "open deliver stream at epoch %d, seen %d", o.TopicEpoch, seen)
	}
	if old != nil {
		old.end(broker.E(broker.KindStale, "a newer stream of the same topic partition replaced it", nil))
	}
	d := &deliverStream{p: p, open: o, forward: o.Topic >= s.topics, acks: acks, done: make(chan struct{})}
	p.streams[o.Topic] = d
	return d, nil
}

// Done implements broker.DeliverStream.
func (d *deliverStream) Done() <-chan struct{} { return d.done }

// Err implements broker.DeliverStream.
func (d *deliverStream) Err() error {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	return d.err
}

// Close implements broker.DeliverStream.
func (d *deliverStream) Close() {
	d.p.enter()
	defer d.p.leave()
	d.end(broker.E(broker.KindUnavailable, "deliver stream closed", nil))
}

// end ends the stream as a whole: nothing later is accepted on it (rule N4).
func (d *deliverStream) end(err error) {
	if d.err == nil {
		d.err, d.out = err, nil
		d.p.call(func() { close(d.done) })
	}
}

// Send implements broker.DeliverStream.
func (d *deliverStream) Send(batch []broker.Delivery) error {
	p := d.p
	p.enter()
	defer p.leave()
	if d.err != nil {
		return d.err
	}
	size := 0
	for i := range batch {
		if batch[i].Msg == nil {
			d.end(broker.E(broker.KindInvalid, "delivery without message", nil))
			return d.err
		}
		size += batch[i].Msg.Size()
	}
	if p.free() {
		d.handle(batch)
		return nil
	}
	kept := slices.Clone(batch) // the slice is the caller's again
	if !p.take(size, func() { d.handle(kept) }) {
		d.end(broker.E(broker.KindBusy, "too many deliveries wait for the log", nil))
		return d.err
	}
	return nil
}

// handle takes a batch over. What was answered before a failure in the middle counts.
func (d *deliverStream) handle(batch []broker.Delivery) {
	for i := range batch {
		if d.err != nil {
			return
		}
		d.no++
		d.deliver(&batch[i])
	}
	answers := d.answers
	d.answers = nil
	if len(answers) > 0 && d.err == nil {
		d.p.after(func() { d.answer(answers) }) // a duplicate waits for the record that moved the cursor (rule N5)
	}
}

func (d *deliverStream) answer(answers []broker.DeliverAck) {
	if d.err != nil {
		return
	}
	d.out = append(d.out, answers...)
	if !d.scheduled {
		d.scheduled = true
		d.p.call(d.handOver)
	}
}

// handOver gives the answers to the opener. It runs without the lock.
func (d *deliverStream) handOver() {
	d.p.mu.Lock()
	out := d.out
	d.out, d.scheduled = nil, false
	d.p.mu.Unlock()
	if len(out) > 0 {
		d.acks(out)
	}
}

// result notes the answer to the present delivery. One OK stands for all before it.
func (d *deliverStream) result(r broker.Result) {
	p := d.p
	p.s.metrics.deliveries.WithLabelValues(resultNames[r]).Inc()
	if r != broker.OK {
		d.answers = append(d.answers, broker.DeliverAck{No: d.no, Result: r, Epoch: p.epoch, Version: p.own.routes.Version()})
		return
	}
	if n := len(d.answers); n > 0 && d.answers[n-1].Result == broker.OK {
		d.answers[n-1].No = d.no
		return
	}
	d.answers = append(d.answers, broker.DeliverAck{No: d.no})
}

var resultNames = map[broker.Result]string{broker.OK: "ok", broker.NoSub: "no_sub", broker.NoReceiver: "no_receiver"}

// known checks the source of a delivery: one without cursor must be alive in the view (rule N9). It ends the stream and reports false if it is not.
func (d *deliverStream) known(s broker.Source) bool {
	p := d.p
	if s.Kind != broker.FromGateway || p.cursor(s) > 0 {
		return true
	}
	v := p.s.deps.Cluster.View()
	switch {
	case alive(v, s.Incarnation):
		p.remember(s.Incarnation)
		return true
	case s.Incarnation > v.Revision:
		d.end(broker.Errorf(broker.KindUnavailable, "gateway incarnation %d is not in view yet", s.Incarnation))
	default:
		d.end(broker.Errorf(broker.KindStale, "gateway incarnation %d is over", s.Incarnation))
	}
	return false
}

// cursor is the highest number that was handled of a source, durably or (when nothing had to be recorded) by this owner.
func (p *partition) cursor(s broker.Source) uint64 { return max(p.st.cursors[s], p.cursors[s]) }

// deliver takes over one delivery.
func (d *deliverStream) deliver(x *broker.Delivery) {
	p := d.p
	if !d.known(x.Source) {
		return
	}
	if x.Seq <= p.cursor(x.Source) {
		d.result(broker.OK)
		return
	}
	plan := p.plan(d, x)
	now := p.now()
	switch {
	case len(plan.copies) > 0 && x.Msg.QoS > 0 && p.st.laneBytes > int(p.s.cfg.MaxOutbox):
		d.end(broker.E(broker.KindBusy, "too many copies wait for members of shared groups elsewhere", nil))
		return
	case len(plan.refs)+len(plan.copies) > 0:
		if !d.record(x, &plan, now) {
			return
		}
	case (x.Msg.QoS > 0 || plan.result != broker.OK) && !p.own.claim.Valid():
		d.end(broker.E(broker.KindUnavailable, "the ownership of the partition is not certain now", nil)) // rule N6: nothing fences this answer
		return
	}
	for _, z := range plan.zero {
		p.queueZero(z.c, x.Msg, z.grant, now)
	}
	p.cursors[x.Source] = x.Seq
	d.result(plan.result)
}

// record writes down what a delivery leads to, whatever the fan-out in one record. It reports false if the partition is at its end.
func (d *deliverStream) record(x *broker.Delivery, plan *plan, now time.Time) bool {
	p := d.p
	e := &delivered{
		at: now.UnixMilli(), sourced: true, source: x.Source, seq: x.Seq, topic: d.open.Topic, epoch: d.open.TopicEpoch,
		msg: x.Msg, refs: plan.refs, copies: plan.copies,
	}
	switch err := p.write(e); {
	case errors.Is(err, journal.ErrTooLarge):
		p.s.metrics.dropped.WithLabelValues("too_large").Inc() // it can never be recorded, and must not stop what comes behind it
		return true
	case err != nil:
		return false
	}
	e.apply(p.st)
	p.remembered(e, x)
	p.follow()
	return true
}

// match lists the ordinary subscriptions whose filters match, by session in the order of their records. The slice is good until the next call.
func (p *partition) match(m *broker.Message) []hit {
	x := p.st.index[m.Tenant]
	if x == nil {
		return nil
	}
	p.hits = p.hits[:0]
	x.Match(m.Topic, func(filter string, c *client, _ struct{}) { p.hits = append(p.hits, hit{c, filter}) })
	slices.SortFunc(p.hits, func(a, b hit) int { return cmp.Compare(a.c.number, b.c.number) })
	return p.hits
}
