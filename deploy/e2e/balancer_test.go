package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/eclipse/paho.golang/paho"
)

// elsewhere is the address that clients of these tests have: the load balancers have another one.
const elsewhere = "127.0.0.77"

// balancer is a load balancer in front of the suite, with certificates of its own.
type balancer struct {
	dir    string
	pool   *x509.CertPool
	client tls.Certificate // of "sensor-7"
}

// newBalancer makes the certificates: ca.pem, and server.pem with its key, as HAProxy wants it; server-key.pem for nginx.
func newBalancer(t *testing.T) *balancer {
	t.Helper()
	b := &balancer{dir: t.TempDir(), pool: x509.NewCertPool()}
	ca, caKey, caPEM, _ := issue(t, "Test authority", nil, nil)
	b.pool.AddCert(ca)
	_, _, server, serverKey := issue(t, "localhost", ca, caKey)
	_, _, client, clientKey := issue(t, "sensor-7", ca, caKey)
	for name, text := range map[string][]byte{"ca.pem": caPEM, "server.pem": append(server, serverKey...), "server-key.pem": serverKey} {
		if err := os.WriteFile(filepath.Join(b.dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if b.client, err = tls.X509KeyPair(client, clientKey); err != nil {
		t.Fatal(err)
	}
	return b
}

// issue makes a certificate, an authority's if there is no other.
func issue(t *testing.T, name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, []byte, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, BasicConstraintsValid: true, IsCA: ca == nil,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	signer := caKey
	parent := ca
	if ca == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// run starts a program with a configuration file, and ends it with the test. It is there when it answers at ready.
func (b *balancer) run(t *testing.T, config, ready string, args func(file string) []string) {
	t.Helper()
	file := filepath.Join(b.dir, "balancer.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(b.dir, "balancer.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command := args(file)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.Path = program(t, command[0])
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", command[0], text)
		}
	})
	eventually(t, patience, func() error {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v", command[0], err)
		default:
		}
		c, err := net.Dial("tcp", ready)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
}

// program finds what packages put where only root looks.
func program(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	path, err := exec.LookPath(filepath.Join("/usr/sbin", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// ports are free ports of 127.0.0.1, or of another host.
func ports(t *testing.T, host string, n int) []string {
	t.Helper()
	list := make([]string, n)
	for i := range list {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all at the end, so that they differ
		list[i] = l.Addr().String()
	}
	return list
}

// from dials from an address of one's own.
func from(t *testing.T, host, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(host)}, Timeout: patience}
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// secure speaks TLS over c, with the certificate of a client or without.
func (b *balancer) secure(t *testing.T, c net.Conn, with ...tls.Certificate) net.Conn {
	t.Helper()
	s := tls.Client(c, &tls.Config{RootCAs: b.pool, ServerName: "localhost", Certificates: with})
	if err := s.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// seen is a connection as operators see it.
type seen struct{ Peer, Username string }

// roundTrip connects over conn, gets its own message back, and says how the suite sees the client.
func roundTrip(t *testing.T, conn net.Conn, user string) seen {
	t.Helper()
	id := unique("balanced")
	cp := &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: 60}
	if user != "" {
		cp.Username, cp.UsernameFlag = user, true
	}
	c, err := paho5Over(t, conn, cp)
	if err != nil {
		t.Fatal(err)
	}
	topic := unique("e2e/balanced")
	c.Subscribe(t, 1, topic)
	for _, text := range []string{"x", strings.Repeat("long ", 20_000)} {
		m := message{Topic: topic, Payload: text, QoS: 1}
		c.Publish(t, m)
		if got := next(t, c); got.Payload != text {
			t.Fatalf("got %v", got)
		}
	}
	out, err := suite.Ctl(t.Context(), "", "clients", "show", id, "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var s seen
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return s
}

// servers are lines of a backend, one per gateway.
func servers(addrs []string, options string) string {
	var b strings.Builder
	for i, addr := range addrs {
		fmt.Fprintf(&b, "    server emq%d %s %s\n", i+1, addr, options)
	}
	return b.String()
}

// TestHAProxy: the suite behind HAProxy, which sends the PROXY protocol, version 1 and 2, ends TLS and tells the name in the client's certificate, or
// balances WebSocket with HTTP headers; health checks by the PROXY protocol find the gateways up.
func TestHAProxy(t *testing.T) {
	t.Parallel()
	b := newBalancer(t)
	p := ports(t, "127.0.0.1", 4)
	front := func(name, bind, mode string) string {
		return fmt.Sprintf("frontend %s\n    bind %s\n    mode %s\n    default_backend to_%s\nbackend to_%s\n    mode %s\n", name, bind, mode, name, name, mode)
	}
	tlsBind := fmt.Sprintf("%s ssl crt %s/server.pem ca-file %s/ca.pem verify optional", p[2], b.dir, b.dir)
	config := "global\n    maxconn 200\ndefaults\n    timeout connect 10s\n    timeout client 60s\n    timeout server 60s\n    retries 5\n" +
		front("one", p[0], "tcp") + servers(suite.More("proxied"), "send-proxy check check-send-proxy inter 1000") +
		front("two", p[1], "tcp") + servers(suite.More("proxied"), "send-proxy-v2 check inter 1000") +
		front("tls", tlsBind, "tcp") + servers(suite.More("proxied"), "send-proxy-v2-ssl-cn") +
		front("web", p[3], "http") + "    option forwardfor\n    http-request set-header X-Forwarded-Port %[src_port]\n" + servers(suite.More("forwarded"), "")
	b.run(t, config, p[0], func(file string) []string { return []string{"haproxy", "-db", "-f", file} })

	want := func(what string, got seen, conn net.Conn, user string) {
		t.Helper()
		if got.Peer != conn.LocalAddr().String() || got.Username != user {
			t.Errorf("%s: %+v, want %s and user %q", what, got, conn.LocalAddr(), user)
		}
	}
	conn := from(t, elsewhere, p[0])
	want("version 1", roundTrip(t, conn, "given"), conn, "given")
	conn = from(t, elsewhere, p[1])
	want("version 2", roundTrip(t, conn, "given"), conn, "given")
	conn = from(t, elsewhere, p[2])
	want("TLS with a certificate", roundTrip(t, b.secure(t, conn, b.client), "given"), conn, "sensor-7")
	conn = from(t, elsewhere, p[2])
	want("TLS without a certificate", roundTrip(t, b.secure(t, conn), "given"), conn, "given")
	conn, web := overWebSocket(t, p[3])
	want("WebSocket", roundTrip(t, web, ""), conn, "")
}

// overWebSocket upgrades a connection from elsewhere.
func overWebSocket(t *testing.T, addr string) (raw, web net.Conn) {
	t.Helper()
	raw = from(t, elsewhere, addr)
	ws, _, err := websocket.Dial(t.Context(), "ws://"+addr+"/mqtt", &websocket.DialOptions{Subprotocols: []string{"mqtt"}, HTTPClient: over(raw)})
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return raw, websocket.NetConn(t.Context(), ws, websocket.MessageBinary)
}

// TestHAProxyOfTheSeed: the seed's configuration. Its last line has HAProxy use the client's own address, which needs a right that not everybody has.
func TestHAProxyOfTheSeed(t *testing.T) {
	t.Parallel()
	b := newBalancer(t)
	p := ports(t, "127.0.0.1", 1)
	transparent := ""
	if mayBeTransparent() {
		transparent = "    source 0.0.0.0 usesrc clientip\n"
	}
	config := fmt.Sprintf(`listen mqtt-ssl
    bind %s ssl crt %s/server.pem no-sslv3
    mode tcp
    maxconn 500
    timeout client 600s
    default_backend emq_cluster

backend emq_cluster
    mode tcp
    balance source
    timeout server 50s
    timeout check 5000
    timeout connect 10s
%s%s`, p[0], b.dir, servers(suite.MQTT(), "check inter 10000 fall 2 rise 5 weight 1"), transparent)
	b.run(t, config, p[0], func(file string) []string { return []string{"haproxy", "-db", "-f", file} })
	got := roundTrip(t, b.secure(t, from(t, elsewhere, p[0])), "given")
	if host, _, _ := net.SplitHostPort(got.Peer); (host == elsewhere) != (transparent != "") || got.Username != "given" {
		t.Errorf("%+v, transparent %v", got, transparent != "")
	}
}

// TestNginx: the seed's configuration for nginx, without the line that only NGINX Plus knows, and one that sends the PROXY protocol.
func TestNginx(t *testing.T) {
	t.Parallel()
	b := newBalancer(t)
	p := ports(t, "127.0.0.1", 2)
	upstream := func(name string, addrs []string) string {
		text := "    upstream " + name + " {\n        zone " + name + " 64k;\n        hash $remote_addr;\n"
		for _, addr := range addrs {
			text += "        server " + addr + " max_fails=2 fail_timeout=30s;\n"
		}
		return text + "    }\n"
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n"
	}
	config := fmt.Sprintf(`load_module /usr/lib/nginx/modules/ngx_stream_module.so;
%sdaemon off;
pid %[2]s/nginx.pid;
error_log stderr warn;
worker_processes 1;
events { worker_connections 200; }
stream {
%[3]s%[4]s
    server {
        listen %[5]s ssl;
        proxy_pass stream_backend;
        proxy_buffer_size 4k;
        ssl_handshake_timeout 15s;
        ssl_certificate      %[2]s/server.pem;
        ssl_certificate_key  %[2]s/server-key.pem;
    }
    server {
        listen %[6]s;
        proxy_protocol on;
        proxy_pass proxied_backend;
    }
}
`, user, b.dir, upstream("stream_backend", suite.MQTT()), upstream("proxied_backend", suite.More("proxied")), p[0], p[1])
	b.run(t, config, p[0], func(file string) []string { return []string{"nginx", "-p", b.dir, "-e", "stderr", "-c", file} })
	if got := roundTrip(t, b.secure(t, from(t, elsewhere, p[0])), "given"); !strings.HasPrefix(got.Peer, "127.0.0.1:") || got.Username != "given" {
		t.Errorf("%+v", got)
	}
	conn := from(t, elsewhere, p[1])
	if got := roundTrip(t, conn, "given"); got.Peer != conn.LocalAddr().String() {
		t.Errorf("%+v, want %s", got, conn.LocalAddr())
	}
}
