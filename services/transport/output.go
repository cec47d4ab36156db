package transport

import (
	"time"

	"github.com/pando-mq/pando/services/transport/ws"
)

const (
	inlineRounds = 4        // non-blocking writes before a goroutine takes over
	writeChunk   = 64 << 10 // a peer must take this much within the send timeout
)

// output is the sending half of a conn, guarded by conn.mu. Bytes are appended
// to out; the writer (whoever set writing) takes out as wr and writes it without
// the lock. Both are nil when nothing is pending.
type output struct {
	out        []byte // with WebSocket it begins with room for a frame header
	wr         []byte // taken and not yet written
	wrBuf      []byte // storage of wr
	writing    bool
	timed      bool   // a write deadline is set
	above      bool   // HighWater was passed and Drained is due
	pong       []byte // one control frame; a later ping replaces an unsent answer
	closeFrame []byte // goes after everything else
}

// pendingLocked counts queued bytes, without room for a header.
func (c *conn) pendingLocked() int {
	n := len(c.out) + len(c.wr) + len(c.pong) + len(c.closeFrame)
	if c.web != nil && len(c.out) > 0 {
		n -= ws.HeaderRoom
	}
	return n
}

// Pending implements Conn.
func (c *conn) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pendingLocked()
}

// Writable implements Conn.
func (c *conn) Writable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.above
}

// Append implements Conn.
func (c *conn) Append(b []byte) {
	if len(b) == 0 {
		return
	}
	c.mu.Lock()
	slow := c.appendLocked(func(dst []byte) []byte { return append(dst, b...) })
	c.mu.Unlock()
	if slow {
		c.Abort(ErrSlowReader)
	}
}

// AppendFrom implements Conn.
func (c *conn) AppendFrom(encode func(dst []byte) []byte) {
	if c.appendFrom(encode) {
		c.Abort(ErrSlowReader)
	}
}

func (c *conn) appendFrom(encode func(dst []byte) []byte) (slow bool) {
	c.mu.Lock()
	defer c.mu.Unlock() // encode is not ours and may panic
	return c.appendLocked(encode)
}

// appendLocked reports a peer that is too slow to be kept.
func (c *conn) appendLocked(encode func(dst []byte) []byte) (slow bool) {
	if c.closing {
		return false
	}
	if c.pendingLocked() > c.ln.cfg.MaxPending {
		return true
	}
	dst := c.out
	if dst == nil {
		dst = c.ln.pool.getWrite()
		if c.web != nil {
			dst = append(dst, make([]byte, ws.HeaderRoom)...)
		}
	}
	before := len(dst)
	if dst = encode(dst); len(dst) > before || c.out != nil {
		c.out = dst
	} else {
		c.ln.pool.putWrite(dst)
	}
	if c.pendingLocked() > c.ln.cfg.HighWater {
		c.above = true
	}
	return false
}

// Flush implements Conn.
func (c *conn) Flush() {
	c.mu.Lock()
	later := c.running // leave flushes after it gave running back
	c.mu.Unlock()
	if !later {
		c.flush()
	}
}

// flush starts writing unless somebody does. It writes without blocking where
// the system can, and leaves the rest to a goroutine.
func (c *conn) flush() {
	c.mu.Lock()
	if c.writing || !c.takeLocked() {
		c.mu.Unlock()
		return
	}
	c.writing = true
	c.mu.Unlock()
	for range inlineRounds {
		n, ok, err := tryWrite(c.rc, c.wr, c.ln.pool)
		if !ok || n < len(c.wr) && err == nil {
			c.wrote(n, nil)
			break
		}
		if !c.wrote(n, err) {
			return
		}
	}
	go c.writeLoop()
}

// writeLoop writes, blocking, until nothing is pending.
func (c *conn) writeLoop() {
	for {
		c.mu.Lock()
		by := time.Now().Add(c.ln.cfg.SendTimeout)
		if c.closing {
			by = c.closeBy
		}
		c.timed = true
		_ = c.nc.SetWriteDeadline(by)
		chunk := c.wr[:min(len(c.wr), writeChunk)]
		c.mu.Unlock()
		n, err := c.nc.Write(chunk)
		if !c.wrote(n, err) {
			return
		}
	}
}

// wrote accounts for n bytes of wr written by the one who holds writing. It
// reports whether there is more to write; if not, writing is given back.
func (c *conn) wrote(n int, err error) (more bool) {
	c.mu.Lock()
	c.wr = c.wr[n:]
	if err != nil && !c.broken {
		c.mu.Unlock()
		c.Abort(writeReason(err))
		c.mu.Lock()
	}
	if len(c.wr) == 0 || c.broken {
		c.ln.pool.putWrite(c.wrBuf)
		c.wr, c.wrBuf = nil, nil
	}
	more = !c.broken && (len(c.wr) > 0 || c.takeLocked())
	start := c.drainedLocked()
	if !more {
		c.writing = false
		if c.timed {
			c.timed = false
			_ = c.nc.SetWriteDeadline(time.Time{})
		}
		c.cond.Broadcast()
	}
	c.mu.Unlock()
	if start {
		go c.runPosts()
	}
	return more
}

// drainedLocked queues Drained when it is due and reports whether the caller
// must start runPosts.
func (c *conn) drainedLocked() (start bool) {
	if !c.above || c.closing || c.pendingLocked() > c.ln.cfg.HighWater/4 {
		return false
	}
	c.above = false
	return c.drainer != nil && c.postLocked(c.drainer.Drained)
}

// takeLocked moves output into wr, which is empty: a pong first, then the
// queued bytes as one frame, then the close frame.
func (c *conn) takeLocked() bool {
	switch {
	case c.broken:
		return false
	case c.pong != nil:
		c.wr, c.pong = c.pong, nil
		return true
	case len(c.out) == 0 && c.closeFrame == nil:
		return false
	}
	buf := c.out
	c.out, c.wrBuf, c.wr = nil, buf, buf
	if c.web != nil {
		if len(buf) > 0 {
			size := ws.PutHeader(buf[:ws.HeaderRoom], ws.OpBinary, len(buf)-ws.HeaderRoom)
			c.wr = buf[ws.HeaderRoom-size:]
		}
		c.wr, c.closeFrame = append(c.wr, c.closeFrame...), nil
	}
	return true
}

// breakLocked ends output for good. The storage of wr stays with the writer.
func (c *conn) breakLocked() {
	c.broken = true
	c.ln.pool.putWrite(c.out)
	c.out, c.pong, c.closeFrame = nil, nil, nil
}

// control answers WebSocket control frames while input is decoded.
func (c *conn) control(op byte, payload []byte) {
	if op != ws.OpPing {
		return
	}
	frame := ws.AppendControl(nil, ws.OpPong, payload)
	c.mu.Lock()
	if !c.closing {
		c.pong = frame
	}
	c.mu.Unlock()
}
