package transport_test

import (
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/transport"
)

var kinds = []transport.Kind{transport.TCP, transport.TLS, transport.WS, transport.WSS}

func eachKind(t *testing.T, f func(t *testing.T, kind transport.Kind)) {
	t.Parallel()
	for _, k := range kinds {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			f(t, k)
		})
	}
}

// packets reads packets of a two-byte length and a body, and answers each body.
func packets(h *handler) {
	h.data = func(c transport.Conn, b []byte) (n int, err error) {
		for len(b[n:]) >= 2 {
			size := 2 + int(binary.BigEndian.Uint16(b[n:]))
			if len(b[n:]) < size {
				break
			}
			c.Append(b[n+2 : n+size])
			n += size
		}
		return n, nil
	}
}

func packet(body []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(body))), body...)
}

// An idle connection holds nothing but itself on an event loop, and a goroutine
// otherwise: also after it was used.
func TestIdleConnectionHoldsNothing(t *testing.T) { // not parallel: it counts goroutines
	for kind, dial := range map[transport.Kind]func(s *harness) net.Conn{
		transport.TCP: func(s *harness) net.Conn { return s.dial(t) },
		transport.TLS: func(s *harness) net.Conn { return s.dial(t) },
		transport.WS:  func(s *harness) net.Conn { c, _ := rawWeb(t, s, ""); return c },
	} {
		t.Run(string(kind), func(t *testing.T) {
			s := start(t, kind, option{template: echo})
			const n = 200
			before := runtime.NumGoroutine()
			for range n {
				c := dial(s)
				sent, back := "x", "x"
				if kind == transport.WS {
					sent, back = frame(0x82, "x"), "\x82\x01x"
				}
				write(t, c, []byte(sent))
				wantRead(t, c, []byte(back))
			}
			most := 5
			if !looping() {
				most += n
			}
			eventually(t, "no more goroutines than that", func() bool { return runtime.NumGoroutine()-before <= most })
			if got := s.Count(); got != n {
				t.Errorf("%d connections, want %d", got, n)
			}
		})
	}
}

func TestEcho(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{template: echo})
		c := s.dial(t)
		want := pattern(3 << 20)
		go func() {
			for rest := want; len(rest) > 0; {
				n := min(len(rest), 40_000)
				if _, err := c.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		wantRead(t, c, want)
		h := s.handler(t)
		_ = c.Close()
		wantReason(t, h, transport.ErrPeerClosed)
		if n := h.conn.Pending(); n != 0 {
			t.Errorf("%d bytes pending after the end", n)
		}
	})
}

func TestUnconsumedBytesComeAgain(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{template: packets})
		c := s.dial(t)
		small, large := []byte("hello, one byte at a time"), pattern(60_000)
		for _, b := range packet(small) {
			write(t, c, []byte{b})
		}
		wantRead(t, c, small)
		write(t, c, append(append(packet(large), packet(small)...), packet(large)[:5]...))
		wantRead(t, c, large)
		wantRead(t, c, small)
		write(t, c, packet(large)[5:])
		wantRead(t, c, large)
	})
}

func TestInfo(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{template: echo})
		c := s.dial(t)
		info := s.handler(t).conn.Info()
		if info.Listener != t.Name() || info.Kind != kind || info.Local != s.Addr() || info.Opened.IsZero() {
			t.Errorf("info %+v", info)
		}
		if a, ok := c.LocalAddr().(*net.TCPAddr); ok && info.Remote != a.AddrPort() {
			t.Errorf("remote %v, want %v", info.Remote, a)
		}
		secure, web := kind == transport.TLS || kind == transport.WSS, kind == transport.WS || kind == transport.WSS
		if (info.TLS != nil) != secure || (info.Header != nil) != web || (info.Subprotocol == "mqtt") != web {
			t.Errorf("tls %v, header %v, subprotocol %q", info.TLS, info.Header, info.Subprotocol)
		}
	})
}

func TestForgetInfo(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{template: func(h *handler) {
			h.data = func(c transport.Conn, b []byte) (int, error) {
				c.ForgetInfo()
				if c.Info() != nil {
					t.Error("not forgotten")
				}
				panic("what the log says of the connection is gone, too")
			}
		}})
		c := s.dial(t)
		write(t, c, []byte("x"))
		h := s.handler(t)
		wantReason(t, h, transport.ErrPanic)
		if h.conn.Info() != nil {
			t.Error("remembered after the end")
		}
	})
}

func TestReadLimit(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{cfg: func(c *transport.Config) { c.ReadLimit = 40_000 }, template: packets})
		c := s.dial(t)
		fits := pattern(40_000 - 2)
		write(t, c, packet(fits))
		wantRead(t, c, fits)
		h := s.handler(t)
		h.conn.SetReadLimit(50_000)
		write(t, c, packet(pattern(50_000-2)))
		wantRead(t, c, pattern(50_000-2))
		go func() { _, _ = c.Write(packet(pattern(50_000 - 1))) }()
		wantReason(t, h, transport.ErrReadLimit)
	})
}

// While paused nothing is delivered; ResumeRead brings what was left at once.
func TestPauseAndResume(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		seen := make(chan string, 100)
		s := start(t, kind, option{template: func(h *handler) {
			h.data = func(c transport.Conn, b []byte) (int, error) {
				seen <- string(b[:1])
				c.PauseRead()
				return 1, nil
			}
		}})
		c := s.dial(t)
		write(t, c, []byte("abcdef"))
		h := s.handler(t)
		for _, want := range []string{"a", "b", "c", "d", "e", "f"} {
			if got := receive(t, seen); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
			ran := make(chan struct{})
			h.conn.Post(func() { close(ran) }) // a batch while paused delivers nothing
			receive(t, ran)
			if len(seen) != 0 {
				t.Fatal("data while paused")
			}
			h.conn.ResumeRead()
		}
		write(t, c, []byte("g"))
		if got := receive(t, seen); got != "g" {
			t.Fatalf("got %q, want g", got)
		}
	})
}

// Handler code never overlaps, wherever it was posted; the race detector and a
// plain counter watch.
func TestCallsAreSerialised(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		const posters, posts, bytes = 8, 500, 20_000
		var count int // guarded by nothing but the serialisation
		all := make(chan struct{})
		step := func(n int) {
			if count += n; count == posters*posts+bytes {
				close(all)
			}
		}
		s := start(t, kind, option{template: func(h *handler) {
			h.data = func(_ transport.Conn, b []byte) (int, error) {
				step(len(b))
				return len(b), nil
			}
		}})
		c := s.dial(t)
		h := s.handler(t)
		var wg sync.WaitGroup
		for range posters {
			wg.Go(func() {
				for range posts {
					if !h.conn.Post(func() { step(1) }) {
						t.Error("post refused")
						return
					}
					runtime.Gosched()
				}
			})
		}
		for range bytes / 100 {
			write(t, c, pattern(100))
		}
		wg.Wait()
		receive(t, all)
	})
}

// Everything Post accepted runs before Closed, and nothing is accepted after it.
func TestPostAndClosed(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TCP, option{})
	s.dial(t)
	h := s.handler(t)
	ran := 0
	var accepted int
	for i := range 1000 {
		if i == 500 {
			h.conn.Close(nil)
		}
		if h.conn.Post(func() { ran++ }) {
			accepted++
		}
	}
	wantReason(t, h, "normal")
	if h.conn.Post(func() { t.Error("ran after Closed") }) {
		t.Error("post accepted after Closed")
	}
	if ran != accepted {
		t.Errorf("%d functions ran of %d accepted", ran, accepted)
	}
}

func TestPostOverflow(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := start(t, transport.TCP, option{template: func(h *handler) {
		h.data = func(_ transport.Conn, b []byte) (int, error) {
			<-release
			return len(b), nil
		}
	}})
	c := s.dial(t)
	write(t, c, []byte("x"))
	h := s.handler(t)
	h.conn.Post(func() { <-release })
	for i := range 2 * transport.MaxPosts {
		if !h.conn.Post(func() {}) {
			if i < transport.MaxPosts-2 {
				t.Errorf("refused after %d", i)
			}
			break
		}
	}
	close(release)
	wantReason(t, h, transport.ErrPostOverflow)
}

func TestPanicEndsOneConnection(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TCP, option{template: func(h *handler) {
		h.data = func(c transport.Conn, b []byte) (int, error) {
			if b[0] == '!' {
				panic("hostile packet")
			}
			c.Append(b)
			return len(b), nil
		}
	}})
	other, bad := s.dial(t), s.dial(t)
	first, second := s.handler(t), s.handler(t)
	if first.conn.Info().Remote == bad.LocalAddr().(*net.TCPAddr).AddrPort() {
		second = first
	}
	write(t, bad, []byte("!"))
	wantReason(t, second, transport.ErrPanic)
	write(t, other, []byte("x"))
	wantRead(t, other, []byte("x"))
}

func TestHandlerError(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{template: func(h *handler) {
			h.data = func(c transport.Conn, b []byte) (int, error) {
				c.Append([]byte("bye"))
				return 0, transport.Reason("malformed")
			}
		}})
		c := s.dial(t)
		write(t, c, pattern(10_000)) // unread input must not destroy the answer
		wantRead(t, c, []byte("bye"))
		wantReason(t, s.handler(t), "malformed")
		_ = c.Close()
		eventually(t, "counted", func() bool { return s.Shutdowns()["malformed"] == 1 })
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	for name, paused := range map[string]bool{"reading": false, "paused": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, transport.TCP, option{template: func(h *handler) {
				if paused {
					h.conn.PauseRead()
				}
				h.conn.SetDeadline(time.Now().Add(time.Hour))
				h.conn.SetDeadline(time.Now().Add(20 * time.Millisecond))
			}})
			s.dial(t)
			wantReason(t, s.handler(t), transport.ErrDeadline)
		})
	}
}

func TestClearedDeadline(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TCP, option{template: func(h *handler) {
		echo(h)
		h.conn.SetDeadline(time.Now().Add(time.Millisecond))
		h.conn.SetDeadline(time.Time{})
	}})
	c := s.dial(t)
	later := time.NewTimer(20 * time.Millisecond)
	<-later.C
	write(t, c, []byte("still here"))
	wantRead(t, c, []byte("still here"))
}

func TestAbort(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{})
		c := s.dial(t)
		h := s.handler(t)
		h.conn.Abort(transport.Reason("kick"))
		h.conn.Close(transport.Reason("second"))
		wantReason(t, h, "kick")
		if _, err := io.ReadAll(c); err == nil && kind == transport.TCP {
			t.Error("an abort looks like an orderly end")
		}
	})
}
