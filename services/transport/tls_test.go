package transport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/transport"
)

// clientCert makes a client certificate signed by the authority in dir.
func clientCert(t *testing.T, dir, name string) tls.Certificate {
	t.Helper()
	ca, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.Leaf, key.Public(), ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	strange := t.TempDir()
	if _, _, _, _, err := transport.EnsureCA(strange, nil); err != nil {
		t.Fatal(err)
	}
	files, err := certs()
	if err != nil {
		t.Fatal(err)
	}
	good, bad := clientCert(t, certDir, "device-1"), clientCert(t, strange, "device-1")
	for _, tt := range []struct {
		name   string
		verify string
		cert   *tls.Certificate
		ok     bool
		cn     string
	}{
		{"none, given", "none", &good, true, ""},
		{"optional, none given", "optional", nil, true, ""},
		{"optional, good", "optional", &good, true, "device-1"},
		{"optional, strange", "optional", &bad, false, ""},
		{"required, none given", "required", nil, false, ""},
		{"required, good", "required", &good, true, "device-1"},
		{"required, strange", "required", &bad, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, transport.TLS, option{template: echo, cfg: func(c *transport.Config) {
				c.Verify, c.CACertFile = tt.verify, files[2]
			}})
			cfg := s.clientTLS(t)
			cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if tt.cert == nil {
					return &tls.Certificate{}, nil
				}
				return tt.cert, nil
			}
			c := tls.Client(s.dialTCP(t), cfg)
			if !tt.ok {
				_, _ = c.Write([]byte("x"))
				_, err := c.Read(make([]byte, 1))
				if err == nil || !strings.Contains(err.Error(), "tls:") {
					t.Errorf("error %v, want an alert", err)
				}
				_ = c.Close()
				eventually(t, "counted", func() bool { return s.Shutdowns()[transport.ErrTLS] == 1 })
				return
			}
			write(t, c, []byte("x"))
			wantRead(t, c, []byte("x"))
			cn := ""
			if peers := s.handler(t).conn.Info().TLS.PeerCertificates; len(peers) > 0 {
				cn = peers[0].Subject.CommonName
			}
			if cn != tt.cn {
				t.Errorf("peer %q, want %q", cn, tt.cn)
			}
		})
	}
}

func TestTLSVersions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		allowed string
		client  uint16
		ok      bool
	}{
		{"tlsv1.2,tlsv1.3", tls.VersionTLS12, true},
		{"tlsv1.2,tlsv1.3", tls.VersionTLS13, true},
		{"tlsv1.2,tlsv1.3", tls.VersionTLS11, false},
		{"tlsv1.3", tls.VersionTLS12, false},
		{"tlsv1.1,tlsv1.2", tls.VersionTLS13, false},
		{"tlsv1.1,tlsv1.2", tls.VersionTLS11, true},
	} {
		t.Run(fmt.Sprintf("%s with %s", tt.allowed, tls.VersionName(tt.client)), func(t *testing.T) {
			t.Parallel()
			s := start(t, transport.TLS, option{cfg: func(c *transport.Config) { c.TLSVersions = strings.Split(tt.allowed, ",") }})
			cfg := s.clientTLS(t)
			cfg.MinVersion, cfg.MaxVersion = tt.client, tt.client
			c := tls.Client(s.dialTCP(t), cfg)
			if err := c.HandshakeContext(t.Context()); (err == nil) != tt.ok {
				t.Errorf("handshake: %v", err)
			}
			_ = c.Close()
		})
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key, _, _, err := transport.EnsureCA(dir, []string{"first.example"})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, transport.TLS, option{template: echo, cfg: func(c *transport.Config) { c.CertFile, c.KeyFile = cert, key }})
	served := func(name string) bool {
		c := tls.Client(s.dialTCP(t), &tls.Config{InsecureSkipVerify: true}) // the certificate is what is looked at
		defer func() { _ = c.Close() }()
		if err := c.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c.ConnectionState().PeerCertificates[0].VerifyHostname(name) == nil
	}
	if _, _, _, _, err := transport.EnsureCA(dir, []string{"second.example"}); err != nil {
		t.Fatal(err)
	}
	if served("second.example") {
		t.Error("new certificate before Reload")
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if !served("second.example") {
		t.Error("old certificate after Reload")
	}
	if err := os.WriteFile(cert, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err == nil {
		t.Error("broken certificate accepted")
	}
	if !served("second.example") {
		t.Error("certificate lost by a failed Reload")
	}
}

func TestEnsureCA(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "certs")
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	ensure := func(hosts ...string) string {
		_, _, _, fp, err := transport.EnsureCA(dir, hosts)
		if err != nil {
			t.Fatal(err)
		}
		return fp
	}
	fp := ensure("broker.example", "10.1.2.3")
	if len(fp) != 32*3-1 {
		t.Errorf("fingerprint %q", fp)
	}
	for _, key := range []string{"ca-key.pem", "server-key.pem"} {
		if st, err := os.Stat(filepath.Join(dir, key)); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, error %v", key, st.Mode(), err)
		}
	}
	ca, server := read("ca.pem"), read("server.pem")
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ca))
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "broker.example", "10.1.2.3"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if ensure("broker.example") != fp || read("server.pem") != server {
		t.Error("made anew without need")
	}
	if ensure("other.example") != fp || read("server.pem") == server {
		t.Error("a new host did not renew the server certificate alone")
	}
	if err := os.Remove(filepath.Join(dir, "server-key.pem")); err != nil {
		t.Fatal(err)
	}
	if ensure() != fp {
		t.Error("a lost server key changed the authority")
	}
	if err := os.Remove(filepath.Join(dir, "ca-key.pem")); err != nil {
		t.Fatal(err)
	}
	if _, _, _, _, err := transport.EnsureCA(dir, nil); err == nil || read("ca.pem") != ca {
		t.Errorf("authority without its key: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".new-*")); err != nil || len(left) != 0 {
		t.Errorf("temporary files left: %v, %v", left, err)
	}
}

// Renewal follows the clock: the bubble's time is virtual.
func TestEnsureCARenews(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var last fs.FileInfo
		var authority string
		for _, step := range []struct {
			after                time.Duration
			newServer, newParent bool
		}{
			{0, true, true},
			{300 * 24 * time.Hour, false, false},
			{68 * 24 * time.Hour, true, false},
			{10 * 365 * 24 * time.Hour, true, true},
		} {
			time.Sleep(step.after) // virtual: returns at once
			cert, _, _, fp, err := transport.EnsureCA(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			st, err := os.Stat(cert)
			if err != nil {
				t.Fatal(err)
			}
			if renewed := last == nil || !os.SameFile(last, st); renewed != step.newServer {
				t.Errorf("after %v: server renewed %v", step.after, renewed)
			}
			if (fp != authority) != step.newParent {
				t.Errorf("after %v: authority renewed %v", step.after, !step.newParent)
			}
			last, authority = st, fp
		}
	})
}

// TestServerNames: a client gets the certificate of the name that it asks for, and the first one otherwise.
func TestServerNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key, _, _, err := transport.EnsureCA(dir, []string{"plant.example"})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, transport.TLS, option{template: echo, cfg: func(c *transport.Config) { c.More = []transport.Pair{{CertFile: cert, KeyFile: key}} }})
	for name, want := range map[string]bool{"plant.example": true, "other.example": false, "": false} {
		c := tls.Client(s.dialTCP(t), &tls.Config{ServerName: name, InsecureSkipVerify: true}) // the certificate is what is looked at
		if err := c.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := c.ConnectionState().PeerCertificates[0].VerifyHostname("plant.example") == nil; got != want {
			t.Errorf("asked for %q: the certificate of plant.example %v", name, got)
		}
		_ = c.Close()
	}
}

func TestCiphers(t *testing.T) {
	t.Parallel()
	s := start(t, transport.TLS, option{template: echo, cfg: func(c *transport.Config) {
		c.Ciphers = []string{"ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"}
	}})
	for suite, ok := range map[uint16]bool{
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: true, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: true,
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: false,
	} {
		cfg := s.clientTLS(t)
		cfg.MaxVersion, cfg.CipherSuites = tls.VersionTLS12, []uint16{suite}
		c := tls.Client(s.dialTCP(t), cfg)
		if err := c.HandshakeContext(t.Context()); (err == nil) != ok {
			t.Errorf("%s: %v", tls.CipherSuiteName(suite), err)
		}
		_ = c.Close()
	}
	for _, name := range []string{"nonsense", "TLS_AES_128_GCM_SHA256", "TLS_RSA_WITH_RC4_128_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA", ""} {
		if _, err := transport.Cipher(name); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

// revoke writes a list of the authority in dir with these serial numbers.
func revoke(t *testing.T, file, dir string, until time.Time, serials ...int64) {
	t.Helper()
	ca, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: until}
	for _, n := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(n), RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.Leaf, ca.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRevokedCertificates: a revoked certificate, one without a valid list of its issuer, and one whose list another authority signed do not connect. A new
// list counts from Refresh on, for resumed sessions too.
func TestRevokedCertificates(t *testing.T) {
	t.Parallel()
	files, err := certs()
	if err != nil {
		t.Fatal(err)
	}
	strange := t.TempDir()
	if _, _, _, _, err := transport.EnsureCA(strange, nil); err != nil {
		t.Fatal(err)
	}
	crl := filepath.Join(t.TempDir(), "crl.pem")
	revoke(t, crl, certDir, time.Now().Add(time.Hour), 6, 8)
	pair := clientCert(t, certDir, "device-1") // number 7
	s := start(t, transport.TLS, option{template: echo, cfg: func(c *transport.Config) { c.Verify, c.CACertFile, c.CRLFile = "required", files[2], crl }})
	cache := tls.NewLRUClientSessionCache(4)
	connects := func() bool {
		cfg := s.clientTLS(t)
		cfg.Certificates, cfg.ClientSessionCache = []tls.Certificate{pair}, cache
		c := tls.Client(s.dialTCP(t), cfg)
		defer func() { _ = c.Close() }()
		if c.HandshakeContext(t.Context()) != nil {
			return false
		}
		_, _ = c.Write([]byte("x"))
		n, _ := c.Read(make([]byte, 1))
		return n == 1
	}
	for range 2 {
		if !connects() {
			t.Fatal("a good certificate does not connect")
		}
	}
	if changed, err := s.Refresh(); changed || err != nil {
		t.Errorf("nothing changed: %v %v", changed, err)
	}
	for name, tt := range map[string]struct {
		dir     string
		until   time.Time
		serials []int64
		ok      bool
	}{
		"revoked":           {certDir, time.Now().Add(time.Hour), []int64{6, 7, 8}, false},
		"list too old":      {certDir, time.Now().Add(-time.Minute), nil, false},
		"another authority": {strange, time.Now().Add(time.Hour), nil, false},
		"good again":        {certDir, time.Now().Add(2 * time.Hour), []int64{6, 8, 9, 10}, true},
	} {
		if err := os.Remove(crl); err != nil { // a new file, whatever the clock's resolution
			t.Fatal(err)
		}
		if changed, err := s.Refresh(); !changed || err == nil {
			t.Errorf("%s: without the file: %v %v", name, changed, err)
		}
		revoke(t, crl, tt.dir, tt.until, tt.serials...)
		if changed, err := s.Refresh(); !changed || err != nil {
			t.Errorf("%s: %v %v", name, changed, err)
		}
		if connects() != tt.ok {
			t.Errorf("%s: want connected %v", name, tt.ok)
		}
	}
}
