package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/pando-mq/pando/services/transport/ws"
)

const (
	lingerTime  = time.Second // wait for the peer's end after ours
	lingerBytes = 1 << 20     // and the input thrown away meanwhile
)

// conn is a Conn with a goroutine of its own (serve).
type conn struct {
	ln   *Listener
	raw  *net.TCPConn
	nc   net.Conn        // raw or TLS over it
	rc   syscall.RawConn // for non-blocking I/O on raw; nil with TLS
	web  *ws.Decoder     // nil without WebSocket
	info *Info           // under mu once Accept was called

	h       Handler // set before the first batch ends, then constant
	drainer Drainer // h, if it is one

	in   inbuf  // input; only the goroutine of serve
	full bool   // the last blocking read filled its buffer
	rest []byte // what came together with the upgrade request

	pipe *pipe  // below TLS; nil without
	heir member // the connection on an event loop that this one became; under mu

	mu   sync.Mutex
	cond sync.Cond // on mu: every change serve or finish may wait for

	// life
	opened   bool      // Accept was called or is next
	closing  bool      // Close or Abort was called: no more Data
	broken   bool      // no more output either
	finished bool      // no more posts
	eof      bool      // the peer ended its side
	reason   error     // of closing
	closeBy  time.Time // end of the send timeout that began with Close

	// serial execution (serial.go)
	running bool
	waiting bool // serve waits for running
	posts   []func()

	// input
	paused bool
	again  bool // ResumeRead: call Data without new bytes
	limit  int

	deadline time.Time
	timer    *time.Timer

	output
}

func newConn(l *Listener, raw *net.TCPConn) *conn {
	c := &conn{ln: l, raw: raw, nc: raw, running: true, limit: l.cfg.ReadLimit}
	c.cond.L = &c.mu
	c.info = &Info{
		Listener: l.cfg.Name, Kind: l.cfg.kind(), Opened: time.Now(),
		Remote: addrPort(raw.RemoteAddr()), Local: addrPort(raw.LocalAddr()),
	}
	return c
}

// begin serves the connection: with a goroutine, unless it goes to an event loop
// at once because nothing has to be waited for.
func (c *conn) begin() {
	cfg := &c.ln.cfg
	if !c.mayLoop() || cfg.kind() != TCP || cfg.ProxyProtocol {
		go c.serve()
		return
	}
	err := c.establish()
	if err == nil && c.toLoop() {
		return
	}
	go c.goOn(err)
}

// serve is the connection's goroutine, from accept until an event loop takes the
// connection over, or to the end.
func (c *conn) serve() {
	err := c.establish()
	if err == nil && c.mayLoop() && c.toLoop() {
		return
	}
	c.goOn(err)
}

// mayLoop says whether an event loop takes the connection over once it is
// established. One that is to hear why it is refused has its goroutine.
func (c *conn) mayLoop() bool { return c.ln.loops != nil && c.info.Refused == "" }

// goOn serves a connection that is established, or ends it.
func (c *conn) goOn(err error) {
	if err != nil {
		if errors.Is(err, ErrTLS) {
			c.linger() // the alert must arrive
		}
		c.abort(err, false)
	} else {
		c.open()
		c.readLoop()
	}
	c.finish()
}

// open asks for the Handler. The batch that it begins is the first.
func (c *conn) open() {
	c.mu.Lock()
	c.opened = !c.closing
	opened := c.opened
	c.mu.Unlock()
	if opened {
		c.guard(func() { c.h = c.ln.deps.Accept(c) })
		c.mu.Lock()
		c.drainer, _ = c.h.(Drainer)
		c.mu.Unlock()
		if c.h == nil {
			c.Close(ErrRefused)
		}
	}
	c.leave()
}

// finish waits for writer and batches, reports Closed and closes the socket.
func (c *conn) finish() {
	c.flush()
	c.mu.Lock()
	for c.writing {
		c.cond.Wait()
	}
	opened := c.opened
	c.mu.Unlock()
	if opened {
		c.enter()
		c.lastPosts()
		if c.h != nil {
			c.guard(func() { c.h.Closed(c.reason) })
		}
	}
	c.mu.Lock()
	if c.timer != nil {
		c.timer.Stop()
	}
	polite := !c.broken
	c.mu.Unlock()
	if polite {
		c.linger()
	}
	_ = c.raw.Close()
	c.in.release(c.ln.pool)
	c.ln.remove(c, ReasonOf(c.reason))
}

// linger ends our side and waits a moment for the peer's, because closing a
// socket with unread input resets it and may destroy what was sent last.
func (c *conn) linger() {
	if t, ok := c.nc.(*tls.Conn); ok {
		_ = t.CloseWrite()
	}
	if c.raw.CloseWrite() != nil || c.eof {
		return
	}
	_ = c.raw.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c.raw, lingerBytes)
}

// guard runs a Handler's code; a panic ends this connection, not the process.
func (c *conn) guard(fn func()) {
	defer func() {
		if v := recover(); v != nil {
			c.ln.panicked(v, c.Info())
			c.Abort(ErrPanic)
		}
	}()
	fn()
}

// panicked reports a panic of a Handler, of whose connection info may be forgotten.
func (l *Listener) panicked(v any, info *Info) {
	remote := ""
	if info != nil {
		remote = info.Remote.String()
	}
	l.deps.Log.Error("handler panicked", slog.Any("panic", v), slog.String("listener", l.cfg.Name),
		slog.String("remote", remote), slog.String("stack", string(debug.Stack())))
}

// Info implements Conn.
func (c *conn) Info() *Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.info
}

// ForgetInfo implements Conn.
func (c *conn) ForgetInfo() {
	c.mu.Lock()
	c.info = nil
	c.mu.Unlock()
}

// Close implements Conn. Before Accept there is nothing to send: it aborts.
func (c *conn) Close(reason error) {
	c.mu.Lock()
	if heir := c.heir; heir != nil {
		c.mu.Unlock()
		heir.Close(reason)
		return
	}
	if !c.opened {
		c.mu.Unlock()
		c.Abort(reason)
		return
	}
	if c.closing {
		c.mu.Unlock()
		return
	}
	c.closing, c.reason = true, reason
	c.closeBy = time.Now().Add(c.ln.cfg.SendTimeout)
	if c.web != nil {
		c.closeFrame = ws.AppendClose(nil, closeCode(reason), "")
	}
	c.wakeLocked()
	c.mu.Unlock()
	c.Flush()
}

// Abort implements Conn.
func (c *conn) Abort(reason error) { c.abort(reason, true) }

// abort closes the socket; with reset the kernel's buffers are given back now.
func (c *conn) abort(reason error, reset bool) {
	c.mu.Lock()
	if heir := c.heir; heir != nil {
		c.mu.Unlock()
		heir.Abort(reason)
		return
	}
	if c.broken {
		c.mu.Unlock()
		return
	}
	if !c.closing {
		c.closing, c.reason = true, reason
	}
	c.breakLocked()
	if reset {
		_ = c.raw.SetLinger(0) // before serve wakes up and closes the socket itself
	}
	c.wakeLocked()
	c.mu.Unlock()
	_ = c.raw.Close()
}

// wakeLocked makes serve notice closing, wherever it waits.
func (c *conn) wakeLocked() {
	_ = c.raw.SetReadDeadline(time.Unix(1, 0))
	c.cond.Broadcast()
}

// SetDeadline implements Conn.
func (c *conn) SetDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	c.deadline = t
	switch {
	case t.IsZero():
		if c.timer != nil {
			c.timer.Stop()
			c.timer = nil
		}
	case c.timer == nil:
		c.timer = time.AfterFunc(time.Until(t), c.expire)
	default:
		c.timer.Reset(time.Until(t))
	}
}

// expire is the timer's function. A timer that fired while it was replaced, or
// whose deadline followed another clock, finds a later deadline or none.
func (c *conn) expire() {
	c.mu.Lock()
	left := time.Until(c.deadline)
	armed := c.timer != nil && !c.deadline.IsZero()
	if armed && left > 0 {
		c.timer.Reset(left)
	}
	c.mu.Unlock()
	if armed && left <= 0 {
		c.Close(ErrDeadline)
	}
}
