package scram

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"slices"

	"github.com/pando-mq/pando/services/broker"
)

// The methods, as clients name them.
const (
	SHA256 = "SCRAM-SHA-256"
	SHA512 = "SCRAM-SHA-512"
)

// The bounds of what is computed for a client and told to it.
const (
	MinIterations = 4096    // RFC 7677 §4
	MaxIterations = 1 << 20 // a client computes them all
	SaltSize      = 16      // bytes of a new salt
	maxSalt       = 64
)

// The errors of this package, for errors.Is.
var (
	ErrMethod    = errors.New("method is not known")
	ErrMalformed = errors.New("message is malformed")
	ErrBinding   = errors.New("only the header n,, is accepted: no channel binding, no other authorisation identity")
	ErrProof     = errors.New("proof is wrong")
	ErrKeys      = errors.New("stored keys cannot be used")
)

// Methods are the names of all methods.
func Methods() []string { return []string{SHA256, SHA512} }

// Known reports whether a method is one of Methods.
func Known(method string) bool { return slices.Contains(Methods(), method) }

// hashOf is the hash function of a known method.
func hashOf(method string) func() hash.Hash {
	if method == SHA512 {
		return sha512.New
	}
	return sha256.New
}

func sizeOf(method string) int { return hashOf(method)().Size() }

// Derive makes what a server keeps of a password (RFC 5802 §3), with a salt of its own if salt is nil. It costs iterations times one HMAC, and some.
func Derive(method string, password, salt []byte, iterations int) (broker.SCRAM, error) {
	switch {
	case !Known(method):
		return broker.SCRAM{}, fmt.Errorf("derive SCRAM keys: %w", ErrMethod)
	case iterations < MinIterations || iterations > MaxIterations:
		return broker.SCRAM{}, fmt.Errorf("derive SCRAM keys: %d iterations, want %d to %d", iterations, MinIterations, MaxIterations)
	}
	if salt == nil {
		salt = make([]byte, SaltSize)
		_, _ = rand.Read(salt) // never fails
	}
	h := hashOf(method)
	salted, err := pbkdf2.Key(h, string(prepare(password)), salt, iterations, h().Size())
	if err != nil {
		return broker.SCRAM{}, fmt.Errorf("derive SCRAM keys: %w", err)
	}
	return broker.SCRAM{
		Method: method, Iterations: iterations, Salt: salt,
		StoredKey: sum(h, mac(h, salted, "Client Key")), ServerKey: mac(h, salted, "Server Key"),
	}, nil
}

// Validate returns ErrKeys, with the reason, if no proof can be checked by k.
func Validate(k broker.SCRAM) error {
	switch {
	case !Known(k.Method):
		return fmt.Errorf("%w: %w", ErrKeys, ErrMethod)
	case k.Iterations < MinIterations || k.Iterations > MaxIterations:
		return fmt.Errorf("%w: %d iterations", ErrKeys, k.Iterations)
	case len(k.Salt) == 0 || len(k.Salt) > maxSalt:
		return fmt.Errorf("%w: salt of %d bytes", ErrKeys, len(k.Salt))
	case len(k.StoredKey) != sizeOf(k.Method) || len(k.ServerKey) != sizeOf(k.Method):
		return fmt.Errorf("%w: keys of %d and %d bytes", ErrKeys, len(k.StoredKey), len(k.ServerKey))
	}
	return nil
}

// Decoy makes the keys of somebody who has none: the same ones for the same name, and no proof fits them. secret is known to the servers alone.
func Decoy(method, tenant, user string, iterations int, secret []byte) broker.SCRAM {
	h := hashOf(method)
	seed := mac(h, secret, method+"\x00"+tenant+"\x00"+user)
	return broker.SCRAM{Method: method, Iterations: iterations, Salt: seed[:SaltSize], StoredKey: mac(h, seed, "stored"), ServerKey: mac(h, seed, "server")}
}

func mac(h func() hash.Hash, key []byte, text string) []byte {
	m := hmac.New(h, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func sum(h func() hash.Hash, b []byte) []byte {
	s := h()
	s.Write(b)
	return s.Sum(nil)
}
