package hash

import (
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	//lint:ignore SA1019 a mac that the seed's tables may name (§6.3)
	"golang.org/x/crypto/md4"
	//lint:ignore SA1019 a mac that the seed's tables may name (§6.3)
	"golang.org/x/crypto/ripemd160"
)

// Stored is a password as a table holds it.
type Stored struct {
	Scheme Scheme `json:"scheme"`
	// Hash is hexadecimal in either case for digests and PBKDF2, the whole
	// string for argon2id (PHC) and bcrypt, the password itself for plain.
	Hash string `json:"hash"`
	Salt []byte `json:"salt,omitempty"` // for salted digests and PBKDF2; empty is malformed there
}

// FromSeed reads the 20 bytes that the seed's built-in user tables hold:
// 4 random bytes, then MD5 of these and the password (§6.4, §8.3).
func FromSeed(b []byte) (Stored, error) {
	if len(b) != 4+md5.Size {
		return Stored{}, ErrMalformed
	}
	return Stored{Scheme: Scheme{Algorithm: MD5, Salt: SaltFirst}, Salt: b[:4:4], Hash: hex.EncodeToString(b[4:])}, nil
}

// SeedMethod is the method of Import for what the seed's built-in user tables hold.
const SeedMethod = "emq"

// Import makes a Stored of a hash that came from elsewhere. method is a setting
// that ParseScheme reads, or SeedMethod: then text is the 40 hexadecimal digits
// of the 20 bytes that FromSeed reads, and there is no other salt.
func Import(method, text string, salt []byte) (Stored, error) {
	if strings.EqualFold(strings.TrimSpace(method), SeedMethod) {
		b, err := hex.DecodeString(text)
		if err != nil || len(salt) > 0 {
			return Stored{}, ErrMalformed
		}
		return FromSeed(b)
	}
	sc, err := ParseScheme(method)
	if err != nil {
		return Stored{}, err
	}
	s := Stored{Scheme: sc, Hash: text, Salt: salt}
	return s, s.Validate()
}

// Validate returns ErrMalformed, ErrLimits or ErrScheme if no password can be
// verified against s.
func (s Stored) Validate() error {
	if err := s.Scheme.Validate(); err != nil {
		return err
	}
	if s.Hash == "" || len(s.Salt) > maxStored || (s.Scheme.needsSalt() && len(s.Salt) == 0) {
		return ErrMalformed
	}
	switch s.Scheme.Algorithm {
	case Argon2id:
		_, _, _, err := decodePHC(s.Hash)
		return err
	case Bcrypt:
		_, err := bcryptCost(s.Hash)
		return err
	case Plain:
		if len(s.Hash) > MaxPassword {
			return ErrMalformed
		}
		return nil
	}
	if b, err := hex.DecodeString(s.Hash); err != nil || len(b) != s.Scheme.size() {
		return ErrMalformed
	}
	return nil
}

func (s Scheme) needsSalt() bool { return s.Salt != NoSalt || s.Algorithm == PBKDF2 }

// size returns the length in bytes of a digest.
func (s Scheme) size() int {
	switch s.Algorithm {
	case MD5:
		return md5.Size
	case SHA1:
		return sha1.Size
	case SHA256:
		return sha256.Size
	case SHA512:
		return sha512.Size
	}
	return s.KeyLen
}

// mac is a hash function of PBKDF2 and its output size in bytes.
type mac struct {
	new  func() hash.Hash
	size int
}

// blocks returns how many times PBKDF2 runs all iterations for keyLen bytes.
func (m mac) blocks(keyLen int) int { return (keyLen + m.size - 1) / m.size }

// macs are the functions of §6.3.
var macs = map[string]mac{
	"md4": {md4.New, md4.Size}, "md5": {md5.New, md5.Size}, "ripemd160": {ripemd160.New, ripemd160.Size},
	"sha": {sha1.New, sha1.Size}, "sha224": {sha256.New224, sha256.Size224}, "sha256": {sha256.New, sha256.Size},
	"sha384": {sha512.New384, sha512.Size384}, "sha512": {sha512.New, sha512.Size},
}

// meter counts what was computed: runs of a hash function and their work, in
// KiB x passes (argon2id), 2^cost (bcrypt), iterations x blocks (PBKDF2) or 1.
type meter struct{ runs, work atomic.Uint64 }

func (m *meter) add(work int) {
	m.runs.Add(1)
	m.work.Add(uint64(work))
}

// check computes the hash of password and compares. The error says that the
// stored side is no hash; then nothing was computed.
func (s Stored) check(m *meter, password []byte) (bool, error) {
	if err := s.Validate(); err != nil {
		return false, err
	}
	switch s.Scheme.Algorithm {
	case Argon2id:
		a, salt, want, err := decodePHC(s.Hash)
		if err != nil {
			return false, err
		}
		return subtle.ConstantTimeCompare(want, argonKey(m, a, salt, password, len(want))) == 1, nil
	case Bcrypt:
		return checkBcrypt(m, s.Hash, password)
	case Plain: // digests of both, so that the time does not depend on the length
		m.add(1)
		want, got := sha256.Sum256([]byte(s.Hash)), sha256.Sum256(password)
		return subtle.ConstantTimeCompare(want[:], got[:]) == 1, nil
	case PBKDF2:
		got, err := pbkdf2Key(m, s.Scheme, s.Salt, password)
		return err == nil && equalHex(s.Hash, got), err
	}
	m.add(1)
	return equalHex(s.Hash, s.Scheme.digest(s.Salt, password)), nil
}

// equalHex compares a validated hexadecimal text with a hash of its length.
func equalHex(stored string, got []byte) bool {
	want, err := hex.DecodeString(stored)
	return err == nil && subtle.ConstantTimeCompare(want, got) == 1
}

func argonKey(m *meter, a Argon, salt, password []byte, size int) []byte {
	m.add(int(a.Memory) * int(a.Time))
	return argon2.IDKey(password, salt, a.Time, a.Memory, a.Threads, uint32(size))
}

// checkBcrypt compares as bcrypt does: bytes of the password past the 72nd do
// not count, because they did not when the hash was made elsewhere.
func checkBcrypt(m *meter, stored string, password []byte) (bool, error) {
	cost, err := bcryptCost(stored)
	if err != nil {
		return false, err
	}
	m.add(1 << cost)
	err = bcrypt.CompareHashAndPassword([]byte(stored), password)
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

func pbkdf2Key(m *meter, s Scheme, salt, password []byte) ([]byte, error) {
	fn := macs[s.MAC]
	m.add(s.Iterations * fn.blocks(s.KeyLen))
	return pbkdf2.Key(fn.new, string(password), salt, s.Iterations, s.KeyLen)
}

// digest computes a simple digest with the salt where the scheme has it.
func (s Scheme) digest(salt, password []byte) []byte {
	var h hash.Hash
	switch s.Algorithm {
	case MD5:
		h = md5.New()
	case SHA1:
		h = sha1.New()
	case SHA256:
		h = sha256.New()
	default:
		h = sha512.New()
	}
	if s.Salt == SaltFirst {
		h.Write(salt)
	}
	h.Write(password)
	if s.Salt == SaltLast {
		h.Write(salt)
	}
	return h.Sum(nil)
}

// create makes a new hash of password with a random salt.
func create(m *meter, s Scheme, password []byte) (Stored, error) {
	switch {
	case len(password) == 0:
		return Stored{}, ErrEmpty
	case len(password) > MaxPassword, s.Algorithm == Bcrypt && len(password) > MaxBcrypt:
		return Stored{}, ErrTooLong
	}
	if err := s.Validate(); err != nil {
		return Stored{}, err
	}
	salt := make([]byte, 16)
	rand.Read(salt) // never fails: it ends the process instead
	out := Stored{Scheme: s}
	switch s.Algorithm {
	case Argon2id:
		a := s.argon()
		out.Hash = encodePHC(a, salt, argonKey(m, a, salt, password, 32))
	case Bcrypt:
		m.add(1 << s.cost())
		b, err := bcrypt.GenerateFromPassword(password, s.cost())
		if err != nil {
			return Stored{}, fmt.Errorf("bcrypt: %w", err)
		}
		out.Hash = string(b)
	case PBKDF2:
		key, err := pbkdf2Key(m, s, salt, password)
		if err != nil {
			return Stored{}, fmt.Errorf("pbkdf2: %w", err)
		}
		out.Salt, out.Hash = salt, hex.EncodeToString(key)
	default:
		return Stored{}, ErrWeak
	}
	return out, nil
}

// decoy returns a hash of the scheme's shape and cost that belongs to nobody.
func (s Scheme) decoy() Stored {
	out := Stored{Scheme: s}
	if s.needsSalt() {
		out.Salt = make([]byte, 16)
	}
	switch s.Algorithm {
	case Argon2id:
		out.Hash = encodePHC(s.argon(), make([]byte, 16), make([]byte, 32))
	case Bcrypt:
		out.Hash = fmt.Sprintf("$2a$%02d$%s", s.cost(), strings.Repeat(".", 53))
	case Plain:
		out.Hash = strings.Repeat(".", 16)
	default:
		out.Hash = strings.Repeat("0", 2*s.size())
	}
	return out
}
