package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
)

// pair is a certificate and its key, read again when one of the files has changed.
type pair struct {
	certFile, keyFile string

	mu      sync.Mutex
	seen    [2]os.FileInfo // of the files that current was read from
	current *tls.Certificate
}

func (p *pair) certificate() (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var now [2]os.FileInfo
	for i, name := range []string{p.certFile, p.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return p.orOld(err)
		}
		now[i] = info
	}
	if p.current != nil && same(p.seen[0], now[0]) && same(p.seen[1], now[1]) {
		return p.current, nil
	}
	c, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return p.orOld(err)
	}
	p.current, p.seen = &c, now
	return p.current, nil
}

// same reports whether a file was neither replaced nor written to. Times alone are too coarse.
func same(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// orOld keeps the last good pair while the files are being replaced. Called with the lock held.
func (p *pair) orOld(err error) (*tls.Certificate, error) {
	if p.current != nil {
		return p.current, nil
	}
	return nil, fmt.Errorf("load certificate %s: %w", p.certFile, err)
}

func (t TLS) pool() (*x509.CertPool, error) {
	if t.CACertFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(t.CACertFile)
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read CA: no certificate in %s", t.CACertFile)
	}
	return pool, nil
}

// server is the configuration of the accepting side; nil without TLS.
func (t TLS) server() (*tls.Config, error) {
	if !t.On() {
		return nil, nil
	}
	if t.CertFile == "" {
		return nil, fmt.Errorf("tls: a server needs certfile and keyfile")
	}
	ca, err := t.pool()
	if err != nil {
		return nil, err
	}
	p := &pair{certFile: t.CertFile, keyFile: t.KeyFile}
	if _, err := p.certificate(); err != nil {
		return nil, err
	}
	c := &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.certificate() },
	}
	if ca != nil {
		c.ClientCAs, c.ClientAuth = ca, tls.RequireAndVerifyClientCert
	}
	return c, nil
}

// client is the configuration of the connecting side; nil without TLS.
func (t TLS) client() (*tls.Config, error) {
	if !t.On() {
		return nil, nil
	}
	ca, err := t.pool()
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: ca, ServerName: t.ServerName}
	if t.CertFile != "" {
		p := &pair{certFile: t.CertFile, keyFile: t.KeyFile}
		if _, err := p.certificate(); err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return p.certificate() }
	}
	return c, nil
}
