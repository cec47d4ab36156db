package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// revocations are the lists of a file, each with the serial numbers in it.
type revocations []revocation

type revocation struct {
	list    *x509.RevocationList
	serials map[string]struct{}
}

// loadCRL reads lists of revoked certificates, PEM or one in DER.
func loadCRL(file string) (revocations, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out revocations
	if !bytes.Contains(text, []byte("-----BEGIN")) {
		return out.add(text, file)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "X509 CRL" {
			continue
		}
		if out, err = out.add(block.Bytes, file); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no revocation list in %s", file)
	}
	return out, nil
}

func (r revocations) add(der []byte, file string) (revocations, error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	one := revocation{list: list, serials: make(map[string]struct{}, len(list.RevokedCertificateEntries))}
	for _, e := range list.RevokedCertificateEntries {
		one.serials[e.SerialNumber.Text(16)] = struct{}{}
	}
	return append(r, one), nil
}

var errRevoked = errors.New("certificate is revoked")

// verify is for tls.Config.VerifyConnection, which resumed sessions pass too. A
// client without a certificate passes; whether it may is decided before.
func (r revocations) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return nil
	}
	err := errors.New("no chain")
	for _, chain := range s.VerifiedChains {
		if err = r.chain(chain, time.Now()); err == nil {
			return nil
		}
	}
	return err
}

// chain checks every certificate but the root. For the client's own there must be
// a valid list; for those between, a list counts if there is one.
func (r revocations) chain(chain []*x509.Certificate, now time.Time) error {
	for i := range max(1, len(chain)-1) {
		known := false
		issuer := chain[min(i+1, len(chain)-1)]
		for _, one := range r {
			if !bytes.Equal(one.list.RawIssuer, issuer.RawSubject) || one.list.CheckSignatureFrom(issuer) != nil {
				continue
			}
			if _, revoked := one.serials[chain[i].SerialNumber.Text(16)]; revoked {
				return errRevoked
			}
			known = known || one.list.NextUpdate.IsZero() || now.Before(one.list.NextUpdate)
		}
		if i == 0 && !known {
			return errors.New("no valid revocation list of the certificate's issuer")
		}
	}
	return nil
}
