package router

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

type destKind uint8

const (
	toGateway destKind = iota
	toSession
	toRetained
)

// destination is where deliveries go: a gateway incarnation, or a session or retained partition.
type destination struct {
	kind destKind
	n    uint64
}

// durable destinations are waited for before a publish is acked.
func (d destination) durable() bool { return d.kind != toGateway }

const (
	maxBatchItems = 256
	maxBatchBytes = 64 << 10
	windowBytes   = 4 << 20 // sent to one destination by one partition, and not answered
	openTimeout   = 5 * time.Second
	retryFloor    = 20 * time.Millisecond
	retryCeiling  = time.Second
)

// sink is the stream of one partition towards one destination. Its fields belong to the partition's lock.
//
//	queue: [ settled | sent, some answered | not yet sent ]
//	         0 .. settled .. sent            sent .. len       queue[0] has the number first
type sink struct {
	p  *partition
	to destination

	queue   []delivery
	sent    int
	settled int   // answered, and taken off the bytes
	under   int64 // bytes sent and not settled
	first   uint64
	number  uint64 // of the stream: answers of an older one change nothing
	stream  broker.DeliverStream
	opening bool
	pumping bool
	dead    bool
	round   uint64        // of the partition that queued something last
	over    chan struct{} // closed when the partition ended or the gateway is gone
}

type delivery struct {
	d        broker.Delivery
	size     int64
	q        *pending // nil: nobody waits for the answer
	answered bool
}

// sink finds or makes the stream to a destination. Called with the lock held.
func (p *partition) sink(to destination) *sink {
	d := p.dests[to]
	if d == nil {
		d = &sink{p: p, to: to, first: 1, over: make(chan struct{})}
		p.dests[to] = d
	}
	return d
}

// add queues one delivery. Called with the lock held.
func (d *sink) add(x broker.Delivery, q *pending) {
	size := int64(x.Msg.Size())
	if q != nil {
		q.await++
	}
	d.queue = append(d.queue, delivery{d: x, size: size, q: q})
	d.p.r.pending.Add(size)
}

// pump sends what is queued. One goroutine at a time sends, so the order holds. The first delivery opens the stream.
func (d *sink) pump() {
	d.p.mu.Lock()
	if d.pumping || d.dead {
		d.p.mu.Unlock()
		return
	}
	if d.stream == nil {
		start := !d.opening && len(d.queue) > 0
		d.opening = d.opening || start
		d.p.mu.Unlock()
		if start {
			d.p.r.spawn(d.keepOpen)
		}
		return
	}
	d.pumping = true
	room := batches.Get().(*[]broker.Delivery)
	for !d.dead && d.stream != nil && d.sent < len(d.queue) && d.under < windowBytes {
		stream, batch := d.stream, d.take((*room)[:0])
		d.p.mu.Unlock()
		_ = stream.Send(batch) // a dead stream is seen by keepOpen
		clear(batch)
		d.p.mu.Lock()
	}
	d.pumping = false
	d.p.mu.Unlock()
	batches.Put(room)
}

// batches is room for what one Send passes on.
var batches = sync.Pool{New: func() any {
	room := make([]broker.Delivery, 0, maxBatchItems)
	return &room
}}

// take moves the next deliveries behind the sent mark, into batch. Called with the lock held.
func (d *sink) take(batch []broker.Delivery) []broker.Delivery {
	var size int64
	for d.sent < len(d.queue) && len(batch) < maxBatchItems && size < maxBatchBytes {
		batch = append(batch, d.queue[d.sent].d)
		size += d.queue[d.sent].size
		d.sent++
	}
	d.under += size
	return batch
}

// keepOpen opens the stream, waits for its end, and does so again while deliveries wait.
func (d *sink) keepOpen() {
	pause := retryFloor
	for {
		stream, err := d.open()
		if err == nil {
			pause = retryFloor
			d.pump()
			select {
			case <-stream.Done():
				err = stream.Err()
			case <-d.over:
				stream.Close()
				return
			case <-d.p.r.ctx.Done():
				stream.Close()
				return
			}
			d.p.r.deps.Log.Debug("deliver stream ended", slog.Int("topic_partition", d.p.topic), slog.Any("error", err))
		}
		if d.broken() {
			return
		}
		select {
		case <-time.After(pause):
		case <-d.over:
			return
		case <-d.p.r.ctx.Done():
			return
		}
		pause = min(2*pause, retryCeiling)
	}
}

func (d *sink) open() (broker.DeliverStream, error) {
	r := d.p.r
	d.p.mu.Lock()
	d.number++
	number := d.number
	d.p.mu.Unlock()
	ctx, cancel := context.WithTimeout(r.ctx, openTimeout)
	defer cancel()
	o := broker.DeliverOpen{Router: r.self, Topic: d.p.topic, TopicEpoch: d.p.claim.Epoch, Partition: int(d.to.n)}
	target, err := r.target(d.to)
	if err != nil {
		return nil, err
	}
	stream, err := target.OpenDeliver(ctx, o, func(acks []broker.DeliverAck) { d.acked(number, acks) })
	if err != nil {
		return nil, err
	}
	d.p.mu.Lock()
	d.compact()
	d.stream, d.sent, d.under, d.first = stream, 0, 0, 1
	d.p.mu.Unlock()
	return stream, nil
}

// target is the interface of a destination.
func (r *Router) target(to destination) (broker.Sink, error) {
	switch to.kind {
	case toSession:
		return r.deps.Sessions, nil
	case toRetained:
		return r.deps.Retained, nil
	}
	n, ok := r.deps.Cluster.View().ByIncarnation(to.n)
	if !ok || n.Role != cluster.Gateway {
		return nil, broker.Errorf(broker.KindUnavailable, "gateway incarnation %d is not in view", to.n)
	}
	return r.deps.Gateways(n), nil
}

// broken handles the end of a stream, or a refused opening, and reports whether the sink has nothing left to open a stream for.
//
// A durable destination that had been sent something fails as a whole (rule N4): every publish stream with something unanswered here ends, its source
// sends again. What waits for a destination that could not be opened goes on waiting. Deliveries to a gateway are sent again (it keeps
// cursors), QoS 0 excepted, unless the gateway is gone.
func (d *sink) broken() bool {
	r := d.p.r
	gone := d.to.kind == toGateway && r.gone(d.to.n)
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	d.compact()
	had := d.stream != nil
	d.stream = nil
	d.number++ // no answer of the old stream counts
	switch {
	case d.dead:
	case gone:
		d.abandon()
		delete(d.p.dests, d.to)
	case d.to.durable() && had:
		for _, x := range d.queue {
			if x.q != nil && !x.answered {
				d.p.end(x.q.s, broker.E(broker.KindUnavailable, "a destination failed", nil))
			}
			r.pending.Add(-x.size)
		}
		d.queue = nil
	default:
		d.again()
	}
	d.sent, d.under, d.first = 0, 0, 1
	d.opening = !d.dead && len(d.queue) > 0
	return !d.opening
}

// again keeps what must be sent on the next stream: everything unanswered but QoS 0 that was sent. Called with the lock held.
func (d *sink) again() {
	kept := d.queue[:0]
	for i, x := range d.queue {
		if x.answered || i < d.sent && x.d.Msg.QoS == 0 {
			d.p.r.pending.Add(-x.size)
			continue
		}
		kept = append(kept, x)
	}
	clear(d.queue[len(kept):])
	d.queue = kept
}

// abandon drops everything. Called with the lock held.
func (d *sink) abandon() {
	d.compact()
	for _, x := range d.queue {
		d.p.r.pending.Add(-x.size)
	}
	d.queue, d.sent, d.under = nil, 0, 0
	if !d.dead {
		d.dead = true
		close(d.over)
	}
}

// shut ends the stream of an abandoned sink.
func (d *sink) shut() {
	d.p.mu.Lock()
	stream := d.stream
	d.stream = nil
	d.p.mu.Unlock()
	if stream != nil {
		stream.Close()
	}
}

// gone reports that an incarnation has no key any more in a view that is past it.
func (r *Router) gone(incarnation uint64) bool {
	v := r.deps.Cluster.View()
	_, ok := v.ByIncarnation(incarnation)
	return !ok && v.Revision >= incarnation
}

// acked takes answers of one stream.
func (d *sink) acked(number uint64, acks []broker.DeliverAck) {
	d.p.mu.Lock()
	if number != d.number || d.dead {
		d.p.mu.Unlock()
		return
	}
	var room [8]*publishStream
	flush := room[:0]
	retry := false
	for _, a := range acks {
		if a.No < d.first || a.No >= d.first+uint64(d.sent) {
			continue
		}
		i := int(a.No - d.first)
		if a.Result == broker.OK {
			for j := d.settled; j <= i; j++ {
				flush = d.answer(&d.queue[j], true, flush)
			}
			continue
		}
		if d.to.kind == toSession && a.Epoch < d.p.r.sync.known(int(d.to.n)) {
			retry = true // N6: an answer of an older partition epoch
			break
		}
		if x := &d.queue[i]; a.Result == broker.Full {
			if x.q != nil {
				x.q.refused = true
			}
		} else {
			d.refused(x, a)
		}
		flush = d.answer(&d.queue[i], false, flush)
	}
	d.trim()
	stream, more := d.stream, d.sent < len(d.queue) && !d.pumping
	d.p.mu.Unlock()
	for _, s := range flush {
		s.flush()
	}
	if more { // not from here: a callback may not send on its own stream
		d.p.r.spawn(d.pump)
	}
	if retry && stream != nil {
		stream.Close()
	}
}

// answer counts one delivery as done, and adds the stream that it completes a publish of to flush. Called with the lock held.
func (d *sink) answer(x *delivery, matched bool, flush []*publishStream) []*publishStream {
	if x.answered {
		return flush
	}
	x.answered = true
	q := x.q
	if q == nil {
		return flush
	}
	x.q = nil // it may be used for another publish soon
	q.await--
	q.matched = q.matched || matched && (d.to.kind == toSession || isDelayed(x.d.Msg))
	if q.await > 0 || slices.Contains(flush, q.s) {
		return flush
	}
	return append(flush, q.s)
}

// refused removes the routes that brought a delivery where nobody wanted it (rule N6). Called with the lock held.
func (d *sink) refused(x *delivery, a broker.DeliverAck) {
	r := d.p.r
	r.metrics.unwanted.Inc()
	m := x.d.Msg
	if a.Result == broker.NoSub && x.d.Plain {
		d.p.exact.drop(routeKey{m.Tenant, m.Topic}, d.to, a.Epoch, a.Version)
		r.wild.dropPlain(m.Tenant, m.Topic, d.to, a.Epoch, a.Version)
	}
	for _, c := range x.d.Shares {
		r.wild.dropShare(m.Tenant, c.Share, d.to, a.Epoch, a.Version)
	}
}

// trim settles answered deliveries at the head. Called with the lock held.
func (d *sink) trim() {
	for d.settled < d.sent && d.queue[d.settled].answered {
		x := &d.queue[d.settled]
		d.p.r.pending.Add(-x.size)
		d.under -= x.size
		x.d = broker.Delivery{}
		d.settled++
	}
	if d.settled == len(d.queue) || d.settled > queueKept {
		d.compact()
	}
}

// compact forgets what is settled. Called with the lock held.
func (d *sink) compact() {
	n := d.settled
	d.queue = cut(d.queue, n)
	d.settled = 0
	d.sent -= n
	d.first += uint64(n)
}
