package journaltest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/journal"
)

// Run checks that a store over the streams keeps each sentence of the contract in package journal; each subtest is named by one. newStreams is
// called once per subtest and may return the same streams each time: every subtest uses logs of its own.
func Run(t *testing.T, newStreams func(t *testing.T) journal.Streams) {
	var logs atomic.Int64
	for _, c := range slices.Concat(openCases, appendCases, snapshotCases, settleCases, closeCases, followCases) {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			c.run(t, newEnv(t, newStreams(t), fmt.Sprintf("T_%d", logs.Add(1))))
		})
	}
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("two owners and faults/seed %d", seed), func(t *testing.T) {
			t.Parallel()
			random(t, newEnv(t, newStreams(t), fmt.Sprintf("R_%d", logs.Add(1))), seed)
		})
	}
}

type contractCase struct {
	sentence string
	run      func(t *testing.T, e *env)
}

// env is one log under test.
type env struct {
	*Faults
	name string
	opts journal.Options
	log  *slog.Logger
}

func newEnv(t *testing.T, s journal.Streams, name string) *env {
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	return &env{Faults: NewFaults(s), name: name, opts: journal.Options{MaxSpacing: -1}, log: log}
}

// Events is a machine that keeps its events. Its snapshot is State.
type Events struct{ List []string }

// Restore implements journal.Machine.
func (m *Events) Restore(snapshot []byte) error {
	m.List = nil
	for len(snapshot) > 0 {
		n, w := binary.Uvarint(snapshot)
		if w <= 0 || uint64(len(snapshot)-w) < n {
			return errors.New("not a snapshot of this machine")
		}
		m.List = append(m.List, string(snapshot[w:w+int(n)]))
		snapshot = snapshot[w+int(n):]
	}
	return nil
}

// Apply implements journal.Machine.
func (m *Events) Apply(event []byte) error {
	m.List = append(m.List, string(event))
	return nil
}

// State encodes the events.
func (m *Events) State() []byte {
	b := []byte{}
	for _, e := range m.List {
		b = binary.AppendUvarint(b, uint64(len(e)))
		b = append(b, e...)
	}
	return b
}

// results collects what callbacks got.
type results struct {
	mu    sync.Mutex
	order []string
	errs  map[string][]error
	more  chan struct{}
}

func newResults() *results { return &results{errs: map[string][]error{}, more: make(chan struct{}, 1)} }

func (r *results) done(event string) func(error) {
	return func(err error) {
		r.mu.Lock()
		r.order = append(r.order, event)
		r.errs[event] = append(r.errs[event], err)
		r.mu.Unlock()
		select {
		case r.more <- struct{}{}:
		default:
		}
	}
}

func (r *results) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.order)
}

// acked returns the events that got nil, in the order of the callbacks.
func (r *results) acked() (list []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.order {
		if r.errs[e][0] == nil {
			list = append(list, e)
		}
	}
	return list
}

func (r *results) wait(t *testing.T, n int) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for r.count() < n {
		select {
		case <-r.more:
		case <-deadline:
			t.Fatalf("%d callbacks came, want %d", r.count(), n)
		}
	}
}

func (e *env) store() journal.Store { return journal.New(e.Faults, e.opts, journal.Deps{Log: e.log}) }

func (e *env) try(ctx context.Context, epoch uint64, m journal.Machine) (journal.Log, error) {
	return e.store().Open(ctx, e.name, journal.Owner{Epoch: epoch}, m)
}

// open opens the log and closes it when the test ends.
func (e *env) open(t *testing.T, epoch uint64) (journal.Log, *Events) {
	t.Helper()
	m := &Events{}
	l, err := e.try(t.Context(), epoch, m)
	if err != nil {
		t.Fatal(err)
	}
	stop(t, l)
	return l, m
}

func stop(t *testing.T, l journal.Log) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = l.Close(ctx) // the tests of Close look at its error
	})
}

func appendAll(t *testing.T, l journal.Log, r *results, events ...string) {
	t.Helper()
	for _, e := range events {
		if err := l.Append([]byte(e), r.done(e)); err != nil {
			t.Fatalf("append %q: %v", e, err)
		}
	}
}

// write appends events and waits until they are durable.
func write(t *testing.T, l journal.Log, events ...string) {
	t.Helper()
	r := newResults()
	appendAll(t, l, r, events...)
	r.wait(t, len(events))
	if got := r.acked(); !slices.Equal(got, events) {
		t.Fatalf("durable: %q, want %q; the log says %v", got, events, l.Err())
	}
}

// reopen closes the log and returns what a new owner replays.
func (e *env) reopen(t *testing.T, l journal.Log, epoch uint64) []string {
	t.Helper()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, m := e.open(t, epoch)
	return m.List
}

func wantEvents(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("replayed %q, want %q", got, want)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func wantLost(t *testing.T, l journal.Log, want error) {
	t.Helper()
	select {
	case <-l.Lost():
	case <-time.After(10 * time.Second):
		t.Fatalf("the log did not step down")
	}
	wantError(t, l.Err(), want)
}

func (e *env) info(t *testing.T, name string) journal.StreamInfo {
	t.Helper()
	info, err := e.Streams.Info(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// eventually waits for a condition that no channel tells.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
