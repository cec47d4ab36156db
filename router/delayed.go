package router

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/services/broker"
	sender "github.com/pando-mq/pando/services/route"
)

const (
	fireItems  = 1024                   // delayed messages published in one record
	flushPause = 100 * time.Millisecond // answers of topic partitions are written down this late
	farAhead   = time.Hour              // nothing to wait for
)

// box sends the outbox of a retained partition while its log is open: what was written durably, in order. Its fields belong to the partition's lock.
//
//	take ─ delay record ─► timers ─ fire record ─► outbox ─ durable ─► pub ─ acked ─ sent record ─► gone
type box struct {
	pub   *sender.Publisher
	held  []heldSend // of records that are not durable yet
	sends []outSend  // may go out
	acked map[int]uint64
	flush time.Time // when acked is written down; zero: nothing to write
}

// heldSend waits for an event.
type heldSend struct {
	event uint64
	outSend
}

// numbered is a router whose publish streams get rising numbers across the openings of one ownership: a Publisher counts from 1, but the numbers of
// a source must rise as long as the source lives, and an outbox outlives its owners (rule N4).
type numbered struct {
	broker.Router
	last *atomic.Uint64
}

// OpenPublish implements broker.Router.
func (r numbered) OpenPublish(ctx context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	o.Stream = r.last.Add(1)
	return r.Router.OpenPublish(ctx, o, acks)
}

// newBox makes the sender of what a replay found in the outbox.
func (p *retainedPartition) newBox(sends []outSend) *box {
	r, n := p.s.r, p.claim.Partition
	pub := sender.NewPublisher(sender.PublisherConfig{
		Router: numbered{r.deps.Topics, &p.streamNo}, From: r.self, Topics: len(p.state.delayed.out), Log: r.deps.Log,
		Source: func(t int) broker.Source { return broker.Source{Kind: broker.FromRetained, Partition: n, Topic: t} },
	})
	return &box{pub: pub, sends: sends, acked: map[int]uint64{}}
}

// durable lets go out what waited for events up to this one, and reports whether there is something to send. Called with the lock held.
func (b *box) durable(event uint64) bool {
	n := 0
	for n < len(b.held) && b.held[n].event <= event {
		b.sends = append(b.sends, b.held[n].outSend)
		n++
	}
	b.held = b.held[n:]
	return len(b.sends) > 0
}

// delayed counts what a state holds (sign 1), or no longer (-1).
func (s *retainedStore) delayed(d *delayed, sign int64) {
	s.later.Add(sign * int64(len(d.timers)))
	s.bytes.Add(sign * d.bytes)
}

// overdue reports whether one more delayed message exceeds a limit.
func (s *retainedStore) overdue(m *broker.Message) bool {
	cfg := &s.cfg.Delayed
	return cfg.MaxMessages != 0 && s.later.Load() >= s.share(int64(cfg.MaxMessages)) || s.bytes.Load()+int64(m.Size()) > s.share(cfg.MaxBytes)
}

// delay keeps a message until its time, or answers that there is no room. Called with the lock held.
func (p *retainedPartition) delay(s *retainStream, d *broker.Delivery) error {
	due, later := postpone(d.Msg)
	if p.s.overdue(later) {
		p.s.r.metrics.dropped.WithLabelValues("delayed_full").Inc()
		p.state.cursors[d.Source] = d.Seq
		s.full = append(s.full, s.got)
		return nil
	}
	if err := p.append(appendDelay(nil, d, s.open.TopicEpoch, due, later)); err != nil {
		return err
	}
	p.state.cursors[d.Source] = d.Seq
	p.state.delayed.add(due, later)
	p.s.later.Add(1)
	p.s.bytes.Add(int64(later.Size()))
	if first, _ := p.state.delayed.next(); first == due {
		p.nudge()
	}
	return nil
}

// nudge has the partition's goroutine look again.
func (p *retainedPartition) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// step does what is to be done now, and says how long there is nothing more to do. Only the partition's goroutine calls it, so what it sends stays in order.
func (p *retainedPartition) step() time.Duration {
	p.mu.Lock()
	if p.state == nil || p.box == nil {
		p.mu.Unlock()
		return farAhead
	}
	now := p.s.r.deps.Clock()
	rest := min(p.fire(now), p.flush(now))
	p.snapshot()
	b, sends := p.box, p.box.sends
	b.sends = nil
	p.mu.Unlock()
	for _, e := range sends {
		err := b.pub.PublishSeq(e.topic, e.seq, e.msg, nil, func(broker.PublishAck) { p.acked(b, e.topic, e.seq) })
		if err != nil {
			p.s.r.deps.Log.Debug("outbox of delayed messages closed", slog.Int("partition", p.claim.Partition), slog.Any("error", err))
			break
		}
	}
	return rest
}

// fire writes down that messages are due; they are sent when that is durable. It returns the time to the next. Called with the lock held.
func (p *retainedPartition) fire(now time.Time) time.Duration {
	d := &p.state.delayed
	for {
		due, ok := d.next()
		if !ok {
			return farAhead
		}
		ms := now.UnixMilli()
		if due > ms {
			return min(time.UnixMilli(due).Sub(now), farAhead)
		}
		if err := p.append(appendFire(nil, ms, fireItems)); err != nil {
			return retryCeiling // the log is full, or at its end, which work sees
		}
		before := d.bytes
		sends := d.fire(ms, fireItems)
		for _, e := range sends {
			p.box.held = append(p.box.held, heldSend{p.newest, e})
		}
		p.s.later.Add(-int64(len(sends)))
		p.s.bytes.Add(d.bytes - before)
		p.s.r.metrics.fired.Add(float64(len(sends)))
	}
}

// acked notes that a topic partition has a message. The log hears of it later, with others.
func (p *retainedPartition) acked(b *box, topic int, seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.box != b {
		return
	}
	b.acked[topic] = seq
	if b.flush.IsZero() {
		b.flush = p.s.r.deps.Clock().Add(flushPause)
		p.nudge()
	}
}

// flush writes down what topic partitions acknowledged, and returns the time until that is due. Called with the lock held.
func (p *retainedPartition) flush(now time.Time) time.Duration {
	b := p.box
	switch {
	case b.flush.IsZero():
		return farAhead
	case now.Before(b.flush):
		return b.flush.Sub(now)
	}
	for t, seq := range b.acked {
		if p.append(appendSent(nil, t, seq)) != nil {
			b.flush = now.Add(flushPause)
			return flushPause
		}
		p.state.delayed.sent(t, seq)
		delete(b.acked, t)
	}
	b.flush = time.Time{}
	return farAhead
}
