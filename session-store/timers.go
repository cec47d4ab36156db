package sessionstore

import (
	"container/heap"
	"log/slog"
	"time"
)

// timer is something to look at, at an absolute time. A client has one at most: for the end of its session or the delay of its will, whichever comes first.
type timer struct {
	at     int64 // Unix milliseconds
	kind   timerKind
	c      *client   // timerClient
	key    clientKey // timerHold
	number uint64    // timerHold: connection; timerLimbo: number in limbo; timerForget: gateway incarnation
	place  int       // in the heap, -1: not in it
}

type timerKind uint8

const (
	timerClient timerKind = iota // a session may have expired, the delay of a will may be over
	timerHold                    // publishes were held long enough
	timerFlush                   // write down what was answered
	timerLimbo                   // route a copy again
	timerForget                  // a gateway is long gone
	timerSweep                   // go on looking for gateways that are gone
)

// timers is the heap of one partition.
type timers struct {
	heap timerHeap
	wake chan struct{} // holds one token: look again
}

func (t *timers) add(x *timer) {
	heap.Push(&t.heap, x)
	if x.place == 0 {
		t.nudge()
	}
}

// remove takes a timer out, if it is in.
func (t *timers) remove(x *timer) {
	if x != nil && x.place >= 0 {
		heap.Remove(&t.heap, x.place)
	}
}

func (t *timers) nudge() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

type timerHeap []*timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at < h[j].at }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.place = len(*h)
	*h = append(*h, t)
}

// Pop implements heap.Interface.
func (h *timerHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	x.place = -1
	return x
}

// next is when something of this client falls due, 0 if nothing does.
func (c *client) next() int64 {
	at := c.due
	if c.sess != nil {
		if end, ok := c.sess.Expires(); ok && (at == 0 || end.UnixMilli() < at) {
			at = end.UnixMilli()
		}
	}
	return at
}

// arm makes the timer of a client agree with its state.
func (p *partition) arm(c *client) {
	at := int64(0)
	if p.st.clients[c.key] == c {
		at = c.next()
	}
	if c.timer != nil && c.timer.place >= 0 {
		if c.timer.at == at {
			return
		}
		p.timers.remove(c.timer)
	}
	if c.timer = nil; at != 0 {
		c.timer = &timer{at: at, kind: timerClient, c: c}
		p.timers.add(c.timer)
	}
}

// runTimers is the goroutine of the timers. It takes snapshots too.
func (p *partition) runTimers() {
	clock := time.NewTimer(0)
	defer clock.Stop()
	for {
		p.enter()
		clock.Reset(p.fire())
		p.snapshotIfDue()
		p.leave()
		select {
		case <-p.ctx.Done():
			return
		case <-p.timers.wake:
		case <-clock.C:
		}
	}
}

// longestSleep bounds how long the timers rest, because the clock may be set meanwhile.
const longestSleep = time.Minute

// fire handles what is due, and returns how long to wait for the next. While the log has no room it waits too.
func (p *partition) fire() time.Duration {
	for len(p.timers.heap) > 0 && !p.dead {
		now := p.now()
		first := p.timers.heap[0]
		if d := millis(first.at).Sub(now); d > 0 {
			return min(d, longestSleep)
		}
		if !p.room() {
			return flushPause
		}
		heap.Pop(&p.timers.heap)
		p.due(first, now)
	}
	return longestSleep
}

// due handles one timer.
func (p *partition) due(t *timer, now time.Time) {
	switch t.kind {
	case timerClient:
		p.dueClient(t.c, now)
		if !p.dead {
			p.arm(t.c)
		}
	case timerHold:
		p.settle(t.key, t.number)
	case timerFlush:
		p.flush()
	case timerLimbo:
		if _, ok := p.st.limbo[t.number]; ok {
			p.commit(&rerouted{id: t.number})
		}
	case timerForget:
		p.forget(t.number)
	case timerSweep:
		p.sweep(p.s.deps.Cluster.View())
	}
}

// dueClient ends a session whose time is over, or publishes a will whose delay is.
func (p *partition) dueClient(c *client, now time.Time) {
	at := now.UnixMilli()
	if p.st.clients[c.key] != c {
		return
	}
	if c.sess != nil {
		if end, ok := c.sess.Expires(); ok && end.UnixMilli() <= at {
			p.slog.Debug("session expired", slog.String("client_id", c.key.id))
			p.s.metrics.ended.WithLabelValues("expired").Inc()
			p.commit(&ended{key: c.key, at: at, id: p.s.ids.Next(now)})
			return
		}
	}
	if c.will != nil && c.due <= at {
		p.commit(&willDue{key: c.key, at: at, id: p.s.ids.Next(now)})
	}
}

// startTimers sets what the state asks for, after a replay.
func (p *partition) startTimers() {
	for _, c := range p.st.clients {
		p.arm(c)
	}
	for id := range p.st.limbo {
		p.limboTimer(id)
	}
}

func (p *partition) limboTimer(id uint64) {
	p.timers.add(&timer{at: p.now().Add(limboPause).UnixMilli(), kind: timerLimbo, number: id})
}
