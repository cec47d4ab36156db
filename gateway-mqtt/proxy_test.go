package gatewaymqtt_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	gatewaymqtt "github.com/pando-mq/pando/gateway-mqtt"
	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/transport/proxy"
)

var (
	afar   = netip.MustParseAddrPort("192.0.2.7:51234")
	entry  = netip.MustParseAddrPort("198.51.100.1:8883")
	verify = proxy.TLV{Type: 0x20, Value: []byte("\x07\x00\x00\x00\x00\x21\x00\x07TLSv1.3\x22\x00\x08sensor-7")}
)

// behind connects through a header that a proxy would send.
func (w *world) behind(t *testing.T, header []byte, id string) *client {
	t.Helper()
	c := w.dial(t, "tcp", packet.V5)
	c.raw(header)
	c.send(connectPacket(packet.V5, id, user("given", "x")))
	return c
}

// TestProxyProtocol: the client's address and the name in its certificate are those that the proxy tells; a listener behind one is not local to anybody.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]string{"": "given", "cn": "sensor-7", "dn": "CN=sensor-7"} {
		t.Run("user name from "+field, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(s *setup) {
				s.deps.Access.AnonymousExplicit = true
				s.listener("tcp", func(l *gatewaymqttListener) { l.ProxyProtocol, l.PeerCertUsername = true, field })
			})
			expect[*packet.Connack](w.behind(t, proxy.AppendV2(nil, afar, entry, verify), "two"))
			if got := w.auth.seen("two"); got.Peer != afar || got.Username != want || got.CertCN != "sensor-7" || got.Loopback {
				t.Errorf("%+v", got)
			}
			expect[*packet.Connack](w.behind(t, []byte("PROXY TCP6 2001:db8::7 2001:db8::1 5 6\r\n"), "one"))
			if got := w.auth.seen("one"); got.Peer.String() != "[2001:db8::7]:5" || got.Username != "given" || got.CertCN != "" || got.Loopback {
				t.Errorf("%+v", got)
			}
			if strings.Contains(w.logged(), "no effect") {
				t.Error(w.logged())
			}
		})
	}
}

// TestProxyProtocolNeedsAuthentication: a listener on loopback behind a proxy is open to strangers.
func TestProxyProtocolNeedsAuthentication(t *testing.T) {
	t.Parallel()
	cfg := gatewaymqtt.DefaultConfig()
	l := gatewaymqtt.DefaultListener()
	l.Bind, l.ProxyProtocol = "127.0.0.1:1883", true
	cfg.Listeners = map[string]gatewaymqtt.ListenerConfig{"tcp": l}
	if err := cfg.CheckExposure(gatewaymqtt.Access{}); err == nil || !strings.Contains(err.Error(), "tcp") {
		t.Errorf("%v", err)
	}
}

// TestAccessRulesBehindProxy: the rules are about the client, not about the proxy.
func TestAccessRulesBehindProxy(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) {
		s.deps.Access.AnonymousExplicit = true
		s.listener("tcp", func(l *gatewaymqttListener) {
			l.ProxyProtocol, l.Access = true, []string{"allow 192.0.2.0/24", "deny all"}
		})
	})
	expect[*packet.Connack](w.behind(t, proxy.AppendV2(nil, afar, entry), "in"))
	c := w.dial(t, "tcp", packet.V5)
	c.raw([]byte("PROXY TCP4 203.0.113.9 198.51.100.1 51234 1883\r\n"))
	c.expectClosed()
	w.eventually(t, "counted", func() bool { return w.shutdowns("access_denied") == 1 })
}

// TestProxyProtocolFromStrangers (case 33): without a header, and with one of a peer that is not trusted, nobody gets in; each is counted by its reason.
func TestProxyProtocolFromStrangers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		trusted []string
		text    string
		reason  string
	}{
		"no header": {[]string{"127.0.0.1"}, "", "proxy_error"},
		"spoofed":   {[]string{"10.0.0.0/8"}, "PROXY TCP4 192.0.2.7 198.51.100.1 51234 1883\r\n", "proxy_untrusted"},
		"nobody":    {nil, "PROXY TCP4 192.0.2.7 198.51.100.1 51234 1883\r\n", "proxy_untrusted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(s *setup) {
				s.deps.Access.AnonymousExplicit = true
				s.listener("tcp", func(l *gatewaymqttListener) { l.ProxyProtocol, l.TrustedProxies = true, tt.trusted })
			})
			nc, err := net.Dial("tcp", w.gw.Addr("tcp").String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			_, _ = nc.Write([]byte(tt.text + "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x")) // it may be closed before
			w.eventually(t, "counted", func() bool { return w.shutdowns(tt.reason) == 1 })
			if w.auth.seen("x").ClientID != "" {
				t.Error("a stranger was asked who it is")
			}
		})
	}
}

// TestMaxConnections: the process takes so many connections over all its listeners, CONNECT or not; what is above is refused and counted, said once, and
// what a client leaves another gets.
func TestMaxConnections(t *testing.T) {
	t.Parallel()
	heard := make(chan bool, 10)
	w := start(t, func(s *setup) {
		s.open("ws")
		s.deps.MaxConnections, s.deps.Full = 2, func(full bool) { heard <- full }
	})
	c := w.connect(t, packet.V311, "one")
	if nc, err := w.open(t, "ws"); err != nil {
		t.Fatal(err)
	} else {
		t.Cleanup(func() { _ = nc.Close() })
	}
	for range 3 {
		if nc, err := w.open(t, "tcp"); err == nil { // it may be reset before that
			(&client{t: t, nc: nc, v: packet.V311}).expectClosed()
			_ = nc.Close()
		}
	}
	w.eventually(t, "counted", func() bool { return w.shutdowns("max_connections") == 3 })
	if n := strings.Count(w.logged(), "limits.max_connections"); n != 1 || !<-heard {
		t.Errorf("said %d times:\n%s", n, w.logged())
	}
	c.send(&packet.Disconnect{})
	c.expectClosed()
	if <-heard {
		t.Error("full again")
	}
	w.connect(t, packet.V311, "two").quiet()
}
