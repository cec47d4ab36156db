package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// Deps are what the code around a store gives it; each may be nil.
type Deps struct {
	Log     *slog.Logger
	Metrics *Metrics     // shared by all logs of the process
	Readers []*nats.Conn // see NewJetStreams; no use for other streams
	// Full hears when the stream of an open log passes 70 % of its limit (true), and when it is below 60 % again or the log is closed (false); nil: nobody.
	// It is called by the goroutine that appends, and must not block.
	Full func(name string, full bool, used, limit int64)
}

// New returns a store over streams.
func New(s Streams, o Options, d Deps) Store {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Metrics == nil {
		d.Metrics = NewMetrics(nil)
	}
	return &store{streams: s, opts: o.withDefaults(), deps: d, meter: &meter{}}
}

type store struct {
	streams Streams
	opts    Options
	deps    Deps
	meter   *meter
}

// Open implements Store.
func (s *store) Open(ctx context.Context, name string, owner Owner, m Machine) (Log, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	l := &partition{
		name: name, owner: owner, streams: s.streams, opts: s.opts, meter: s.meter, metrics: s.deps.Metrics,
		log:  s.deps.Log.With("journal", name, "epoch", owner.Epoch),
		fill: s.deps.Full,
		wake: make(chan struct{}, 1), ended: make(chan struct{}), lost: make(chan struct{}),
	}
	l.maxEvent = s.streams.MaxRecord() - headerSize - eventSize(nil)
	start := time.Now()
	if err := l.takeOver(ctx, m); err != nil {
		return nil, fmt.Errorf("open journal %q at epoch %d: %w", name, owner.Epoch, err)
	}
	l.metrics.replayed(time.Since(start))
	l.start(ctx)
	return l, nil
}

// checkName allows what a stream name and a subject token both allow.
func checkName(name string) error {
	if name == "" || len(name) > 128 {
		return fmt.Errorf("journal name %q: must have 1 to 128 characters", name)
	}
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-') {
			return fmt.Errorf("journal name %q: only letters, digits, - and _ are allowed", name)
		}
	}
	return nil
}

func (o Owner) valid() bool { return o.Valid == nil || o.Valid() }

// final reports that trying again can not help.
func final(err error) bool {
	var corrupt *CorruptError
	return errors.Is(err, ErrFenced) || errors.Is(err, ErrNoLease) || errors.Is(err, ErrStorageClosed) ||
		errors.Is(err, ErrLevel) || errors.As(err, &corrupt)
}

// Fence writes an epoch record into the log name, which is made if it is absent: every owner of a lower epoch steps down at its next append.
// Operators use it to shut out an owner by hand, tests to play a newer owner.
func Fence(ctx context.Context, s Streams, name string, epoch uint64) error {
	if err := checkName(name); err != nil {
		return err
	}
	if err := s.Create(ctx, name); err != nil {
		return fmt.Errorf("fence journal %q: %w", name, err)
	}
	if _, err := s.Append(ctx, name, epochRecord(epoch), Unconditional); err != nil {
		return fmt.Errorf("fence journal %q: %w", name, err)
	}
	return nil
}

// backoff waits between two tries of something that failed: 10 ms doubling up to limit, 1 s if that is 0.
type backoff struct{ next, limit time.Duration }

func (b *backoff) wait(ctx context.Context) error {
	set(&b.limit, time.Second)
	b.next = min(max(2*b.next, 10*time.Millisecond), b.limit)
	t := time.NewTimer(b.next)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
