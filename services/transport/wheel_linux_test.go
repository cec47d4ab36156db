package transport

import (
	"testing"
	"time"
)

// A deadline far ahead costs a turn of the loop no search.
func BenchmarkWheelNext(b *testing.B) {
	w, c := new(wheel), new(loopConn)
	w.put(c, 0, 20*time.Second)
	for b.Loop() {
		if w.next() == 0 {
			b.Fatal("nothing is due")
		}
	}
}

// next is never behind the first deadline, whatever was put and taken before.
func TestWheelNextIsTheFirst(t *testing.T) {
	t.Parallel()
	w := new(wheel)
	conns := make([]loopConn, 200)
	rest := func(i int) time.Duration { return time.Duration(i*i%977) * wheelTick }
	now := time.Duration(0)
	for i := range conns {
		w.put(&conns[i], now, now+rest(i))
		if i%7 == 0 {
			now += 3 * wheelTick
			for _, e := range w.take(now, nil) {
				if time.Duration(e.tick)*wheelTick > now+wheelTick {
					t.Fatalf("tick %d was taken at %s", e.tick, now)
				}
			}
		}
		first := time.Duration(0)
		for tick := w.at + 1; tick < w.at+wheelSlots; tick++ {
			if len(w.slots[tick%wheelSlots]) > 0 {
				first = time.Duration(tick) * wheelTick
				break
			}
		}
		if got := w.next(); got != first {
			t.Fatalf("next is %s, the first deadline %s", got, first)
		}
	}
}
