package transport

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/pando-mq/pando/services/transport/ws"
)

// tail is output that the kernel did not take at once.
type tail struct {
	buf   []byte
	store []byte        // what buf is part of; goes back to the pool
	by    time.Duration // the peer must take something before
}

// pendingLocked counts queued bytes, without room for a header.
func (c *loopConn) pendingLocked() int {
	n := len(c.out) + int(c.unsent)
	if c.web != nil {
		n += len(c.web.pong)
		if len(c.out) > 0 {
			n -= ws.HeaderRoom
		}
	}
	return n
}

// Pending implements Conn.
func (c *loopConn) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pendingLocked()
}

// Writable implements Conn.
func (c *loopConn) Writable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.above
}

// Append implements Conn.
func (c *loopConn) Append(b []byte) {
	if len(b) == 0 {
		return
	}
	c.mu.Lock()
	dst, slow := c.roomLocked()
	if dst != nil {
		c.filledLocked(append(dst, b...))
	}
	c.mu.Unlock()
	if slow {
		c.Abort(ErrSlowReader)
	}
}

// AppendFrom implements Conn.
func (c *loopConn) AppendFrom(encode func(dst []byte) []byte) {
	if c.appendFrom(encode) {
		c.Abort(ErrSlowReader)
	}
}

func (c *loopConn) appendFrom(encode func(dst []byte) []byte) (slow bool) {
	c.mu.Lock()
	defer c.mu.Unlock() // encode is not ours and may panic
	dst, slow := c.roomLocked()
	if dst == nil {
		return slow
	}
	before := len(dst)
	if dst = encode(dst); len(dst) > before || c.out != nil {
		c.filledLocked(dst)
	} else {
		c.ln.pool.putWrite(dst)
	}
	return false
}

// roomLocked is what to append to; nil: nothing may be. slow: the peer is too slow
// to be kept.
func (c *loopConn) roomLocked() (dst []byte, slow bool) {
	switch {
	case c.closing:
		return nil, false
	case c.pendingLocked() > c.ln.cfg.MaxPending:
		return nil, true
	case c.out != nil:
		return c.out, false
	}
	dst = c.ln.pool.getWrite()
	if c.web != nil {
		dst = append(dst, make([]byte, ws.HeaderRoom)...)
	}
	return dst, false
}

func (c *loopConn) filledLocked(out []byte) {
	c.out = out
	if c.pendingLocked() > c.ln.cfg.HighWater {
		c.above = true
	}
}

// Flush implements Conn.
func (c *loopConn) Flush() { c.call() }

// flush writes what is queued, as far as the kernel takes it, and ends the
// connection when that was the last.
func (c *loopConn) flush() {
	waited := c.tail != nil
	for c.fd >= 0 && !c.over {
		buf, store := c.next()
		if buf == nil {
			c.settle()
			break
		}
		n, err := c.write(buf)
		if err != nil {
			c.abort(writeReason(err), true)
			c.end()
			return
		}
		if n < len(buf) {
			c.wait(buf[n:], store, n > 0)
			break
		}
		c.tail = nil
		c.ln.pool.putWrite(store)
	}
	if waited != (c.tail != nil) {
		c.rearm()
	}
	if c.tail != nil {
		c.mu.Lock()
		by := c.due
		c.mu.Unlock()
		if by > 0 {
			c.lp.wheel.put(c, c.lp.now(), by)
		}
	}
}

// next is what to write now, and the buffer that it is part of; nil: nothing. A
// pong goes first, then the queued bytes as one frame, then the close frame.
func (c *loopConn) next() (buf, store []byte) {
	c.mu.Lock()
	if t := c.tail; t != nil && !c.broken {
		c.mu.Unlock()
		return t.buf, t.store
	}
	c.unsent = 0
	buf, store = c.takeLocked()
	c.unsent = int32(len(buf))
	closing := c.closing && !c.broken
	c.drainLocked()
	c.mu.Unlock()
	if c.sec == nil {
		return buf, store
	}
	sealed, err := c.sec.seal(buf, closing && buf == nil)
	c.ln.pool.putWrite(store)
	if err != nil {
		c.abort(err, false)
	}
	return sealed, sealed
}

func (c *loopConn) takeLocked() (buf, store []byte) {
	w := c.web
	switch {
	case c.broken:
		return nil, nil
	case w == nil:
		buf, c.out = c.out, nil
		return buf, buf
	case w.pong != nil:
		buf, w.pong = w.pong, nil
		return buf, nil
	}
	store, c.out = c.out, nil
	buf = store
	if len(buf) > 0 {
		size := ws.PutHeader(buf[:ws.HeaderRoom], ws.OpBinary, len(buf)-ws.HeaderRoom)
		buf = buf[ws.HeaderRoom-size:]
	}
	if c.closing && !w.parted {
		w.parted = true
		buf = ws.AppendClose(buf, closeCode(c.reason), "")
	}
	return buf, store
}

// drainLocked has Drained called when it is due.
func (c *loopConn) drainLocked() {
	if c.above && !c.closing && c.pendingLocked() <= c.ln.cfg.HighWater/4 {
		c.above, c.drained = false, true
	}
}

// settle goes on when nothing is left to write.
func (c *loopConn) settle() {
	c.mu.Lock()
	closing, drained := c.closing, c.drained
	c.mu.Unlock()
	if drained {
		c.call() // in a turn of its own: whoever drains fast must not keep the loop
	}
	if closing {
		c.end()
	}
}

// wait keeps output until the socket is writable. A peer that took something has
// the whole send timeout again.
func (c *loopConn) wait(buf, store []byte, moved bool) {
	now := c.lp.now()
	t := c.tail
	if t == nil {
		t, moved = new(tail), true
		c.tail = t
	}
	t.buf, t.store = buf, store
	if moved {
		t.by = now + c.ln.cfg.SendTimeout
		c.lp.wheel.put(c, now, t.by)
	}
	c.mu.Lock()
	c.unsent = int32(len(buf))
	c.drainLocked()
	drained := c.drained
	c.mu.Unlock()
	if drained {
		c.call()
	}
}

// write gives the kernel what it takes at once.
func (c *loopConn) write(b []byte) (n int, err error) {
	for n < len(b) {
		m, err := unix.Write(int(c.fd), b[n:])
		switch err {
		case nil:
			n += m
		case unix.EINTR:
		case unix.EAGAIN:
			return n, nil
		default:
			return n, sysError("write", err)
		}
	}
	return n, nil
}
