package journaltest

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pando-mq/pando/services/journal"
)

var openCases = []contractCase{
	{"Open: settles the tail, writes the epoch record", func(t *testing.T, e *env) {
		old, _ := e.open(t, 1)
		write(t, old, "a")
		held, release := e.Hold(e.name) // "b" is in the network while the next owner opens
		r := newResults()
		appendAll(t, old, r, "b")
		<-held
		next, m := e.open(t, 2)
		wantEvents(t, m.List, "a")
		release()
		r.wait(t, 1)
		wantLost(t, old, journal.ErrFenced)
		write(t, next, "c")
		wantEvents(t, e.reopen(t, next, 3), "a", "c")
	}},
	{"Open: restores the snapshot the log starts with, replays the events after it", func(t *testing.T, e *env) {
		l, m := e.open(t, 1)
		e.writeInto(t, l, m, "a", "b")
		e.snapshot(t, l, m)
		e.writeInto(t, l, m, "c")
		restored := &countRestores{}
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		l, err := e.try(t.Context(), 2, restored)
		if err != nil {
			t.Fatal(err)
		}
		stop(t, l)
		wantEvents(t, restored.List, "a", "b", "c")
		if restored.restores != 1 || restored.applied != 1 {
			t.Errorf("%d restores and %d events applied, want 1 and 1", restored.restores, restored.applied)
		}
	}},
	{"Open: A log that was never written makes no stream", func(t *testing.T, e *env) {
		l, m := e.open(t, 1)
		l.Snapshot(m.State())
		wantEvents(t, e.reopen(t, l, 2))
		if e.info(t, e.name).Exists || e.info(t, "SNAP_"+e.name).Exists {
			t.Error("there is a stream")
		}
	}},
	{"Open: ErrFenced if a newer epoch is in the log", func(t *testing.T, e *env) {
		l, _ := e.open(t, 7)
		write(t, l, "a")
		_, err := e.try(t.Context(), 6, &Events{})
		wantError(t, err, journal.ErrFenced)
		write(t, l, "b")
	}},
	{"Open: ErrFenced if a newer epoch is in the log, behind a late record of an older one", func(t *testing.T, e *env) {
		for _, epoch := range []uint64{7, 5} {
			if err := e.Fence(t.Context(), e.name, epoch); err != nil {
				t.Fatal(err)
			}
		}
		_, err := e.try(t.Context(), 6, &Events{})
		wantError(t, err, journal.ErrFenced)
	}},
	{"Open: ErrNoLease if owner.Valid said no", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		before := e.info(t, e.name).Last
		_, err := e.store().Open(t.Context(), e.name, journal.Owner{Epoch: 2, Valid: func() bool { return false }}, &Events{})
		wantError(t, err, journal.ErrNoLease)
		if after := e.info(t, e.name).Last; after != before {
			t.Errorf("an owner without a lease wrote up to sequence %d, was %d", after, before)
		}
	}},
	{"Open: CorruptError if the log holds something else than was written", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		for _, event := range []string{"a", "b", "c"} {
			write(t, l, event)
		}
		flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
		for _, c := range []struct {
			reason string
			seq    uint64
			change func([]byte) []byte
		}{
			{"crc does not match", 3, flip},
			{"crc does not match", e.info(t, e.name).Last, flip},
			{"record too short", 2, func(b []byte) []byte { return b[:20] }},
			{"unknown record format 9", 2, func(b []byte) []byte { b[0] = 9; return b }},
			{"batch 1 follows batch 1", 3, func([]byte) []byte { return e.at(t, 2) }},
			{"batch 3 follows batch 0", 2, func([]byte) []byte { return e.at(t, 4) }},
		} {
			e.Tamper(e.name, c.seq, c.change)
			_, err := e.try(t.Context(), 2, &Events{})
			e.Tamper(e.name, c.seq, nil)
			var corrupt *journal.CorruptError
			if !errors.As(err, &corrupt) || corrupt.Stream != e.name || corrupt.Sequence != c.seq || !strings.Contains(corrupt.Reason, c.reason) {
				t.Errorf("sequence %d: error is %v, want: %s", c.seq, err, c.reason)
			}
		}
	}},
	{"Open: CorruptError if records are missing", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		write(t, l, "b")
		if err := e.Streams.Purge(t.Context(), e.name, 3); err != nil {
			t.Fatal(err)
		}
		_, err := e.try(t.Context(), 2, &Events{})
		var corrupt *journal.CorruptError
		if !errors.As(err, &corrupt) || corrupt.Sequence != 3 {
			t.Errorf("error is %v, want one of sequence 3", err)
		}
	}},
	{"Open: the error of m", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		_, err := e.try(t.Context(), 2, refusing{})
		wantError(t, err, errRefusing)
	}},
	{"Open: ctx bounds Open only, not the life of the Log", func(t *testing.T, e *env) {
		ctx, cancel := context.WithCancel(t.Context())
		l, err := e.try(ctx, 1, &Events{})
		if err != nil {
			t.Fatal(err)
		}
		stop(t, l)
		cancel()
		write(t, l, "a")
		e.SetDown(e.name, true)
		_, err = e.try(ctx, 2, &Events{})
		wantError(t, err, context.Canceled)
		e.SetDown(e.name, false)
	}},
	{"Owner: Valid is asked before every epoch record", func(t *testing.T, e *env) {
		var valid atomic.Bool
		valid.Store(true)
		l, err := e.store().Open(t.Context(), e.name, journal.Owner{Epoch: 1, Valid: valid.Load}, &Events{})
		if err != nil {
			t.Fatal(err)
		}
		stop(t, l)
		write(t, l, "a")
		before := e.info(t, e.name).Last
		valid.Store(false)
		write(t, l, "b") // data needs no lease
		e.Drop(e.name)
		r := newResults()
		appendAll(t, l, r, "c")
		wantLost(t, l, journal.ErrNoLease)
		if after := e.info(t, e.name).Last; after != before+1 {
			t.Errorf("the log ends at sequence %d, want %d", after, before+1)
		}
	}},
	{"Open: the epoch record waits for the first event: a newer owner wrote first", func(t *testing.T, e *env) {
		old, _ := e.open(t, 1)
		next, _ := e.open(t, 2)
		write(t, next, "a")
		r := newResults()
		appendAll(t, old, r, "b")
		wantLost(t, old, journal.ErrFenced)
		write(t, next, "c")
		wantEvents(t, e.reopen(t, next, 3), "a", "c")
	}},
	{"Open: the epoch record waits for the first event: an older owner wrote meanwhile", func(t *testing.T, e *env) {
		old, _ := e.open(t, 1)
		next, _ := e.open(t, 2)
		write(t, old, "a")
		r := newResults()
		appendAll(t, next, r, "b")
		wantLost(t, next, journal.ErrFenced)
		_, m := e.open(t, 3)
		wantEvents(t, m.List, "a")
	}},
	{"Open: the epoch record waits for the first event: no lease, no record", func(t *testing.T, e *env) {
		l, err := e.store().Open(t.Context(), e.name, journal.Owner{Epoch: 1, Valid: func() bool { return false }}, &Events{})
		if err != nil {
			t.Fatal(err)
		}
		stop(t, l)
		r := newResults()
		appendAll(t, l, r, "a")
		wantLost(t, l, journal.ErrNoLease)
		if last := e.info(t, e.name).Last; last != 0 {
			t.Errorf("the log ends at sequence %d, want 0", last)
		}
	}},
	{"Open: an empty stream is fenced at once", func(t *testing.T, e *env) {
		if err := e.Streams.Create(t.Context(), e.name); err != nil {
			t.Fatal(err)
		}
		l, _ := e.open(t, 1)
		if last := e.info(t, e.name).Last; last != 1 {
			t.Errorf("the log ends at sequence %d, want the epoch record at 1", last)
		}
		write(t, l, "a")
	}},
}

var errRefusing = errors.New("no such event")

type refusing struct{}

func (refusing) Restore([]byte) error { return errRefusing }
func (refusing) Apply([]byte) error   { return errRefusing }

type countRestores struct {
	Events
	restores, applied int
}

func (m *countRestores) Restore(b []byte) error {
	m.restores++
	return m.Events.Restore(b)
}

func (m *countRestores) Apply(b []byte) error {
	m.applied++
	return m.Events.Apply(b)
}

// at reads one record as it is stored.
func (e *env) at(t *testing.T, seq uint64) (record []byte) {
	err := e.Streams.Read(t.Context(), e.name, seq, seq, func(_ uint64, b []byte) error { record = b; return nil })
	if err != nil {
		t.Error(err)
	}
	return record
}
