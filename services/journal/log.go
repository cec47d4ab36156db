package journal

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// partition implements Log. One goroutine (commit.go) appends; while a snapshot is under way a second one (snapshot.go) writes its chunks.
type partition struct {
	name     string
	owner    Owner
	streams  Streams
	opts     Options
	meter    *meter
	metrics  *Metrics
	log      *slog.Logger
	maxEvent int // bytes of the largest event
	fill     func(name string, full bool, used, limit int64)

	cancel context.CancelCauseFunc // ends both goroutines
	wake   chan struct{}           // 1 slot: the queue became non-empty, a batch is full, or another reason to look
	ended  chan struct{}           // the commit goroutine and all callbacks are done
	lost   chan struct{}
	snaps  sync.WaitGroup // the snapshot goroutine

	// Owned by the commit goroutine, before its start by Open.
	begun     bool      // an epoch record was written
	last      uint64    // every record up to this sequence is known
	batch     uint64    // number of the last data or manifest record
	nextStart time.Time // end of the pause after the last append

	mu      sync.Mutex
	queue   []*batch // the last one is open, it takes more events
	free    *batch   // one kept for reuse
	pending int      // bytes, in flight ones included
	count   int      // events, in flight ones included
	queued  uint64   // events appended since Open
	closing bool
	err     error // why the log ended; ErrClosed after Close
	snap    *snapshot
	stats   Stats
	filled  bool      // reported as full
	retryAt time.Time // no snapshot is due before, because one failed
}

// batch is one record in the making, and whom to tell.
type batch struct {
	rec    []byte // headerSize bytes, then the events
	dones  []func(error)
	bytes  int // of the events themselves
	sealed bool
}

func (p *partition) start(ctx context.Context) {
	ctx, p.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	p.mu.Lock()
	p.stats.Level, p.stats.Epoch, p.stats.LastSequence = p.opts.Level, p.owner.Epoch, p.last
	stale := p.snap
	p.mu.Unlock()
	if stale != nil { // the snapshot is complete, its purge is not
		p.snaps.Go(func() { p.finishSnapshot(ctx, stale) })
	}
	go p.run(ctx)
}

// Append implements Log.
func (p *partition) Append(event []byte, done func(error)) error {
	if len(event) > p.maxEvent {
		return ErrTooLarge
	}
	p.mu.Lock()
	if err := p.refuses(); err != nil {
		p.mu.Unlock()
		return err
	}
	if p.pending > 0 && p.pending+len(event) > p.opts.MaxPending {
		p.mu.Unlock()
		return ErrFull
	}
	b, opened := p.openBatch(eventSize(event))
	b.rec = appendEvent(b.rec, event)
	b.dones = append(b.dones, done)
	b.bytes += len(event)
	p.pending += len(event)
	p.count++
	p.queued++
	p.mu.Unlock()
	p.metrics.pending(len(event))
	if opened {
		p.nudge()
	}
	return nil
}

// refuses says why no event is taken. Called with the lock held.
func (p *partition) refuses() error {
	if p.err != nil {
		return p.err
	}
	if p.closing {
		return ErrClosed
	}
	return nil
}

// openBatch returns a batch with room for n bytes. Called with the lock held.
func (p *partition) openBatch(n int) (b *batch, opened bool) {
	if len(p.queue) > 0 {
		b = p.queue[len(p.queue)-1]
		if !b.sealed && len(b.rec)+n <= p.opts.MaxRecord {
			return b, false
		}
	}
	if b = p.free; b == nil {
		b = &batch{rec: make([]byte, headerSize, 1024)}
	}
	p.free = nil
	p.queue = append(p.queue, b)
	return b, true
}

// nudge makes the commit goroutine look at the queue again.
func (p *partition) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Stats implements Log.
func (p *partition) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.PendingBytes, s.PendingEvents, s.Snapshotting = p.pending, p.count, p.snap != nil
	return s
}

// Lost implements Log.
func (p *partition) Lost() <-chan struct{} { return p.lost }

// Err implements Log.
func (p *partition) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == ErrClosed {
		return nil
	}
	return p.err
}

// Close implements Log.
func (p *partition) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closing = true
	p.mu.Unlock()
	p.nudge()
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.cancel(context.Cause(ctx))
		<-p.ended
	}
	p.snaps.Wait()
	return p.Err()
}
