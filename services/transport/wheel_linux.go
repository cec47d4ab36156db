package transport

import (
	"math"
	"time"
)

const (
	wheelTick  = 20 * time.Millisecond
	wheelSlots = 1024 // what lies further ahead than 20 s is looked at in between
)

// wheel watches the deadlines of one loop's connections. It is lazy: a deadline
// that moves away costs nothing, and is looked at when the old one comes. It is
// met up to two ticks late, never early.
type wheel struct {
	slots   [wheelSlots][]watched
	at      int64 // the tick looked at last
	soon    int64 // nothing is before; next looks from there on
	entries int
}

// watched is a connection's place in the wheel: by its slot in the loop, so that
// nothing keeps a connection that is gone. It counts if who has that slot says the
// same tick; if that is another one by now, it is looked at too early, no more.
type watched struct {
	slot int32
	tick int64
}

// put has a connection looked at when due comes, or before.
func (w *wheel) put(c *loopConn, now, due time.Duration) {
	if w.entries == 0 {
		w.at, w.soon = int64(now/wheelTick), math.MaxInt64
	}
	tick := min(max(int64(due/wheelTick)+1, w.at+1), w.at+wheelSlots-1)
	if c.watched != 0 && c.watched <= tick {
		return
	}
	c.watched, w.soon = tick, min(w.soon, tick)
	slot := &w.slots[tick%wheelSlots]
	*slot = append(*slot, watched{c.slot, tick})
	w.entries++
}

// next is when turn has something to look at; 0: never.
func (w *wheel) next() time.Duration {
	if w.entries == 0 {
		return 0
	}
	w.soon = max(w.soon, w.at+1)
	for len(w.slots[w.soon%wheelSlots]) == 0 {
		w.soon++
	}
	return time.Duration(w.soon) * wheelTick
}

// take moves what is due until now from the wheel to due.
func (w *wheel) take(now time.Duration, due []watched) []watched {
	last := int64(now / wheelTick)
	for n := 0; w.at < last && n < wheelSlots; n++ {
		w.at++
		slot := &w.slots[w.at%wheelSlots]
		due = append(due, *slot...)
		w.entries -= len(*slot)
		*slot = nil
	}
	w.at = max(w.at, last)
	return due
}

// turnWheel looks at the connections whose time has come.
func (lp *loop) turnWheel() {
	if lp.wheel.entries == 0 {
		return
	}
	now := lp.now()
	lp.due = lp.wheel.take(now, lp.due[:0])
	for _, e := range lp.due {
		lp.mu.Lock()
		c := lp.conns[e.slot]
		lp.mu.Unlock()
		if c != nil && c.watched == e.tick {
			c.watched = 0
			c.tick(now)
		}
	}
}
