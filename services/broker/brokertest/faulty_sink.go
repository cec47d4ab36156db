package brokertest

import (
	"context"
	"sync"

	"github.com/pando-mq/pando/services/broker"
)

// numbers translates the numbers of a deliver stream below, where some deliveries went twice, into those of the opener.
type numbers struct {
	mu    sync.Mutex
	outer []uint64 // by number below: the opener's number, 0 for a second one
	last  uint64   // the opener's newest number
	told  uint64   // OK was told up to here
}

func (n *numbers) sent(batch []broker.Delivery) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range batch {
		n.last++
		n.outer = append(n.outer, n.last)
	}
}

func (n *numbers) again(batch []broker.Delivery) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.outer = append(n.outer, make([]uint64, len(batch))...)
}

// translate is what the opener is told of one answer; false: nothing.
func (n *numbers) translate(a broker.DeliverAck) (broker.DeliverAck, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if a.No == 0 || a.No > uint64(len(n.outer)) {
		return a, false
	}
	if a.Result != broker.OK {
		a.No = n.outer[a.No-1]
		return a, a.No != 0
	}
	high := uint64(0)
	for _, x := range n.outer[:a.No] {
		high = max(high, x)
	}
	a.No = high
	fresh := high > n.told
	n.told = max(n.told, high)
	return a, fresh
}

// openFaultyDeliver opens a deliver stream with faults in front of it.
func openFaultyDeliver(ctx context.Context, x *faulty, to broker.Sink, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	if err := x.refuse("open deliver"); err != nil {
		return nil, err
	}
	n := &numbers{}
	s := newFaultyStream(x, func(d *broker.Delivery) int { return d.Msg.Size() })
	s.once, s.twice = n.sent, n.again
	inner, err := to.OpenDeliver(ctx, o, func(batch []broker.DeliverAck) {
		var up []broker.DeliverAck
		for _, a := range batch {
			if a, ok := n.translate(a); ok {
				up = append(up, a)
			}
		}
		if len(up) > 0 {
			s.answer(func() { acks(up) })
		}
	})
	if err != nil {
		return nil, err
	}
	if err := s.start(inner); err != nil {
		return nil, err
	}
	return s, nil
}
