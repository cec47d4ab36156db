package rpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	brokerv1 "github.com/pando-mq/pando/proto/gen/pando/broker/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/routerrpc"
)

func TestErrorsCrossTheBorder(t *testing.T) {
	t.Parallel()
	want := map[broker.Kind]codes.Code{
		broker.KindInternal: codes.Internal, broker.KindInvalid: codes.InvalidArgument, broker.KindUnauthenticated: codes.Unauthenticated,
		broker.KindDenied: codes.PermissionDenied, broker.KindNotFound: codes.NotFound, broker.KindConflict: codes.AlreadyExists,
		broker.KindNotOwner: codes.FailedPrecondition, broker.KindStale: codes.Aborted, broker.KindBusy: codes.ResourceExhausted,
		broker.KindUnavailable: codes.Unavailable, broker.KindQuota: codes.ResourceExhausted, broker.KindTooLarge: codes.OutOfRange,
		broker.KindCanceled: codes.Canceled,
	}
	for k := broker.KindInternal; k <= broker.KindCanceled; k++ {
		t.Run(k.String(), func(t *testing.T) {
			for _, err := range []error{broker.E(k, "do it", nil), broker.E(k, "do it", errors.New("cause"))} {
				st := rpc.ToStatus(err)
				if got := status.Code(st); got != want[k] {
					t.Errorf("code %v, want %v", got, want[k])
				}
				if rpc.ToStatus(st) != st {
					t.Error("a status is wrapped again")
				}
				back := rpc.FromStatus(st)
				wantKind(t, back, k)
				if back.Error() != err.Error() {
					t.Errorf("came back as %q, was %q", back, err)
				}
				if f := rpc.DecodeFailure(rpc.EncodeFailure(err)); f.Error() != err.Error() || broker.KindOf(f) != k {
					t.Errorf("failure came back as %q, was %q", f, err)
				}
			}
		})
	}
	if rpc.ToStatus(nil) != nil || rpc.FromStatus(nil) != nil || rpc.EncodeFailure(nil) != nil || rpc.DecodeFailure(nil) != nil {
		t.Error("nil became an error")
	}
}

func TestErrorsOfGRPCItself(t *testing.T) {
	t.Parallel()
	plain := errors.New("plain")
	for _, c := range []struct {
		name string
		err  error
		want broker.Kind
	}{
		{"message too large", status.Error(codes.ResourceExhausted, "larger than max"), broker.KindTooLarge},
		{"deadline", status.Error(codes.DeadlineExceeded, ""), broker.KindCanceled},
		{"canceled", status.Error(codes.Canceled, ""), broker.KindCanceled},
		{"context", context.DeadlineExceeded, broker.KindCanceled},
		{"connection", status.Error(codes.Unavailable, ""), broker.KindUnavailable},
		{"no such method", status.Error(codes.Unimplemented, ""), broker.KindInvalid},
		{"unknown", status.Error(codes.Unknown, ""), broker.KindInternal},
		{"newer kind", rpc.DecodeFailure(&brokerv1.Failure{Kind: 200, Text: "x"}), broker.KindInternal},
		{"not a status", plain, broker.KindInternal},
	} {
		t.Run(c.name, func(t *testing.T) { wantKind(t, rpc.FromStatus(c.err), c.want) })
	}
	if got := rpc.FromStatus(plain); got != plain { //nolint:errorlint // identity is the point
		t.Errorf("a plain error became %v", got)
	}
}

func TestTextIsAlwaysUTF8(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"plain": "plain", "é€😀": "é€😀", "a\xffb": "a?b", "\xe2\x82": "??", "\xed\xa0\x80": "???", "": ""} {
		got := rpc.Text(in)
		if got != want || len(got) != len(in) || !utf8.ValidString(got) {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	long := rpc.EncodeFailure(errors.New(strings.Repeat("é", 5000)))
	if len(long.GetText()) > 1024 || !utf8.ValidString(long.GetText()) {
		t.Errorf("text of %d bytes, valid %v", len(long.GetText()), utf8.ValidString(long.GetText()))
	}
}

func TestServerSurvivesPanics(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	p := r.startRouter("r1", &fakeRouter{
		update:   func(context.Context, broker.RouteUpdate) error { panic("unary") },
		retained: func(context.Context, int, broker.RetainedQuery, func([]*broker.Message) error) error { panic("stream") },
	})
	n := r.router.Node(p.node)
	wantKind(t, n.UpdateRoutes(t.Context(), broker.RouteUpdate{}), broker.KindInternal)
	wantKind(t, n.ReadRetainedPartition(t.Context(), 0, broker.RetainedQuery{}, nil), broker.KindInternal)
	wantKind(t, n.UpdateRoutes(t.Context(), broker.RouteUpdate{}), broker.KindInternal)
}

func TestServerStopLetsUnaryCallsEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	began, finish := make(chan struct{}), make(chan struct{})
	l, addr := r.net.listen(t, "")
	s := r.serve(l, &fakeRouter{update: func(context.Context, broker.RouteUpdate) error {
		close(began)
		<-finish
		return nil
	}})
	n := r.router.Node(cluster.Node{Addr: addr})
	called := make(chan error, 1)
	go func() { called <- n.UpdateRoutes(context.Background(), broker.RouteUpdate{}) }()
	await(t, began)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop(t, s.Stop)
	}()
	eventually(t, func() bool { // new calls are refused
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := n.UpdateRoutes(ctx, broker.RouteUpdate{})
		return err != nil && broker.KindOf(err) == broker.KindUnavailable
	})
	close(finish)
	if err := await(t, called); err != nil {
		t.Errorf("a call under way failed: %v", err)
	}
	await(t, stopped)
}

func TestServerStopIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	began, finish := make(chan struct{}), make(chan struct{})
	l, addr := r.net.listen(t, "")
	s := r.serve(l, &fakeRouter{update: func(context.Context, broker.RouteUpdate) error {
		close(began)
		<-finish
		return nil
	}})
	called := make(chan error, 1)
	go func() {
		called <- r.router.Node(cluster.Node{Addr: addr}).UpdateRoutes(context.Background(), broker.RouteUpdate{})
	}()
	await(t, began)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Stop said %v", err)
	}
	close(finish)
	await(t, called)
}

func TestServerMetricsAndHealth(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s, err := rpc.NewServer(rpc.ServerConfig{Listen: "127.0.0.1:0"}, rpc.Deps{Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	routerrpc.Register(s, &fakeRouter{update: func(context.Context, broker.RouteUpdate) error { return nil }})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	node := cluster.Node{Addr: s.Addr()}
	if err := r.router.Node(node).UpdateRoutes(t.Context(), broker.RouteUpdate{}); err != nil {
		t.Fatal(err)
	}
	err = r.dialer.Call(node, func(c grpc.ClientConnInterface) error {
		p, err := healthv1.NewHealthClient(c).Check(t.Context(), &healthv1.HealthCheckRequest{Service: "pando.router.v1.RouterService"})
		if p.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("health %v", p.GetStatus())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				found = found || f.GetName() == "pando_rpc_calls_total" && l.GetValue() == "/pando.router.v1.RouterService/UpdateRoutes"
			}
		}
	}
	if !found {
		t.Error("the call was not counted")
	}
	stop(t, s.Stop)
	if _, ok := <-s.Failed(); ok {
		t.Error("an orderly stop is reported as a failure")
	}
}

func TestServerConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]rpc.ServerConfig{
		"small messages": {MaxMessage: 1000}, "no credit": {Credit: -1}, "key without certificate": {TLS: rpc.TLS{KeyFile: "k"}},
		"missing file": {TLS: rpc.TLS{CertFile: "no", KeyFile: "no"}}, "CA alone": {TLS: rpc.TLS{CACertFile: "no"}},
	} {
		if _, err := rpc.NewServer(cfg, rpc.Deps{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, cfg := range map[string]rpc.ClientConfig{
		"small messages": {MaxMessage: 1000}, "certificate without key": {TLS: rpc.TLS{CertFile: "c"}}, "missing CA": {TLS: rpc.TLS{CACertFile: "no"}},
	} {
		if _, err := rpc.NewDialer(cfg, nil, rpc.Deps{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestConnectionsAreClosedWhenUnused(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rigT) { r.client.IdleTimeout, r.client.MaxConnections = 20*time.Millisecond, 1 })
	p := r.startRouter("r1", &fakeRouter{update: func(context.Context, broker.RouteUpdate) error { return nil }})
	s := r.open(0, nil)
	if got := r.count("pando_rpc_connections"); got != 1 {
		t.Fatalf("%v connections", got)
	}
	other := r.router.Node(cluster.Node{Addr: "127.0.0.1:1"})
	wantKind(t, other.UpdateRoutes(t.Context(), broker.RouteUpdate{}), broker.KindBusy)
	s.Close()
	eventually(t, func() bool { return r.count("pando_rpc_connections") == 0 })
	if err := r.router.Node(p.node).UpdateRoutes(t.Context(), broker.RouteUpdate{}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, other.UpdateRoutes(t.Context(), broker.RouteUpdate{}), broker.KindUnavailable) // the unused one made room
	r.open(0, nil)
}

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.make("ca", nil, nil)
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// files makes a certificate for 127.0.0.1 and gives the configuration that uses it.
func (a *authority) files(name string) rpc.TLS {
	a.make(name, a.cert, a.key)
	return rpc.TLS{CertFile: a.path(name + ".pem"), KeyFile: a.path(name + ".key"), CACertFile: a.path("ca.pem")}
}

func (a *authority) make(name string, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.n++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: parent == nil,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	if parent == nil {
		parent, signer, template.KeyUsage = template, key, x509.KeyUsageCertSign
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "EC PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(a.path(file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	server, good, foreign := ours.files("server"), ours.files("client"), theirs.files("client")
	foreign.CACertFile = good.CACertFile
	anonymous := rpc.TLS{CACertFile: good.CACertFile}
	for _, c := range []struct {
		name string
		tls  rpc.TLS
		ok   bool
	}{{"same authority", good, true}, {"other authority", foreign, false}, {"no certificate", anonymous, false}, {"plain text", rpc.TLS{}, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(r *rigT) { r.server.TLS, r.client.TLS = server, c.tls })
			r.startRouter("r1", &fakeRouter{})
			s, err := r.tryOpen(0, nil)
			if !c.ok {
				wantKind(t, err, broker.KindUnavailable)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Send(publishes(1, 1, 1)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A renewed certificate is used without a restart: the server's old one is of an authority that the client does not trust.
func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	server := theirs.files("server")
	server.CACertFile = ours.path("ca.pem")
	r := newRig(t, func(r *rigT) {
		r.server.TLS, r.client.TLS, r.client.Backoff = server, ours.files("client"), 10*time.Millisecond
	})
	r.startRouter("r1", &fakeRouter{})
	_, err := r.tryOpen(0, nil)
	wantKind(t, err, broker.KindUnavailable)
	ours.make("renewed", ours.cert, ours.key)
	for from, to := range map[string]string{"renewed.pem": server.CertFile, "renewed.key": server.KeyFile} {
		if err := os.Rename(ours.path(from), to); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { _, err := r.tryOpen(0, nil); return err == nil })
}
