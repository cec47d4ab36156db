package run

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The Go runtime collects when the heap has grown by as much as is live. A
// service with few clients lives in 10 MiB: at 10 MiB/s of garbage it would be
// collected every second, for 10 ms each on two processors, and that is the 99th
// percentile of what its clients wait for. So the heap may grow by a floor, which is small while
// there is little to do: resident memory is what is live, and the floor.
const (
	floorIdle = 16 << 20
	floorBusy = 64 << 20

	// busyInterval is how close to one another collections are in a busy process.
	busyInterval = 10 * time.Second
)

// growth is the percentage (GOGC) by which a heap of so many live bytes may grow.
func growth(live uint64, interval time.Duration) int {
	floor := uint64(floorIdle)
	if interval < busyInterval {
		floor = floorBusy
	}
	return int(max(100, 100*floor/max(live, 1<<20)))
}

// collected is unreachable: its finalizer runs after each collection.
type collected struct {
	last    time.Time
	percent int
}

// pace sets the growth after each collection, unless the environment does (GOGC).
// GOMEMLIMIT bounds it as ever.
func pace() {
	if os.Getenv("GOGC") != "" {
		return
	}
	c := &collected{last: time.Now()}
	c.set()
	runtime.SetFinalizer(c, (*collected).next)
}

func (c *collected) next() {
	c.set()
	runtime.SetFinalizer(c, (*collected).next)
}

// set is for the time from this collection to the next one. Changing the growth stops
// the process for a moment: it is done when it makes a difference only.
func (c *collected) set() {
	now := time.Now()
	percent := growth(liveHeap(), now.Sub(c.last))
	c.last = now
	if 8*percent > 9*c.percent || 9*percent < 8*c.percent {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
}

// liveHeap is what the last collection found in use, in bytes.
func liveHeap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
