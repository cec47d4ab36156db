package transport

import (
	"errors"
	"os"
	"runtime"

	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	loopEvents  = 256      // sockets looked at in one turn
	loopRounds  = 4        // rounds of posted functions in one turn
	turnBytes   = 32 << 10 // read from one connection in one turn
	maxRecord   = 17 << 10 // a TLS record that began in an earlier turn
	carryBytes  = 4 << 10  // a longer rest of a packet is not moved to the loop's buffer
	loopBuffer  = carryBytes + turnBytes + maxRecord
	wakeTasks   = 1 << 10 // posted functions for which a loop is woken at once
	rouseEvery  = 16      // sockets after which other loops are woken: the rest of a turn may be long
	queueKeep   = 1 << 13 // tasks; a longer queue is left to the collector
	loopsExist  = true
	readEvents  = unix.EPOLLIN | unix.EPOLLHUP | unix.EPOLLERR
	brokenEvent = unix.EPOLLHUP | unix.EPOLLERR
)

// loop serves many connections with one goroutine. It waits in the runtime's
// poller, where its epoll set is one descriptor among others, so that no thread
// is blocked. One turn is:
//
//	wait ─► sockets that are ready ─► posted functions ─► timers ─► flush
//
// What one turn writes to a connection leaves with one system call at its end.
type loop struct {
	group *loopGroup
	file  *os.File // the epoll set
	fd    int
	rc    syscall.RawConn
	begun time.Time
	poll  func(fd uintptr) bool // lp.wait, made once

	// the loop's goroutine only
	events []unix.EpollEvent
	n      int
	ready  []readiness
	dirty  []*loopConn // to be flushed at the end of the turn
	spare  []task
	wheel  wheel
	due    []watched
	armed  time.Duration // what the wait's deadline was set to last
	buf    []byte        // input
	cipher []byte        // input below TLS; nil before the first of it

	mu       sync.Mutex
	conns    []*loopConn // by slot, which is what epoll knows of a connection
	free     []int32     // slots
	queue    []task
	sleeping bool
	woken    bool // the wait's deadline is not what armed says
	stopping bool
}

// task is a posted function, or without one: look at the connection's state.
type task struct {
	c  *loopConn
	fn func()
}

type readiness struct {
	c      *loopConn
	events uint32
}

func newLoop(g *loopGroup) (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // or os.NewFile would not ask the poller
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	lp := &loop{group: g, fd: fd, file: os.NewFile(uintptr(fd), "epoll"), begun: time.Now(), woken: true}
	if lp.rc, err = lp.file.SyscallConn(); err != nil {
		lp.close()
		return nil, err
	}
	lp.events, lp.buf = make([]unix.EpollEvent, loopEvents), make([]byte, loopBuffer)
	lp.poll = func(uintptr) bool { lp.n = lp.look(); return lp.n > 0 }
	return lp, nil
}

func (lp *loop) close() { _ = lp.file.Close() }

// now is the loop's clock.
func (lp *loop) now() time.Duration { return time.Since(lp.begun) }

// run turns until stop; then there are no connections.
func (lp *loop) run() {
	defer lp.close()
	for lp.wait() {
		lp.group.busy.Add(1)
		for i, r := range lp.ready {
			r.c.event(r.events)
			if i%rouseEvery == rouseEvery-1 {
				lp.rouse()
			}
		}
		for range loopRounds {
			if !lp.work() {
				break
			}
		}
		lp.group.busy.Add(-1)
		lp.rouse()
		lp.turnWheel()
		lp.flush()
		runtime.Gosched() // who was posted to from here may wait for this processor
	}
}

// wait fills ready. It sleeps while there is nothing to do; false: stop.
func (lp *loop) wait() bool {
	at := lp.wheel.next()
	lp.mu.Lock()
	idle := len(lp.queue) == 0 && !lp.stopping
	rearm := idle && (lp.woken || lp.armed != at)
	lp.woken = lp.woken && !rearm
	lp.mu.Unlock()
	if rearm {
		lp.arm(at)
	}
	lp.mu.Lock()
	idle = idle && len(lp.queue) == 0 && !lp.stopping
	lp.sleeping = idle
	lp.mu.Unlock()
	if !idle {
		lp.n = lp.look()
	} else if lp.n = 0; lp.rc.Read(lp.poll) != nil {
		lp.n, lp.armed = 0, -1 // the deadline: the wheel's, or somebody's who posted
	}
	lp.mu.Lock()
	lp.sleeping = false
	lp.ready = lp.ready[:0]
	for i := range lp.events[:lp.n] {
		if c := lp.conns[lp.events[i].Fd]; c != nil {
			lp.ready = append(lp.ready, readiness{c, lp.events[i].Events})
		}
	}
	more := !lp.stopping
	lp.mu.Unlock()
	return more
}

// arm sets the end of the next sleep; 0: none.
func (lp *loop) arm(at time.Duration) {
	lp.armed = at
	var by time.Time
	if at > 0 {
		by = lp.begun.Add(at)
	}
	_ = lp.file.SetReadDeadline(by)
}

// look asks the kernel which sockets are ready, without waiting.
func (lp *loop) look() int {
	for {
		n, err := unix.EpollWait(lp.fd, lp.events, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return max(n, 0)
	}
}

// past is a deadline that wakes a sleeper.
var past = time.Unix(1, 0)

// rouse wakes the other loops that have something to do.
func (lp *loop) rouse() {
	for _, other := range lp.group.loops {
		if other == lp {
			continue
		}
		other.mu.Lock()
		wake := len(other.queue) > 0 && other.wakeLocked(true)
		other.mu.Unlock()
		if wake {
			other.wake()
		}
	}
}

// wakeLocked ends a sleep; the caller wakes after it gave the lock back if it
// says so. That is a call of the runtime's poller, not of the system. Unless it is
// urgent it is left to a loop that is within a turn: what it posts until its end
// is then written together.
func (lp *loop) wakeLocked(urgent bool) (wake bool) {
	if !urgent && len(lp.queue) < wakeTasks && lp.group.busy.Load() > 0 {
		return false
	}
	wake = lp.sleeping
	lp.sleeping = false
	lp.woken = lp.woken || wake
	return wake
}

func (lp *loop) wake() { _ = lp.file.SetReadDeadline(past) }

// stop ends run.
func (lp *loop) stop() {
	lp.mu.Lock()
	lp.stopping = true
	wake := lp.wakeLocked(true)
	lp.mu.Unlock()
	if wake {
		lp.wake()
	}
}

// push queues a task.
func (lp *loop) push(c *loopConn, fn func()) {
	lp.mu.Lock()
	lp.queue = append(lp.queue, task{c, fn})
	wake := lp.wakeLocked(false)
	lp.mu.Unlock()
	if wake {
		lp.wake()
	}
}

// work does the tasks queued so far and reports whether there were any.
func (lp *loop) work() bool {
	lp.mu.Lock()
	tasks := lp.queue
	lp.queue, lp.spare = lp.spare, nil
	lp.mu.Unlock()
	for i, t := range tasks {
		tasks[i] = task{}
		if t.fn == nil {
			t.c.attend()
		} else {
			t.c.runPost(t.fn)
		}
	}
	if cap(tasks) <= queueKeep {
		lp.spare = tasks[:0]
	}
	return len(tasks) > 0
}

// soil has a connection flushed at the end of the turn.
func (lp *loop) soil(c *loopConn) {
	if !c.dirty {
		c.dirty = true
		lp.dirty = append(lp.dirty, c)
	}
}

func (lp *loop) flush() {
	for i := 0; i < len(lp.dirty); i++ { // Closed may soil others
		c := lp.dirty[i]
		lp.dirty[i], c.dirty = nil, false
		c.flush()
	}
	lp.dirty = lp.dirty[:0]
	if cap(lp.dirty) > queueKeep {
		lp.dirty = nil
	}
}

// enrol gives a connection its slot.
func (lp *loop) enrol(c *loopConn) {
	lp.mu.Lock()
	defer lp.mu.Unlock()
	if n := len(lp.free); n > 0 {
		c.slot = lp.free[n-1]
		lp.free = lp.free[:n-1]
		lp.conns[c.slot] = c
		return
	}
	c.slot = int32(len(lp.conns))
	lp.conns = append(lp.conns, c)
}

// dismiss takes the slot back.
func (lp *loop) dismiss(c *loopConn) {
	lp.mu.Lock()
	defer lp.mu.Unlock()
	lp.conns[c.slot] = nil
	lp.free = append(lp.free, c.slot)
}

// members are the connections of one listener here.
func (lp *loop) members(l *Listener) (all []member) {
	lp.mu.Lock()
	defer lp.mu.Unlock()
	for _, c := range lp.conns {
		if c != nil && c.ln == l {
			all = append(all, c)
		}
	}
	return all
}

// watch has epoll report events of a socket; 0: none.
func (lp *loop) watch(c *loopConn, events uint32) error {
	op := unix.EPOLL_CTL_MOD
	switch {
	case events == c.armed:
		return nil
	case c.armed == 0:
		op = unix.EPOLL_CTL_ADD
	case events == 0: // a mask of 0 would still report an error, again and again
		op = unix.EPOLL_CTL_DEL
	}
	c.armed = events
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(lp.fd, op, int(c.fd), &unix.EpollEvent{Events: events, Fd: c.slot}))
}
