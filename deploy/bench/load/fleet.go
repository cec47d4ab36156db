package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pando-mq/pando/deploy/bench/tally"
	"github.com/pando-mq/pando/deploy/bench/wire"
)

// Fleet is many clients and one goroutine.
type Fleet struct {
	options    Options
	loop       *loop
	dialler    *dialler
	conns      []*conn
	publishers []*publisher
	run        uint32
	packet     wire.Packet
	now        int64 // ns of Unix, read again after each wait and each read

	dirty          []*conn      // with output
	willing, spare []*publisher // whose window may be open
	publishing     bool
	rate           float64
	due, alarm     int64 // when the next message of the schedule is to be sent; what the timer is set to
	turn           int

	pending        int // connections that are neither ready nor failed
	connected      int
	subscribed     uint64
	present        int
	subscribeAgain bool
	sent, acked    uint64
	delivered      uint64
	foreign        uint64
	refused        uint64
	held           uint64
	stalls         int
	connectTime    *tally.Latency
	stretch        *stretch
	errors         map[string]int
	firstError     error
}

// nanotime is the present time in ns of Unix.
func nanotime() int64 { return time.Now().UnixNano() }

// New makes a fleet without clients.
func New(o Options) (*Fleet, error) {
	l, err := newLoop()
	if err != nil {
		return nil, fmt.Errorf("make an event loop: %w", err)
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	f := &Fleet{
		options: o, loop: l, run: rand.Uint32(), now: nanotime(), connectTime: tally.NewLatency(), stretch: newStretch(), errors: map[string]int{},
	}
	f.dialler = newDialler(o.Dial, l.ring)
	return f, nil
}

// Add adds clients that do not connect yet. Their numbers begin with the one returned.
func (f *Fleet) Add(list []Client) (int, error) {
	first := len(f.conns)
	for i := range list {
		c := &conn{spec: &list[i], index: int32(len(f.conns))}
		if s := c.spec.Publish; s != nil {
			if s.Size < tally.StampSize {
				return 0, fmt.Errorf("a payload of %d bytes has no room for its stamp: at least %d", s.Size, tally.StampSize)
			}
			if len(s.Topics) == 0 {
				return 0, errors.New("a publisher without topics")
			}
			c.pub = &publisher{c: c, spec: s, stream: uint32(len(f.publishers)), payload: make([]byte, s.Size)}
			f.publishers = append(f.publishers, c.pub)
		}
		f.conns = append(f.conns, c)
	}
	return first, nil
}

// patience is how long nothing may happen while clients connect.
const patience = 30 * time.Second

// Connect connects the clients of some numbers and subscribes what they want; all that are not connected without numbers. It returns when each is ready or
// has failed; Books tells how many failed and why. Only a context that ended, or nothing happening for half a minute, is an error.
func (f *Fleet) Connect(ctx context.Context, numbers ...int) error {
	var list []*conn
	for i, c := range f.conns {
		if (len(numbers) == 0 || slices.Contains(numbers, i)) && (c.state == idle || c.state == gone) {
			c.state = dialling
			list = append(list, c)
		}
	}
	return f.connect(ctx, list)
}

func (f *Fleet) connect(ctx context.Context, list []*conn) error {
	inner, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	f.pending += len(list)
	go func() { defer close(ended); f.dialler.run(inner, list) }()
	defer func() { cancel(); <-ended; f.admit() }()
	begin, total := nanotime(), len(list)
	before, last := uint64(0), begin
	for f.pending > 0 {
		if err := f.step(50 * time.Millisecond); err != nil {
			return err
		}
		if now := f.subscribed + uint64(total-f.pending); now != before {
			before, last = now, f.now
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.now-last > int64(patience) {
			return fmt.Errorf("%d of %d clients are not ready and nothing happens; first error: %w", f.pending, total, f.FirstError())
		}
		f.tell("connect", float64(total-f.pending)/float64(max(total, 1)), begin)
	}
	return nil
}

// FirstError is the first thing that went wrong on a connection, if any.
func (f *Fleet) FirstError() error { return f.firstError }

// Hangup disconnects clients gracefully, or by closing their sockets.
func (f *Fleet) Hangup(graceful bool, numbers ...int) error {
	for _, i := range numbers {
		c := f.conns[i]
		if c.state != ready {
			continue
		}
		if graceful {
			c.out = wire.AppendDisconnect(c.out)
			if err := f.flush(c); err != nil {
				return err
			}
		}
		f.drop(c, nil)
	}
	return nil
}

// settled notes that a connection is ready or has failed.
func (f *Fleet) settled(*conn) {
	f.pending--
	f.dialler.settled()
}

// admit takes over what the diallers made.
func (f *Fleet) admit() {
	for _, r := range f.dialler.take() {
		if r.err != nil {
			f.drop(r.c, r.err)
			continue
		}
		r.c.s, r.c.tls = r.s, r.tls
		if f.dialler.framed() {
			r.c.ws, r.c.key = &deframer{}, maskKey()
		}
		if err := f.greet(r.c); err != nil {
			f.drop(r.c, err)
		}
	}
}

// step is one round: wait, read, send.
func (f *Fleet) step(most time.Duration) error {
	events, err := f.loop.wait(most)
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	f.now = nanotime()
	for i := range events {
		f.event(&events[i])
	}
	f.pump()
	for i := 0; i < len(f.dirty); i++ {
		if c := f.dirty[i]; c.state != gone {
			if err := f.flush(c); err != nil {
				f.drop(c, err)
			}
		}
	}
	f.dirty = f.dirty[:0]
	return nil
}

func (f *Fleet) event(e *unix.EpollEvent) {
	switch e.Fd {
	case bellEvent:
		f.loop.hush()
		f.admit()
		return
	case timerEvent:
		return // to wake up is all that it is for
	}
	c := f.conns[e.Fd]
	if c.s == nil {
		return // dropped earlier in this round
	}
	var err error
	if e.Events&unix.EPOLLOUT != 0 {
		if err = f.drain(c); err == nil && c.pub != nil && len(c.s.raw) == 0 {
			f.credit(c.pub)
		}
	}
	if err == nil && e.Events&^unix.EPOLLOUT != 0 {
		err = f.read(c)
	}
	if err != nil {
		f.drop(c, err)
	}
}

// Close ends all connections.
func (f *Fleet) Close() error {
	for _, c := range f.conns {
		if c.state == ready {
			c.out = wire.AppendDisconnect(c.out)
			_ = f.flush(c) // it is closed in any case
		}
		f.drop(c, nil)
	}
	return f.loop.close()
}

// tell reports progress, with the share that is done.
func (f *Fleet) tell(phase string, done float64, begin int64) {
	if f.now-f.stretch.told < int64(100*time.Millisecond) {
		return
	}
	f.stretch.told = f.now
	f.options.Progress(Progress{
		Phase: phase, Done: min(done, 1), Connected: f.connected, Sent: f.sent, Delivered: f.delivered, Elapsed: time.Duration(f.now - begin),
	})
}
