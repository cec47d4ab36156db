package transport_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pando-mq/pando/services/transport"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "transport")
	if err != nil {
		panic(err)
	}
	certDir = dir
	goleak.VerifyTestMain(bothWays{m}, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// mode is what serves the connections of all tests that run now.
var mode = transport.Auto

// bothWays runs every test on event loops, where there are some, and again with a
// goroutine per connection.
type bothWays struct{ m *testing.M }

// Run implements goleak.TestingM.
func (b bothWays) Run() int {
	code := 0
	if looping() {
		code = b.m.Run()
	}
	mode = transport.Goroutine
	if n := b.m.Run(); n != 0 {
		return n
	}
	return code
}

// looping reports whether the tests run on event loops.
func looping() bool { return runtime.GOOS == "linux" && mode != transport.Goroutine }

// certDir holds the certificates that all tests share.
var certDir string

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

// handler is a Handler made of functions; each may be nil.
type handler struct {
	conn    transport.Conn
	data    func(c transport.Conn, b []byte) (int, error)
	drained func()
	closed  chan error // one value, at Closed; a second Closed would block the test
}

func (h *handler) Data(b []byte) (int, error) {
	if h.data == nil {
		return len(b), nil
	}
	return h.data(h.conn, b)
}

func (h *handler) Closed(reason error) {
	h.closed <- reason
	close(h.closed)
}

func (h *handler) Drained() {
	if h.drained != nil {
		h.drained()
	}
}

// end waits for Closed and returns its reason.
func (h *handler) end(t *testing.T) error {
	t.Helper()
	return receive(t, h.closed)
}

func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came in time")
		panic("unreachable")
	}
}

func wantReason(t *testing.T, h *handler, want transport.Reason) {
	t.Helper()
	if got := transport.ReasonOf(h.end(t)); got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}

// harness is a started listener whose handlers are made by template.
type harness struct {
	*transport.Listener
	accepted chan *handler
	kind     transport.Kind
	before   []byte // what clients send before everything else, as a proxy would
}

type option struct {
	cfg      func(*transport.Config)
	deps     func(*transport.Deps)
	http     map[string]transport.HTTPFunc
	template func(h *handler)
}

var certs = sync.OnceValues(func() ([3]string, error) {
	cert, key, ca, _, err := transport.EnsureCA(certDir, nil)
	return [3]string{cert, key, ca}, err
})

func testConfig(t *testing.T, kind transport.Kind) transport.Config {
	t.Helper()
	cfg := transport.Default()
	cfg.Name, cfg.Kind, cfg.Bind, cfg.Transport = t.Name(), kind, "127.0.0.1:0", mode
	if kind == transport.TLS || kind == transport.WSS {
		files, err := certs()
		if err != nil {
			t.Fatal(err)
		}
		cfg.CertFile, cfg.KeyFile = files[0], files[1]
	}
	return cfg
}

func start(t *testing.T, kind transport.Kind, o option) *harness {
	t.Helper()
	cfg := testConfig(t, kind)
	if o.cfg != nil {
		o.cfg(&cfg)
	}
	s := &harness{accepted: make(chan *handler, 4096), kind: kind}
	deps := transport.Deps{
		Log:  slog.New(slog.NewTextHandler(io.Discard, nil)),
		HTTP: o.http,
		Accept: func(c transport.Conn) transport.Handler {
			h := &handler{conn: c, closed: make(chan error, 1)}
			if o.template != nil {
				o.template(h)
			}
			s.accepted <- h
			return h
		},
	}
	if o.deps != nil {
		o.deps(&deps)
	}
	l, err := transport.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	s.Listener = l
	if err := l.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			t.Errorf("close listener: %v", err)
		}
	})
	return s
}

func (s *harness) clientTLS(t *testing.T) *tls.Config {
	t.Helper()
	files, err := certs()
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(files[2])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// dial opens a client's byte stream of the listener's kind. TCP and TLS clients
// are net.Conns; WebSocket clients are those of an independent implementation.
func (s *harness) dial(t *testing.T) net.Conn {
	t.Helper()
	switch s.kind {
	case transport.TCP:
		return s.dialTCP(t)
	case transport.TLS:
		c := tls.Client(s.dialTCP(t), s.clientTLS(t))
		if err := c.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	ws, _ := s.dialWeb(t, nil)
	return websocket.NetConn(context.Background(), ws, websocket.MessageBinary)
}

func (s *harness) dialTCP(t *testing.T) *net.TCPConn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { _ = c.Close() })
	write(t, c, s.before)
	return c.(*net.TCPConn)
}

func (s *harness) dialWeb(t *testing.T, header http.Header) (*websocket.Conn, *http.Response) {
	t.Helper()
	scheme, tr := "ws", &http.Transport{}
	if s.before != nil {
		tr.DialContext = func(context.Context, string, string) (net.Conn, error) { return s.dialTCP(t), nil }
	}
	if s.kind == transport.WSS {
		scheme, tr.TLSClientConfig = "wss", s.clientTLS(t)
	}
	t.Cleanup(tr.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, resp, err := websocket.Dial(ctx, scheme+"://"+s.Addr().String()+"/mqtt", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: tr}, HTTPHeader: header, Subprotocols: []string{"unknown", "mqtt"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(-1)
	t.Cleanup(func() { _ = c.CloseNow() })
	return c, resp
}

func (s *harness) handler(t *testing.T) *handler {
	t.Helper()
	return receive(t, s.accepted)
}

// echo answers with what it reads and stops reading while its peer does.
func echo(h *handler) {
	h.data = func(c transport.Conn, b []byte) (int, error) {
		c.Append(b)
		if !c.Writable() {
			c.PauseRead()
		}
		return len(b), nil
	}
	h.drained = func() { h.conn.ResumeRead() }
}

func write(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

func wantRead(t *testing.T, c io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("read: %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("read %.60q..., want %.60q...", got, want)
	}
}

func wantEOF(t *testing.T, c io.Reader) {
	t.Helper()
	if n, err := io.Copy(io.Discard, c); n != 0 || err != nil && !errors.Is(err, io.EOF) {
		t.Fatalf("read %d more bytes, error %v; want the end", n, err)
	}
}

// eventually waits for a condition without a fixed sleep.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("never happened: %s", what)
		}
	}
}

// pattern returns n bytes that differ at each place of a long stream.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}
