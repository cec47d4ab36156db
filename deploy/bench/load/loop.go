package load

import (
	"encoding/binary"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// loop is an epoll instance with a timer and a bell that other goroutines ring.
type loop struct {
	ep, bell, timer int
	events          [512]unix.EpollEvent
	buf             []byte // everything is read into it
	scratch         []byte // frames of WebSocket are written here
}

// Data of epoll events that are not connections.
const (
	bellEvent  = -1
	timerEvent = -2
)

func newLoop() (*loop, error) {
	l := &loop{buf: make([]byte, 256<<10)}
	var err1, err2, err3 error
	l.ep, err1 = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	l.bell, err2 = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	l.timer, err3 = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	return l, errors.Join(
		unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, l.bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: bellEvent}),
		unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, l.timer, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: timerEvent}))
}

func (l *loop) close() error {
	return errors.Join(unix.Close(l.ep), unix.Close(l.bell), unix.Close(l.timer))
}

// ring wakes wait, from any goroutine.
func (l *loop) ring() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(l.bell, one[:]) // EAGAIN: it rings already
}

// wait returns the events that are there, or come within a time.
func (l *loop) wait(most time.Duration) ([]unix.EpollEvent, error) {
	n, err := unix.EpollWait(l.ep, l.events[:], int((most+time.Millisecond-1)/time.Millisecond))
	if errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	return l.events[:max(n, 0)], err
}

// alarm makes wait return after a time, to the microsecond, which its own argument cannot. The timer is edge-triggered: setting it again is all it needs.
func (l *loop) alarm(after time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(int64(after), 1))}
	return unix.TimerfdSettime(l.timer, 0, &spec, nil)
}

// hush ends the ringing.
func (l *loop) hush() {
	var b [8]byte
	_, _ = unix.Read(l.bell, b[:])
}

// watch adds a connection, or changes whether its writability is of interest.
func (l *loop) watch(fd int, index int32, op int, writable bool) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: index}
	if writable {
		e.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(l.ep, op, fd, &e)
}
