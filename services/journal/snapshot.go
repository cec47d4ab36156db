package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"time"
)

// snapshot is one under way. Its fields are guarded by the mutex of the log, except state and the chunk fields of manifest, which belong
// to the snapshot goroutine until written is set.
type snapshot struct {
	state     []byte
	mark      uint64 // events appended before it
	manifest  manifest
	begun     bool  // its goroutine was started
	based     bool  // those events are durable: base is known
	covered   int64 // LogBytes at the base
	written   bool  // all chunks are durable
	committed bool  // the manifest is durable
}

const snapshotRetry = 30 * time.Second

// SnapshotDue implements Log.
func (p *partition) SnapshotDue() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.snap != nil || p.refuses() != nil {
		return false
	}
	limit := max(p.opts.SnapshotAfter, 2*int64(p.stats.SnapshotBytes))
	if p.stats.MaxBytes > 0 {
		limit = min(limit, p.stats.MaxBytes/2)
	}
	return p.stats.LogBytes > limit && !time.Now().Before(p.retryAt)
}

// Snapshot implements Log.
func (p *partition) Snapshot(state []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.snap != nil || p.refuses() != nil || p.queued == 0 && p.stats.LastSequence == 0 {
		return
	}
	if n := len(p.queue); n > 0 {
		p.queue[n-1].sealed = true // the next event opens another record: the base lies between two
	}
	p.snap = &snapshot{state: state, mark: p.queued}
	p.nudge()
}

// takeSnapshot is the snapshot goroutine.
func (p *partition) takeSnapshot(ctx context.Context, s *snapshot) {
	start := time.Now()
	man, err := p.writeChunks(ctx, s.state)
	if err != nil {
		p.dropSnapshot(ctx, err)
		return
	}
	p.mu.Lock()
	man.base, man.baseBatch = s.manifest.base, s.manifest.baseBatch
	s.manifest, s.written, s.state = man, true, nil
	p.mu.Unlock()
	p.nudge()
	p.log.Debug("snapshot written", "bytes", man.length, "took", time.Since(start))
}

func (p *partition) dropSnapshot(ctx context.Context, err error) {
	p.mu.Lock()
	p.snap = nil
	p.retryAt = time.Now().Add(snapshotRetry)
	p.mu.Unlock()
	if ctx.Err() == nil {
		p.metrics.snapshotEnded("failed")
		p.log.Error("snapshot failed, the log keeps growing", "error", err)
	}
}

// writeChunks writes the state into the snapshot stream. A chunk of unknown outcome is written again: the reader takes the first of each index.
func (p *partition) writeChunks(ctx context.Context, state []byte) (manifest, error) {
	name := snapshotStream(p.name)
	err := p.persist(ctx, "make the snapshot stream", func(ctx context.Context) error { return p.create(ctx, name) })
	if err != nil {
		return manifest{}, err
	}
	man := manifest{id: rand.Uint64(), length: uint64(len(state)), crc: crc32.Checksum(state, castagnoli)}
	size := min(chunkSize, p.maxEvent-chunkHeader)
	count := max(1, (len(state)+size-1)/size)
	var full error
	for i := range count {
		part := state[i*size : min((i+1)*size, len(state))]
		rec := chunkRecord(p.owner.Epoch, man.id, i, count, part)
		err := p.persist(ctx, "write a snapshot chunk", func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
			defer cancel()
			seq, err := p.streams.Append(ctx, name, rec, Unconditional)
			switch {
			case err == nil:
				man.last = seq
			case errors.Is(err, ErrStreamFull):
				full = err // waiting would not help
				return nil
			}
			return err
		})
		if err = errors.Join(err, full); err != nil {
			return manifest{}, err
		}
		if i == 0 {
			man.first = man.last
		}
	}
	return man, nil
}

// commitManifest puts the manifest into the log; from then on the snapshot counts. It runs in the commit goroutine.
func (p *partition) commitManifest(ctx context.Context, s *snapshot) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	if err := p.write(ctx, s.manifest.record(), kindManifest, 1); err != nil {
		return err
	}
	p.mu.Lock()
	s.committed = true
	p.stats.LogBytes -= s.covered
	p.stats.SnapshotBytes = int(s.manifest.length)
	p.stats.SnapshotTime = time.Now()
	p.mu.Unlock()
	p.snaps.Go(func() { p.finishSnapshot(ctx, s) })
	p.metrics.snapshotEnded("ok")
	return nil
}

// finishSnapshot purges what the snapshot covers: first the log, then older snapshots, so that a log always finds the snapshot it starts with.
func (p *partition) finishSnapshot(ctx context.Context, s *snapshot) {
	err := p.purge(ctx, p.name, s.manifest.base+1)
	if err == nil {
		err = p.purge(ctx, snapshotStream(p.name), s.manifest.first)
	}
	if err == nil {
		err = p.measure(ctx)
	}
	if err != nil && ctx.Err() == nil {
		p.log.Error("purge after a snapshot failed", "error", err)
	}
	p.mu.Lock()
	p.snap = nil
	p.mu.Unlock()
	p.nudge()
}

func (p *partition) purge(ctx context.Context, name string, below uint64) error {
	return p.persist(ctx, "purge "+name, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
		defer cancel()
		return p.streams.Purge(ctx, name, below)
	})
}

// loadSnapshot reads the state a manifest names.
func (p *partition) loadSnapshot(ctx context.Context, man manifest) ([]byte, error) {
	name := snapshotStream(p.name)
	state := []byte{}
	next := uint64(0)
	err := p.read(ctx, name, man.first, man.last, func(seq uint64, b []byte) error {
		rec, err := decodeRecord(b)
		if err == nil && rec.kind != kindChunk {
			err = fmt.Errorf("record of kind %d in a snapshot", rec.kind)
		}
		if err != nil {
			return &CorruptError{Stream: name, Sequence: seq, Reason: err.Error()}
		}
		if binary.BigEndian.Uint64(rec.body) != man.id || rec.number != next {
			return nil // of another owner's snapshot, or the second copy of a chunk
		}
		state = append(state, rec.body[chunkHeader:]...)
		next++
		return nil
	})
	if err != nil {
		return nil, err
	}
	if uint64(len(state)) != man.length || crc32.Checksum(state, castagnoli) != man.crc {
		return nil, &CorruptError{Stream: name, Sequence: man.last, Reason: "the snapshot that ends here is not what was written"}
	}
	return state, nil
}
