package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/transport"
)

func TestMaxClients(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TCP, option{template: echo, cfg: func(c *transport.Config) { c.MaxClients = 2 }})
	first := s.dialTCP(t)
	s.dialTCP(t)
	h := s.handler(t)
	if h.conn.Info().Remote != first.LocalAddr().(*net.TCPAddr).AddrPort() {
		h = s.handler(t)
	} else {
		s.handler(t)
	}
	wantEOF(t, s.dialTCP(t))
	eventually(t, "counted", func() bool { return s.Shutdowns()[transport.ErrMaxClients] == 1 })
	if s.Count() != 2 || s.Accepted() != 3 {
		t.Errorf("count %d, accepted %d", s.Count(), s.Accepted())
	}
	_ = first.Close()
	h.end(t)
	eventually(t, "room again", func() bool { return s.Count() == 1 })
	again := s.dialTCP(t)
	write(t, again, []byte("x"))
	wantRead(t, again, []byte("x"))
}

// TestExplain: connections above a limit reach their protocol with the reason, so many at once and no more; they are counted once, and
// neither count as clients nor take from the budget.
func TestExplain(t *testing.T) {
	t.Parallel()
	for reason, tt := range map[transport.Reason]struct{ clients, budget int }{
		transport.ErrMaxClients:     {1, 2},
		transport.ErrMaxConnections: {2, 1},
	} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			budget := transport.NewBudget(tt.budget, nil)
			s := start(t, transport.TCP, option{
				template: echo,
				cfg:      func(c *transport.Config) { c.MaxClients = tt.clients },
				deps:     func(d *transport.Deps) { d.Budget, d.Explain = budget, true },
			})
			first := s.dialTCP(t)
			if h := s.handler(t); h.conn.Info().Refused != "" {
				t.Fatalf("the first is refused: %s", h.conn.Info().Refused)
			}
			var above []*handler
			for range transport.MaxRefusals {
				c := s.dialTCP(t)
				write(t, c, []byte("why"))
				wantRead(t, c, []byte("why"))
				h := s.handler(t)
				if h.conn.Info().Refused != reason {
					t.Fatalf("refused for %q", h.conn.Info().Refused)
				}
				above = append(above, h)
			}
			wantEOF(t, resetIsEnd{s.dialTCP(t)})
			if n := s.Shutdowns()[reason]; n != transport.MaxRefusals+1 || s.Count() != 1 || budget.Used() != 1 {
				t.Errorf("%d counted, %d clients, %d of the budget in use", n, s.Count(), budget.Used())
			}
			above[0].conn.Close(reason)
			above[0].end(t)
			eventually(t, "room to explain again", func() bool {
				c := s.dialTCP(t)
				_ = c.SetDeadline(time.Now().Add(patience))
				if _, err := c.Write([]byte("x")); err != nil {
					return false
				}
				_, err := io.ReadFull(c, make([]byte, 1))
				return err == nil
			})
			_ = first.Close()
			eventually(t, "room", func() bool { return s.Count() == 0 })
			c := s.dialTCP(t)
			write(t, c, []byte("in"))
			wantRead(t, c, []byte("in"))
			if s.Count() != 1 || s.Shutdowns()[transport.ErrPeerClosed] != 1 {
				t.Errorf("%d clients, ends %v", s.Count(), s.Shutdowns())
			}
		})
	}
}

// TestExplainWithinTheBudget: listeners that share a Budget share its room for refusals.
func TestExplainWithinTheBudget(t *testing.T) {
	t.Parallel()
	budget := transport.NewBudget(1, nil)
	share := option{template: echo, deps: func(d *transport.Deps) { d.Budget, d.Explain = budget, true }}
	one, two := start(t, transport.TCP, share), start(t, transport.TCP, share)
	one.dialTCP(t)
	one.handler(t)
	for i := range transport.MaxRefusals {
		s := []*harness{one, two}[i%2]
		s.dialTCP(t)
		s.handler(t)
	}
	wantEOF(t, resetIsEnd{one.dialTCP(t)})
	wantEOF(t, resetIsEnd{two.dialTCP(t)})
}

func TestMaxHandshakes(t *testing.T) {
	t.Parallel()
	s := start(t, transport.WS, option{template: echo, cfg: func(c *transport.Config) { c.MaxHandshakes = 1 }})
	silent := s.dialTCP(t)
	write(t, silent, []byte("GET"))
	eventually(t, "first handshake", func() bool { return s.Count() == 1 })
	wantEOF(t, s.dialTCP(t))
	eventually(t, "refused", func() bool { return s.Shutdowns()[transport.ErrMaxHandshakes] == 1 })
	_ = silent.Close()
	eventually(t, "free again", func() bool { return s.Count() == 0 })
	c := s.dial(t)
	write(t, c, []byte("x"))
	wantRead(t, c, []byte("x"))
}

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind  transport.Kind
		bytes string
	}{
		"tls silent": {transport.TLS, ""},
		"tls drip":   {transport.TLS, "\x16\x03\x01"},
		"ws silent":  {transport.WS, ""},
		"ws drip":    {transport.WS, "GET /mqtt HTTP/1.1\r\nHost: x\r\n"},
		"wss silent": {transport.WSS, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, tt.kind, option{cfg: func(c *transport.Config) { c.HandshakeTimeout = 100 * time.Millisecond }})
			c := s.dialTCP(t)
			for _, b := range []byte(tt.bytes) {
				write(t, c, []byte{b})
			}
			_, _ = io.Copy(io.Discard, c)
			eventually(t, "counted", func() bool { return s.Shutdowns()[transport.ErrHandshakeTimeout] == 1 })
			if len(s.accepted) != 0 {
				t.Error("accepted without a handshake")
			}
		})
	}
}

// The timeout is the handshake's: what was accepted lives on.
func TestHandshakeTimeoutEnds(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{template: echo, cfg: func(c *transport.Config) { c.HandshakeTimeout = 500 * time.Millisecond }})
		c := s.dial(t)
		over := time.NewTimer(600 * time.Millisecond)
		<-over.C
		write(t, c, []byte("alive"))
		wantRead(t, c, []byte("alive"))
	})
}

func TestAcceptRefuses(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, transport.TCP)
	l, err := transport.New(cfg, transport.Deps{
		Log: slog.New(slog.DiscardHandler),
		Accept: func(c transport.Conn) transport.Handler {
			c.Append([]byte("go away"))
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := &harness{Listener: l, kind: transport.TCP}
	c := s.dialTCP(t)
	wantRead(t, c, []byte("go away"))
	wantEOF(t, c)
	_ = c.Close()
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if l.Shutdowns()[transport.ErrRefused] != 1 {
		t.Errorf("shutdowns %v", l.Shutdowns())
	}
}

func TestStopAndStart(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TCP, option{template: echo, cfg: func(c *transport.Config) {
		c.Backlog, c.RecBuf = 16, 8<<10
	}})
	old := s.dialTCP(t)
	s.handler(t)
	if err := s.Start(t.Context()); err == nil {
		t.Error("started twice")
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("second stop: %v", err)
	}
	if s.Running() {
		t.Error("running after Stop")
	}
	if c, err := net.Dial("tcp", s.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("connected to a stopped listener")
	}
	write(t, old, []byte("still served"))
	wantRead(t, old, []byte("still served"))
	if err := s.Start(t.Context()); err != nil || !s.Running() {
		t.Fatalf("start again: %v", err)
	}
	c := s.dialTCP(t)
	write(t, c, []byte("new"))
	wantRead(t, c, []byte("new"))
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TCP, option{})
	cfg := s.Config()
	cfg.Bind = s.Addr().String()
	l, err := transport.New(cfg, transport.Deps{Log: slog.New(slog.DiscardHandler), Accept: func(transport.Conn) transport.Handler { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(t.Context()); err == nil || l.Running() {
		t.Errorf("started on a used address: %v", err)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TCP, option{template: echo})
	c := s.dialTCP(t)
	s.handler(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("drain with a connection left: %v", err)
	}
	write(t, c, []byte("x"))
	wantRead(t, c, []byte("x"))
	_ = c.Close()
	if err := s.Drain(t.Context()); err != nil || s.Count() != 0 {
		t.Errorf("drain: %v, %d left", err, s.Count())
	}
}

func TestCloseSendsWhatIsQueued(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{})
		c := s.dial(t)
		h := s.handler(t)
		h.conn.Append([]byte("goodbye"))
		ended := make(chan error, 1)
		go func() { ended <- s.Close(t.Context()) }()
		wantRead(t, c, []byte("goodbye"))
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
		if err := receive(t, ended); err != nil {
			t.Error(err)
		}
		wantReason(t, h, transport.ErrShutdown)
		if s.Count() != 0 || s.Shutdowns()[transport.ErrShutdown] != 1 {
			t.Errorf("count %d, shutdowns %v", s.Count(), s.Shutdowns())
		}
	})
}

// Close ends in time although peers neither read nor finish their handshake.
func TestCloseAborts(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := start(t, kind, option{cfg: func(c *transport.Config) {
			smallBuffers(c)
			c.MaxPending = 64 << 20
		}})
		s.dialTCP(t)
		c := s.dial(t)
		shrink(c)
		h := s.handler(t)
		if kind == transport.TCP {
			h = s.handler(t)
		}
		h.conn.Append(make([]byte, 8<<20))
		eventually(t, "both accepted", func() bool { return s.Count() == 2 })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("close: %v", err)
		}
		wantReason(t, h, transport.ErrShutdown)
		if s.Count() != 0 {
			t.Errorf("%d connections left", s.Count())
		}
	})
}

// Reasons are a bounded set even if a protocol makes them from its input.
func TestReasonsAreBounded(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TCP, option{})
	for i := range 80 {
		c := s.dialTCP(t)
		h := s.handler(t)
		h.conn.Abort(transport.Reason(strings.Repeat("r", i+1)))
		h.end(t)
		_ = c.Close()
	}
	eventually(t, "all counted", func() bool {
		var sum uint64
		for _, n := range s.Shutdowns() {
			sum += n
		}
		return sum == 80
	})
	if n := len(s.Shutdowns()); n > 65 {
		t.Errorf("%d reasons", n)
	}
}

func TestDefaultMatchesTags(t *testing.T) {
	t.Parallel()
	v := reflect.ValueOf(transport.Default())
	for i := range v.NumField() {
		f := v.Type().Field(i)
		got := strings.Trim(strings.ReplaceAll(strings.TrimSpace(fmt.Sprint(v.Field(i).Interface())), " ", ","), "[]")
		if want := f.Tag.Get("default"); got != want {
			t.Errorf("%s: Default has %q, the tag %q", f.Name, got, want)
		}
		if f.Tag.Get("yaml") == "" || f.Tag.Get("doc") == "" {
			t.Errorf("%s: no yaml or doc tag", f.Name)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*transport.Config)
		want   string // part of the error, "" for none
	}{
		"default with an address": {func(*transport.Config) {}, ""},
		"ssl is tls":              {func(c *transport.Config) { c.Kind, c.CertFile, c.KeyFile = "ssl", "c", "k" }, ""},
		"kind":                    {func(c *transport.Config) { c.Kind = "udp" }, "kind"},
		"transport":               {func(c *transport.Config) { c.Transport = "threads" }, "transport"},
		"goroutines":              {func(c *transport.Config) { c.Transport = transport.Goroutine }, ""},
		"bind":                    {func(c *transport.Config) { c.Bind = "1883" }, "bind"},
		"max_clients":             {func(c *transport.Config) { c.MaxClients = 0 }, "max_clients"},
		"pending below high":      {func(c *transport.Config) { c.MaxPending = c.HighWater - 1 }, "max_pending"},
		"handshake_timeout":       {func(c *transport.Config) { c.HandshakeTimeout = 0 }, "handshake_timeout"},
		"send_timeout":            {func(c *transport.Config) { c.SendTimeout = -1 }, "send_timeout"},
		"no certificate":          {func(c *transport.Config) { c.Kind = transport.TLS }, "certfile"},
		"verify":                  {func(c *transport.Config) { c.Kind, c.CertFile, c.KeyFile, c.Verify = "tls", "c", "k", "peer" }, "verify"},
		"verify without ca":       {func(c *transport.Config) { c.Kind, c.CertFile, c.KeyFile, c.Verify = "tls", "c", "k", "required" }, "cacertfile"},
		"version gap": {func(c *transport.Config) {
			c.Kind, c.CertFile, c.KeyFile, c.TLSVersions = "tls", "c", "k", []string{"tlsv1.1", "tlsv1.3"}
		}, "gap"},
		"unknown version": {func(c *transport.Config) {
			c.Kind, c.CertFile, c.KeyFile, c.TLSVersions = "tls", "c", "k", []string{"sslv3"}
		}, "unknown version"},
		"path":         {func(c *transport.Config) { c.Kind, c.Path = transport.WS, "mqtt" }, "path"},
		"subprotocols": {func(c *transport.Config) { c.Kind, c.Subprotocols = transport.WS, nil }, "subprotocols"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := transport.Default()
			cfg.Bind = ":1883"
			tt.change(&cfg)
			err := cfg.Validate()
			if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
