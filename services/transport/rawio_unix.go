//go:build unix

package transport

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawOp is one non-blocking operation on a socket. The functions given to the
// runtime's poller are made once per pooled rawOp, not once per call.
type rawOp struct {
	buf   []byte
	in    *inbuf
	pool  *pool
	limit int
	n     int
	err   error

	readFn, writeFn func(fd uintptr) bool
}

func (p *pool) getOp() *rawOp {
	if op, ok := p.ops.Get().(*rawOp); ok {
		return op
	}
	op := &rawOp{pool: p}
	op.readFn, op.writeFn = op.read, op.write
	return op
}

func (p *pool) putOp(op *rawOp) {
	op.buf, op.in, op.n, op.err = nil, nil, 0, nil
	p.ops.Put(op)
}

// read takes a buffer only for the moment in which there may be something to
// read: false, after giving it back, waits for the socket.
func (op *rawOp) read(fd uintptr) bool {
	for {
		op.n, op.err = unix.Read(int(fd), op.in.room(op.pool, op.limit))
		switch op.err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			op.in.idle(op.pool)
			return false
		}
		return true
	}
}

func (op *rawOp) write(fd uintptr) bool {
	for op.n < len(op.buf) {
		n, err := unix.Write(int(fd), op.buf[op.n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			if err != unix.EAGAIN {
				op.err = err
			}
			return true
		}
		op.n += n
	}
	return true
}

// tryRead waits for input without holding a buffer, then reads behind the window
// of in. ok is false where there is no such way: TLS.
func tryRead(rc syscall.RawConn, in *inbuf, p *pool, limit int) (n int, ok bool, err error) {
	if rc == nil {
		return 0, false, nil
	}
	op := p.getOp()
	op.in, op.limit = in, limit
	err = rc.Read(op.readFn)
	n, opErr := max(op.n, 0), op.err
	p.putOp(op)
	switch {
	case err != nil:
		return 0, true, err
	case opErr != nil:
		return 0, true, opErr
	case n == 0:
		return 0, true, io.EOF
	}
	return n, true, nil
}

// tryWrite writes what the socket takes at once. ok is false where there is no
// such way.
func tryWrite(rc syscall.RawConn, b []byte, p *pool) (n int, ok bool, err error) {
	if rc == nil {
		return 0, false, nil
	}
	op := p.getOp()
	op.buf = b
	err = rc.Write(op.writeFn)
	n = op.n
	if err == nil {
		err = op.err
	}
	p.putOp(op)
	return n, true, err
}

// setBacklog asks for another length of the accept queue of a listening socket.
func setBacklog(rc syscall.RawConn, n int) error {
	var err error
	if cerr := rc.Control(func(fd uintptr) { err = unix.Listen(int(fd), n) }); cerr != nil {
		return cerr
	}
	return err
}
