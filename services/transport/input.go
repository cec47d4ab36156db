package transport

import (
	"errors"

	"github.com/pando-mq/pando/services/transport/ws"
)

// errConsumed is a fault of the Handler.
var errConsumed = errors.New("handler consumed more than it was given")

// inbuf is a window [r:w) of unconsumed bytes on a buffer that comes from the
// pool or, for long packets, is its own. Without bytes it has no buffer.
type inbuf struct {
	buf  []byte
	r, w int
}

func (b *inbuf) bytes() []byte { return b.buf[b.r:b.w] }

// room returns space for at least a byte, unless limit bytes are held already.
// It moves or grows the window when less than a quarter of the buffer is free.
func (b *inbuf) room(p *pool, limit int) []byte {
	held := b.w - b.r
	switch {
	case b.buf == nil:
		b.buf = p.getRead()
	case len(b.buf)-b.w >= max(1, len(b.buf)/4):
	case b.r > 0 && len(b.buf) >= readSize:
		copy(b.buf, b.bytes())
		b.r, b.w = 0, held
	case len(b.buf) < readSize:
		b.replace(p, p.getRead())
	case len(b.buf) < limit:
		b.replace(p, make([]byte, min(2*len(b.buf), limit)))
	}
	return b.buf[b.w:min(len(b.buf), max(b.r+limit, b.w))]
}

// idle gives the buffer back before a wait: an empty window needs none, and a
// short rest of a packet moves to a buffer of its size.
func (b *inbuf) idle(p *pool) {
	held := b.w - b.r
	switch {
	case held == 0:
		b.release(p)
	case held <= len(b.buf)/4 && len(b.buf) >= readSize:
		b.replace(p, make([]byte, held))
	}
}

// small takes a small buffer for a read that may wait long: TLS must be given a
// buffer before it waits. The next one is larger if this one was filled.
func (b *inbuf) small(p *pool) {
	b.release(p)
	b.buf = p.getSmall()
}

// replace moves the window to the front of buf, which has room for it.
func (b *inbuf) replace(p *pool, buf []byte) {
	n := copy(buf, b.bytes())
	p.putRead(b.buf)
	b.buf, b.r, b.w = buf, 0, n
}

func (b *inbuf) release(p *pool) {
	p.putRead(b.buf)
	*b = inbuf{}
}

// readLoop reads and delivers until the connection is closing.
func (c *conn) readLoop() {
	for {
		limit, again, ok := c.awaitRead()
		if !ok {
			return
		}
		var end error
		if !again {
			end = c.fill(limit)
		}
		c.deliver()
		if end != nil {
			c.ended(end)
		}
	}
}

// awaitRead waits while reading is paused. again asks for a delivery without
// reading; ok is false when the connection is closing.
func (c *conn) awaitRead() (limit int, again, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.paused && !c.closing {
		c.cond.Wait()
	}
	again = c.again
	c.again = false
	return c.limit, again, !c.closing
}

// fill reads once and decodes WebSocket frames in place. An error is the end of
// the input; what is in the window is still good.
func (c *conn) fill(limit int) error {
	if len(c.in.bytes()) >= limit {
		return ErrReadLimit
	}
	n, err := c.read(limit)
	if c.web != nil && n > 0 {
		var werr error
		if n, werr = c.web.Decode(c.in.buf[c.in.w:c.in.w+n], c.control); werr != nil {
			err = werr
		}
	}
	c.in.w += n
	return err
}

// read puts bytes behind the window without moving its end.
func (c *conn) read(limit int) (int, error) {
	if rest := c.rest; len(rest) > 0 {
		n := copy(c.in.room(c.ln.pool, limit), rest)
		c.rest = rest[n:]
		return n, nil
	}
	c.rest = nil
	if n, ok, err := tryRead(c.rc, &c.in, c.ln.pool, limit); ok {
		return n, err
	}
	if len(c.in.bytes()) == 0 && !c.full {
		c.in.small(c.ln.pool)
	}
	room := c.in.room(c.ln.pool, limit)
	n, err := c.nc.Read(room)
	c.full = n == len(room)
	return n, err
}

// deliver runs one batch: Data with what is unconsumed, then posted functions.
func (c *conn) deliver() {
	c.enter()
	c.mu.Lock()
	skip := c.paused || c.closing
	c.mu.Unlock()
	if b := c.in.bytes(); len(b) > 0 && !skip {
		c.guard(func() {
			n, err := c.h.Data(b)
			if n < 0 || n > len(b) {
				n, err = len(b), errConsumed
			}
			c.in.r += n
			if err != nil {
				c.Close(err)
			}
		})
	}
	c.leave()
}

// ended closes after the end of the input, unless Close caused it.
func (c *conn) ended(err error) {
	if ce, ok := errors.AsType[*ws.CloseError](err); ok {
		c.Close(webReason(ce))
		return
	}
	switch reason := readReason(err); {
	case reason == ErrPeerClosed:
		c.mu.Lock()
		c.eof = true
		c.mu.Unlock()
		c.Close(reason)
	case reason == ErrReadLimit:
		c.Close(reason)
	default:
		c.abortUnlessClosing(reason)
	}
}

// abortUnlessClosing: a read that Close interrupted must not stop the flush.
func (c *conn) abortUnlessClosing(reason error) {
	c.mu.Lock()
	closing := c.closing
	c.mu.Unlock()
	if !closing {
		c.Abort(reason)
	}
}

// PauseRead implements Conn.
func (c *conn) PauseRead() {
	c.mu.Lock()
	c.paused = true
	c.mu.Unlock()
}

// ResumeRead implements Conn.
func (c *conn) ResumeRead() {
	c.mu.Lock()
	if c.paused {
		c.paused, c.again = false, true
		c.cond.Broadcast()
	}
	c.mu.Unlock()
}

// SetReadLimit implements Conn.
func (c *conn) SetReadLimit(n int) {
	c.mu.Lock()
	c.limit = max(1, n)
	c.mu.Unlock()
}
