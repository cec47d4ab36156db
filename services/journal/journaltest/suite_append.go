package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/pando-mq/pando/services/journal"
)

var appendCases = []contractCase{
	{"Append: it never blocks", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		held, release := e.Hold(e.name)
		r := newResults()
		appendAll(t, l, r, "a")
		<-held
		appendAll(t, l, r, "b", "c")
		if n := r.count(); n != 0 {
			t.Errorf("%d callbacks before the append was durable", n)
		}
		if s := l.Stats(); s.PendingEvents != 3 || s.PendingBytes != 3 {
			t.Errorf("pending: %d events, %d bytes, want 3 and 3", s.PendingEvents, s.PendingBytes)
		}
		release()
		r.wait(t, 3)
	}},
	{"Append: what gathered while an append was under way is one record", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		held, release := e.Hold(e.name)
		r := newResults()
		appendAll(t, l, r, "a")
		<-held
		appendAll(t, l, r, "b", "c", "d")
		release()
		r.wait(t, 4)
		if s := l.Stats(); s.Batches != 2 || s.Events != 4 {
			t.Errorf("%d batches with %d events, want 2 with 4", s.Batches, s.Events)
		}
	}},
	{"Append: a record is limited in bytes", func(t *testing.T, e *env) {
		e.opts.MaxRecord = 64
		l, _ := e.open(t, 1)
		held, release := e.Hold(e.name)
		r := newResults()
		large := string(bytes.Repeat([]byte("x"), 500))
		appendAll(t, l, r, "a")
		<-held
		appendAll(t, l, r, large, "0123456789-1", "0123456789-2", "0123456789-3")
		release()
		r.wait(t, 5)
		if s := l.Stats(); s.Batches != 4 {
			t.Errorf("%d batches, want 4", s.Batches)
		}
		wantEvents(t, e.reopen(t, l, 2), "a", large, "0123456789-1", "0123456789-2", "0123456789-3")
	}},
	{"Append: The event is copied", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		held, release := e.Hold(e.name)
		r := newResults()
		appendAll(t, l, r, "a")
		<-held
		b := []byte("b")
		if err := l.Append(b, r.done("b")); err != nil {
			t.Fatal(err)
		}
		b[0] = 'x'
		release()
		r.wait(t, 2)
		wantEvents(t, e.reopen(t, l, 2), "a", "b")
	}},
	{"Append: an event may be empty", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "")
		wantEvents(t, e.reopen(t, l, 2), "")
	}},
	{"Append: done is called exactly once, in the order of Append", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		r := newResults()
		var want []string
		for i := range 500 {
			want = append(want, fmt.Sprint(i))
		}
		appendAll(t, l, r, want...)
		r.wait(t, len(want))
		if !slices.Equal(r.acked(), want) {
			t.Error("the callbacks came in another order")
		}
		wantEvents(t, e.reopen(t, l, 2), want...)
		for event, errs := range r.errs {
			if len(errs) != 1 {
				t.Errorf("%d callbacks for %q", len(errs), event)
			}
		}
	}},
	{"Append: nil when the event is durable: it survives an owner that is gone", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a", "b")
		_, m := e.open(t, 2)
		wantEvents(t, m.List, "a", "b")
	}},
	{"Append: after a non-nil error no later event succeeds", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		held, release := e.Hold(e.name)
		r := newResults()
		appendAll(t, l, r, "b")
		<-held
		appendAll(t, l, r, "c", "d")
		if err := e.Fence(t.Context(), e.name, 2); err != nil {
			t.Fatal(err)
		}
		release()
		wantLost(t, l, journal.ErrFenced)
		if got := r.acked(); r.count() != 3 || len(got) != 0 {
			t.Errorf("%d callbacks, nil for %q, want 3 errors", r.count(), got)
		}
		wantError(t, l.Append([]byte("e"), r.done("e")), journal.ErrFenced)
	}},
	{"Append: done may call Append", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		r := newResults()
		err := l.Append([]byte("a"), func(error) {
			if err := l.Append([]byte("b"), r.done("b")); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		r.wait(t, 1)
		wantEvents(t, e.reopen(t, l, 2), "a", "b")
	}},
	{"Append: done may be nil", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		if err := l.Append([]byte("a"), nil); err != nil {
			t.Fatal(err)
		}
		wantEvents(t, e.reopen(t, l, 2), "a")
	}},
	{"Append: ErrFull above the byte bound of pending events", func(t *testing.T, e *env) {
		e.opts.MaxPending = 10
		l, _ := e.open(t, 1)
		held, release := e.Hold(e.name)
		r := newResults()
		appendAll(t, l, r, "12345678")
		<-held
		appendAll(t, l, r, "90")
		wantError(t, l.Append([]byte("x"), r.done("x")), journal.ErrFull)
		release()
		r.wait(t, 2)
		write(t, l, "an event that is larger than the bound, alone")
		if r.count() != 2 {
			t.Error("an event that was not queued got a callback")
		}
	}},
	{"Append: ErrTooLarge", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		largest := bytes.Repeat([]byte("x"), e.MaxRecord()-100)
		wantError(t, l.Append(append(largest, largest...), nil), journal.ErrTooLarge)
		write(t, l, string(largest))
		wantEvents(t, e.reopen(t, l, 2), string(largest))
	}},
	{"Append: ErrClosed after Close", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		if err := l.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantError(t, l.Append([]byte("a"), nil), journal.ErrClosed)
	}},
}

var settleCases = []contractCase{
	{"settling: an append that was lost is appended again, once", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		e.Drop(e.name)
		e.Drop(e.name)
		write(t, l, "b")
		write(t, l, "c")
		wantEvents(t, e.reopen(t, l, 2), "a", "b", "c")
	}},
	{"settling: an append that landed is not appended again", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		e.LoseAnswer(e.name)
		write(t, l, "b")
		write(t, l, "c")
		wantEvents(t, e.reopen(t, l, 2), "a", "b", "c")
	}},
	{"settling: an append that arrives after it was settled does not land", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		land := e.Late(e.name)
		write(t, l, "b")
		wantError(t, land(t.Context()), journal.ErrRefused)
		write(t, l, "c")
		wantEvents(t, e.reopen(t, l, 2), "a", "b", "c")
	}},
	{"settling: a late epoch record of an older epoch does not make the owner step down", func(t *testing.T, e *env) {
		l, _ := e.open(t, 5)
		write(t, l, "a")
		if err := e.Fence(t.Context(), e.name, 4); err != nil {
			t.Fatal(err)
		}
		write(t, l, "b")
		wantEvents(t, e.reopen(t, l, 6), "a", "b")
	}},
	{"settling and Open: a late record of events of an older epoch is dropped", func(t *testing.T, e *env) {
		old, _ := e.open(t, 1)
		write(t, old, "a")
		l, _ := e.open(t, 2)
		write(t, l, "b")
		if _, err := e.Streams.Append(t.Context(), e.name, e.at(t, 2), journal.Unconditional); err != nil { // "a" once more
			t.Fatal(err)
		}
		write(t, l, "c")
		wantEvents(t, e.reopen(t, l, 3), "a", "b", "c")
	}},
	{"settling: a newer epoch in the tail: step down and write nothing", func(t *testing.T, e *env) {
		l, _ := e.open(t, 5)
		write(t, l, "a")
		if err := e.Fence(t.Context(), e.name, 6); err != nil {
			t.Fatal(err)
		}
		before := e.info(t, e.name).Last
		r := newResults()
		appendAll(t, l, r, "b")
		wantLost(t, l, journal.ErrFenced)
		if after := e.info(t, e.name).Last; after != before {
			t.Errorf("the log ends at sequence %d, want %d", after, before)
		}
	}},
	{"settling: a second log of the same epoch is another owner", func(t *testing.T, e *env) {
		first, _ := e.open(t, 5)
		write(t, first, "a")
		second, _ := e.open(t, 5)
		write(t, second, "b")
		r := newResults()
		appendAll(t, first, r, "c")
		wantLost(t, first, journal.ErrFenced)
		wantEvents(t, e.reopen(t, second, 6), "a", "b")
	}},
	{"settling: an outage ends, nothing is lost", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		e.SetDown(e.name, true)
		r := newResults()
		appendAll(t, l, r, "b", "c")
		e.SetDown(e.name, false)
		r.wait(t, 2)
		wantEvents(t, e.reopen(t, l, 2), "a", "b", "c")
	}},
	{"settling: a full stream makes appends wait", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		e.SetFull(e.name, true)
		r := newResults()
		appendAll(t, l, r, "b")
		if n := r.count(); n != 0 {
			t.Errorf("%d callbacks while the stream is full", n)
		}
		e.SetFull(e.name, false)
		r.wait(t, 1)
		wantEvents(t, e.reopen(t, l, 2), "a", "b")
	}},
	{"settling: a full stream does not hide a newer owner", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		if err := e.Fence(t.Context(), e.name, 2); err != nil {
			t.Fatal(err)
		}
		e.SetFull(e.name, true)
		r := newResults()
		appendAll(t, l, r, "b")
		wantLost(t, l, journal.ErrFenced)
	}},
	{"settling: a stream that lost its end is not served", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		e.SetShorter(e.name, 1)
		e.Drop(e.name)
		r := newResults()
		appendAll(t, l, r, "b")
		r.wait(t, 1)
		var corrupt *journal.CorruptError
		if !errors.As(r.errs["b"][0], &corrupt) {
			t.Errorf("the log ended with %v", r.errs["b"][0])
		}
	}},
}

var closeCases = []contractCase{
	{"Lost: closed when the log ended by itself. All callbacks were called before", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		if err := e.Fence(t.Context(), e.name, 2); err != nil {
			t.Fatal(err)
		}
		r := newResults()
		appendAll(t, l, r, "b", "c")
		wantLost(t, l, journal.ErrFenced)
		if r.count() != 2 {
			t.Errorf("%d callbacks before Lost, want 2", r.count())
		}
		wantError(t, l.Close(t.Context()), journal.ErrFenced)
	}},
	{"Err: nil while it runs and after a clean Close", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		wantError(t, l.Err(), nil)
		wantError(t, l.Close(t.Context()), nil)
		wantError(t, l.Err(), nil)
		select {
		case <-l.Lost():
			t.Error("Lost is closed after a clean Close")
		default:
		}
	}},
	{"Close: waits until the pending ones are durable", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		held, release := e.Hold(e.name)
		r := newResults()
		appendAll(t, l, r, "a")
		<-held
		appendAll(t, l, r, "b")
		closed := make(chan error, 1)
		go func() { closed <- l.Close(t.Context()) }()
		eventually(t, "Append is refused", func() bool { return errors.Is(l.Append(nil, nil), journal.ErrClosed) })
		if r.count() != 0 {
			t.Error("a callback came before the append was durable")
		}
		release()
		wantError(t, <-closed, nil)
		if got := r.acked(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("durable: %q", got)
		}
		_, m := e.open(t, 2)
		if len(m.List) < 2 {
			t.Errorf("replayed %q", m.List)
		}
	}},
	{"Close: When ctx ends first, the pending events fail with its error", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		held, _ := e.Hold(e.name)
		r := newResults()
		appendAll(t, l, r, "a", "b")
		<-held
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantError(t, l.Close(ctx), context.Canceled)
		if r.count() != 2 || len(r.acked()) != 0 {
			t.Errorf("callbacks: %v", r.errs)
		}
		wantError(t, r.errs["b"][0], context.Canceled)
	}},
	{"Close: may be called again", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		wantError(t, l.Close(t.Context()), nil)
		wantError(t, l.Close(t.Context()), nil)
	}},
}
