package sessionstore

import (
	"log/slog"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/route"
)

// outQueue is the outbox towards one topic partition: what the router has not acknowledged yet, numbered for ever (rule R1).
type outQueue struct {
	last    uint64 // number of the newest entry that ever was
	entries []outEntry
}

type outEntry struct {
	seq   uint64
	msg   *broker.Message
	share *broker.Share // route to this group only
}

// outSend is one entry on its way to the publisher.
type outSend struct {
	topic int
	outEntry
}

// enqueue puts a message into the outbox under the next number of its topic partition.
func (st *state) enqueue(m *broker.Message, share *broker.Share) {
	t := st.topic(m)
	q := &st.outbox[t]
	q.last++
	e := outEntry{seq: q.last, msg: m, share: share}
	q.entries = append(q.entries, e)
	st.outBytes += m.Size()
	if st.to != nil {
		st.to.sends = append(st.to.sends, outSend{topic: t, outEntry: e})
	}
}

// acked removes what the router acknowledged.
func (st *state) acked(topic int, upTo uint64) {
	if topic >= len(st.outbox) {
		return
	}
	q := &st.outbox[topic]
	n := 0
	for n < len(q.entries) && q.entries[n].seq <= upTo {
		st.outBytes -= q.entries[n].msg.Size()
		n++
	}
	clear(q.entries[:n])
	if q.entries = q.entries[n:]; len(q.entries) == 0 {
		q.entries = nil
	}
}

// newPublisher makes the sender of the outbox.
func (p *partition) newPublisher() *route.Publisher {
	n := p.n
	return route.NewPublisher(route.PublisherConfig{
		Router: numbered{Router: p.s.deps.Router, last: &p.own.streams}, From: p.s.self, Topics: p.s.topics, Log: p.slog,
		Source: func(t int) broker.Source { return broker.Source{Kind: broker.FromSession, Partition: n, Topic: t} },
	})
}

// resend gives everything that is in the outbox to a new publisher, in order from the first unacknowledged.
func (p *partition) resend() {
	for t := range p.st.outbox {
		for _, e := range p.st.outbox[t].entries {
			p.send(outSend{topic: t, outEntry: e})
		}
	}
}

// send passes one durable entry on, in order. Called with the lock held.
func (p *partition) send(e outSend) {
	pub := p.pub
	p.call(func() {
		err := pub.PublishSeq(e.topic, e.seq, e.msg, e.share, func(broker.PublishAck) { p.outboxAcked(e.topic, e.seq) })
		if err != nil {
			p.slog.Debug("outbox closed", slog.Any("error", err))
		}
	})
}

// outboxAcked notes an answer of the router. The log hears of it later, with others.
func (p *partition) outboxAcked(topic int, seq uint64) {
	p.enter()
	defer p.leave()
	if p.dead {
		return
	}
	p.acked[topic] = seq
	p.flushLater()
}

// flushLater has the answers of routers and of other partitions written down soon.
func (p *partition) flushLater() {
	if !p.flushing {
		p.flushing = true
		p.timers.add(&timer{at: p.now().Add(flushPause).UnixMilli(), kind: timerFlush})
	}
}

// flush writes down what was answered: OutboxDone and LaneDone are lazy.
func (p *partition) flush() {
	p.flushing = false
	for t, seq := range p.acked {
		if seq > 0 && !p.commit(&outboxDone{topic: t, upTo: seq}) {
			return
		}
		p.acked[t] = 0
	}
	for k, l := range p.lanes {
		if l.acked > 0 && !p.commit(&laneDone{lane: k, upTo: l.acked}) {
			return
		}
		l.acked = 0
	}
}
