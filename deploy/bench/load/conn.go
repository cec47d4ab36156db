package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pando-mq/pando/deploy/bench/tally"
	"github.com/pando-mq/pando/deploy/bench/wire"
)

// The states of a connection.
const (
	idle        = iota // not begun
	dialling           // a dialler has it
	greeting           // CONNECT is sent
	subscribing        // waits for SUBACK
	ready
	gone // failed, or closed by either side
)

// conn is one connection and what its client knows.
type conn struct {
	spec  *Client
	index int32
	state byte
	began int64 // of the last attempt to connect, ns

	s   *socket
	tls *tls.Conn
	ws  *deframer
	key uint32 // mask of WebSocket

	in     []byte // a part of a packet
	out    []byte // packets that leave at the end of the round
	dirty  bool   // it is in the list of those with output
	armed  bool   // EPOLLOUT is of interest
	spoken int64  // last output, ns

	granted int // filters that SUBACK answered
	pub     *publisher
	boxes   map[uint64]*tally.Inbox // by run and stream
	last    uint64                  // the box used last, and its key
	box     *tally.Inbox
}

// inbox finds the box of a run and stream, making one for its first message.
func (c *conn) inbox(run, stream uint32) *tally.Inbox {
	key := uint64(run)<<32 | uint64(stream)
	if c.box != nil && c.last == key {
		return c.box
	}
	b := c.boxes[key]
	if b == nil {
		if c.boxes == nil {
			c.boxes = map[uint64]*tally.Inbox{}
		}
		b = &tally.Inbox{}
		c.boxes[key] = b
	}
	c.last, c.box = key, b
	return b
}

// read takes what the socket has. tls.Conn keeps what it read ahead to itself, so it is asked until it has nothing.
func (f *Fleet) read(c *conn) error {
	for c.state != gone {
		var n int
		var err error
		if c.tls != nil {
			n, err = c.tls.Read(f.loop.buf)
		} else {
			n, err = c.s.Read(f.loop.buf)
		}
		if err != nil {
			if errors.Is(err, errAgain) {
				return nil
			}
			return err
		}
		f.now = nanotime()
		if err := f.unwrap(c, f.loop.buf[:n]); err != nil {
			return err
		}
		if c.tls == nil {
			return nil // level-triggered: what is left comes with the next round
		}
	}
	return nil
}

func (f *Fleet) unwrap(c *conn, b []byte) error {
	if c.ws != nil {
		var pinged bool
		var err error
		if b, pinged, err = c.ws.feed(b); err != nil {
			return err
		}
		if pinged {
			f.push(c, appendFrame(nil, wsPong, c.key, nil))
		}
	}
	return f.feed(c, b)
}

// maxPart is how much of an incomplete packet is kept.
const maxPart = 64 << 20

// feed handles all packets of a piece of the stream and keeps the part at its end.
func (f *Fleet) feed(c *conn, b []byte) error {
	kept := len(c.in) > 0
	if kept {
		c.in = append(c.in, b...)
		b = c.in
	}
	for c.state != gone {
		n, err := wire.Decode(b, c.spec.Version, &f.packet)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		b = b[n:]
		if err := f.handle(c, &f.packet); err != nil {
			return err
		}
	}
	switch {
	case len(b) > maxPart:
		return errors.New("a packet is too large")
	case kept:
		c.in = c.in[:copy(c.in, b)]
	case len(b) > 0:
		c.in = append(c.in[:0], b...)
	}
	return nil
}

// touch puts a connection with output on the list of this round.
func (f *Fleet) touch(c *conn) {
	if !c.dirty {
		c.dirty = true
		f.dirty = append(f.dirty, c)
	}
}

// flush writes the output of a connection as one piece: one frame of WebSocket, one write.
func (f *Fleet) flush(c *conn) error {
	c.dirty = false
	if len(c.out) > 0 {
		b := c.out
		if c.ws != nil {
			f.loop.scratch = appendFrame(f.loop.scratch[:0], wsBinary, c.key, b)
			b = f.loop.scratch
		}
		f.push(c, b)
		c.out, c.spoken = c.out[:0], f.now
	}
	return f.drain(c)
}

// push hands bytes to TLS, or to the socket at once if nothing is before them; what that does not take waits in raw.
func (f *Fleet) push(c *conn, b []byte) {
	switch {
	case c.tls != nil:
		_, _ = c.tls.Write(b) // it ends in socket.Write, which only appends; an error of TLS itself comes back from the next Read
	case len(c.s.raw) > 0:
		c.s.raw = append(c.s.raw, b...)
	default:
		n, _ := unix.Write(c.s.fd, b) // an error comes again in drain
		if n = max(n, 0); n < len(b) {
			c.s.raw = append(c.s.raw, b[n:]...)
		}
	}
}

// drain writes what waits in raw, and asks to be told when there is room for the rest.
func (f *Fleet) drain(c *conn) error {
	if len(c.s.raw) > 0 {
		n, err := unix.Write(c.s.fd, c.s.raw)
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("write", err)
		}
		c.s.raw = c.s.raw[:copy(c.s.raw, c.s.raw[max(n, 0):])]
	}
	if full := len(c.s.raw) > 0; full != c.armed {
		c.armed = full
		return f.loop.watch(c.s.fd, c.index, unix.EPOLL_CTL_MOD, full)
	}
	return nil
}

// drop ends a connection; why is nil if that was intended.
func (f *Fleet) drop(c *conn, why error) {
	if c.state == gone {
		return
	}
	if why != nil {
		f.fail(c, why)
	}
	switch c.state {
	case ready:
		f.connected--
	case dialling, greeting, subscribing:
		f.settled(c)
	}
	c.state = gone
	if c.s != nil {
		_ = c.s.Close() // that takes it out of epoll, too
	}
	c.s, c.tls, c.ws, c.in, c.out, c.armed = nil, nil, nil, nil, nil, false
}

// fail counts an error and keeps the first of its kind.
func (f *Fleet) fail(c *conn, why error) {
	text := why.Error()
	if f.errors[text] == 0 && f.firstError == nil {
		f.firstError = fmt.Errorf("client %s: %w", c.spec.ID, why)
	}
	if len(f.errors) < 100 || f.errors[text] > 0 {
		f.errors[text]++
	}
}
