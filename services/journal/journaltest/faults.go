// Package journaltest holds the conformance suite of package journal and the faults that tests of its users inject.
package journaltest

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/pando-mq/pando/services/journal"
)

// ErrInjected is the error of an append whose outcome the caller can not know.
var ErrInjected = errors.New("injected fault")

// Faults are streams that fail on demand. A test opens its logs with journal.New(faults, ...). The faults of Drop, LoseAnswer, Late and Hold hit the
// next conditional append to a log, which is one of events or of a manifest, never an epoch record; several queue up.
type Faults struct {
	journal.Streams // what the faults are put on

	mu      sync.Mutex
	next    map[string][]fault
	tamper  map[position]func([]byte) []byte
	down    map[string]bool
	full    map[string]bool
	noPurge map[string]bool
	shorter map[string]uint64
}

type position struct {
	name string
	seq  uint64
}

type fault func(ctx context.Context, send func(context.Context) (uint64, error)) (uint64, error)

// NewFaults wraps streams, for example journal.NewMemoryStreams().
func NewFaults(inner journal.Streams) *Faults {
	return &Faults{
		Streams: inner, next: map[string][]fault{}, tamper: map[position]func([]byte) []byte{},
		down: map[string]bool{}, full: map[string]bool{}, noPurge: map[string]bool{}, shorter: map[string]uint64{},
	}
}

func (f *Faults) push(name string, x fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next[name] = append(f.next[name], x)
}

// Drop loses the next append on its way: it does not land, and its outcome is unknown.
func (f *Faults) Drop(name string) {
	f.push(name, func(context.Context, func(context.Context) (uint64, error)) (uint64, error) { return 0, ErrInjected })
}

// LoseAnswer lets the next append land and loses the answer: its outcome is unknown.
func (f *Faults) LoseAnswer(name string) {
	f.push(name, func(ctx context.Context, send func(context.Context) (uint64, error)) (uint64, error) {
		if _, err := send(ctx); err != nil {
			return 0, err
		}
		return 0, ErrInjected
	})
}

// Late keeps the next append in the network: its outcome is unknown at once, and it arrives when land is called, which returns what the
// stream answered, or ErrInjected if no append came so far.
func (f *Faults) Late(name string) (land func(context.Context) error) {
	var mu sync.Mutex
	var arrive func(context.Context) (uint64, error)
	f.push(name, func(_ context.Context, send func(context.Context) (uint64, error)) (uint64, error) {
		mu.Lock()
		defer mu.Unlock()
		arrive = send
		return 0, ErrInjected
	})
	return func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		if arrive == nil {
			return ErrInjected
		}
		_, err := arrive(ctx)
		return err
	}
}

// Hold delays the next append until release is called; held is closed when it waits. An append given up before is never sent.
func (f *Faults) Hold(name string) (held <-chan struct{}, release func()) {
	waits, open := make(chan struct{}), make(chan struct{})
	f.push(name, func(ctx context.Context, send func(context.Context) (uint64, error)) (uint64, error) {
		close(waits)
		select {
		case <-open:
			return send(ctx)
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	})
	return waits, sync.OnceFunc(func() { close(open) })
}

// Fence writes the epoch record of another owner into the log.
func (f *Faults) Fence(ctx context.Context, name string, epoch uint64) error {
	return journal.Fence(ctx, f.Streams, name, epoch)
}

// SetDown makes every request for the log and its snapshots fail, or ends that.
func (f *Faults) SetDown(name string, down bool) { f.switchOn(f.down, name, down) }

// SetFull makes the log refuse every append for its size, or ends that.
func (f *Faults) SetFull(name string, full bool) { f.switchOn(f.full, name, full) }

// SetNoPurge makes every purge of the log fail, or ends that.
func (f *Faults) SetNoPurge(name string, fails bool) { f.switchOn(f.noPurge, name, fails) }

// SetNoChunks makes every append of a snapshot of the log fail, or ends that.
func (f *Faults) SetNoChunks(name string, fails bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down["SNAP_"+name] = fails
}

// SetShorter lets the stream seem to have lost its last n records, as after a power loss without fsync.
func (f *Faults) SetShorter(name string, n uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shorter[name] = n
}

// Tamper changes what is read at one sequence of a stream from now on.
func (f *Faults) Tamper(name string, seq uint64, change func(record []byte) []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tamper[position{name, seq}] = change
}

func (f *Faults) switchOn(m map[string]bool, name string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m[name], m["SNAP_"+name] = on, on
}

func (f *Faults) is(m map[string]bool, name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return m[name]
}

func (f *Faults) pop(name string) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.next[name]
	if len(q) == 0 {
		return nil
	}
	f.next[name] = q[1:]
	return q[0]
}

// Append implements journal.Streams.
func (f *Faults) Append(ctx context.Context, name string, record []byte, condition uint64) (uint64, error) {
	switch {
	case f.is(f.down, name):
		return 0, ErrInjected
	case f.is(f.full, name):
		return 0, journal.ErrStreamFull
	}
	if condition == journal.Unconditional {
		return f.Streams.Append(ctx, name, record, condition)
	}
	x := f.pop(name)
	if x == nil {
		return f.Streams.Append(ctx, name, record, condition)
	}
	record = slices.Clone(record)
	return x(ctx, func(ctx context.Context) (uint64, error) { return f.Streams.Append(ctx, name, record, condition) })
}

// Create implements journal.Streams.
func (f *Faults) Create(ctx context.Context, name string) error {
	if f.is(f.down, name) {
		return ErrInjected
	}
	return f.Streams.Create(ctx, name)
}

// Info implements journal.Streams.
func (f *Faults) Info(ctx context.Context, name string) (journal.StreamInfo, error) {
	if f.is(f.down, name) {
		return journal.StreamInfo{}, ErrInjected
	}
	info, err := f.Streams.Info(ctx, name)
	f.mu.Lock()
	defer f.mu.Unlock()
	info.Last -= min(info.Last, f.shorter[name])
	return info, err
}

// Read implements journal.Streams.
func (f *Faults) Read(ctx context.Context, name string, from, to uint64, fn func(uint64, []byte) error) error {
	if f.is(f.down, name) {
		return ErrInjected
	}
	return f.Streams.Read(ctx, name, from, to, func(seq uint64, record []byte) error {
		f.mu.Lock()
		change := f.tamper[position{name, seq}]
		f.mu.Unlock()
		if change != nil {
			record = change(slices.Clone(record))
		}
		return fn(seq, record)
	})
}

// Purge implements journal.Streams.
func (f *Faults) Purge(ctx context.Context, name string, below uint64) error {
	if f.is(f.down, name) || f.is(f.noPurge, name) {
		return ErrInjected
	}
	return f.Streams.Purge(ctx, name, below)
}
