package authsvc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/authsvc/store"
)

// A feed is used as a journal.Machine, whose methods have no context; what they
// do is bounded by storeTimeout instead.

const (
	journalName = "AU"
	fileName    = "auth.db"
	// feedBatch events are applied in one transaction at most.
	feedBatch = 512
	// storeTimeout bounds one transaction, so that no feeder waits for ever.
	storeTimeout = time.Minute
)

// errHistory says that the projection was made from another journal than the
// one that is read.
var errHistory = errors.New("the projection is of another history than the journal")

// projection is this replica's copy of the journal. Any number of feeds may
// fill it at the same time: events are numbered, so each counts once.
type projection struct {
	path    string
	db      atomic.Pointer[store.Store]
	ready   atomic.Bool // it was at the journal's end, and was not reset since
	changed signal      // raised after each change
	damaged chan error  // 1 slot: the file was found damaged
	broken  atomic.Bool // it is to be made anew
}

func newProjection(dir string) *projection {
	return &projection{path: filepath.Join(dir, fileName), damaged: make(chan error, 1)}
}

// open opens the file. A damaged one is replaced by an empty one, because the
// journal fills it again.
func (p *projection) open(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(p.path), 0o750); err != nil {
		return err
	}
	db, err := store.Open(ctx, p.path)
	if errors.Is(err, store.ErrCorrupt) {
		return p.recreate(ctx)
	}
	if err != nil {
		return err
	}
	p.db.Store(db)
	return nil
}

// recreate replaces the file by an empty one. Look-ups under way fail.
func (p *projection) recreate(ctx context.Context) error {
	p.ready.Store(false)
	if old := p.db.Load(); old != nil {
		if err := old.Close(); err != nil {
			return fmt.Errorf("close users database: %w", err)
		}
	}
	if err := store.Remove(p.path); err != nil {
		return fmt.Errorf("remove users database: %w", err)
	}
	db, err := store.Open(ctx, p.path)
	if err != nil {
		return err
	}
	p.db.Store(db)
	p.broken.Store(false)
	select {
	case <-p.damaged: // of the old file
	default:
	}
	p.changed.raise()
	return nil
}

// reset empties the projection; it is not ready until a feed filled it.
func (p *projection) reset(ctx context.Context) error {
	p.ready.Store(false)
	defer p.changed.raise()
	return p.db.Load().Reset(ctx)
}

// report takes note of an error of a look-up.
func (p *projection) report(err error) {
	if errors.Is(err, store.ErrCorrupt) {
		select {
		case p.damaged <- err:
		default:
		}
	}
}

func (p *projection) apply(ctx context.Context, events ...store.Event) error {
	if len(events) == 0 {
		return nil
	}
	defer p.changed.raise()
	return p.db.Load().Apply(ctx, events...)
}

func (p *projection) applied() uint64 { return p.db.Load().Applied() }

// waitApplied waits until the event of a sequence number is in the projection.
func (p *projection) waitApplied(ctx context.Context, sequence uint64) error {
	return p.changed.until(ctx, func() bool { return p.applied() >= sequence })
}

// feed is one reading of the journal into the projection, a journal.Machine.
// Events gather until flush.
type feed struct {
	p       *projection
	floor   uint64 // what the projection had when the reading began: the journal must have it too
	seen    uint64 // sequence number of the last event read
	pending []store.Event
}

func newFeed(p *projection) *feed { return &feed{p: p, floor: p.applied()} }

// Restore implements journal.Machine. A snapshot of what the projection has
// already is passed over: the events behind it show whether the two agree.
func (f *feed) Restore(snapshot []byte) error {
	f.pending, f.seen, f.floor = nil, 0, f.p.applied()
	if snapshot == nil {
		return nil
	}
	seq, err := store.SnapshotSequence(snapshot)
	if err != nil {
		return err
	}
	f.seen = seq
	if seq < f.p.applied() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	defer f.p.changed.raise()
	return f.p.db.Load().Restore(ctx, snapshot)
}

// Apply implements journal.Machine.
func (f *feed) Apply(event []byte) error { return f.checked(f.take(event)) }

// checked answers an error: a projection of another history is emptied, so
// that the next reading fills it; a damaged file is reported.
func (f *feed) checked(err error) error {
	if !errors.Is(err, errHistory) {
		f.p.report(err)
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return errors.Join(err, f.p.reset(ctx))
}

func (f *feed) take(event []byte) error {
	e, err := store.DecodeEvent(event)
	if err != nil {
		return err
	}
	if e.Sequence != f.seen+1 {
		return fmt.Errorf("event %d follows event %d: %w", e.Sequence, f.seen, store.ErrGap)
	}
	f.seen = e.Sequence
	at, tip := f.p.db.Load().Tip()
	switch {
	case e.Sequence < at:
		return nil
	case e.Sequence == at:
		return f.compare(e, tip)
	}
	f.pending = append(f.pending, e)
	if len(f.pending) < feedBatch {
		return nil
	}
	return f.flush()
}

// compare makes sure that the journal's event is the one that was applied.
func (f *feed) compare(e store.Event, tip string) error {
	digest, err := e.Digest()
	if err == nil && tip != "" && digest != tip {
		return fmt.Errorf("event %d: %w", e.Sequence, errHistory)
	}
	return err
}

// flush applies what gathered.
func (f *feed) flush() error {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if err := f.p.apply(ctx, f.pending...); err != nil {
		return err
	}
	clear(f.pending)
	f.pending = f.pending[:0]
	return nil
}

// finish is flush at the journal's end.
func (f *feed) finish() error {
	if err := f.flush(); err != nil {
		return f.checked(err)
	}
	if at := f.p.applied(); at < f.seen { // emptied meanwhile
		return fmt.Errorf("event %d was read, the projection ends at event %d: %w", f.seen, at, store.ErrGap)
	}
	if f.seen < f.floor {
		return f.checked(fmt.Errorf("the journal ends at event %d, event %d was applied: %w", f.seen, f.floor, errHistory))
	}
	return nil
}
