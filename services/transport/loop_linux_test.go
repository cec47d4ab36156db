package transport_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/transport"
)

// oneLoop puts all connections of a test on the same event loop.
func oneLoop(loops *transport.Loops) func(*transport.Deps) {
	return func(d *transport.Deps) { d.Loops = loops }
}

// descriptors is how many file descriptors the process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// Nothing is left of a listener and its loops: no descriptor, no goroutine.
func TestNothingIsLeft(t *testing.T) { // not parallel: it counts
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			first := start(t, transport.TCP, option{template: echo}) // the runtime's poller has its descriptors now
			c := first.dial(t)
			write(t, c, []byte("x"))
			wantRead(t, c, []byte("x"))
			fds, goroutines := descriptors(t), runtime.NumGoroutine()
			s := start(t, kind, option{template: echo})
			for i := range 20 {
				c := s.dial(t)
				write(t, c, []byte("x"))
				wantRead(t, c, []byte("x"))
				h := s.handler(t)
				switch i % 4 {
				case 0:
					h.conn.Abort(nil)
				case 1:
					h.conn.Close(nil)
				}
				_ = c.Close()
			}
			silent := s.dialTCP(t)
			eventually(t, "accepted", func() bool { return s.Accepted() == 21 })
			_ = silent.Close()
			if err := s.Close(t.Context()); err != nil {
				t.Error(err)
			}
			eventually(t, "all descriptors and goroutines given back", func() bool {
				return descriptors(t) <= fds && runtime.NumGoroutine() <= goroutines
			})
		})
	}
}

// What one batch writes to many connections leaves with one write to each: with
// WebSocket that is one frame.
func TestOneWritePerBatchAndTarget(t *testing.T) {
	t.Parallel()
	const targets, each = 50, 20
	s := start(t, transport.WS, option{deps: oneLoop(transport.NewLoops(1)), template: echo})
	type target struct {
		net.Conn
		h *handler
	}
	var all []target
	for range targets {
		c, _ := rawWeb(t, s, "")
		all = append(all, target{c, s.handler(t)})
	}
	c, _ := rawWeb(t, s, "")
	source := s.handler(t)
	source.conn.Post(func() { // from here it is one batch of the loop, or one of each connection
		for i := range each {
			for _, to := range all {
				to.h.conn.Post(func() { to.h.conn.Append(fmt.Appendf(nil, "%02d", i)) })
			}
		}
	})
	want := ""
	for i := range each {
		want += fmt.Sprintf("%02d", i)
	}
	for _, to := range all {
		got, frames := "", 0
		for len(got) < len(want) {
			_, payload := readFrame(t, to)
			got += payload
			frames++
		}
		if got != want || looping() && frames != 1 {
			t.Fatalf("%q in %d frames, want %q in one", got, frames, want)
		}
	}
	write(t, c, []byte(frame(0x82, "done")))
	wantFrame(t, c, 0x82, "done")
}

// chopped sends a few bytes at a time and lets the server read each part.
type chopped struct {
	net.Conn
	pass func()
}

// Write implements net.Conn.
func (c chopped) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		var m int
		m, err = c.Conn.Write(b[:min(len(b), 1+len(b)/3)])
		b, n = b[m:], n+m
		c.pass()
	}
	return n, err
}

// A TLS record, and a frame in it, may come in any number of parts, each of which
// leaves the server without anything to read.
func TestRecordInParts(t *testing.T) {
	for _, kind := range []transport.Kind{transport.TLS, transport.TCP} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			loops := transport.NewLoops(1)
			s := start(t, kind, option{deps: oneLoop(loops), template: packets})
			other := start(t, transport.TCP, option{deps: oneLoop(loops), template: echo}).dial(t)
			pass := func() { // a turn of the loop, after which it has read what was sent before
				write(t, other, []byte("turn"))
				wantRead(t, other, []byte("turn"))
			}
			var c net.Conn = chopped{s.dialTCP(t), pass}
			if kind == transport.TLS {
				secure := tls.Client(c, s.clientTLS(t))
				if err := secure.HandshakeContext(t.Context()); err != nil {
					t.Fatal(err)
				}
				c = secure
			}
			for _, size := range []int{1, 100, 3000, 16_000, 60_000} {
				write(t, c, packet(pattern(size)))
				wantRead(t, c, pattern(size))
			}
		})
	}
}

// A client that sends without end gets its turns and no more: another one on the
// same loop, whose bytes came meanwhile, is served before the flood's next but one.
func TestFloodLeavesTurns(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var order []string
	gate, held := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s := start(t, transport.TCP, option{deps: oneLoop(transport.NewLoops(1)), template: func(h *handler) {
		h.data = func(_ transport.Conn, b []byte) (int, error) {
			who := "flood"
			if b[0] == '.' {
				who = "other"
			}
			mu.Lock()
			order = append(order, who)
			mu.Unlock()
			if who == "flood" {
				once.Do(func() { close(held); <-gate })
			}
			return len(b), nil
		}
	}})
	flood, other := s.dial(t), s.dial(t)
	s.handler(t)
	s.handler(t)
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		chunk := []byte(strings.Repeat("f", 64<<10))
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := flood.Write(chunk); err != nil {
					return
				}
			}
		}
	}()
	receive(t, held)
	write(t, other, []byte("."))
	close(gate)
	served := func() int {
		mu.Lock()
		defer mu.Unlock()
		for i, who := range order {
			if who == "other" {
				return i
			}
		}
		return -1
	}
	eventually(t, "the other is served", func() bool { return served() >= 0 })
	if n := served(); looping() && n > 2 {
		t.Errorf("served after %d turns of the flood", n)
	}
	close(stop)
	_ = flood.Close()
	receive(t, ended)
}

// Listeners that share loops do not need one another.
func TestLoopsAreShared(t *testing.T) { // not parallel: it counts goroutines
	before := runtime.NumGoroutine()
	loops := transport.NewLoops(3)
	one := start(t, transport.TCP, option{deps: oneLoop(loops), template: echo, cfg: func(c *transport.Config) { c.Acceptors = 1 }})
	two := start(t, transport.TCP, option{deps: oneLoop(loops), template: echo, cfg: func(c *transport.Config) { c.Acceptors = 1 }})
	if n := runtime.NumGoroutine() - before; looping() && n > 3+2 {
		t.Errorf("%d goroutines for 3 loops and 2 acceptors", n)
	}
	c := two.dial(t)
	if err := one.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, c, []byte("here"))
	wantRead(t, c, []byte("here"))
	if err := two.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(t, c, []byte("still"))
	wantRead(t, c, []byte("still"))
	if err := two.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	eventually(t, "no goroutine left", func() bool { return runtime.NumGoroutine() <= before })
	if err := one.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c = one.dial(t)
	write(t, c, []byte("again"))
	wantRead(t, c, []byte("again"))
}

// Deadlines are met in any order, none early, whatever they were before.
func TestManyDeadlines(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TCP, option{})
	const n = 60
	type armed struct {
		h  *handler
		at time.Time
	}
	var all []armed
	for i := range n {
		s.dial(t)
		h := s.handler(t)
		at := time.Now().Add(time.Duration((i*37)%n) * 4 * time.Millisecond)
		h.conn.SetDeadline(time.Now().Add(time.Hour))
		if i%3 == 0 {
			h.conn.SetDeadline(time.Now().Add(30 * time.Second))
		}
		h.conn.SetDeadline(at)
		all = append(all, armed{h, at})
	}
	for i, a := range all {
		err := a.h.end(t)
		if early := time.Until(a.at); early > 0 || transport.ReasonOf(err) != transport.ErrDeadline {
			t.Errorf("connection %d ended %s early: %v", i, early, err)
		}
	}
}

// A panic in any of a Handler's functions ends its connection alone.
func TestPanicAnywhere(t *testing.T) {
	t.Parallel()
	for name, provoke := range map[string]func(h *handler, c net.Conn){
		"posted": func(h *handler, _ net.Conn) { h.conn.Post(func() { panic("posted") }) },
		"append from": func(h *handler, _ net.Conn) {
			h.conn.Post(func() { h.conn.AppendFrom(func([]byte) []byte { panic("encoder") }) })
		},
		"drained": func(h *handler, c net.Conn) {
			h.drained = func() { panic("drained") }
			h.conn.Post(func() { h.conn.Append(make([]byte, transport.Default().HighWater+1)) })
			go func() { _, _ = c.Read(make([]byte, transport.Default().HighWater+1)) }()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, transport.TCP, option{deps: oneLoop(transport.NewLoops(1)), template: echo})
			other, _ := s.dial(t), s.handler(t)
			c := s.dial(t)
			h := s.handler(t)
			provoke(h, c)
			wantReason(t, h, transport.ErrPanic)
			write(t, other, []byte("x"))
			wantRead(t, other, []byte("x"))
		})
	}
}
