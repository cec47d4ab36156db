package run

import (
	"math"
	"runtime/debug"
)

// heapFloor is how much memory is added to the live heap, in bytes, when the
// collector decides when to begin. A service with few clients lives in 10 MiB, so
// at 10 MiB/s of garbage it would be collected every second, for 10 ms each on
// two processors: that is the 99th percentile of what clients wait for. With the
// floor it is every seven seconds.
const heapFloor = 64 << 20

// reserve returns what has to stay reachable for that. It is never written, so
// it costs address space only; the process may hold as much more garbage. Where
// GOMEMLIMIT is set there is none: it would count.
func reserve() []byte {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return nil
	}
	return make([]byte, heapFloor)
}
