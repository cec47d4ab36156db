package journaltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/journal"
)

// tail is a machine that follows a log, and what the test sees of it.
type tail struct {
	mu       sync.Mutex
	events   Events
	restored [][]byte
	seen     [][]string // the events at each caughtUp that saw a change
	looks    int
	refuse   error
}

func (f *tail) Restore(snapshot []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.restored = append(f.restored, snapshot)
	return f.events.Restore(snapshot)
}

func (f *tail) Apply(event []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refuse; err != nil {
		f.refuse = nil
		return err
	}
	return f.events.Apply(event)
}

func (f *tail) caughtUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	if len(f.seen) == 0 || !slices.Equal(f.seen[len(f.seen)-1], f.events.List) {
		f.seen = append(f.seen, slices.Clone(f.events.List))
	}
}

// list is what m had at the last caughtUp.
func (f *tail) list() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.seen) == 0 {
		return nil
	}
	return f.seen[len(f.seen)-1]
}

func (f *tail) count(of func() int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return of()
}

func (f *tail) restores() int { return f.count(func() int { return len(f.restored) }) }

// wants waits until the follower has exactly these events.
func (f *tail) wants(t *testing.T, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("the follower has %q", want), func() bool { return f.looked() && slices.Equal(f.list(), want) })
}

func (f *tail) looked() bool { return f.count(func() int { return f.looks }) > 0 }

// follow follows the log until the test ends.
func (e *env) follow(t *testing.T, s journal.Streams) *tail {
	t.Helper()
	f := &tail{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- journal.New(s, e.opts, journal.Deps{Log: e.log}).Follow(ctx, e.name, f, f.caughtUp) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Follow ended with %v", err)
		}
	})
	return f
}

var followCases = []contractCase{
	{"Follow: begins with Restore, then m gets every event in order", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a", "b")
		f := e.follow(t, e.Streams)
		f.wants(t, "a", "b")
		if f.restores() != 1 || f.restored[0] != nil {
			t.Errorf("restored %q, want the empty state once", f.restored)
		}
		write(t, l, "c")
		f.wants(t, "a", "b", "c")
		next, _ := e.open(t, 2)
		write(t, next, "d")
		f.wants(t, "a", "b", "c", "d")
		if f.restores() != 1 {
			t.Errorf("restored %d times", f.restores())
		}
	}},
	{"Follow: it writes nothing and makes no stream", func(t *testing.T, e *env) {
		f := e.follow(t, e.Streams)
		f.wants(t)
		if e.info(t, e.name).Exists {
			t.Error("there is a stream")
		}
		l, _ := e.open(t, 1)
		write(t, l, "a")
		last := e.info(t, e.name).Last
		f.wants(t, "a")
		if got := e.info(t, e.name).Last; got != last {
			t.Errorf("the log went from %d to %d records", last, got)
		}
	}},
	{"Follow: behind the owner at most 200 ms", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		f := e.follow(t, e.Streams)
		f.wants(t)
		best := time.Hour
		var want []string
		for i := range 5 { // the best of five: a busy machine may delay one
			want = append(want, fmt.Sprint(i))
			start := time.Now()
			write(t, l, want[i])
			f.wants(t, want...)
			best = min(best, time.Since(start))
		}
		if best > 200*time.Millisecond {
			t.Errorf("the fastest of five took %v", best)
		}
	}},
	{"Follow: with the snapshot that the log starts with", func(t *testing.T, e *env) {
		l, m := e.open(t, 1)
		e.writeInto(t, l, m, "a", "b")
		e.snapshot(t, l, m)
		e.writeInto(t, l, m, "c")
		f := e.follow(t, e.Streams)
		f.wants(t, "a", "b", "c")
		if f.restores() != 1 || len(f.restored[0]) == 0 {
			t.Errorf("restored %q, want the snapshot once", f.restored)
		}
		e.writeInto(t, l, m, "d")
		f.wants(t, "a", "b", "c", "d")
		e.snapshot(t, l, m) // of what the follower has: nothing is restored
		e.writeInto(t, l, m, "e")
		f.wants(t, "a", "b", "c", "d", "e")
		if f.restores() != 1 {
			t.Errorf("restored %d times", f.restores())
		}
	}},
	{"Follow: purged past the place reached: it begins again", func(t *testing.T, e *env) {
		l, m := e.open(t, 1)
		e.writeInto(t, l, m, "a")
		cut := NewFaults(e.Streams)
		f := e.follow(t, cut)
		f.wants(t, "a")
		cut.SetDown(e.name, true)
		e.writeInto(t, l, m, "b")
		e.writeInto(t, l, m, "c")
		e.snapshot(t, l, m)
		e.writeInto(t, l, m, "d")
		cut.SetDown(e.name, false)
		f.wants(t, "a", "b", "c", "d")
		if f.restores() != 2 {
			t.Errorf("restored %d times, want 2", f.restores())
		}
	}},
	{"Follow: a storage that does not answer is asked again", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		cut := NewFaults(e.Streams)
		cut.SetDown(e.name, true)
		f := e.follow(t, cut)
		write(t, l, "b")
		cut.SetDown(e.name, false)
		f.wants(t, "a", "b")
		cut.SetDown(e.name, true)
		write(t, l, "c")
		cut.SetDown(e.name, false)
		f.wants(t, "a", "b", "c")
		if f.restores() != 1 {
			t.Errorf("restored %d times, want 1", f.restores())
		}
	}},
	{"Follow: what a replay drops is dropped", func(t *testing.T, e *env) {
		old, _ := e.open(t, 1)
		write(t, old, "a")
		f := e.follow(t, e.Streams)
		f.wants(t, "a")
		l, _ := e.open(t, 2)
		write(t, l, "b")
		if _, err := e.Streams.Append(t.Context(), e.name, e.at(t, 2), journal.Unconditional); err != nil { // "a" once more
			t.Fatal(err)
		}
		write(t, l, "c")
		f.wants(t, "a", "b", "c")
		e.follow(t, e.Streams).wants(t, "a", "b", "c")
		wantEvents(t, e.reopen(t, l, 3), "a", "b", "c")
	}},
	{"Follow: the log is shorter: it begins again", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		write(t, l, "b")
		cut := NewFaults(e.Streams)
		f := e.follow(t, cut)
		f.wants(t, "a", "b")
		cut.SetShorter(e.name, 1)
		f.wants(t, "a")
		cut.SetShorter(e.name, 0)
		f.wants(t, "a", "b")
		if f.restores() != 2 {
			t.Errorf("restored %d times, want 2", f.restores())
		}
	}},
	{"Follow: a batch is missing: it begins again", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		write(t, l, "b")
		cut := NewFaults(e.Streams)
		cut.Tamper(e.name, 4, func([]byte) []byte { return e.at(t, 2) }) // "a" instead of "c"
		f := e.follow(t, cut)
		f.wants(t, "a", "b")
		write(t, l, "c")
		eventually(t, "a second Restore", func() bool { return f.restores() > 1 })
		cut.Tamper(e.name, 4, func(b []byte) []byte { return b })
		f.wants(t, "a", "b", "c")
	}},
	{"Follow: m returns an error: it begins again", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		write(t, l, "a")
		f := e.follow(t, e.Streams)
		f.wants(t, "a")
		f.mu.Lock()
		f.refuse = errors.New("not now")
		f.mu.Unlock()
		write(t, l, "b")
		f.wants(t, "a", "b")
		if f.restores() != 2 {
			t.Errorf("restored %d times, want 2", f.restores())
		}
	}},
	{"Follow: caughtUp when m has everything that was durable when the look began", func(t *testing.T, e *env) {
		l, _ := e.open(t, 1)
		var want []string
		for i := range 50 {
			want = append(want, strings.Repeat("x", i))
		}
		write(t, l, want...)
		f := e.follow(t, e.Streams)
		f.wants(t, want...)
		if len(f.seen) != 1 {
			t.Errorf("caughtUp saw %d states, the first has %d events", len(f.seen), len(f.seen[0]))
		}
		looks := f.count(func() int { return f.looks })
		eventually(t, "caughtUp without new events", func() bool { return f.count(func() int { return f.looks }) > looks+1 })
	}},
	{"Follow: refuses names", func(t *testing.T, e *env) {
		if err := e.store().Follow(t.Context(), "a.b", &Events{}, func() {}); err == nil || t.Context().Err() != nil {
			t.Errorf("got %v", err)
		}
	}},
}

// checkPrefixes makes sure that the follower never had an event that the last replay does not have at that place.
func (f *tail) checkPrefixes(t *testing.T, replayed []string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, list := range f.seen {
		if len(list) > len(replayed) || !slices.Equal(list, replayed[:len(list)]) {
			t.Errorf("the follower had %q, a replay has %q", list, replayed)
			return
		}
	}
}
