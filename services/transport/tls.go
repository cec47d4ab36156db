package transport

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
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

// loadTLS reads the files named in cfg.
func loadTLS(cfg *Config) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(cfg.CertFile, cfg.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load server certificate: %w", err)
	}
	lowest, highest, err := versions(cfg.TLSVersions)
	if err != nil {
		return nil, fmt.Errorf("tls_versions: %w", err)
	}
	out := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: lowest, MaxVersion: highest}
	if cfg.kind().web() {
		out.NextProtos = []string{"http/1.1"}
	}
	if cfg.Verify == "none" {
		return out, nil
	}
	pem, err := os.ReadFile(cfg.CACertFile)
	if err != nil {
		return nil, fmt.Errorf("load client authorities: %w", err)
	}
	out.ClientCAs = x509.NewCertPool()
	if !out.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("load client authorities: no certificate in %s", cfg.CACertFile)
	}
	out.ClientAuth = tls.VerifyClientCertIfGiven
	if cfg.Verify == "required" {
		out.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return out, nil
}
