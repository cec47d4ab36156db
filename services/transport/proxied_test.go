package transport_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/transport"
	"github.com/pando-mq/pando/services/transport/proxy"
)

var (
	far  = netip.MustParseAddrPort("192.0.2.7:51234")
	near = netip.MustParseAddrPort("198.51.100.1:1883")
)

// proxied is a listener behind a proxy on loopback, or on trusted.
func proxied(t *testing.T, kind transport.Kind, trusted string, timeout time.Duration) *harness {
	t.Helper()
	peers := netip.MustParsePrefix(trusted)
	return start(t, kind, option{
		template: echo,
		cfg:      func(c *transport.Config) { c.ProxyProtocol, c.ProxyTimeout = true, timeout },
		deps:     func(d *transport.Deps) { d.Trusted = peers.Contains },
	})
}

// TestProxyProtocol: both versions below all four kinds; what follows the header in the same segment is not lost.
func TestProxyProtocol(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := proxied(t, kind, "127.0.0.0/8", patience)
		for name, header := range map[string]string{
			"1": "PROXY TCP4 192.0.2.7 198.51.100.1 51234 1883\r\n",
			"2": string(proxy.AppendV2(nil, far, near, proxy.TLV{Type: 4, Value: make([]byte, 700)})),
		} {
			s.before = []byte(header)
			c := s.dial(t)
			write(t, c, []byte("hello"))
			wantRead(t, c, []byte("hello"))
			h := s.handler(t)
			if i := h.conn.Info(); i.Remote != far || i.Local != near || !i.Via.Addr().IsLoopback() || i.Proxy == nil {
				t.Errorf("version %s: %+v", name, i)
			}
			big := pattern(300_000)
			go func() { _, _ = c.Write(big) }()
			wantRead(t, c, big)
		}
		for _, own := range []string{"PROXY UNKNOWN\r\n", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"} {
			s.before = []byte(own)
			c := s.dial(t)
			write(t, c, []byte("hello"))
			wantRead(t, c, []byte("hello"))
			if i := s.handler(t).conn.Info(); !i.Remote.Addr().IsLoopback() || i.Via != i.Remote || i.Proxy != nil {
				t.Errorf("the proxy's own connection %q: %+v", own, i)
			}
		}
	})
}

// TestProxyHeaderTogether: header and data arrive in one segment, or byte by byte.
func TestProxyHeaderTogether(t *testing.T) {
	t.Parallel()
	s := proxied(t, transport.TCP, "127.0.0.1/32", patience)
	header := string(proxy.AppendV2(nil, far, near))
	c := s.dialTCP(t)
	write(t, c, []byte(header+strings.Repeat("x", 9000)))
	wantRead(t, c, []byte(strings.Repeat("x", 9000)))
	c = s.dialTCP(t)
	for _, b := range []byte(header + "drip") {
		write(t, c, []byte{b})
	}
	wantRead(t, c, []byte("drip"))
}

// TestHostileProxyHeaders (case 33): a connection that does not begin with the header of a trusted proxy ends, is counted by its reason, and never reaches
// a handler; the next one is served.
func TestHostileProxyHeaders(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		for name, tt := range map[string]struct {
			trusted, text string
			want          transport.Reason
		}{
			"absent":              {"127.0.0.0/8", "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", transport.ErrProxy},
			"TLS instead":         {"127.0.0.0/8", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", transport.ErrProxy},
			"HTTP instead":        {"127.0.0.0/8", "GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n", transport.ErrProxy},
			"spoofed":             {"192.0.2.0/24", "PROXY TCP4 192.0.2.7 198.51.100.1 51234 1883\r\n", transport.ErrProxyUntrusted},
			"TLV overflow":        {"127.0.0.0/8", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0f\xc0\x00\x02\x07\xc6\x33\x64\x01\xc8\x22\x07\x5b\x04\xff\xff", transport.ErrProxy},
			"64 KB declared":      {"127.0.0.0/8", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff", transport.ErrProxy},
			"version 1 too long":  {"127.0.0.0/8", "PROXY TCP4 " + strings.Repeat("1", 97), transport.ErrProxy},
			"cut off by its end":  {"127.0.0.0/8", "PROXY TCP4 192.0.2.7", transport.ErrPeerClosed},
			"nothing and the end": {"127.0.0.0/8", "", transport.ErrPeerClosed},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := proxied(t, kind, tt.trusted, patience)
				c := s.dialTCP(t)
				write(t, c, []byte(tt.text))
				if tt.want == transport.ErrPeerClosed {
					_ = c.CloseWrite()
				}
				eventually(t, "counted", func() bool { return s.Shutdowns()[tt.want] == 1 })
				if s.Count() != 0 || len(s.accepted) != 0 {
					t.Errorf("%d connections, %d handlers", s.Count(), len(s.accepted))
				}
				if tt.want != transport.ErrProxyUntrusted {
					s.before = []byte("PROXY UNKNOWN\r\n")
					next := s.dial(t)
					write(t, next, []byte("next"))
					wantRead(t, next, []byte("next"))
				}
			})
		}
	})
}

// TestProxyHeaderDrip: a header that comes too slowly ends at the time out, whatever bytes still come.
func TestProxyHeaderDrip(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		s := proxied(t, kind, "127.0.0.0/8", 50*time.Millisecond)
		c := s.dialTCP(t)
		text := "PROXY TCP4 192.0.2.7 198.51.100.1 51234 18"
		eventually(t, "counted", func() bool {
			if text != "" { // a byte at each look
				_, _ = c.Write([]byte(text[:1]))
				text = text[1:]
			}
			return s.Shutdowns()[transport.ErrProxyTimeout] == 1
		})
		if s.Count() != 0 {
			t.Error("the connection is still there")
		}
	})
}

// TestAdmit: the client's address decides, before TLS and WebSocket; behind a proxy it is the announced one.
func TestAdmit(t *testing.T) {
	eachKind(t, func(t *testing.T, kind transport.Kind) {
		denied := transport.Reason("denied")
		for _, behind := range []bool{false, true} {
			var asked netip.Addr
			s := start(t, kind, option{
				cfg: func(c *transport.Config) { c.ProxyProtocol = behind },
				deps: func(d *transport.Deps) {
					d.Trusted = netip.Addr.IsLoopback
					d.Admit = func(a netip.Addr) error { asked = a; return denied }
				},
			})
			want := netip.MustParseAddr("127.0.0.1")
			if behind {
				s.before, want = []byte("PROXY TCP4 192.0.2.7 198.51.100.1 51234 1883\r\n"), far.Addr()
			}
			wantEOF(t, resetIsEnd{s.dialTCP(t)})
			eventually(t, "counted", func() bool { return s.Shutdowns()[denied] == 1 })
			if asked != want {
				t.Errorf("asked about %s, want %s", asked, want)
			}
		}
	})
}

// TestNobodyIsTrusted: without Deps.Trusted the PROXY protocol admits nobody.
func TestNobodyIsTrusted(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TCP, option{cfg: func(c *transport.Config) { c.ProxyProtocol = true }})
	s.before = []byte("PROXY UNKNOWN\r\n")
	wantEOF(t, resetIsEnd{s.dialTCP(t)})
	eventually(t, "counted", func() bool { return s.Shutdowns()[transport.ErrProxyUntrusted] == 1 })
	if errors.Is(transport.ErrProxyUntrusted, transport.ErrProxy) {
		t.Error("counted as a bad header")
	}
}
