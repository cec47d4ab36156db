package hash

import "errors"

// The errors of this package, for errors.Is.
var (
	ErrScheme    = errors.New("not a password hash setting")
	ErrMalformed = errors.New("stored password hash is malformed")
	ErrLimits    = errors.New("password hash parameters exceed the limits")
	ErrTooLong   = errors.New("password is too long")
	ErrEmpty     = errors.New("password is empty")
	ErrWeak      = errors.New("new passwords are stored as argon2id, bcrypt or pbkdf2")
	ErrBusy      = errors.New("too many password verifications are waiting")
)

// Limits on what a stored hash or a setting may ask for: about one second of
// one core, and 256 MiB for each computation that runs.
const (
	maxArgonMemory = 256 * 1024 // KiB
	maxArgonTime   = 16         // passes
	maxArgonLanes  = 16
	maxArgonWork   = 1024 * 1024 // KiB x passes
	minArgonSalt   = 8           // bytes
	maxArgonSalt   = 64
	minArgonKey    = 16
	maxArgonKey    = 64
	minBcryptCost  = 4
	maxBcryptCost  = 14
	maxPBKDF2Work  = 2_000_000 // iterations x blocks of output
	maxPBKDF2Key   = 128       // bytes
)

// Sizes of passwords and of what else a row may hold, in bytes.
const (
	// MaxPassword is the longest password MQTT carries (5.0 §3.1.3.6).
	MaxPassword = 65535
	// MaxBcrypt is all that bcrypt looks at; a new bcrypt hash of a longer
	// password is refused, because whatever follows would not count.
	MaxBcrypt = 72
	maxStored = 4096 // a hash or a salt
)

// check returns ErrLimits unless the parameters are ones that may be computed.
func (a Argon) check() error {
	if a.Time < 1 || a.Time > maxArgonTime || a.Threads < 1 || a.Threads > maxArgonLanes ||
		a.Memory < 8*uint32(a.Threads) || a.Memory > maxArgonMemory ||
		a.Memory*a.Time > maxArgonWork {
		return ErrLimits
	}
	return nil
}

func checkCost(cost int) error {
	if cost < minBcryptCost || cost > maxBcryptCost {
		return ErrLimits
	}
	return nil
}

func (s Scheme) checkPBKDF2() error {
	m, ok := macs[s.MAC]
	if !ok {
		return ErrScheme
	}
	if s.Iterations < 1 || s.Iterations > maxPBKDF2Work || s.KeyLen < 1 || s.KeyLen > maxPBKDF2Key {
		return ErrLimits
	}
	if s.Iterations*m.blocks(s.KeyLen) > maxPBKDF2Work {
		return ErrLimits
	}
	return nil
}
