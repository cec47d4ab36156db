package gatewaymqtt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	gatewaymqtt "github.com/pando-mq/pando/gateway-mqtt"
	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/config"
)

// TestKinds: the same flow over all four kinds of listeners.
func TestKinds(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.open("ssl", "ws", "wss") })
	sub := w.connect(t, packet.V5, "sub")
	sub.subscribe(2, "kind/#")
	for _, kind := range []string{"tcp", "ssl", "ws", "wss"} {
		for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
			t.Run(kind+" "+v.String(), func(t *testing.T) {
				c := w.dial(t, kind, v)
				c.send(connectPacket(v, kind+v.String()))
				if ack := expect[*packet.Connack](c); ack.Reason != packet.Success {
					t.Fatalf("CONNACK %s", ack.Reason)
				}
				c.subscribe(1, "kind/"+kind)
				c.flow(message(2, 1, "kind/"+kind+"/"+v.String(), "x"))
				sub.receive("kind/"+kind+"/"+v.String(), "x")
				cred := w.auth.seen(kind + v.String())
				if want := "mqtt:" + kind + ":" + w.gw.Addr(kind).String(); cred.Listener != want || !cred.Loopback || cred.Protocol != "mqtt" || cred.Version != uint8(v) {
					t.Errorf("credentials %+v", cred)
				}
				c.send(&packet.Disconnect{})
				c.expectClosed()
			})
		}
	}
}

func TestStatusPage(t *testing.T) {
	t.Parallel()
	ok := true
	w := start(t, func(s *setup) {
		s.open("ws", "wss")
		s.deps.Status = func() (string, bool) { return "Node n@h is started\nemqttd is running", ok }
	})
	get := func(kind, path string) (int, string) {
		t.Helper()
		scheme := map[string]string{"ws": "http", "wss": "https"}[kind]
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://"+w.gw.Addr(kind).String()+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := w.httpClient(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	for _, kind := range []string{"ws", "wss"} {
		for path, want := range map[string]int{"/status": 200, "/mqtt/status": 200, "/other": 404, "/mqtt": 400} {
			code, body := get(kind, path)
			if code != want || want == 200 && body != "Node n@h is started\nemqttd is running" {
				t.Errorf("%s%s: %d %q", kind, path, code, body)
			}
		}
	}
	ok = false
	if code, _ := get("ws", "/status"); code != http.StatusServiceUnavailable {
		t.Errorf("%d while nothing serves", code)
	}
}

func TestWebSocketProtocolHeader(t *testing.T) {
	t.Parallel()
	for _, required := range []bool{true, false} {
		w := start(t, func(s *setup) {
			s.open("ws")
			s.cfg.WebSocketProtocolHeader = required
		})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		ws, _, err := websocket.Dial(ctx, "ws://"+w.gw.Addr("ws").String()+"/mqtt", &websocket.DialOptions{HTTPClient: w.httpClient(t)})
		cancel()
		if (err != nil) != required {
			t.Errorf("required %v: %v", required, err)
		}
		if err == nil {
			_ = ws.CloseNow()
		}
	}
}

func TestAccessRules(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		rules    []string
		admitted bool
	}{
		"none":                 {nil, true},
		"allow all":            {[]string{"allow all"}, true},
		"deny all":             {[]string{"deny all"}, false},
		"first match wins":     {[]string{"allow 127.0.0.1", "deny all"}, true},
		"denied network":       {[]string{"deny 127.0.0.0/8", "allow all"}, false},
		"no match is admitted": {[]string{"deny 10.0.0.0/8"}, true},
		"whitelist":            {[]string{"allow 10.0.0.0/8", "deny all"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(s *setup) { s.listener("tcp", func(l *gatewaymqttListener) { l.Access = tt.rules }) })
			if !tt.admitted {
				if nc, err := w.open(t, "tcp"); err == nil { // it may be reset before that
					(&client{t: t, nc: nc, v: packet.V311}).expectClosed()
					_ = nc.Close()
				}
				w.eventually(t, "counted", func() bool { return w.shutdowns("access_denied") == 1 })
				return
			}
			w.connect(t, packet.V311, "in")
		})
	}
}

func TestForwardedAddress(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		trusted []string
		address []string
		port    string
		want    string // "" means the socket's
	}{
		"one hop":                   {[]string{"127.0.0.1"}, []string{"192.0.2.7"}, "4711", "192.0.2.7:4711"},
		"the client's claim is not": {[]string{"127.0.0.1"}, []string{"203.0.113.1, 192.0.2.7"}, "1", "192.0.2.7:1"},
		"two proxies":               {[]string{"127.0.0.1", "10.0.0.0/8"}, []string{"192.0.2.7", "10.1.2.3"}, "", "192.0.2.7:0"},
		"IPv6":                      {[]string{"127.0.0.1"}, []string{"2001:db8::1"}, "5", "[2001:db8::1]:5"},
		"not trusted":               {[]string{"10.0.0.0/8"}, []string{"192.0.2.7"}, "1", ""},
		"nobody is trusted":         {nil, []string{"192.0.2.7"}, "1", ""},
		"nonsense":                  {[]string{"127.0.0.1"}, []string{"me"}, "1", ""},
		"no header":                 {[]string{"127.0.0.1"}, nil, "1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(s *setup) {
				s.open("ws")
				s.listener("ws", func(l *gatewaymqttListener) {
					l.ProxyAddressHeader, l.ProxyPortHeader, l.TrustedProxies = "X-Forwarded-For", "X-Forwarded-Port", tt.trusted
				})
			})
			w.header = http.Header{"X-Forwarded-For": tt.address, "X-Forwarded-Port": {tt.port}, "Cookie": {"token=abc"}}
			c := w.dial(t, "ws", packet.V5)
			c.send(connectPacket(packet.V5, "far"))
			expect[*packet.Connack](c)
			got := w.auth.seen("far")
			if tt.want == "" {
				tt.want = got.Peer.Addr().String() + ":" + fmt.Sprint(got.Peer.Port())
				if !got.Peer.Addr().IsLoopback() {
					t.Errorf("peer %s", got.Peer)
				}
			}
			if got.Peer.String() != tt.want {
				t.Errorf("peer %s, want %s", got.Peer, tt.want)
			}
			if got.Headers["Cookie"] != "token=abc" {
				t.Errorf("headers %v", got.Headers)
			}
		})
	}
}

// TestRateLimit: what is above the limit waits in the socket, and being held back is not silence for the keep-alive.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) {
		s.listener("tcp", func(l *gatewaymqttListener) { l.RateLimit = config.Limit{Burst: 2000, Rate: 20_000} })
	})
	c := w.connect(t, packet.V5, "fast", func(p *packet.Connect) { p.KeepAlive = 1 })
	began := time.Now()
	c.flow(message(1, 1, "a", strings.Repeat("x", 45_000)))
	c.flow(message(1, 2, "a", "x"))
	if took := time.Since(began); took < 2*time.Second || took > 10*time.Second {
		t.Errorf("45 kB took %s at 20 kB/s and a burst of 2 kB", took)
	}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, pair := clientCertificate(t, dir)
	for field, want := range map[string]string{"cn": "sensor-7", "dn": "CN=sensor-7,O=Plant", "": "given"} {
		t.Run("user name from "+field, func(t *testing.T) {
			w := start(t, func(s *setup) {
				s.open("ssl")
				s.listener("ssl", func(l *gatewaymqttListener) {
					l.TLS.Verify, l.TLS.FailIfNoPeerCert, l.TLS.CACertFile, l.PeerCertUsername = "verify_peer", true, ca, field
				})
			})
			w.pair = &pair
			c := w.dial(t, "ssl", packet.V311)
			c.send(connectPacket(packet.V311, "tls", user("given", "x")))
			expect[*packet.Connack](c)
			cred := w.auth.seen("tls")
			if cred.Username != want || cred.CertCN != "sensor-7" || cred.CertDN != "CN=sensor-7,O=Plant" {
				t.Errorf("user %q, %q, %q", cred.Username, cred.CertCN, cred.CertDN)
			}
			w.pair = nil
			nc, err := w.open(t, "ssl")
			if err == nil { // TLS 1.3 says so with the first read
				_, err = nc.Read(make([]byte, 1))
				_ = nc.Close()
			}
			if err == nil {
				t.Error("a client without a certificate got in")
			}
		})
	}
}

// clientCertificate makes an authority of its own and a client's certificate; ca is the authority's file.
func clientCertificate(t *testing.T, dir string) (ca string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sensor-7", Organization: []string{"Plant"}}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(dir, "clients.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return ca, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestListenersStopAndStart: one listener is stopped, restarted and reloaded; the connections and the others stay, and the process goes on serving.
func TestListenersStopAndStart(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) { s.open("ws") })
	c := w.connect(t, packet.V311, "stays")
	addr := w.gw.Addr("tcp")
	control := func(name string, do broker.ListenerAction) error {
		return w.edge.ControlListener(t.Context(), name, do)
	}
	for range 2 { // it may be asked for twice
		if err := control("tcp", broker.StopListener); err != nil {
			t.Fatal(err)
		}
	}
	if !w.gw.Serving() || w.gw.Listeners()[0].Running {
		t.Errorf("serving %v, %+v", w.gw.Serving(), w.gw.Listeners()[0])
	}
	if nc, err := net.Dial("tcp", addr.String()); err == nil {
		_ = nc.Close()
		t.Error("a stopped listener accepts")
	}
	c.quiet()
	for _, do := range []broker.ListenerAction{broker.StartListener, broker.StartListener, broker.RestartListener, broker.ReloadListener} {
		if err := control("tcp", do); err != nil {
			t.Fatalf("%s: %v", do, err)
		}
	}
	w.connect(t, packet.V311, "new").quiet()
	c.quiet()
	infos := w.gw.Listeners()
	if len(infos) != 2 || infos[0].Name != "tcp" || infos[0].Protocol != "mqtt:tcp" || !infos[0].Running || infos[0].CurrentClients != 2 || infos[1].Protocol != "mqtt:ws" {
		t.Errorf("%+v", infos)
	}
	for do, want := range map[broker.ListenerAction]broker.Kind{
		broker.StopListener: broker.KindNotFound, broker.StartListener: broker.KindNotFound, broker.RestartListener: broker.KindNotFound, broker.ReloadListener: broker.KindNotFound,
	} {
		if err := control("nope", do); broker.KindOf(err) != want {
			t.Errorf("unknown listener, %s: %v", do, err)
		}
	}
	if err := control("tcp", 0); broker.KindOf(err) != broker.KindInvalid {
		t.Errorf("unknown action: %v", err)
	}
}

// TestKeysWithoutEffect: a key that cannot take effect is named at the start.
func TestKeysWithoutEffect(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) {
		s.listener("tcp", func(l *gatewaymqttListener) { l.PeerCertUsername, l.ProxyAddressHeader = "cn", "X-Forwarded-For" })
	})
	for _, key := range []string{"mqtt.listeners.tcp.peer_cert_as_username", "mqtt.listeners.tcp.proxy_address_header"} {
		if !strings.Contains(w.logged(), key) {
			t.Errorf("nothing about %s in:\n%s", key, w.logged())
		}
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	files, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "cert.pem")
	copyFile(t, files[0], own)
	w := start(t, func(s *setup) {
		s.open("ssl")
		s.listener("ssl", func(l *gatewaymqttListener) { l.TLS.CertFile, l.TLS.KeyFile = own, files[1] })
	})
	if err := w.gw.Reload(); err != nil {
		t.Errorf("reload: %v", err)
	}
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	if err := w.gw.ControlListener(t.Context(), "", broker.ReloadListener); broker.KindOf(err) != broker.KindInvalid || !strings.Contains(err.Error(), "ssl") {
		t.Errorf("reload without the file: %v", err)
	}
	c := w.dial(t, "ssl", packet.V311)
	c.send(connectPacket(packet.V311, "still"))
	expect[*packet.Connack](c)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestStartOpensAllOrNone(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	w := start(t)
	cfg := w.cfg
	first, second := cfg.Listeners["tcp"], cfg.Listeners["tcp"]
	second.Bind = taken.Addr().String()
	cfg.Listeners = map[string]gatewaymqtt.ListenerConfig{"a": first, "b": second}
	gw, err := gatewaymqtt.New(cfg, gatewaymqtt.Deps{Edge: w.edge})
	if err != nil {
		t.Fatal(err)
	}
	if err := gw.Start(t.Context()); err == nil {
		t.Fatal("an address that is taken was opened")
	}
	if nc, err := net.Dial("tcp", gw.Addr("a").String()); err == nil {
		_ = nc.Close()
		t.Error("the other listener stayed open")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, tt := range map[string]struct {
		change func(*gatewaymqtt.Config)
		want   string
	}{
		"an exposed listener":       {func(c *gatewaymqtt.Config) { c.Listeners["tcp"] = bound("0.0.0.0:0", "tcp") }, "would admit everybody"},
		"TLS without a certificate": {func(c *gatewaymqtt.Config) { c.Listeners["ssl"] = bound("127.0.0.1:0", "ssl") }, "certfile"},
		"a bad value":               {func(c *gatewaymqtt.Config) { c.ReceiveMaximum = 0 }, "receive_maximum"},
		"a gap between versions of TLS": {func(c *gatewaymqtt.Config) {
			l := bound("127.0.0.1:0", "ssl")
			l.TLS.Versions = []string{"1.0", "1.2"}
			c.Listeners["ssl"] = l
		}, "gap"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := w.cfg
			cfg.Listeners = map[string]gatewaymqtt.ListenerConfig{}
			tt.change(&cfg)
			_, err := gatewaymqtt.New(cfg, gatewaymqtt.Deps{Edge: w.edge})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func bound(bind, kind string) gatewaymqtt.ListenerConfig {
	l := gatewaymqtt.DefaultListener()
	l.Bind, l.Kind = bind, kind
	return l
}
