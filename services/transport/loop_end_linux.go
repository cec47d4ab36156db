package transport

import (
	"crypto/tls"
	"net"

	"golang.org/x/sys/unix"
)

// The end of a connection:
//
//	Close ─► flush ─► end ─► posted functions ─► Closed ─► linger ─► destroy
//	Abort ──────────► end ─► (socket closed) ─► ... ─► Closed ─► destroy

// gone is the fd of a connection that the listener does not count any more.
const gone = -2

// detach takes the socket out of the runtime's poller: the descriptor returned is
// a copy, and the original is closed by the caller.
func detach(raw *net.TCPConn) (fd int32, err error) {
	rc, err := raw.SyscallConn()
	if err != nil {
		return 0, err
	}
	if cerr := rc.Control(func(old uintptr) {
		var n int
		n, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
		fd = int32(n)
	}); cerr != nil {
		return 0, cerr
	}
	return fd, err
}

// Close implements Conn. Before Accept there is nothing to send: it aborts.
func (c *loopConn) Close(reason error) {
	by := c.lp.now() + c.ln.cfg.SendTimeout
	c.mu.Lock()
	if !c.opened {
		c.mu.Unlock()
		c.Abort(reason)
		return
	}
	if c.closing {
		c.mu.Unlock()
		return
	}
	c.closing, c.reason, c.due = true, reason, by
	c.mu.Unlock()
	c.call()
}

// Abort implements Conn.
func (c *loopConn) Abort(reason error) { c.abort(reason, true) }

func (c *loopConn) abort(reason error, reset bool) {
	c.mu.Lock()
	if c.broken {
		c.mu.Unlock()
		return
	}
	if !c.closing {
		c.closing, c.reason = true, reason
	}
	c.broken, c.reset = true, reset
	c.ln.pool.putWrite(c.out)
	c.out = nil
	c.mu.Unlock()
	c.call()
}

// end refuses posts and, when those accepted have run, calls Closed.
func (c *loopConn) end() {
	if c.over {
		return
	}
	c.over, c.rest = true, nil
	c.mu.Lock()
	broken, reset := c.broken, c.reset
	c.unsent = 0
	c.mu.Unlock()
	if c.tail != nil {
		c.ln.pool.putWrite(c.tail.store)
		c.tail = nil
	}
	if broken {
		c.shut(reset)
	}
	c.lp.mu.Lock()
	c.finished = true
	waits := c.posts.Load() > 0
	c.lp.mu.Unlock()
	if !waits {
		c.last()
	} else if c.fd >= 0 {
		_ = c.lp.watch(c, 0)
	}
}

// last calls Closed and lets the socket go.
func (c *loopConn) last() {
	c.mu.Lock()
	opened, reason := c.opened, c.reason
	c.mu.Unlock()
	if opened && c.h != nil {
		c.guard(func() { c.h.Closed(reason) })
	}
	if c.fd < 0 || c.eof || unix.Shutdown(int(c.fd), unix.SHUT_WR) != nil {
		c.destroy()
		return
	}
	c.linger()
}

// linger waits a moment for the peer's end after ours, because closing a socket
// with unread input resets it and may destroy what was sent last.
func (c *loopConn) linger() {
	now := c.lp.now()
	c.lingers = true
	c.mu.Lock()
	c.due, c.limit = now+lingerTime, lingerBytes
	c.mu.Unlock()
	c.lp.wheel.put(c, now, now+lingerTime)
	if err := c.lp.watch(c, unix.EPOLLIN); err != nil {
		c.destroy()
	}
}

// discard throws input away until the peer's end.
func (c *loopConn) discard() {
	n, err := c.read(c.lp.buf)
	c.mu.Lock()
	c.limit -= int32(n)
	over := c.limit < 0
	c.mu.Unlock()
	if err != nil || over {
		c.destroy()
	}
}

// shut closes the socket; with reset what the kernel holds is dropped.
func (c *loopConn) shut(reset bool) {
	if c.fd < 0 {
		return
	}
	if reset {
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	_ = unix.Close(int(c.fd)) // which ends what epoll reports, too
	c.fd = -1
}

// destroy is the last act of a connection.
func (c *loopConn) destroy() {
	if c.fd == gone {
		return
	}
	c.shut(false)
	c.fd, c.h, c.sec = gone, nil, nil
	c.lp.dismiss(c)
	c.ln.left(ReasonOf(c.reason))
}

// detach makes the pipe one of an event loop.
func (p *pipe) detach(t *tls.Conn) *sealed {
	if early, ok := p.Conn.(*prefixed); ok {
		p.in = early.rest
	}
	p.Conn = nil
	return &sealed{pipe: p, tls: t}
}
