package hash

import (
	"fmt"
	"strconv"
	"strings"
)

// Algorithm is a way to turn a password into what is stored. The zero value is
// [Argon2id].
type Algorithm uint8

// The algorithms of §6.3 and the one for new passwords.
const (
	Argon2id Algorithm = iota
	Bcrypt
	PBKDF2
	Plain
	MD5
	SHA1
	SHA256
	SHA512
)

// algorithmNames are the words of the configuration; sha is SHA-1 (§6.3).
var algorithmNames = [...]string{"argon2id", "bcrypt", "pbkdf2", "plain", "md5", "sha", "sha256", "sha512"}

// String returns the word of the configuration.
func (a Algorithm) String() string {
	if int(a) >= len(algorithmNames) {
		return "unknown"
	}
	return algorithmNames[a]
}

// expensive reports whether one computation belongs into the pool.
func (a Algorithm) expensive() bool { return a <= PBKDF2 }

// Salt says where the salt stands in what a digest is taken of.
type Salt uint8

// The places of a salt. Argon2id and bcrypt carry theirs inside the hash,
// PBKDF2 always has a separate one.
const (
	NoSalt Salt = iota
	SaltFirst
	SaltLast
)

// Argon are the parameters of argon2id (RFC 9106). The zero value stands for
// [DefaultArgon].
type Argon struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8  // lanes
}

// DefaultArgon are the parameters of new hashes; doc.go has their cost.
var DefaultArgon = Argon{Memory: 19 * 1024, Time: 2, Threads: 1}

// defaultBcrypt is the cost of new bcrypt hashes and the first guess at those
// of a table whose hashes have not been seen yet.
const defaultBcrypt = 10

// Scheme is how a source stores its passwords. The zero value is argon2id with
// the default parameters. Schemes are comparable.
type Scheme struct {
	Algorithm Algorithm
	Salt      Salt
	Argon     Argon // of new argon2id hashes
	Cost      int   // of new bcrypt hashes; 0 is 10
	// MAC, Iterations and KeyLen (bytes) belong to PBKDF2.
	MAC        string
	Iterations int
	KeyLen     int
}

// ParseScheme reads the seed's password_hash setting (§6.3); words are
// separated by commas or blanks:
//
//	plain | md5 | sha | sha256 | sha512 | salt,sha256 | sha256,salt (any digest)
//	salt,bcrypt | bcrypt [,cost] | pbkdf2,mac,iterations,dklen
//	argon2id [,KiB,passes,lanes]
func ParseScheme(s string) (Scheme, error) {
	words := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	sc, err := parseWords(words)
	if err == nil {
		err = sc.Validate()
	}
	if err != nil {
		return Scheme{}, fmt.Errorf("password hash %q: %w", s, err)
	}
	return sc, nil
}

func parseWords(words []string) (Scheme, error) {
	salt := NoSalt
	if len(words) > 1 && words[0] == "salt" {
		salt, words = SaltFirst, words[1:]
	}
	if len(words) == 0 {
		return Scheme{}, fmt.Errorf("no algorithm: %w", ErrScheme)
	}
	a, ok := algorithmOf(words[0])
	if !ok {
		return Scheme{}, fmt.Errorf("unknown algorithm %q: %w", words[0], ErrScheme)
	}
	sc, rest := Scheme{Algorithm: a, Salt: salt}, words[1:]
	switch a {
	case Argon2id:
		return sc.withArgon(rest)
	case Bcrypt:
		return sc.withCost(rest)
	case PBKDF2:
		return sc.withMAC(rest)
	case Plain, MD5, SHA1, SHA256, SHA512:
		if len(rest) == 1 && rest[0] == "salt" && salt == NoSalt {
			sc.Salt, rest = SaltLast, nil
		}
	}
	if len(rest) > 0 {
		return Scheme{}, fmt.Errorf("unexpected %q: %w", rest[0], ErrScheme)
	}
	return sc, nil
}

func algorithmOf(word string) (Algorithm, bool) {
	if word == "sha1" {
		return SHA1, true
	}
	for i, name := range algorithmNames {
		if name == word {
			return Algorithm(i), true
		}
	}
	return 0, false
}

// numbers reads words that are all decimal numbers below 2^31.
func numbers(words []string) ([]int, error) {
	out := make([]int, len(words))
	for i, w := range words {
		n, err := strconv.ParseUint(w, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number: %w", w, ErrScheme)
		}
		out[i] = int(n)
	}
	return out, nil
}

func (s Scheme) withArgon(words []string) (Scheme, error) {
	if len(words) == 0 {
		return s, nil
	}
	n, err := numbers(words)
	if err != nil {
		return s, err
	}
	if len(n) != 3 || n[2] > 255 {
		return s, fmt.Errorf("argon2id takes memory in KiB, passes and lanes: %w", ErrScheme)
	}
	s.Argon = Argon{Memory: uint32(n[0]), Time: uint32(n[1]), Threads: uint8(n[2])}
	return s, s.Argon.check()
}

func (s Scheme) withCost(words []string) (Scheme, error) {
	s.Salt = NoSalt // salt,bcrypt: the salt is the stored hash's own prefix
	if len(words) == 0 {
		return s, nil
	}
	n, err := numbers(words)
	if err != nil {
		return s, err
	}
	if len(n) != 1 || n[0] == 0 {
		return s, fmt.Errorf("bcrypt takes one cost: %w", ErrScheme)
	}
	s.Cost = n[0]
	return s, nil
}

func (s Scheme) withMAC(words []string) (Scheme, error) {
	if len(words) != 3 {
		return s, fmt.Errorf("pbkdf2 takes mac, iterations and dklen: %w", ErrScheme)
	}
	n, err := numbers(words[1:])
	if err != nil {
		return s, err
	}
	s.MAC, s.Iterations, s.KeyLen = words[0], n[0], n[1]
	if s.MAC == "sha1" {
		s.MAC = "sha"
	}
	return s, nil
}

// Validate returns an error if the scheme is not one that ParseScheme could
// return, or costs more than the limits allow.
func (s Scheme) Validate() error {
	if int(s.Algorithm) >= len(algorithmNames) || s.Salt > SaltLast {
		return ErrScheme
	}
	if s.Salt != NoSalt && (s.Algorithm.expensive() || s.Algorithm == Plain) {
		return fmt.Errorf("%s takes no salt setting: %w", s.Algorithm, ErrScheme)
	}
	switch s.Algorithm {
	case Argon2id:
		return s.argon().check()
	case Bcrypt:
		return checkCost(s.cost())
	case PBKDF2:
		return s.checkPBKDF2()
	}
	return nil
}

func (s Scheme) argon() Argon {
	if s.Argon == (Argon{}) {
		return DefaultArgon
	}
	return s.Argon
}

func (s Scheme) cost() int {
	if s.Cost == 0 {
		return defaultBcrypt
	}
	return s.Cost
}

// String returns the scheme as ParseScheme reads it.
func (s Scheme) String() string {
	switch {
	case s.Algorithm == PBKDF2:
		return fmt.Sprintf("pbkdf2,%s,%d,%d", s.MAC, s.Iterations, s.KeyLen)
	case s.Algorithm == Bcrypt && s.Cost != 0:
		return fmt.Sprintf("bcrypt,%d", s.Cost)
	case s.Algorithm == Argon2id && s.Argon != (Argon{}):
		return fmt.Sprintf("argon2id,%d,%d,%d", s.Argon.Memory, s.Argon.Time, s.Argon.Threads)
	case s.Salt == SaltFirst:
		return "salt," + s.Algorithm.String()
	case s.Salt == SaltLast:
		return s.Algorithm.String() + ",salt"
	}
	return s.Algorithm.String()
}

// MarshalText implements [encoding.TextMarshaler].
func (s Scheme) MarshalText() ([]byte, error) { return []byte(s.String()), s.Validate() }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Scheme) UnmarshalText(text []byte) (err error) {
	*s, err = ParseScheme(string(text))
	return err
}
