package load

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// errAgain says that a socket has nothing now. It is temporary in the sense of crypto/tls, which then goes on where it stopped at the next call.
var errAgain error = again{}

type again struct{}

func (again) Error() string   { return "nothing to read now" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

// socket is a file descriptor as crypto/tls wants a connection. During the handshake it blocks, up to the time set at its making; afterwards reads say errAgain
// and writes gather in raw.
type socket struct {
	fd      int
	blocked bool
	raw     []byte // to be written by the loop
}

// open connects, with a time limit for each read and write while it blocks.
func open(to netip.AddrPort, from netip.Addr, limit time.Duration) (*socket, error) {
	family := unix.AF_INET
	if to.Addr().Is6() && !to.Addr().Is4In6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s := &socket{fd: fd, blocked: true}
	tv := unix.NsecToTimeval(int64(limit))
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	if err == nil && from.IsValid() {
		// The port is chosen at connect, so that one is free as long as the pair of addresses has one.
		err = errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1), unix.Bind(fd, address(netip.AddrPortFrom(from, 0))))
	}
	if err == nil {
		err = os.NewSyscallError("connect", connect(fd, address(to), limit))
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return s, nil
}

// connect goes on when a signal interrupts it: the system connects all the same, and calling it again would be an error.
func connect(fd int, to unix.Sockaddr, limit time.Duration) error {
	err := unix.Connect(fd, to)
	end := time.Now().Add(limit)
	for errors.Is(err, unix.EINTR) {
		left := time.Until(end)
		if left <= 0 {
			return unix.ETIMEDOUT
		}
		var n int
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(left/time.Millisecond)+1)
		if n == 1 {
			var code int
			if code, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code != 0 {
				err = unix.Errno(code)
			}
		}
		if n == 0 && err == nil {
			return unix.ETIMEDOUT
		}
	}
	return err
}

func address(a netip.AddrPort) unix.Sockaddr {
	if ip := a.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// release ends the blocking part.
func (s *socket) release() error {
	s.blocked = false
	return unix.SetNonblock(s.fd, true)
}

// Read implements net.Conn.
func (s *socket) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(s.fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN) && s.blocked:
			return 0, os.ErrDeadlineExceeded
		case errors.Is(err, unix.EAGAIN):
			return 0, errAgain
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write implements net.Conn.
func (s *socket) Write(b []byte) (int, error) {
	if !s.blocked {
		s.raw = append(s.raw, b...)
		return len(b), nil
	}
	for done := 0; done < len(b); {
		n, err := unix.Write(s.fd, b[done:])
		if err != nil && !errors.Is(err, unix.EINTR) {
			return done, os.NewSyscallError("write", err)
		}
		done += max(n, 0)
	}
	return len(b), nil
}

// Close implements net.Conn.
func (s *socket) Close() error { return unix.Close(s.fd) }

// LocalAddr implements net.Conn; nobody asks.
func (s *socket) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn; nobody asks.
func (s *socket) RemoteAddr() net.Addr { return nil }

// SetDeadline implements net.Conn: the limits of open hold instead.
func (s *socket) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (s *socket) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

var _ net.Conn = (*socket)(nil)
var _ net.Conn = (*tls.Conn)(nil)
