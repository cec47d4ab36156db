package brokertest

import (
	"github.com/pando-mq/pando/services/broker"
)

// sending is one delivery on its way.
type sending struct {
	delivery broker.Delivery
	q        *pendingPublish // nil: nobody waits for the answer
	answered bool
}

// fakeDest is the stream of a topic partition to one destination. Its fields belong to the router's lock; pump alone opens and sends, on the loop.
type fakeDest struct {
	p      *topicPartition
	to     destination
	stream broker.DeliverStream
	number int       // of the stream
	queue  []sending // not sent
	sent   []sending // on this stream, in order: sent[0] has the number 1
	over   bool
}

func (p *topicPartition) dest(to destination) *fakeDest {
	d := p.dests[to]
	if d == nil {
		d = &fakeDest{p: p, to: to}
		p.dests[to] = d
	}
	return d
}

// abandon gives everything up. Called with the lock held.
func (d *fakeDest) abandon() {
	d.over, d.queue, d.sent = true, nil, nil
	if s := d.stream; s != nil {
		d.p.r.call(s.Close)
	}
}

// pump sends what is queued; it runs on the loop, without the lock.
func (d *fakeDest) pump() {
	r := d.p.r
	r.mu.Lock()
	stream, queue := d.stream, d.queue
	if d.over || len(queue) == 0 {
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	if stream == nil {
		if stream = d.open(); stream == nil {
			return
		}
	}
	r.mu.Lock()
	var batch []broker.Delivery
	for _, x := range d.queue {
		batch = append(batch, x.delivery)
	}
	d.sent = append(d.sent, d.queue...)
	d.queue = nil
	r.mu.Unlock()
	_ = stream.Send(batch) // its end is seen by watch
}

// open opens the next stream; nil if it is refused.
func (d *fakeDest) open() broker.DeliverStream {
	r := d.p.r
	r.mu.Lock()
	d.number++
	number := d.number
	target := r.sinkOf(d.to)
	r.mu.Unlock()
	o := broker.DeliverOpen{Router: r.self(), Topic: d.p.n, TopicEpoch: d.p.epoch, Partition: int(d.to.n)}
	stream, err := target.OpenDeliver(r.ctx, o, func(acks []broker.DeliverAck) { d.acked(number, acks) })
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		d.broken()
		return nil
	}
	d.stream, d.sent = stream, nil
	r.wg.Go(func() { d.watch(stream, number) })
	return stream
}

func (r *Router) sinkOf(to destination) broker.Sink {
	switch to.kind {
	case toSession:
		return r.cfg.Sinks
	case toRetained:
		return r
	}
	return r.cfg.Gateways(r.alive[to.n])
}

// watch waits for the end of a stream.
func (d *fakeDest) watch(stream broker.DeliverStream, number int) {
	select {
	case <-stream.Done():
	case <-d.p.r.ctx.Done():
		stream.Close()
		return
	}
	d.p.r.enter()
	defer d.p.r.leave()
	if number == d.number && !d.over {
		d.broken()
	}
}

// broken handles the end of a stream (rule N4): publishers with something unanswered here send again. Called with the lock held.
func (d *fakeDest) broken() {
	d.stream = nil
	d.number++
	lost := append(d.sent, d.queue...)
	d.sent, d.queue = nil, nil
	for _, x := range lost {
		switch {
		case x.q != nil && !x.answered && d.p.r.flaws.keeps(closesUpward):
			x.q.s.end(broker.E(broker.KindUnavailable, "a destination failed", nil))
		case !d.to.durable() && !x.answered && x.delivery.Msg.QoS > 0:
			d.queue = append(d.queue, x)
		}
	}
	if len(d.queue) > 0 {
		d.p.r.call(d.pump)
	}
}

// acked takes answers of one stream.
func (d *fakeDest) acked(number int, acks []broker.DeliverAck) {
	r := d.p.r
	r.enter()
	defer r.leave()
	if number != d.number || d.over {
		return
	}
	for _, a := range acks {
		if a.No == 0 || a.No > uint64(len(d.sent)) {
			continue
		}
		i := int(a.No) - 1
		if a.Result == broker.OK {
			for j := range d.sent[:i+1] {
				if j == i || r.flaws.keeps(cumulativeOK) {
					d.answer(&d.sent[j], true)
				}
			}
			continue
		}
		if d.to.kind == toSession && a.Epoch < r.epochs[int(d.to.n)] && r.flaws.keeps(oldAnswers) {
			r.call(d.stream.Close) // rule N6: the word of an old owner is a refusal
			return
		}
		x := &d.sent[i]
		for _, t := range []routeTable{d.p.exact, r.wild} {
			t.drop(d.to, x.delivery.Msg, x.delivery.Shares, a, r.flaws)
		}
		d.answer(x, false)
	}
}

// answer counts one delivery as done. Called with the lock held.
func (d *fakeDest) answer(x *sending, matched bool) {
	if x.answered {
		return
	}
	x.answered = true
	if x.q == nil {
		return
	}
	x.q.await--
	x.q.matched = x.q.matched || matched && d.to.kind == toSession
	x.q.s.collect()
}
