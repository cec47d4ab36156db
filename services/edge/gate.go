package edge

import "time"

// gate keeps the packets of one client in order. While one waits (for the ACL, a hook, room), those behind it queue here.
type gate struct {
	busy  bool
	queue []gated
	bytes int
}

// gated is one packet that waits for its turn.
type gated struct {
	size int
	fn   func()
}

// closed says that a packet has to queue.
func (g *gate) closed() bool { return g.busy || len(g.queue) > 0 }

// enter runs fn now, or when all packets before it are done with the gate.
func (c *Conn) enter(size int, fn func()) {
	if !c.gate.closed() {
		fn()
		return
	}
	c.gate.queue = append(c.gate.queue, gated{size, fn})
	c.gate.bytes += size
	c.hold(holdGate, c.gate.bytes > int(c.e.cfg.Publish.MaxUnacked))
}

// waitingPacket is what a SUBSCRIBE, UNSUBSCRIBE or PUBREL counts for each of its parts while it waits, beside its texts.
const waitingPacket = 64

// charge counts what waits for an answer against publish.max_unacked, as publishes do; credit takes it off again.
func (c *Conn) charge(n int) {
	c.mu.Lock()
	c.unacked += n
	over := c.unacked > int(c.e.cfg.Publish.MaxUnacked)
	c.mu.Unlock()
	if over {
		c.hold(holdUnacked, true)
	}
}

func (c *Conn) credit(n int) {
	c.mu.Lock()
	c.unacked -= n
	low := c.unacked <= int(c.e.cfg.Publish.MaxUnacked)/2
	c.mu.Unlock()
	if low {
		c.hold(holdUnacked, false)
	}
}

// whenRoom runs fn now, or when the session partition has room for requests again; the packets behind wait.
func (c *Conn) whenRoom(fn func()) {
	if !c.part.full() {
		fn()
		return
	}
	c.hold(holdRoom, true)
	c.block()
	c.part.room(func() {
		c.post(func() {
			c.hold(holdRoom, false)
			c.unblock(func() { c.whenRoom(fn) })
		})
	})
}

// block makes the packets behind the present one wait until unblock.
func (c *Conn) block() { c.gate.busy = true }

// unblock goes on: first with next (the rest of the packet that waited; it may block again), then with the packets behind.
func (c *Conn) unblock(next func()) {
	c.gate.busy = false
	if next != nil {
		next()
	}
	for !c.gate.busy && len(c.gate.queue) > 0 {
		g := c.gate.queue[0]
		c.gate.queue[0] = gated{}
		c.gate.queue = c.gate.queue[1:]
		c.gate.bytes -= g.size
		g.fn()
	}
	if len(c.gate.queue) == 0 {
		c.gate.queue = nil
	}
	c.hold(holdGate, c.gate.bytes > int(c.e.cfg.Publish.MaxUnacked))
}

// The reasons to stop reading.
const (
	holdGate    uint8 = 1 << iota // packets wait in the gate
	holdUnacked                   // publishes wait for the cluster's answer
	holdRoom                      // the queue towards routers or the session partition is full
	holdRate                      // the client publishes faster than it may
)

// hold sets or clears one reason to stop reading.
func (c *Conn) hold(reason uint8, on bool) {
	was := c.holds
	if on {
		c.holds |= reason
	} else {
		c.holds &^= reason
	}
	if (was == 0) == (c.holds == 0) || c.ended {
		return
	}
	if c.holds != 0 {
		c.e.metrics.held(reason)
	}
	c.dev.Hold(c.holds != 0)
}

// after runs fn on the executor after d.
func (c *Conn) after(d time.Duration, fn func()) {
	time.AfterFunc(d, func() { c.post(fn) })
}

// rate is a client's budget of messages and bytes, each filled up once a second.
type rate struct {
	messages, bytes         bucket
	maxMessages, maxByteSum float64
}

// bucket is a token bucket that may be overdrawn by one message.
type bucket struct {
	tokens float64
	at     time.Time
}

// take takes n of a bucket that holds one second's worth, and returns how long it is overdrawn.
func (b *bucket) take(n, perSecond float64, now time.Time) time.Duration {
	if perSecond == 0 {
		return 0
	}
	if b.at.IsZero() {
		b.tokens = perSecond
	} else {
		b.tokens = min(perSecond, b.tokens+now.Sub(b.at).Seconds()*perSecond)
	}
	b.at = now
	b.tokens -= n
	if b.tokens >= 0 {
		return 0
	}
	return time.Duration(-b.tokens / perSecond * float64(time.Second))
}

// throttle takes a message off the budget, and stops reading while it is overdrawn.
func (c *Conn) throttle(size int, now time.Time) {
	if c.rate == nil {
		return
	}
	pause := max(c.rate.messages.take(1, c.rate.maxMessages, now), c.rate.bytes.take(float64(size), c.rate.maxByteSum, now))
	if pause <= 0 || c.holds&holdRate != 0 {
		return
	}
	c.hold(holdRate, true)
	c.after(pause, func() { c.hold(holdRate, false) })
}
