package brokertest

import (
	"hash/fnv"
	"sync"
)

// loop is the lock of a fake and the queue of its calls outwards (answers, pushes, deliveries). They run without the lock, one at a time, in the order in
// which they were asked for, on whichever goroutine comes first: so callbacks are ordered, never re-entered and never made under the lock.
type loop struct {
	mu      sync.Mutex
	calls   []func()
	calling bool
}

func (l *loop) enter() { l.mu.Lock() }

// leave makes the calls that are due, unless another goroutine is at it and will make these too.
func (l *loop) leave() {
	if l.calling {
		l.mu.Unlock()
		return
	}
	l.calling = true
	for len(l.calls) > 0 {
		calls := l.calls
		l.calls = nil
		l.mu.Unlock()
		for _, fn := range calls {
			fn()
		}
		l.mu.Lock()
	}
	l.calling = false
	l.mu.Unlock()
}

// call has fn run without the lock, after everything asked for before. Called with the lock held.
func (l *loop) call(fn func()) { l.calls = append(l.calls, fn) }

// flaws are the checks that a fake leaves out: the tests of the suites use them. The zero value leaves out nothing.
type flaws map[string]bool

// keeps reports that a check is made.
func (f flaws) keeps(check string) bool { return !f[check] }

// hash spreads keys over n partitions.
func hash(tenant, key string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(tenant + "\x00" + key))
	return int(h.Sum32() % uint32(n))
}
