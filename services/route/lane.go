package route

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

const (
	maxBatchItems = 256
	maxBatchBytes = 64 << 10
	windowBytes   = 4 << 20 // sent and not yet answered, per lane
	retryFloor    = 20 * time.Millisecond
	retryCeiling  = time.Second
)

// item is one publish in a lane, from its acceptance to its answer.
type item struct {
	pub  broker.Publish
	size int
	done Waiter // nil: nobody waits
}

// lane is the queue of one topic partition.
//
//	queue: [ sent and unanswered | not yet sent ]
//	         0 .. sent             sent .. len
type lane struct {
	p     *Publisher
	topic int

	mu       sync.Mutex
	queue    []item
	sent     int
	sentSize int
	next     uint64 // sequence number of the next publish
	number   uint64 // of the newest stream
	stream   broker.PublishStream
	pumping  bool // one goroutine is sending
	stuck    bool // what is not sent yet waits for a stream or for answers
	serving  bool // the goroutine that keeps a stream open runs

	finished []finish // room for acked; no lock: acks come one call after the other
}

// add queues one publish under the next number, or under seq if that is not 0. It goes out with the next pump.
func (l *lane) add(seq uint64, msg *broker.Message, share *broker.Share, size int, done Waiter) {
	l.mu.Lock()
	if seq == 0 {
		seq = l.next
	}
	l.next = seq + 1
	if l.stuck {
		msg = msg.Own()
	}
	l.queue = append(l.queue, item{broker.Publish{Seq: seq, Msg: msg, Share: share}, size, done})
	start := !l.serving
	l.serving = true
	l.mu.Unlock()
	if start {
		l.p.spawn(l.serve)
	}
}

// pump sends what the window allows. At most one goroutine sends at a time, so the order holds; who finds another one sending leaves the rest to it.
func (l *lane) pump() {
	l.mu.Lock()
	if l.pumping {
		l.mu.Unlock()
		return
	}
	l.pumping = true
	room := batches.Get().(*[]broker.Publish)
	for {
		stream, batch := l.stream, l.takeBatch((*room)[:0])
		if len(batch) == 0 {
			l.pumping = false
			l.settle()
			l.mu.Unlock()
			batches.Put(room)
			return
		}
		l.mu.Unlock()
		_ = stream.Send(batch) // a dead stream is seen by serve, which starts again from the first unanswered
		clear(batch)
		l.mu.Lock()
	}
}

// settle notes whether something is left that cannot be sent now, and gives it memory of its own: nobody knows how long it stays. Called with the lock held.
func (l *lane) settle() {
	was := l.stuck
	if l.stuck = l.sent < len(l.queue); !l.stuck || was {
		return
	}
	for i := l.sent; i < len(l.queue); i++ {
		p := &l.queue[i].pub
		p.Msg = p.Msg.Own()
	}
}

// batches is room for what one Send passes on.
var batches = sync.Pool{New: func() any {
	room := make([]broker.Publish, 0, maxBatchItems)
	return &room
}}

// takeBatch moves the next publishes behind the sent mark, into batch. Called with the lock held.
func (l *lane) takeBatch(batch []broker.Publish) []broker.Publish {
	if l.stream == nil || l.sent == len(l.queue) || l.sentSize >= windowBytes {
		return batch
	}
	first, size := l.sent, 0
	for l.sent < len(l.queue) && l.sent-first < maxBatchItems && size < maxBatchBytes && l.sentSize < windowBytes {
		size += l.queue[l.sent].size
		l.sentSize += l.queue[l.sent].size
		l.sent++
	}
	for i := first; i < l.sent; i++ {
		batch = append(batch, l.queue[i].pub)
	}
	return batch
}

// acked removes what a stream answered. An answer of an older stream changes nothing: its publishes were sent again.
func (l *lane) acked(number uint64, acks []broker.PublishAck) {
	freed := 0
	l.mu.Lock()
	if number != l.number {
		l.mu.Unlock()
		return
	}
	finished := l.finished[:0] // an opener's acks come one call after the other
	n := 0
	for _, a := range acks {
		for n < l.sent && l.queue[n].pub.Seq <= a.Seq {
			it := l.queue[n]
			n++
			freed += it.size
			if it.done != nil {
				finished = append(finished, finish{it.done, broker.PublishAck{Seq: it.pub.Seq, Matched: a.Matched, Refused: a.Refused && a.Seq == it.pub.Seq}})
			}
		}
	}
	l.drop(n, freed)
	more := l.stream != nil && l.sent < len(l.queue) && !l.pumping
	l.mu.Unlock()
	for _, f := range finished {
		f.done.Acked(f.ack)
	}
	l.keep(finished)
	l.p.release(freed)
	if more { // not from here: a callback may not send on its own stream
		l.p.spawn(func(context.Context) { l.pump() })
	}
}

// finish is a publish that is answered, and by what.
type finish struct {
	done Waiter
	ack  broker.PublishAck
}

// queueKept is how many elements an empty queue keeps room for.
const queueKept = 256

// keep gives the memory of finished publishes to the next call of acked, unless that is much.
func (l *lane) keep(finished []finish) {
	clear(finished)
	if cap(finished) > queueKept {
		finished = nil
	}
	l.finished = finished[:0]
}

// drop forgets the first n items. An empty queue keeps its memory, unless that is much. Called with the lock held.
func (l *lane) drop(n, size int) {
	clear(l.queue[:n])
	switch {
	case n < len(l.queue):
		l.queue = l.queue[n:]
	case cap(l.queue) > queueKept:
		l.queue = nil
	default:
		l.queue = l.queue[:0]
	}
	l.sent -= n
	l.sentSize -= size
}

// serve keeps a stream open while the lane has publishes that wait for an answer, and ends when a stream ended with none left.
func (l *lane) serve(ctx context.Context) {
	pause := retryFloor
	for {
		err := l.serveStream(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			pause = retryFloor
		} else {
			l.p.cfg.Log.Debug("publish stream ended", slog.Int("topic_partition", l.topic), slog.Any("error", err))
		}
		if l.rest() {
			return
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, retryCeiling)
	}
}

// rest gives up publishes that were sent at QoS 0 (they are delivered at most once) and reports whether nothing is left to send.
func (l *lane) rest() bool {
	l.mu.Lock()
	l.stream = nil
	kept, freed := l.queue[:0], 0
	var gaveUp []item
	for i, it := range l.queue {
		if i < l.sent && it.pub.Msg.QoS == 0 {
			freed += it.size
			gaveUp = append(gaveUp, it)
			continue
		}
		kept = append(kept, it)
	}
	clear(l.queue[len(kept):])
	l.queue, l.sent, l.sentSize = kept, 0, 0
	idle := len(l.queue) == 0
	if idle {
		l.serving = false
	}
	l.mu.Unlock()
	for _, it := range gaveUp {
		if it.done != nil {
			it.done.Acked(broker.PublishAck{Seq: it.pub.Seq})
		}
	}
	l.p.release(freed)
	return idle
}

// serveStream opens one stream, sends from the first unanswered publish and waits for the stream's end. nil: the stream had worked.
func (l *lane) serveStream(ctx context.Context) error {
	l.mu.Lock()
	l.number++
	number := l.number
	first := l.next
	if len(l.queue) > 0 {
		first = l.queue[0].pub.Seq
	}
	l.mu.Unlock()
	open := broker.PublishOpen{Source: l.p.cfg.Source(l.topic), From: l.p.cfg.From, Stream: number, First: first}
	openCtx, cancel := context.WithTimeout(ctx, openTimeout)
	stream, err := l.p.cfg.Router.OpenPublish(openCtx, open, func(acks []broker.PublishAck) { l.acked(number, acks) })
	cancel()
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.stream = stream
	l.mu.Unlock()
	l.pump()
	select {
	case <-stream.Done():
		return nil
	case <-ctx.Done():
		stream.Close()
		return ctx.Err()
	}
}

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
