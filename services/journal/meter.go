package journal

import (
	"math"
	"sync"
	"time"
)

// meter measures how many appends per second all logs of a store make together, as an average that decays over about 100 ms.
//
// An append costs about 40 us of CPU however small it is, so at low load many partitions that each append at once, one event at a
// time, would spend a core on nothing. The pause between the starts of two appends of one partition therefore rises with the rate of all:
// a single busy partition keeps about 3,000 appends per second, 16 of them share about 13,000 and put the rest into larger batches.
type meter struct {
	mu   sync.Mutex
	rate float64 // appends per second
	at   time.Time
}

const (
	meterDecay = 100 * time.Millisecond
	fullRate   = 20_000 // appends per second at which the pause is the longest
)

// spacing counts one append and returns the pause until the next of the same partition, at most longest.
func (m *meter) spacing(now time.Time, longest time.Duration) time.Duration {
	if longest <= 0 {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := now.Sub(m.at); d > 0 {
		m.rate *= math.Exp(-float64(d) / float64(meterDecay))
		m.at = now
	}
	m.rate += float64(time.Second / meterDecay)
	return min(longest, time.Duration(float64(longest)*m.rate/fullRate))
}
