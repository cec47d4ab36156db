package gatewaymqtt_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	gatewaymqtt "github.com/pando-mq/pando/gateway-mqtt"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/transport"
)

// certDir holds the server's certificate, which all tests share.
var certDir string

func TestMain(m *testing.M) { goleak.VerifyTestMain(withDir{m}) }

// withDir gives the tests certDir.
type withDir struct{ m *testing.M }

// Run implements goleak.TestingM.
func (w withDir) Run() int {
	dir, err := os.MkdirTemp("", "gateway-mqtt")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	certDir = dir
	code := w.m.Run()
	transportMode = transport.Goroutine
	return max(code, w.m.Run())
}

// transportMode is what serves the connections of the tests: they run on event loops, where there are some, and again with a goroutine each.
var transportMode = transport.Auto

var certificate = sync.OnceValues(func() ([3]string, error) {
	cert, key, ca, _, err := transport.EnsureCA(certDir, nil)
	return [3]string{cert, key, ca}, err
})

type gatewaymqttListener = gatewaymqtt.ListenerConfig

// setup is what a test may change before the start.
type setup struct {
	cfg     gatewaymqtt.Config
	session session.Config
	deps    gatewaymqtt.Deps

	maxConnections int // 0: no limit
	queueAlarm     func(id *broker.Identity, high bool, queued int)
}

// open adds listeners, each named like its kind.
func (s *setup) open(kinds ...string) {
	for _, kind := range kinds {
		s.cfg.Listeners[kind] = bound("127.0.0.1:0", kind)
	}
}

// listener changes one listener.
func (s *setup) listener(name string, change func(*gatewaymqttListener)) {
	l := s.cfg.Listeners[name]
	change(&l)
	s.cfg.Listeners[name] = l
}

// world is a gateway on an edge on a backend in memory.
type world struct {
	gw      *gatewaymqtt.Gateway
	cfg     gatewaymqtt.Config
	edge    *edge.Edge
	backend *edgetest.Backend
	auth    *auth
	metrics *prometheus.Registry
	log     *lockedBuffer
	began   time.Time
	header  http.Header      // of WebSocket clients
	pair    *tls.Certificate // of TLS clients
}

// start runs a gateway with one listener "tcp", and those that options add, on ports of the system's choice.
func start(t *testing.T, options ...func(*setup)) *world {
	t.Helper()
	s := &setup{cfg: gatewaymqtt.DefaultConfig(), session: session.DefaultConfig()}
	s.cfg.Listeners, s.cfg.Transport = map[string]gatewaymqttListener{}, string(transportMode)
	s.open("tcp")
	for _, o := range options {
		o(s)
	}
	w := &world{cfg: s.cfg, backend: edgetest.New(t), metrics: prometheus.NewRegistry(), log: new(lockedBuffer), began: time.Now()}
	w.cfg.Listeners = maps.Clone(s.cfg.Listeners)
	w.auth = &auth{Auth: w.backend.Auth, refused: map[string]broker.Kind{}, offers: map[string]broker.Credentials{}}
	w.edge = w.backend.Edge(t, func(c *edge.Config, d *edge.Deps) {
		*c = s.cfg.Edge(s.session, s.maxConnections)
		d.Auth, d.QueueAlarm = w.auth, s.queueAlarm
		d.Listeners = func() []broker.ListenerInfo { return w.gw.Listeners() }
		d.ControlListener = func(ctx context.Context, name string, do broker.ListenerAction) error {
			return w.gw.ControlListener(ctx, name, do)
		}
	})
	s.deps.Edge, s.deps.Registerer = w.edge, w.metrics
	s.deps.Log = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	files, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	s.deps.Cert = gatewaymqtt.Certificate{CertFile: files[0], KeyFile: files[1]}
	if w.gw, err = gatewaymqtt.New(s.cfg, s.deps); err != nil {
		t.Fatal(err)
	}
	if err := w.gw.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := w.gw.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return w
}

// trust is the TLS configuration of clients.
func (w *world) trust(t *testing.T) *tls.Config {
	t.Helper()
	files, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(files[2])
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"}
	cfg.RootCAs.AppendCertsFromPEM(ca)
	if w.pair != nil {
		cfg.Certificates = []tls.Certificate{*w.pair}
	}
	return cfg
}

// httpClient leaves nothing open behind.
func (w *world) httpClient(t *testing.T) *http.Client {
	t.Helper()
	return &http.Client{Transport: &http.Transport{TLSClientConfig: w.trust(t), DisableKeepAlives: true}}
}

// eventually waits for a condition.
func (w *world) eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s; shutdowns %v", what, w.gw.Listeners()[0].Shutdowns)
		}
		pause := time.NewTimer(2 * time.Millisecond)
		<-pause.C
	}
}

// shutdowns counts the connections of the listener "tcp" that ended for a reason.
func (w *world) shutdowns(reason string) uint64 {
	for _, l := range w.gw.Listeners() {
		if l.Name == "tcp" {
			return l.Shutdowns[reason]
		}
	}
	return 0
}

// shutdownsOf are all of a listener.
func (w *world) shutdownsOf(name string) map[string]uint64 {
	for _, l := range w.gw.Listeners() {
		if l.Name == name {
			return l.Shutdowns
		}
	}
	return nil
}

// metric sums up a counter over its labels.
func (w *world) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func (w *world) logged() string { return w.log.String() }

// lockedBuffer is a bytes.Buffer for many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// auth is the backend's Auth, and remembers what was offered.
type auth struct {
	*edgetest.Auth
	mu      sync.Mutex
	refused map[string]broker.Kind // by user name
	offers  map[string]broker.Credentials
}

func (a *auth) refuse(username string, k broker.Kind) { a.refused[username] = k }

func (a *auth) deny(action broker.Action, topic string) { a.Deny(action, topic) }

// seen is what a client id offered last.
func (a *auth) seen(clientID string) broker.Credentials {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.offers[clientID]
}

// offered is seen, and whether the client id came so far.
func (a *auth) offered(clientID string) (broker.Credentials, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.offers[clientID]
	return c, ok
}

// Authenticate implements broker.Auth.
func (a *auth) Authenticate(ctx context.Context, c *broker.Credentials) (*broker.Identity, error) {
	a.mu.Lock()
	a.offers[c.ClientID] = *c
	a.mu.Unlock()
	if k, ok := a.refused[c.Username]; ok {
		return nil, broker.E(k, "authenticate", nil)
	}
	return a.Auth.Authenticate(ctx, c)
}
