package edge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

const (
	wheelTick  = 100 * time.Millisecond
	wheelSlots = 1024 // what lies further than 102 s ahead is put into the last slot, and from there again
	tickMillis = int64(wheelTick / time.Millisecond)
)

// wheel watches deadlines of connections. It is lazy: being heard of (Conn.Touch) is one store, and only when the deadline that was known comes is the
// present one looked at. A deadline is met between 0 and 2 ticks late, never early.
type wheel struct {
	clock func() time.Time
	now   atomic.Int64 // Unix milliseconds at the last tick

	mu    sync.Mutex
	slots [wheelSlots]*timer
	at    int64 // ticks since the epoch that were looked at
}

// timer is a connection's place in the wheel.
type timer struct {
	next, prev *timer
	slot       int // index + 1; 0: not in the wheel
	c          *Conn
}

func newWheel(clock func() time.Time) *wheel {
	w := &wheel{clock: clock}
	now := clock().UnixMilli()
	w.now.Store(now)
	w.at = now / tickMillis
	return w
}

// run turns the wheel until ctx ends.
func (w *wheel) run(ctx context.Context) {
	t := time.NewTicker(wheelTick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			w.turn()
		}
	}
}

// turn looks at every slot whose time has come.
func (w *wheel) turn() {
	now := w.clock().UnixMilli()
	w.now.Store(now)
	var due []*Conn
	w.mu.Lock()
	last := now / tickMillis
	for n := 0; w.at < last && n < wheelSlots; n++ {
		w.at++
		due = w.visit(int(w.at%wheelSlots), now, due)
	}
	w.at = last
	w.mu.Unlock()
	for _, c := range due {
		c.expire()
	}
}

// visit takes a slot's timers out: those whose deadline came to due, the others to a later slot. Called with the lock held.
func (w *wheel) visit(slot int, now int64, due []*Conn) []*Conn {
	t := w.slots[slot]
	w.slots[slot] = nil
	for t != nil {
		next := t.next
		t.next, t.prev, t.slot = nil, nil, 0
		switch at := t.c.deadline(); {
		case at == 0:
		case at <= now:
			due = append(due, t.c)
		default:
			w.insert(t, at)
		}
		t = next
	}
	return due
}

// insert puts a timer where its deadline is looked at, at the earliest one tick from now. Called with the lock held.
func (w *wheel) insert(t *timer, at int64) {
	tick := min(max(at/tickMillis+1, w.at+1), w.at+wheelSlots-1)
	i := int(tick % wheelSlots)
	t.slot, t.next = i+1, w.slots[i]
	if t.next != nil {
		t.next.prev = t
	}
	w.slots[i] = t
}

// watch begins to watch, or looks at the deadline anew.
func (w *wheel) watch(t *timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.take(t)
	if at := t.c.deadline(); at != 0 {
		w.insert(t, at)
	}
}

// forget stops watching.
func (w *wheel) forget(t *timer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.take(t)
}

func (w *wheel) take(t *timer) {
	if t.slot == 0 {
		return
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		w.slots[t.slot-1] = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.next, t.prev, t.slot = nil, nil, 0
}
