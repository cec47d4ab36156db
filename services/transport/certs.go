package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	caLife      = 10 * 365 * 24 * time.Hour
	serverLife  = 397 * 24 * time.Hour // the longest that browsers accept
	renewBefore = 30 * 24 * time.Hour
	clockSkew   = time.Hour
)

// EnsureCA keeps a private certificate authority (ECDSA P-256) and a server
// certificate under dir, so that TLS listeners work before anyone has made real
// certificates: ca.pem, ca-key.pem, server.pem, server-key.pem, the keys readable
// by the owner only. The certificate names localhost, 127.0.0.1, ::1 and hosts
// (names or addresses). Later calls reuse what is there; the server certificate
// is made anew 30 days before it expires, or when a host is missing, and so is an
// expired authority. A damaged or incomplete authority is an error, never
// replaced: clients trust it. fingerprint is the SHA-256 of the authority's
// certificate in hexadecimal, bytes separated by colons.
func EnsureCA(dir string, hosts []string) (certFile, keyFile, caFile string, fingerprint string, err error) {
	path := func(name string) string { return filepath.Join(dir, name) }
	certFile, keyFile, caFile = path("server.pem"), path("server-key.pem"), path("ca.pem")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", "", "", fmt.Errorf("make certificate directory: %w", err)
	}
	ca, err := loadPair(caFile, path("ca-key.pem"))
	if errors.Is(err, fs.ErrNotExist) || err == nil && time.Until(ca.Leaf.NotAfter) < renewBefore {
		ca, err = makePair(authority(), nil, caFile, path("ca-key.pem"))
	}
	if err != nil {
		return "", "", "", "", fmt.Errorf("certificate authority in %s: %w", dir, err)
	}
	hosts = append([]string{"localhost", "127.0.0.1", "::1"}, hosts...)
	server, err := loadPair(certFile, keyFile)
	if err != nil || !usable(server.Leaf, ca.Leaf, hosts) {
		if _, err = makePair(serverTemplate(hosts), ca, certFile, keyFile); err != nil {
			return "", "", "", "", fmt.Errorf("server certificate in %s: %w", dir, err)
		}
	}
	sum := sha256.Sum256(ca.Leaf.Raw)
	return certFile, keyFile, caFile, strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":"), nil
}

// loadPair reads a certificate and its key. Only when there is no certificate
// does the error match fs.ErrNotExist: a key alone is left from an interrupted
// first start, a certificate alone has lost its key.
func loadPair(certFile, keyFile string) (*tls.Certificate, error) {
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate without its key: %s", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, err
		}
	}
	return &pair, nil
}

// usable reports whether the server certificate still serves.
func usable(cert, ca *x509.Certificate, hosts []string) bool {
	if time.Until(cert.NotAfter) < renewBefore || cert.CheckSignatureFrom(ca) != nil {
		return false
	}
	for _, h := range hosts {
		if cert.VerifyHostname(h) != nil {
			return false
		}
	}
	return true
}

func authority() *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Pando local authority", Organization: []string{"Pando"}},
		NotAfter:              time.Now().Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
}

func serverTemplate(hosts []string) *x509.Certificate {
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "Pando server", Organization: []string{"Pando"}},
		NotAfter:    time.Now().Add(serverLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return t
}

// makePair makes a key and a certificate signed by ca, by itself if ca is nil,
// and writes both, the key first.
func makePair(t *x509.Certificate, ca *tls.Certificate, certFile, keyFile string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if t.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, err
	}
	t.NotBefore = time.Now().Add(-clockSkew)
	parent, signer := t, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := writePEM(keyFile, "PRIVATE KEY", keyDER, 0o600); err != nil {
		return nil, err
	}
	if err := writePEM(certFile, "CERTIFICATE", der, 0o644); err != nil {
		return nil, err
	}
	return loadPair(certFile, keyFile)
}

// writePEM replaces a file atomically, so that an interrupted start leaves the
// old content or the new, and the mode holds from the first byte.
func writePEM(name, kind string, der []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	err = errors.Join(f.Chmod(mode), pem.Encode(f, &pem.Block{Type: kind, Bytes: der}), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
