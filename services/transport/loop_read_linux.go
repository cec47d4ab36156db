package transport

import (
	"bytes"
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/pando-mq/pando/services/transport/ws"
)

// fill reads once, as much as one connection may in a turn, and delivers it.
func (c *loopConn) fill(limit int) {
	if len(c.rest) >= limit {
		c.Close(ErrReadLimit)
		return
	}
	if c.sec != nil {
		if c.lp.cipher == nil {
			c.lp.cipher = make([]byte, turnBytes)
		}
		n, err := c.read(c.lp.cipher)
		c.decrypt(c.lp.cipher[:n])
		if err != nil && !c.over {
			c.ended(err)
		}
		return
	}
	held := c.carry()
	n, err := c.read(c.lp.buf[held : held+min(turnBytes, limit-len(c.rest))])
	c.received(held, n, err)
}

// carry copies a short rest of a packet to the front of the loop's buffer and
// returns its length; a longer one stays where it is.
func (c *loopConn) carry() int {
	if len(c.rest) > carryBytes {
		return 0
	}
	return copy(c.lp.buf, c.rest)
}

// read reads what there is; 0 without an error: nothing. The end is io.EOF.
func (c *loopConn) read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(c.fd), b)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return 0, nil
		case err != nil:
			return 0, sysError("read", err)
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// decrypt delivers all that crypto/tls makes of in and of what it holds already.
func (c *loopConn) decrypt(in []byte) {
	c.sec.in = in
	for {
		held := c.carry()
		n, err := c.sec.tls.Read(c.lp.buf[held:])
		if errors.Is(err, errLater) {
			err = nil
			if n == 0 {
				break
			}
		}
		c.received(held, n, err)
		if err != nil {
			break
		}
	}
	c.sec.in = nil
}

// received takes n new bytes that lie behind held older ones in the loop's buffer.
// Without these the older ones are in rest. end is the end of the input.
func (c *loopConn) received(held, n int, end error) {
	b := c.lp.buf[:held+n]
	if c.web != nil && n > 0 {
		m, err := c.web.Decode(b[held:], c.control)
		if err != nil {
			end = err
		}
		n, b = m, b[:held+m]
	}
	if n > 0 {
		own := held != len(c.rest)
		if own {
			c.grow(n)
			c.rest = append(c.rest, b...)
			b = c.rest
		}
		c.deliver(b, own)
	}
	if end != nil {
		c.ended(end)
	}
}

// grow makes room behind the rest: twice as much each time, up to the read limit.
func (c *loopConn) grow(n int) {
	need := len(c.rest) + n
	if need <= cap(c.rest) {
		return
	}
	c.mu.Lock()
	limit := int(c.limit)
	c.mu.Unlock()
	c.rest = append(make([]byte, 0, max(need, min(2*cap(c.rest), limit))), c.rest...)
}

// deliver gives the Handler the unconsumed bytes and keeps what it leaves. With
// own they are in rest. No Data call sees more than the read limit.
func (c *loopConn) deliver(b []byte, own bool) {
	for {
		c.mu.Lock()
		deaf, limit := c.paused || c.closing, int(c.limit)
		c.mu.Unlock()
		if deaf || len(b) == 0 || c.h == nil {
			break
		}
		view := b[:min(len(b), limit)]
		n := c.data(view)
		b = b[n:]
		if n > 0 && len(b) > len(view)-n {
			continue
		}
		if len(b) >= limit && !c.deaf() {
			c.Close(ErrReadLimit)
		}
		break
	}
	c.keep(b, own)
}

// deaf reports whether no more Data may be called.
func (c *loopConn) deaf() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paused || c.closing
}

// data calls the Handler.
func (c *loopConn) data(b []byte) (n int) {
	c.guard(func() {
		var err error
		n, err = c.h.Data(b)
		if n < 0 || n > len(b) {
			n, err = len(b), errConsumed
		}
		if err != nil {
			c.Close(err)
		}
	})
	return n
}

// keep makes b the rest, in a buffer of about its size.
func (c *loopConn) keep(b []byte, own bool) {
	switch {
	case len(b) == 0:
		c.rest = nil
	case own && 4*len(b) >= cap(c.rest):
		c.rest = c.rest[:copy(c.rest, b)]
	case !own && len(b) <= cap(c.rest) && 4*len(b) >= cap(c.rest):
		c.rest = append(c.rest[:0], b...)
	default:
		c.rest = bytes.Clone(b)
	}
}

// control answers WebSocket control frames while input is decoded.
func (c *loopConn) control(op byte, payload []byte) {
	if op != ws.OpPing {
		return
	}
	frame := ws.AppendControl(nil, ws.OpPong, payload)
	c.mu.Lock()
	if !c.closing {
		c.web.pong = frame
	}
	c.mu.Unlock()
}

// ended closes after the end of the input, unless it closes already: a fault of
// reading must not stop what is still to be sent.
func (c *loopConn) ended(err error) {
	if ce, ok := errors.AsType[*ws.CloseError](err); ok {
		c.Close(webReason(ce))
		return
	}
	switch reason := readReason(err); reason {
	case ErrPeerClosed:
		c.eof = true
		c.Close(reason)
	default:
		c.mu.Lock()
		closing := c.closing
		c.mu.Unlock()
		if !closing {
			c.Abort(reason)
		}
	}
}
