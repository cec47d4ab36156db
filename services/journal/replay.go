package journal

import (
	"context"
	"errors"
	"fmt"
)

// takeOver fences the previous owner and rebuilds m. An absent stream is left absent.
func (p *partition) takeOver(ctx context.Context, m Machine) error {
	var info StreamInfo
	err := p.persist(ctx, "look up the stream", func(ctx context.Context) (err error) {
		info, err = p.lookUp(ctx)
		return err
	})
	if err != nil || !info.Exists {
		return err
	}
	end, err := p.claim(ctx, p.checkLast)
	if err != nil {
		return err
	}
	if err := p.rebuild(ctx, end, m); err != nil {
		return err
	}
	p.begun, p.last = true, end
	return nil
}

// checkLast saves an owner that is long outdated from writing an epoch record. The replay checks every record.
func (p *partition) checkLast(ctx context.Context, info StreamInfo) error {
	if info.Last == 0 || info.First > info.Last {
		return nil
	}
	err := p.streams.Read(ctx, p.name, info.Last, info.Last, func(seq uint64, b []byte) error {
		r, err := decodeRecord(b)
		if err != nil {
			return p.corrupt(seq, err.Error())
		}
		if r.epoch > p.owner.Epoch {
			return fmt.Errorf("epoch %d at sequence %d: %w", r.epoch, seq, ErrFenced)
		}
		return nil
	})
	if p.purged(ctx, err) {
		return errPurged
	}
	return err
}

var errPurged = errors.New("the last record was purged meanwhile")

// rebuild replays the log up to the sequence end. When a purge of the previous owner takes records away under the replay, it starts again.
func (p *partition) rebuild(ctx context.Context, end uint64, m Machine) error {
	info, err := p.info(ctx)
	for err == nil {
		r := &replay{p: p, m: m, first: info.First, end: end, ready: info.First <= 1}
		failed := r.run(ctx)
		if failed == nil {
			p.adopt(r, info)
			return nil
		}
		was := info.First
		if info, err = p.info(ctx); err != nil || info.First == was {
			return failed
		}
	}
	return err
}

// adopt takes over what the replay learned.
func (p *partition) adopt(r *replay, info StreamInfo) {
	p.batch = r.batch
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.StreamBytes, p.stats.MaxBytes = info.Bytes, info.MaxBytes
	p.stats.LogBytes = r.bytes
	p.stats.SnapshotBytes = int(r.newest.length)
	if r.newest.base >= r.first {
		p.snap = &snapshot{manifest: r.newest, begun: true, based: true, written: true, committed: true}
	}
	if r.dropped > 0 {
		p.log.Info("replay dropped records of older epochs", "records", r.dropped)
	}
}

// replay is one pass over a log.
//
// A log that was never purged is applied from its first record. Any other starts behind the base of a snapshot: the events up to the first manifest
// are looked at, but not applied; at the manifest the snapshot is restored and those of them that it does not cover are read again. Later
// manifests change nothing: the state is there already.
type replay struct {
	p          *partition
	m          Machine
	first, end uint64

	high    uint64 // highest epoch seen
	batch   uint64 // number of the last data or manifest record
	ready   bool   // m has the state of everything before
	skipped []position
	newest  manifest
	bytes   int64 // of the records not covered by newest
	sizes   []position
	dropped int
}

// position is a data record: where, and its number or its size.
type position struct{ seq, value uint64 }

func (r *replay) run(ctx context.Context) error {
	err := r.p.read(ctx, r.p.name, r.first, r.end, func(seq uint64, b []byte) error {
		return r.record(ctx, seq, b)
	})
	if err != nil {
		return err
	}
	if !r.ready {
		return r.p.corrupt(r.first, "the log starts here and holds no snapshot of what was before")
	}
	for _, s := range r.sizes {
		r.bytes += int64(s.value)
	}
	return nil
}

func (r *replay) record(ctx context.Context, seq uint64, b []byte) error {
	rec, err := decodeRecord(b)
	switch {
	case err != nil:
		return r.p.corrupt(seq, err.Error())
	case rec.epoch > r.p.owner.Epoch:
		return fmt.Errorf("epoch %d at sequence %d: %w", rec.epoch, seq, ErrFenced)
	case rec.epoch < r.high:
		r.dropped++
		return nil
	}
	r.high = rec.epoch
	if rec.kind == kindEpoch {
		return nil
	}
	if err := r.number(seq, rec); err != nil {
		return err
	}
	r.sizes = append(r.sizes, position{seq, uint64(len(b)) + recordWeight})
	switch {
	case rec.kind == kindManifest:
		return r.manifest(ctx, seq, rec)
	case rec.kind != kindData:
		return r.p.corrupt(seq, fmt.Sprintf("record of kind %d in a log", rec.kind))
	case !r.ready:
		r.skipped = append(r.skipped, position{seq, rec.number})
		return nil
	}
	return r.apply(seq, rec)
}

// number checks that no numbered record is missing before rec.
func (r *replay) number(seq uint64, rec record) error {
	if unknown := r.batch == 0 && !r.ready; !unknown && rec.number != r.batch+1 {
		return r.p.corrupt(seq, fmt.Sprintf("batch %d follows batch %d", rec.number, r.batch))
	}
	r.batch = rec.number
	return nil
}

func (r *replay) apply(seq uint64, rec record) error {
	if err := rec.events(r.m.Apply); err != nil {
		return fmt.Errorf("apply stream %s, sequence %d: %w", r.p.name, seq, err)
	}
	return nil
}

func (r *replay) manifest(ctx context.Context, seq uint64, rec record) error {
	man, err := decodeManifest(rec.body)
	if err != nil {
		return r.p.corrupt(seq, err.Error())
	}
	if !r.ready {
		if err := r.restore(ctx, seq, man); err != nil {
			return err
		}
	}
	r.newest = man
	keep := r.sizes[:0]
	for _, s := range r.sizes {
		if s.seq > man.base {
			keep = append(keep, s)
		}
	}
	r.sizes = keep
	return nil
}

// restore loads the snapshot of the first manifest, found at seq, and applies the events between its base and there.
func (r *replay) restore(ctx context.Context, seq uint64, man manifest) error {
	if man.base+1 < r.first || man.base >= seq {
		return r.p.corrupt(seq, fmt.Sprintf("a manifest of base %d in a log that starts at %d", man.base, r.first))
	}
	state, err := r.p.loadSnapshot(ctx, man)
	if err != nil {
		return err
	}
	if err := r.m.Restore(state); err != nil {
		return fmt.Errorf("restore the snapshot of sequence %d of stream %s: %w", man.base, r.p.name, err)
	}
	r.ready = true
	rest := r.skipped
	for len(rest) > 0 && rest[0].seq <= man.base {
		rest = rest[1:]
	}
	r.skipped = nil
	if len(rest) == 0 {
		return nil
	}
	if rest[0].value != man.baseBatch+1 {
		return r.p.corrupt(rest[0].seq, fmt.Sprintf("batch %d follows a snapshot of batch %d", rest[0].value, man.baseBatch))
	}
	return r.again(ctx, rest)
}

// again reads and applies the records at the given positions.
func (r *replay) again(ctx context.Context, at []position) error {
	return r.p.read(ctx, r.p.name, at[0].seq, at[len(at)-1].seq, func(seq uint64, b []byte) error {
		if seq != at[0].seq {
			return nil
		}
		at = at[1:]
		rec, err := decodeRecord(b)
		if err != nil || rec.kind != kindData {
			return r.p.corrupt(seq, errors.Join(errors.New("read differently a second time"), err).Error())
		}
		return r.apply(seq, rec)
	})
}
