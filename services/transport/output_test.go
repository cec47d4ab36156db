package transport_test

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/transport"
)

// smallBuffers keeps the kernel from hiding a slow reader.
func smallBuffers(c *transport.Config) { c.SndBuf = 4 << 10 }

func shrink(c net.Conn) {
	if tc, ok := c.(*net.TCPConn); ok {
		_ = tc.SetReadBuffer(4 << 10)
	}
}

// Output queued outside a batch leaves at Flush, in order, whole appends each.
func TestAppendFromManyGoroutines(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{})
		c := s.dial(t)
		h := s.handler(t)
		const writers, each, size = 8, 200, 50
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				line := bytes.Repeat([]byte{'a' + byte(w)}, size)
				for i := range each {
					if i%2 == 0 {
						h.conn.Append(line)
					} else {
						h.conn.AppendFrom(func(dst []byte) []byte { return append(dst, line...) })
					}
					h.conn.Flush()
				}
			})
		}
		got := make([]byte, writers*each*size)
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		for i := 0; i < len(got); i += size {
			if !bytes.Equal(got[i:i+size], bytes.Repeat(got[i:i+1], size)) {
				t.Fatalf("append torn at %d: %q", i, got[i:i+size])
			}
		}
		eventually(t, "nothing pending", func() bool { return h.conn.Pending() == 0 })
	})
}

func TestAppendWaitsForFlush(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TCP, option{template: echo})
	c := s.dial(t)
	h := s.handler(t)
	h.conn.AppendFrom(func(dst []byte) []byte { return dst })
	h.conn.Append(nil)
	h.conn.Append([]byte("queued "))
	if n := h.conn.Pending(); n != 7 {
		t.Errorf("pending %d, want 7", n)
	}
	h.conn.Flush()
	wantRead(t, c, []byte("queued "))
	h.conn.Append([]byte("with the batch "))
	h.conn.Post(func() { h.conn.Append([]byte("of a post")) })
	wantRead(t, c, []byte("with the batch of a post"))
}

func TestSlowReaderIsClosed(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{cfg: smallBuffers})
		c := s.dial(t)
		shrink(c)
		h := s.handler(t)
		const piece = 32 << 10
		chunk, most := pattern(piece), 0
		for i := range 2000 { // 64 MB if nothing stopped it
			if i%2 == 0 {
				h.conn.Append(chunk)
			} else {
				h.conn.AppendFrom(func(dst []byte) []byte { return append(dst, chunk...) })
			}
			h.conn.Flush()
			most = max(most, h.conn.Pending())
		}
		wantReason(t, h, transport.ErrSlowReader)
		if bound := transport.Default().MaxPending + piece; most > bound {
			t.Errorf("%d bytes pending, bound %d", most, bound)
		}
		eventually(t, "counted", func() bool { return s.Shutdowns()[transport.ErrSlowReader] == 1 })
	})
}

func TestSendTimeout(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{cfg: func(c *transport.Config) {
			smallBuffers(c)
			c.SendTimeout, c.MaxPending = 50*time.Millisecond, 64<<20
		}})
		c := s.dial(t)
		shrink(c)
		h := s.handler(t)
		h.conn.Append(make([]byte, 8<<20))
		h.conn.Flush()
		wantReason(t, h, transport.ErrSendTimeout)
	})
}

// A peer that does not read does not keep Close from ending either.
func TestCloseOfSlowReaderEnds(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{cfg: func(c *transport.Config) {
			smallBuffers(c)
			c.SendTimeout, c.MaxPending = 50*time.Millisecond, 64<<20
		}})
		c := s.dial(t)
		shrink(c)
		h := s.handler(t)
		h.conn.Append(make([]byte, 8<<20))
		h.conn.Close(transport.Reason("kick"))
		wantReason(t, h, "kick")
	})
}

func TestCloseFlushes(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{cfg: smallBuffers})
		c := s.dial(t)
		h := s.handler(t)
		want := pattern(900_000)
		h.conn.Append(want)
		h.conn.Close(nil)
		h.conn.Append([]byte("dropped"))
		wantRead(t, c, want)
		wantEOF(t, c)
		_ = c.Close()
		wantReason(t, h, "normal")
	})
}

func TestWritableAndDrained(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		drained := make(chan int, 10)
		s := start(t, kind, option{cfg: func(c *transport.Config) {
			c.HighWater, c.MaxPending = 100_000, 64<<20
		}, template: func(h *handler) {
			h.drained = func() { drained <- h.conn.Pending() }
		}})
		c := s.dial(t)
		h := s.handler(t)
		if !h.conn.Writable() {
			t.Error("not writable at first")
		}
		const size = 2 << 20
		h.conn.Append(pattern(size))
		if h.conn.Writable() {
			t.Error("writable above the mark")
		}
		h.conn.Flush()
		wantRead(t, c, pattern(size))
		if n := receive(t, drained); n > 25_000 {
			t.Errorf("drained with %d bytes pending", n)
		}
		if !h.conn.Writable() {
			t.Error("not writable after Drained")
		}
		if len(drained) != 0 {
			t.Error("drained twice")
		}
	})
}

// Steady posting does not hold output back: each post posts the next, so the
// batch never runs dry; answers arrive and input is read all the same.
func TestSteadyPostingStarvesNobody(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TCP, option{template: echo})
	c := s.dial(t)
	h := s.handler(t)
	var again func()
	again = func() { h.conn.Post(again) }
	h.conn.Post(func() {
		h.conn.Append([]byte("now"))
		again()
	})
	wantRead(t, c, []byte("now"))
	for range 50 {
		write(t, c, []byte("ping"))
		wantRead(t, c, []byte("ping"))
	}
	h.conn.Abort(nil)
	wantReason(t, h, "normal")
}

// BenchmarkFanOut is one batch of one connection that writes 256 bytes to each of
// 200 others; ns/op is per delivery, the clients' reading included.
func BenchmarkFanOut(b *testing.B) {
	const targets, size = 200, 256
	cfg := transport.Default()
	cfg.Bind, cfg.Transport = "127.0.0.1:0", mode
	accepted := make(chan *handler, targets+1)
	l, err := transport.New(cfg, transport.Deps{
		Log: slog.New(slog.DiscardHandler),
		Accept: func(c transport.Conn) transport.Handler {
			h := &handler{conn: c, closed: make(chan error, 1)}
			accepted <- h
			return h
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := l.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	var got, readers sync.WaitGroup
	var conns []net.Conn
	var handlers []*handler
	var posts []func()
	message := make([]byte, size)
	for range targets + 1 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		h := <-accepted
		conns, handlers = append(conns, c), append(handlers, h)
		posts = append(posts, func() { h.conn.Append(message) })
		readers.Go(func() {
			for buf := make([]byte, size); ; got.Done() {
				if _, err := io.ReadFull(c, buf); err != nil {
					return
				}
			}
		})
	}
	source := handlers[targets].conn
	batch := func() {
		for i := range targets {
			handlers[i].conn.Post(posts[i])
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += targets {
		got.Add(targets)
		source.Post(batch)
		got.Wait()
	}
	b.StopTimer()
	for _, c := range conns {
		_ = c.Close()
	}
	readers.Wait()
	if err := l.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkEcho(b *testing.B) {
	cfg := transport.Default()
	cfg.Bind, cfg.Transport = "127.0.0.1:0", mode
	l, err := transport.New(cfg, transport.Deps{
		Log: slog.New(slog.DiscardHandler),
		Accept: func(c transport.Conn) transport.Handler {
			h := &handler{conn: c, closed: make(chan error, 1)}
			echo(h)
			return h
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := l.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 256)
	b.SetBytes(256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			b.Fatal(err)
		}
	}
	_ = c.Close()
	if err := l.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}
