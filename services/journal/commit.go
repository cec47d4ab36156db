package journal

import (
	"context"
	"errors"
	"time"
)

// run is the commit goroutine: it appends what gathered, one record at a time, until the log ends.
func (p *partition) run(ctx context.Context) {
	defer close(p.ended)
	for {
		b, s, err := p.next(ctx)
		switch {
		case err != nil:
		case s != nil:
			err = p.commitManifest(ctx, s)
		default:
			err = p.commitBatch(ctx, b)
		}
		if err != nil {
			p.end(ctx, err)
			return
		}
	}
}

// next waits for something to append: a manifest, or a batch whose pause is over.
func (p *partition) next(ctx context.Context) (*batch, *snapshot, error) {
	measured := false
	for {
		d := p.look()
		switch {
		case d.begin != nil:
			p.snaps.Go(func() { p.takeSnapshot(ctx, d.begin) })
			continue
		case d.manifest != nil:
			return nil, d.manifest, nil
		case d.send != nil:
			return d.send, nil, nil
		case d.closed:
			return nil, nil, ErrClosed
		case d.noRoom && !measured:
			if err := p.measure(ctx); err != nil {
				return nil, nil, err
			}
			measured = true
			continue
		}
		if err := p.sleep(ctx, d.wait); err != nil {
			return nil, nil, err
		}
		measured = false
	}
}

// decision is what the commit goroutine does next.
type decision struct {
	send     *batch
	begin    *snapshot // start its goroutine
	manifest *snapshot
	closed   bool
	noRoom   bool
	wait     time.Duration // at most this long; 0: until woken
}

const fullRetry = 200 * time.Millisecond

// look decides.
func (p *partition) look() (d decision) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.snap; s != nil {
		if !s.begun {
			s.begun = true
			d.begin = s
			return d
		}
		if !s.based && p.stats.Events >= s.mark {
			s.based, s.manifest.base, s.manifest.baseBatch, s.covered = true, p.last, p.batch, p.stats.LogBytes
		}
		if s.based && s.written && !s.committed {
			d.manifest = s
			return d
		}
	}
	if len(p.queue) == 0 {
		d.closed = p.closing
		return d
	}
	b := p.queue[0]
	if d.noRoom = p.begun && !p.roomFor(len(b.rec)); d.noRoom {
		d.wait = fullRetry
		return d
	}
	if wait := time.Until(p.nextStart); wait > 0 && len(p.queue) == 1 && !p.closing {
		d.wait = wait
		return d
	}
	b.sealed = true
	d.send = b
	return d
}

// roomFor keeps a part of the stream free, without which a full log could never be purged or taken over: the last sixteenth for manifests and
// epoch records, and before that as much as can be pending, for the events that a snapshot under way waits for. Called with the lock held.
func (p *partition) roomFor(n int) bool {
	limit := p.stats.MaxBytes / 4 * 3
	if p.snap != nil && !p.snap.based {
		limit = p.stats.MaxBytes / 16 * 15
	}
	return p.stats.MaxBytes == 0 || p.stats.StreamBytes+int64(n) <= limit
}

// measure asks for the size of the stream.
func (p *partition) measure(ctx context.Context) error {
	return p.persist(ctx, "measure", func(ctx context.Context) error {
		info, err := p.info(ctx)
		if err == nil {
			p.resize(info)
		}
		return err
	})
}

func (p *partition) resize(info StreamInfo) {
	p.mu.Lock()
	p.stats.StreamBytes, p.stats.MaxBytes = info.Bytes, info.MaxBytes
	p.mu.Unlock()
	p.watchFill()
}

func (p *partition) sleep(ctx context.Context, d time.Duration) error {
	var timer <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-p.wake:
		return nil
	case <-timer:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// commitBatch makes b durable and tells its callers.
func (p *partition) commitBatch(ctx context.Context, b *batch) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	if ackBeforeAppend {
		acknowledge(b)
	}
	if err := p.write(ctx, b.rec, kindData, uint32(len(b.dones))); err != nil {
		return err
	}
	p.mu.Lock()
	p.queue = p.queue[:copy(p.queue, p.queue[1:])]
	p.pending -= b.bytes
	p.count -= len(b.dones)
	p.stats.Events += uint64(len(b.dones))
	p.mu.Unlock()
	p.metrics.pending(-b.bytes)
	acknowledge(b)
	p.recycle(b)
	return nil
}

// acknowledge tells each caller once.
func acknowledge(b *batch) {
	for i, done := range b.dones {
		b.dones[i] = nil
		if done != nil {
			done(nil)
		}
	}
}

// recycle keeps b for reuse unless one large event made it unusually big.
func (p *partition) recycle(b *batch) {
	if cap(b.rec) > 2*p.opts.MaxRecord {
		return
	}
	clear(b.dones)
	*b = batch{rec: b.rec[:headerSize], dones: b.dones[:0]}
	p.mu.Lock()
	p.free = b
	p.mu.Unlock()
}

// write appends the next numbered record, conditional on the last sequence. A refusal or an unknown outcome is settled, then the record is
// appended again if it is not in the log.
func (p *partition) write(ctx context.Context, rec []byte, k kind, count uint32) error {
	number := p.batch + 1
	sent := &sent{number: number, crc: sealRecord(rec, k, p.owner.Epoch, number, count)}
	full, again := backoff{}, backoff{limit: 100 * time.Millisecond}
	for {
		seq, err := p.append(ctx, rec, p.last, int(count))
		landed := err == nil
		switch {
		case landed && seq != p.last+1:
			return p.corrupt(seq, "a conditional append got another sequence than the expected one")
		case landed:
			p.last = seq
		case final(err):
			return err
		case errors.Is(err, ErrStreamFull):
			if err := p.waitForRoom(ctx, &full); err != nil {
				return err
			}
		default:
			p.log.Debug("settling an append", "batch", number, "error", err)
			if landed, err = p.settle(ctx, sent); err != nil {
				return err
			}
			if !landed {
				err = again.wait(ctx)
			}
			if err != nil {
				return err
			}
		}
		if landed {
			p.batch = number
			p.grew(len(rec))
			return nil
		}
	}
}

// waitForRoom is called after the stream refused a record for its size: it looks who wrote meanwhile, then waits.
func (p *partition) waitForRoom(ctx context.Context, b *backoff) error {
	if b.next == 0 {
		p.log.Warn("the log is full, appends wait")
	}
	info := StreamInfo{}
	err := p.persist(ctx, "look at a full log", func(ctx context.Context) (err error) {
		info, err = p.info(ctx)
		return err
	})
	if err != nil {
		return err
	}
	p.resize(info)
	if info.Last != p.last {
		_, err = p.settle(ctx, nil)
		return err
	}
	return b.wait(ctx)
}

// append sends one record and measures it.
func (p *partition) append(ctx context.Context, rec []byte, condition uint64, count int) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	start := time.Now()
	p.nextStart = start.Add(p.meter.spacing(start, p.opts.MaxSpacing))
	seq, err := p.streams.Append(ctx, p.name, rec, condition)
	p.metrics.appended(result(err), count, len(rec), time.Since(start))
	return seq, err
}

func result(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrRefused):
		return "refused"
	case errors.Is(err, ErrStreamFull):
		return "full"
	}
	return "unknown"
}

// grew counts a durable record.
func (p *partition) grew(bytes int) {
	p.mu.Lock()
	p.stats.Batches++
	p.stats.LastSequence = p.last
	p.stats.LogBytes += int64(bytes) + recordWeight
	p.stats.StreamBytes += int64(bytes) + recordOverhead
	p.mu.Unlock()
	p.watchFill()
}

// recordOverhead is about what a stream stores beside a record: sequence, time, subject, headers, checksum.
const recordOverhead = 128

// end fails everything that waits.
func (p *partition) end(ctx context.Context, err error) {
	stopped := ctx.Err() != nil // by Close
	p.mu.Lock()
	p.err = err
	queue := p.queue
	p.queue = nil
	pending := p.pending
	p.pending, p.count = 0, 0
	p.mu.Unlock()
	p.cancel(err)
	p.leaveFill()
	p.metrics.pending(-pending)
	for _, b := range queue {
		for _, done := range b.dones {
			if done != nil {
				done(err)
			}
		}
	}
	if err == ErrClosed || stopped {
		return
	}
	reason := reasonOf(err)
	p.metrics.steppedDown(reason)
	p.log.Warn("log stepped down", "reason", reason, "error", err, "lost_events", countEvents(queue))
	close(p.lost)
}

func countEvents(queue []*batch) (n int) {
	for _, b := range queue {
		n += len(b.dones)
	}
	return n
}

func reasonOf(err error) string {
	var corrupt *CorruptError
	switch {
	case errors.Is(err, ErrFenced):
		return "fenced"
	case errors.Is(err, ErrNoLease):
		return "lease"
	case errors.As(err, &corrupt):
		return "corrupt"
	}
	return "failed"
}
