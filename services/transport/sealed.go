package transport

import (
	"crypto/tls"
	"net"
	"time"
)

// pipe is what crypto/tls has for a socket. While the handshake lasts it is the
// socket, and what is computed between two reads takes part in the listener's
// bound. On an event loop it is a buffer in each direction: Read takes what the
// loop put into in, and says "later" when that is used up; Write never fails.
type pipe struct {
	net.Conn               // nil on an event loop
	turns    chan struct{} // taken while the handshake computes; nil without a bound
	pool     *pool
	in, out  []byte
}

// Read implements net.Conn.
func (p *pipe) Read(b []byte) (int, error) {
	if p.Conn == nil {
		if len(p.in) == 0 {
			return 0, errLater
		}
		n := copy(b, p.in)
		p.in = p.in[n:]
		return n, nil
	}
	p.end()
	n, err := p.Conn.Read(b)
	p.begin()
	return n, err
}

// Write implements net.Conn.
func (p *pipe) Write(b []byte) (int, error) {
	if p.Conn != nil {
		return p.Conn.Write(b)
	}
	if p.out == nil {
		p.out = p.pool.getWrite()
	}
	p.out = append(p.out, b...)
	return len(b), nil
}

// SetDeadline implements net.Conn.
func (p *pipe) SetDeadline(t time.Time) error {
	if p.Conn == nil {
		return nil
	}
	return p.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (p *pipe) SetReadDeadline(t time.Time) error {
	if p.Conn == nil {
		return nil
	}
	return p.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn. crypto/tls sets one for its last alert.
func (p *pipe) SetWriteDeadline(t time.Time) error {
	if p.Conn == nil {
		return nil
	}
	return p.Conn.SetWriteDeadline(t)
}

// begin waits for the right to compute, end gives it back.
func (p *pipe) begin() {
	if p.turns != nil {
		p.turns <- struct{}{}
	}
}

func (p *pipe) end() {
	if p.turns != nil {
		<-p.turns
	}
}

// later is the error of a read that has to be repeated. crypto/tls goes on after
// errors that are temporary.
type later struct{}

// Error implements error.
func (later) Error() string { return "nothing to read yet" }

// Timeout implements net.Error.
func (later) Timeout() bool { return true }

// Temporary implements net.Error.
func (later) Temporary() bool { return true }

var errLater net.Error = later{}

// sealed is TLS on an event loop. It is the loop's alone.
type sealed struct {
	*pipe
	tls    *tls.Conn
	parted bool // the last alert was written
}

// seal encrypts b and returns all that is to be written: also what crypto/tls
// answered by itself, and at the end its last alert. The buffer is of the pool.
func (s *sealed) seal(b []byte, last bool) (out []byte, err error) {
	if len(b) > 0 {
		_, err = s.tls.Write(b)
	}
	if last && !s.parted {
		s.parted = true
		_ = s.tls.CloseWrite()
	}
	out, s.out = s.out, nil
	return out, err
}
