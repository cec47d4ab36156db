package edge

import (
	"sync/atomic"

	"github.com/pando-mq/pando/services/session"
)

// gauges are the present figures of a node, and their greatest values.
type gauges struct {
	connections   atomic.Int64 // from Connect to the end of everything
	opened        peak         // accepted ones
	sessions      peak         // hosted here
	subscriptions peak         // of them
}

// peak is a gauge that remembers its greatest value.
type peak struct{ now, max atomic.Int64 }

// Add adds to the gauge.
func (p *peak) Add(n int64) {
	v := p.now.Add(n)
	for {
		m := p.max.Load()
		if v <= m || p.max.CompareAndSwap(m, v) {
			return
		}
	}
}

func (g *gauges) addConnection() { g.connections.Add(1) }

func (g *gauges) removeConnection(e *Edge) {
	g.connections.Add(-1)
	e.quiet()
}

// dropped counts messages that do not go where they would have gone.
func (e *Edge) dropped(why DropReason, n int) {
	if n <= 0 {
		return
	}
	e.drops.add(why, n)
	e.counters.Add(MessagesDropped, uint64(n))
}

// dropAll counts what a session dropped.
func (e *Edge) dropAll(drops []session.Drop) {
	for i := range drops {
		e.dropped(DropReason(drops[i].Reason), 1)
	}
}

// Dropped is how many messages were dropped for a reason.
func (e *Edge) Dropped(why DropReason) uint64 { return e.drops.n[why].Load() }
