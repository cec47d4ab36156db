package route

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

const openTimeout = 5 * time.Second

// ErrFull says that the publisher's byte bound is reached: hold back and ask NotifyRoom.
var ErrFull = broker.E(broker.KindBusy, "publish queue full", nil)

// ErrClosed says that the publisher was closed.
var ErrClosed = broker.E(broker.KindUnavailable, "publisher closed", nil)

// PublisherConfig says for whom a Publisher sends.
type PublisherConfig struct {
	Router   broker.Router
	Source   func(topic int) broker.Source // names the source towards a topic partition
	From     broker.NodeRef                // the process
	Topics   int                           // number of topic partitions
	MaxBytes int                           // bound of all lanes together, 0: 64 MiB
	Log      *slog.Logger
}

// Publisher is the queue of publishes of one source towards all topic partitions. Safe for use by many goroutines.
type Publisher struct {
	cfg    PublisherConfig
	lanes  []lane
	ctx    context.Context // ends at Close; lanes' goroutines live by it
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	bytes   int
	waiters []func()
}

// Waiter hears of the answer to a publish, once. It must not block.
type Waiter interface {
	Acked(a broker.PublishAck)
}

// Func is a function that waits.
type Func func(broker.PublishAck)

// Acked calls the function.
func (f Func) Acked(a broker.PublishAck) { f(a) }

// waiterOf is nil for no function.
func waiterOf(done func(broker.PublishAck)) Waiter {
	if done == nil {
		return nil
	}
	return Func(done)
}

// Batch gathers publishes, so that those of one topic partition leave together. It belongs to one goroutine; the zero value is empty.
type Batch struct{ lane *lane }

// Send sends what was gathered.
func (b *Batch) Send() {
	if l := b.lane; l != nil {
		b.lane = nil
		l.pump()
	}
}

// NewPublisher makes a Publisher. It starts no goroutine before the first publish; Close ends them all.
func NewPublisher(cfg PublisherConfig) *Publisher {
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 64 << 20
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Publisher{cfg: cfg, lanes: make([]lane, cfg.Topics)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for i := range p.lanes {
		p.lanes[i].p, p.lanes[i].topic, p.lanes[i].next = p, i, 1
	}
	return p
}

// Topic is the topic partition of a message's topic.
func (p *Publisher) Topic(msg *broker.Message) int {
	return cluster.Partition(msg.Tenant, msg.Topic, len(p.lanes))
}

// Publish queues msg behind everything of its topic partition and calls done once, when the router answered (or when a QoS 0 publish was given up). It never blocks.
// done may be nil and must not block. ErrFull: nothing was queued.
func (p *Publisher) Publish(msg *broker.Message, share *broker.Share, done func(broker.PublishAck)) error {
	size := msg.Size()
	if err := p.reserve(size, false); err != nil {
		return err
	}
	l := &p.lanes[p.Topic(msg)]
	l.add(0, msg, share, size, waiterOf(done))
	l.pump()
	return nil
}

// Gather is Publish for a batch: msg leaves at the latest when b.Send is called. What b has gathered for another topic partition is sent first.
func (p *Publisher) Gather(b *Batch, msg *broker.Message, done Waiter) error {
	size := msg.Size()
	if err := p.reserve(size, false); err != nil {
		return err
	}
	l := &p.lanes[p.Topic(msg)]
	if l != b.lane {
		b.Send()
		b.lane = l
	}
	l.add(0, msg, nil, size, done)
	return nil
}

// PublishSeq queues a publish whose number the caller keeps himself (an outbox). Numbers of one topic partition must rise. The byte bound does not
// refuse it: its owner bounds what it stores.
func (p *Publisher) PublishSeq(topic int, seq uint64, msg *broker.Message, share *broker.Share, done func(broker.PublishAck)) error {
	size := msg.Size()
	if err := p.reserve(size, true); err != nil {
		return err
	}
	l := &p.lanes[topic]
	l.add(seq, msg, share, size, waiterOf(done))
	l.pump()
	return nil
}

// NotifyRoom calls fn once when less than half of the byte bound is used, at once if that is so now.
func (p *Publisher) NotifyRoom(fn func()) {
	p.mu.Lock()
	if p.bytes <= p.cfg.MaxBytes/2 && !p.closed {
		p.mu.Unlock()
		fn()
		return
	}
	p.waiters = append(p.waiters, fn)
	p.mu.Unlock()
}

// Bytes is how much is queued or unanswered.
func (p *Publisher) Bytes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}

// Drain waits until every publish is answered, or ctx ends.
func (p *Publisher) Drain(ctx context.Context) error {
	empty := make(chan struct{})
	var wait func()
	wait = func() {
		p.mu.Lock()
		if p.bytes == 0 {
			p.mu.Unlock()
			close(empty)
			return
		}
		p.waiters = append(p.waiters, wait)
		p.mu.Unlock()
	}
	wait()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return errors.Join(errors.New("drain publishes"), ctx.Err())
	}
}

// Close ends all streams and waits for their goroutines. Unanswered publishes stay unanswered: their done is never called.
func (p *Publisher) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.wg.Wait()
}

// reserve counts size against the bound.
func (p *Publisher) reserve(size int, always bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if !always && p.bytes > 0 && p.bytes+size > p.cfg.MaxBytes {
		return ErrFull
	}
	p.bytes += size
	return nil
}

// release gives bytes back and wakes who waited for room.
func (p *Publisher) release(size int) {
	if size == 0 {
		return
	}
	var wake []func()
	p.mu.Lock()
	p.bytes -= size
	if p.bytes <= p.cfg.MaxBytes/2 {
		wake, p.waiters = p.waiters, nil
	}
	p.mu.Unlock()
	for _, fn := range wake {
		fn()
	}
}

// spawn runs fn in a goroutine that Close waits for; false after Close.
func (p *Publisher) spawn(fn func(context.Context)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		fn(p.ctx)
	}()
	return true
}
