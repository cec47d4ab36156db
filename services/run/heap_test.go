package run

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestGrowth(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		live     uint64
		interval time.Duration
		want     int
	}{
		{0, time.Hour, 1600},
		{8 << 20, time.Hour, 200},
		{8 << 20, time.Second, 800},
		{64 << 20, time.Hour, 100},
		{1 << 30, time.Second, 100},
	} {
		if got := growth(c.live, c.interval); got != c.want {
			t.Errorf("%d bytes, %s: %d %%, want %d %%", c.live, c.interval, got, c.want)
		}
	}
}

// goal is the size of the heap at which the next collection ends, in bytes.
func goal() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// Each collection sets the growth for the time to the next one.
func TestPaceFollowsCollections(t *testing.T) {
	t.Setenv("GOGC", "")
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	pace()
	late := time.Now().Add(10 * time.Second)
	for {
		runtime.GC() // close to the one before: busy
		if goal() >= liveHeap()+floorBusy*7/8 {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("the goal is %d bytes, %d are live", goal(), liveHeap())
		}
		runtime.Gosched()
	}
}
