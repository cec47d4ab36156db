package transport

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"time"
)

var versionNames = []string{"tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3"}

// versions returns the lowest and highest of the named TLS versions.
// crypto/tls knows a range only, so a gap is an error.
func versions(names []string) (lowest, highest uint16, err error) {
	var set [4]bool
	first, last := -1, -1
	for _, n := range names {
		i := slices.Index(versionNames, n)
		if i < 0 {
			return 0, 0, fmt.Errorf("unknown version %q", n)
		}
		set[i] = true
	}
	for i, in := range set {
		switch {
		case !in:
		case first < 0:
			first, last = i, i
		case last == i-1:
			last = i
		default:
			return 0, 0, fmt.Errorf("gap between %s and %s", versionNames[last], versionNames[i])
		}
	}
	if first < 0 {
		return 0, 0, fmt.Errorf("no version allowed")
	}
	return tls.VersionTLS10 + uint16(first), tls.VersionTLS10 + uint16(last), nil
}

// Reload reads the files of certificates, authorities and revocations again; new
// connections use them. After an error the old ones stay in use.
func (l *Listener) Reload() error {
	l.reload.Lock()
	defer l.reload.Unlock()
	return l.load()
}

// Refresh is Reload if one of the files has another time or size than when it was
// read last. It reports whether there was something to read.
func (l *Listener) Refresh() (changed bool, err error) {
	l.reload.Lock()
	defer l.reload.Unlock()
	if slices.Equal(l.files, stamps(&l.cfg)) {
		return false, nil
	}
	return true, l.load()
}

// load is Reload. The stamps are taken before reading: what changes meanwhile is
// read the next time.
func (l *Listener) load() error {
	if !l.cfg.kind().secure() {
		return nil
	}
	l.files = stamps(&l.cfg)
	t, err := loadTLS(&l.cfg)
	if err != nil {
		return fmt.Errorf("listener %q: %w", l.cfg.Name, err)
	}
	l.tls.Store(t)
	return nil
}

// stamp shows whether a file is another one; zero: it cannot be looked at.
type stamp struct {
	changed time.Time
	size    int64
}

func stamps(cfg *Config) []stamp {
	if !cfg.kind().secure() {
		return nil
	}
	names := []string{cfg.CertFile, cfg.KeyFile, cfg.CACertFile, cfg.CRLFile}
	for _, p := range cfg.More {
		names = append(names, p.CertFile, p.KeyFile)
	}
	out := make([]stamp, len(names))
	for i, name := range names {
		if info, err := os.Stat(name); name != "" && err == nil {
			out[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return out
}

// loadTLS reads the files named in cfg. crypto/tls chooses among the certificates
// by the name that the client asks for; the first is for all others.
func loadTLS(cfg *Config) (*tls.Config, error) {
	lowest, highest, err := versions(cfg.TLSVersions)
	if err != nil {
		return nil, fmt.Errorf("tls_versions: %w", err)
	}
	out := &tls.Config{MinVersion: lowest, MaxVersion: highest}
	for _, p := range append([]Pair{{cfg.CertFile, cfg.KeyFile}}, cfg.More...) {
		cert, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("load server certificate: %w", err)
		}
		out.Certificates = append(out.Certificates, cert)
	}
	for _, name := range cfg.Ciphers {
		id, err := Cipher(name)
		if err != nil {
			return nil, fmt.Errorf("ciphers: %w", err)
		}
		out.CipherSuites = append(out.CipherSuites, id)
	}
	if cfg.kind().web() {
		out.NextProtos = []string{"http/1.1"}
	}
	if err := askClients(out, cfg); err != nil {
		return nil, err
	}
	return out, nil
}

// askClients sets what is asked of clients.
func askClients(out *tls.Config, cfg *Config) error {
	if cfg.Verify == "none" {
		return nil
	}
	pem, err := os.ReadFile(cfg.CACertFile)
	if err != nil {
		return fmt.Errorf("load client authorities: %w", err)
	}
	out.ClientCAs = x509.NewCertPool()
	if !out.ClientCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("load client authorities: no certificate in %s", cfg.CACertFile)
	}
	out.ClientAuth = tls.VerifyClientCertIfGiven
	if cfg.Verify == "required" {
		out.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if cfg.CRLFile == "" {
		return nil
	}
	revoked, err := loadCRL(cfg.CRLFile)
	if err != nil {
		return fmt.Errorf("load revoked certificates: %w", err)
	}
	out.VerifyConnection = revoked.verify
	return nil
}
