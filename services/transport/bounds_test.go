package transport_test

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/transport"
)

// resetIsEnd reads a connection that was closed with bytes unread as one that ended.
type resetIsEnd struct{ net.Conn }

func (r resetIsEnd) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	if err != nil && strings.Contains(err.Error(), "reset") {
		err = io.EOF
	}
	return n, err
}

func TestBucket(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	b := transport.NewBucket(10, 5, now)
	for i, tt := range []struct {
		after time.Duration
		n     int
		want  time.Duration
	}{
		{0, 5, 0}, {0, 1, 100 * time.Millisecond}, {100 * time.Millisecond, 0, 0}, {time.Hour, 5, 0}, {0, 20, 2 * time.Second}, {time.Second, 0, time.Second},
	} {
		now = now.Add(tt.after)
		if got := b.Take(tt.n, now); got.Round(time.Microsecond) != tt.want {
			t.Errorf("step %d: %s, want %s", i, got, tt.want)
		}
	}
	if b := transport.NewBucket(10, 0, now); b.Take(10, now) != 0 || b.Take(1, now) == 0 {
		t.Error("no burst is not one second of the rate")
	}
}

// TestConnRate: above the rate connections wait in the kernel's queue and are served later; none is refused.
func TestConnRate(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TCP, option{template: echo, cfg: func(c *transport.Config) { c.Acceptors, c.ConnRate, c.ConnBurst = 1, 50, 5 }})
	began := time.Now()
	conns := make([]net.Conn, 25)
	for i := range conns {
		conns[i] = s.dialTCP(t) // the kernel has it
	}
	for _, c := range conns {
		write(t, c, []byte("x"))
		wantRead(t, c, []byte("x"))
	}
	if took := time.Since(began); took < 350*time.Millisecond { // 20 connections at 50 per second, less a slack
		t.Errorf("25 connections in %s", took)
	}
	if s.Count() != len(conns) || len(s.Shutdowns()) != 0 {
		t.Errorf("%d connections, %v", s.Count(), s.Shutdowns())
	}
	if err := s.Stop(t.Context()); err != nil { // also while an acceptor waits
		t.Error(err)
	}
}

// TestBudget: listeners share it; above it connections are accepted, counted and closed, and changed hears once of each crossing.
func TestBudget(t *testing.T) {
	t.Parallel()
	var ups, downs atomic.Int32
	budget := transport.NewBudget(3, func(full bool) {
		if full {
			ups.Add(1)
		} else {
			downs.Add(1)
		}
	})
	one := start(t, transport.TCP, option{template: echo, deps: func(d *transport.Deps) { d.Budget = budget }})
	two := start(t, transport.WS, option{template: echo, deps: func(d *transport.Deps) { d.Budget = budget }, cfg: func(c *transport.Config) { c.MaxClients = 1 }})
	a, b := one.dial(t), one.dial(t)
	two.dial(t)
	eventually(t, "all in use", func() bool { return budget.Used() == 3 })
	for range 4 {
		wantEOF(t, resetIsEnd{one.dialTCP(t)})
	}
	wantEOF(t, resetIsEnd{two.dialTCP(t)})
	if n := one.Shutdowns()[transport.ErrMaxConnections]; n != 4 || budget.Refused() != 5 || budget.Used() != 3 || ups.Load() != 1 || downs.Load() != 0 {
		t.Errorf("%d refused here, %d in all, %d in use, alarm raised %d times and cleared %d times", n, budget.Refused(), budget.Used(), ups.Load(), downs.Load())
	}
	_, _ = a.Close(), b.Close()
	eventually(t, "two are free", func() bool { return budget.Used() == 1 })
	if downs.Load() != 1 {
		t.Errorf("alarm cleared %d times", downs.Load())
	}
	c := one.dial(t)
	write(t, c, []byte("again"))
	wantRead(t, c, []byte("again"))
	wantEOF(t, resetIsEnd{two.dialTCP(t)}) // max_clients gives back what it took
	eventually(t, "given back", func() bool { return budget.Used() == 2 && two.Shutdowns()[transport.ErrMaxClients] == 2 })
}

// TestBucketInTime: paced by its answers, a bucket lets exactly its rate pass.
func TestBucketInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, began := transport.NewBucket(100, 10, time.Now()), time.Now()
		for range 110 {
			if wait := b.Take(1, time.Now()); wait > 0 {
				<-time.After(wait)
			}
		}
		if took := time.Since(began).Round(time.Millisecond); took != time.Second {
			t.Errorf("110 at 100 per second with a burst of 10 took %s", took)
		}
	})
}
