package run

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

// goal is the size of the heap at which the next collection ends, in bytes.
func goal() uint64 {
	runtime.GC()
	s := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func TestReserveDelaysCollections(t *testing.T) {
	before := goal()
	floor := reserve()
	if after := goal(); after < before+2*heapFloor-(8<<20) {
		t.Errorf("the goal is %d bytes, was %d", after, before)
	}
	runtime.KeepAlive(floor)
	defer debug.SetMemoryLimit(math.MaxInt64)
	debug.SetMemoryLimit(100 << 20)
	if n := len(reserve()); n != 0 {
		t.Errorf("%d bytes are reserved below a limit", n)
	}
}
