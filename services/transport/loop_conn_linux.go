package transport

import (
	"crypto/tls"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pando-mq/pando/services/transport/ws"
)

// loopConn is a Conn on an event loop. Only the loop's goroutine touches the
// socket; other goroutines change what stands below mu and have the loop look at
// it (call). While nothing happens it holds no buffer.
type loopConn struct {
	ln *Listener
	lp *loop

	// the loop's goroutine only
	h       Handler
	sec     *sealed  // nil without TLS
	web     *webSide // nil without WebSocket
	rest    []byte   // input not yet consumed
	tail    *tail    // output that the kernel did not take at once
	watched int64    // see wheel
	fd      int32    // -1: closed
	slot    int32    // in loop.conns
	armed   uint32   // what epoll reports
	known   bool     // Accept was asked
	dirty   bool     // in loop.dirty
	eof     bool     // the peer ended its side
	over    bool     // end was called
	lingers bool     // Closed was called, the socket waits for the peer's end

	posts    atomic.Int32 // functions queued; it grows under lp.mu
	finished bool         // no more posts; under lp.mu
	called   atomic.Bool  // attend is queued

	mu      sync.Mutex
	info    *Info         // nil: forgotten
	out     []byte        // with WebSocket it begins with room for a frame header
	reason  error         // of closing
	due     time.Duration // SetDeadline; once closing the end of the send timeout, then of lingering
	unsent  int32         // bytes taken from out and not yet by the kernel
	limit   int32
	opened  bool // Accept was called or is next
	closing bool // Close or Abort was called: no more Data
	broken  bool // no more output either
	reset   bool // Abort: the kernel's buffers are given back at once
	paused  bool
	again   bool // ResumeRead: call Data without new bytes
	above   bool // HighWater was passed and Drained is due
	drained bool // Drained is due now
}

// webSide is what WebSocket adds. The decoder belongs to the loop's goroutine, the
// rest is under loopConn.mu.
type webSide struct {
	ws.Decoder
	pong   []byte // one control frame; a later ping replaces an unsent answer
	parted bool   // the close frame was taken
}

// toLoop hands an established connection over to an event loop. false: it ended
// meanwhile, or there is no file descriptor left, and it stays with its goroutine.
func (c *conn) toLoop() bool {
	fd, err := detach(c.raw)
	if err != nil {
		return false
	}
	lp := c.ln.loop()
	lc := &loopConn{ln: c.ln, lp: lp, fd: fd, info: c.info, rest: c.rest, limit: int32(min(c.limit, maxLimit))}
	if c.web != nil {
		lc.web = new(webSide)
	}
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		_ = unix.Close(int(fd))
		return false
	}
	c.heir = lc
	c.mu.Unlock()
	if c.pipe != nil {
		lc.sec = c.pipe.detach(c.nc.(*tls.Conn))
	}
	lp.enrol(lc)
	c.ln.moved(c)
	_ = c.raw.Close()
	lc.call()
	return true
}

const maxLimit = 1<<31 - 1

// guard runs a Handler's code; a panic ends this connection, not the process.
func (c *loopConn) guard(fn func()) {
	defer func() {
		if v := recover(); v != nil {
			c.ln.panicked(v, c.Info())
			c.Abort(ErrPanic)
		}
	}()
	fn()
}

// call has the loop look at the state. Any goroutine may call it.
func (c *loopConn) call() {
	if c.called.CompareAndSwap(false, true) {
		c.lp.push(c, nil)
	}
}

// attend does what the state asks for.
func (c *loopConn) attend() {
	c.called.Store(false)
	if !c.known {
		c.known = true
		c.open()
	}
	c.mu.Lock()
	closing := c.closing
	again, drained, due := c.again && !c.closing, c.drained && !c.closing, c.due
	c.again, c.drained = false, false
	c.mu.Unlock()
	if c.over {
		return
	}
	if due > 0 && !closing {
		c.lp.wheel.put(c, c.lp.now(), due)
	}
	if d, ok := c.h.(Drainer); drained && ok {
		c.guard(d.Drained)
	}
	if again {
		c.deliver(c.rest, true)
		c.rearm()
	}
	c.lp.soil(c)
}

// open asks for the Handler, and gives it what came together with the handshake.
func (c *loopConn) open() {
	c.mu.Lock()
	c.opened = !c.closing
	opened := c.opened
	c.mu.Unlock()
	if !opened {
		return
	}
	c.guard(func() { c.h = c.ln.deps.Accept(c) })
	if c.h == nil {
		c.Close(ErrRefused)
		return
	}
	early := c.rest
	c.rest = nil
	c.received(0, copy(c.lp.buf, early), nil)
	if c.sec != nil {
		c.decrypt(c.sec.in) // the handshake may have read more than its own
	}
	c.rearm()
}

// event is called when epoll reports something.
func (c *loopConn) event(events uint32) {
	if c.fd < 0 {
		return
	}
	if events&unix.EPOLLOUT != 0 {
		c.lp.soil(c)
	}
	if c.lingers {
		c.discard()
		return
	}
	if events&readEvents == 0 {
		return
	}
	c.mu.Lock()
	deaf, limit := c.paused || c.closing, int(c.limit)
	c.mu.Unlock()
	switch {
	case !deaf:
		c.fill(limit)
		c.lp.soil(c)
	case events&brokenEvent != 0 && c.tail != nil:
		c.lp.soil(c) // writing finds out what it is
	default:
		c.rearm()
	}
}

// runPost runs a posted function.
func (c *loopConn) runPost(fn func()) {
	c.guard(fn)
	left := c.posts.Add(-1)
	switch {
	case !c.over:
		c.lp.soil(c)
	case left == 0 && c.fd != gone:
		c.last()
	}
}

// rearm has epoll report what is waited for.
func (c *loopConn) rearm() {
	if c.fd < 0 {
		return
	}
	c.mu.Lock()
	var events uint32
	if c.lingers || !c.paused && !c.closing {
		events = unix.EPOLLIN
	}
	c.mu.Unlock()
	if c.tail != nil {
		events |= unix.EPOLLOUT
	}
	if err := c.lp.watch(c, events); err != nil {
		c.Abort(err)
	}
}

// Info implements Conn.
func (c *loopConn) Info() *Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info
}

// ForgetInfo implements Conn.
func (c *loopConn) ForgetInfo() {
	c.mu.Lock()
	c.info = nil
	c.mu.Unlock()
}

// Post implements Conn.
func (c *loopConn) Post(fn func()) bool {
	lp := c.lp
	lp.mu.Lock()
	if c.finished {
		lp.mu.Unlock()
		return false
	}
	if c.posts.Load() >= MaxPosts {
		lp.mu.Unlock()
		c.Abort(ErrPostOverflow)
		return false
	}
	c.posts.Add(1)
	lp.queue = append(lp.queue, task{c, fn})
	wake := lp.wakeLocked(false)
	lp.mu.Unlock()
	if wake {
		lp.wake()
	}
	return true
}

// PauseRead implements Conn. Epoll is told when it reports something unwanted.
func (c *loopConn) PauseRead() {
	c.mu.Lock()
	c.paused = true
	c.mu.Unlock()
}

// ResumeRead implements Conn.
func (c *loopConn) ResumeRead() {
	c.mu.Lock()
	was := c.paused
	if was {
		c.paused, c.again = false, true
	}
	c.mu.Unlock()
	if was {
		c.call()
	}
}

// SetReadLimit implements Conn.
func (c *loopConn) SetReadLimit(n int) {
	c.mu.Lock()
	if !c.closing {
		c.limit = int32(min(max(1, n), maxLimit))
	}
	c.mu.Unlock()
}

// SetDeadline implements Conn.
func (c *loopConn) SetDeadline(t time.Time) {
	var at time.Duration
	if !t.IsZero() {
		at = max(1, c.lp.now()+time.Until(t))
	}
	c.mu.Lock()
	if c.closing {
		c.mu.Unlock()
		return
	}
	c.due = at
	c.mu.Unlock()
	if at > 0 {
		c.call()
	}
}

// tick is called by the wheel at the moment it was told, or before.
func (c *loopConn) tick(now time.Duration) {
	if c.fd < 0 {
		return
	}
	c.mu.Lock()
	due, closing := c.due, c.closing
	c.mu.Unlock()
	late := c.tail != nil && c.tail.by <= now
	switch {
	case c.lingers && due <= now:
		c.destroy()
		return
	case late, closing && !c.lingers && due > 0 && due <= now:
		c.abort(ErrSendTimeout, true)
		return
	case !closing && due > 0 && due <= now:
		c.Close(ErrDeadline)
		return
	}
	if c.tail != nil && !c.lingers {
		due = earlier(due, c.tail.by)
	}
	if due > 0 {
		c.lp.wheel.put(c, now, due)
	}
}

// earlier is the smaller of two moments, of which 0 is never.
func earlier(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// sysError names the system call of an error.
func sysError(call string, err error) error { return os.NewSyscallError(call, err) }
