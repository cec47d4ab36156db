package journal

import (
	"context"
	"errors"
	"fmt"
)

// sent identifies a record whose outcome is unknown.
type sent struct {
	number uint64
	crc    uint32
}

// settle finds out what became of the record s, nil if nothing is under way (rule N11, see the package comment). Afterwards the record is either in
// the log, or will never be.
func (p *partition) settle(ctx context.Context, s *sent) (landed bool, err error) {
	p.metrics.settle()
	return p.decide(ctx, s)
}

// decide writes an epoch record and looks what is before it.
func (p *partition) decide(ctx context.Context, s *sent) (landed bool, err error) {
	end, err := p.claim(ctx, func(ctx context.Context, info StreamInfo) error {
		_, err := p.scan(ctx, info.Last, s)
		return err
	})
	if err != nil {
		return false, err
	}
	err = p.persist(ctx, "read the tail", func(ctx context.Context) error {
		landed, err = p.scan(ctx, end, s)
		return err
	})
	if err != nil {
		return false, err
	}
	p.last = end
	return landed, nil
}

// claim writes an epoch record and returns its sequence. Before each try it has the tail checked, then asks for the lease.
func (p *partition) claim(ctx context.Context, check func(context.Context, StreamInfo) error) (seq uint64, err error) {
	err = p.persist(ctx, "write an epoch record", func(ctx context.Context) error {
		info, err := p.info(ctx)
		if err != nil {
			return err
		}
		p.resize(info)
		if info.Last < p.last {
			return p.corrupt(info.Last, fmt.Sprintf("the stream ends here, but sequence %d was acknowledged", p.last))
		}
		if err := check(ctx, info); err != nil {
			return err
		}
		if !p.owner.valid() {
			return ErrNoLease
		}
		seq, err = p.append(ctx, epochRecord(p.owner.Epoch), Unconditional, 0)
		if err == nil && seq <= info.Last {
			return p.corrupt(seq, fmt.Sprintf("an epoch record got this sequence after %d", info.Last))
		}
		return err
	})
	return seq, err
}

// scan looks at the records behind the last known one, up to the sequence to: at most s may be among them, beside epoch records.
func (p *partition) scan(ctx context.Context, to uint64, s *sent) (landed bool, err error) {
	high := uint64(0)
	if p.begun {
		high = p.owner.Epoch
	}
	if to <= p.last {
		return false, nil
	}
	err = p.streams.Read(ctx, p.name, p.last+1, to, func(seq uint64, b []byte) error {
		r, err := decodeRecord(b)
		switch {
		case err != nil:
			return p.corrupt(seq, err.Error())
		case r.epoch > p.owner.Epoch:
			return fmt.Errorf("epoch %d at sequence %d: %w", r.epoch, seq, ErrFenced)
		case r.epoch < high:
			return nil // landed late, every replay drops it
		}
		high = r.epoch
		switch {
		case r.kind == kindEpoch:
			return nil
		case s != nil && !landed && r.epoch == p.owner.Epoch && r.number == s.number && r.crc == s.crc:
			landed = true
			return nil
		}
		return fmt.Errorf("record %d of epoch %d at sequence %d is not known here: %w", r.number, r.epoch, seq, ErrFenced)
	})
	if p.purged(ctx, err) {
		err = fmt.Errorf("the records behind sequence %d are purged already: %w", p.last, ErrFenced)
	}
	return landed, err
}

// purged reports whether err is about a record that a snapshot of another owner made superfluous meanwhile.
func (p *partition) purged(ctx context.Context, err error) bool {
	var missing *CorruptError
	if !errors.As(err, &missing) {
		return false
	}
	info, err := p.info(ctx)
	return err == nil && info.First > missing.Sequence
}

// begin makes the stream and writes the epoch record if Open postponed them.
func (p *partition) begin(ctx context.Context) error {
	if p.begun {
		return nil
	}
	err := p.persist(ctx, "make the stream", func(ctx context.Context) error { return p.create(ctx, p.name) })
	if err != nil {
		return err
	}
	if _, err := p.decide(ctx, nil); err != nil {
		return err
	}
	p.begun = true
	return nil
}

// persist repeats fn until it succeeds, can not succeed any more, the lease is gone or ctx ends.
func (p *partition) persist(ctx context.Context, what string, fn func(context.Context) error) error {
	var b backoff
	for {
		err := fn(ctx)
		if err == nil || final(err) {
			return err
		}
		if ctx.Err() == nil && !p.owner.valid() {
			err = errors.Join(ErrNoLease, err)
			return fmt.Errorf("%s: %w", what, err)
		}
		if b.next == 0 {
			p.log.Warn("the storage does not answer, trying again", "step", what, "error", err)
		}
		if stop := b.wait(ctx); stop != nil {
			return fmt.Errorf("%s: %w", what, errors.Join(stop, err))
		}
	}
}

// read calls fn for the records from..to and goes on where it stopped when the storage fails; an error of fn ends it.
func (p *partition) read(ctx context.Context, name string, from, to uint64, fn func(uint64, []byte) error) error {
	var failed error
	err := p.persist(ctx, "read "+name, func(ctx context.Context) error {
		err := p.streams.Read(ctx, name, from, to, func(seq uint64, b []byte) error {
			failed = fn(seq, b)
			if failed == nil {
				from = seq + 1
			}
			return failed
		})
		if failed != nil {
			return nil
		}
		return err
	})
	if failed != nil {
		return failed
	}
	return err
}

func (p *partition) info(ctx context.Context) (StreamInfo, error) {
	info, err := p.lookUp(ctx)
	if err == nil && !info.Exists {
		return info, p.corrupt(0, "the stream is gone")
	}
	return info, err
}

func (p *partition) lookUp(ctx context.Context) (StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	return p.streams.Info(ctx, p.name)
}

func (p *partition) create(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	return p.streams.Create(ctx, name)
}

func (p *partition) corrupt(seq uint64, reason string) error {
	return &CorruptError{Stream: p.name, Sequence: seq, Reason: reason}
}
