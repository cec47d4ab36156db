package hash

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Config bounds a [Verifier]. Zero fields take the value named with them.
type Config struct {
	Workers    int           // expensive computations at once, never more than GOMAXPROCS; one less than that, but one
	Queue      int           // callers that may wait for one; 1024
	QueueBytes int           // bytes of passwords that they may hold; 8 MiB
	CacheSize  int           // verified credentials remembered, at most 2^20; 65,536 (8 MiB)
	CacheTTL   time.Duration // how long, at most 24 h; 10 min; negative: no cache
	Reference  Scheme        // how this source stores passwords; argon2id
}

// Validate returns an error that names the field that is out of bounds.
func (c Config) Validate() error {
	switch {
	case c.Workers < 0:
		return errors.New("workers is negative")
	case c.Queue < 0:
		return errors.New("queue is negative")
	case c.QueueBytes < 0:
		return errors.New("queue_bytes is negative")
	case c.CacheSize < 0 || c.CacheSize > 1<<20:
		return errors.New("cache_size is not within 0 and 1048576")
	case c.CacheTTL > 24*time.Hour:
		return errors.New("cache_ttl is longer than 24h")
	}
	if err := c.Reference.Validate(); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	return nil
}

// withDefaults fills the zero fields.
func (c Config) withDefaults() Config {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&c.Queue, 1024)
	set(&c.QueueBytes, 8<<20)
	set(&c.CacheSize, 65536)
	if c.CacheTTL == 0 {
		c.CacheTTL = 10 * time.Minute
	}
	return c
}

// Verifier verifies passwords for one source. Verifiers made from it by With
// share its pool, cache and counters. It starts no goroutine.
type Verifier struct {
	*shared
	ref  Scheme
	seen atomic.Pointer[Scheme] // parameters of the last stored hash of ref's algorithm
}

// shared is what the verifiers of all sources have in common.
type shared struct {
	pool  *Pool
	cache *cache // nil: none
	meter meter
	hits  atomic.Uint64
	busy  atomic.Uint64
}

// New returns a verifier for a source that stores passwords as cfg.Reference says.
func New(cfg Config) (*Verifier, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("password verifier: %w", err)
	}
	cfg = cfg.withDefaults()
	return &Verifier{ref: cfg.Reference, shared: &shared{
		pool:  newPool(cfg.Workers, cfg.Queue, cfg.QueueBytes),
		cache: newCache(cfg.CacheSize, cfg.CacheTTL),
	}}, nil
}

// With returns a verifier for a source that stores passwords as ref, within
// the same bounds.
func (v *Verifier) With(ref Scheme) (*Verifier, error) {
	if err := ref.Validate(); err != nil {
		return nil, fmt.Errorf("password verifier: %w", err)
	}
	return &Verifier{ref: ref, shared: v.shared}, nil
}

// Pool returns the pool, for other expensive computations on credentials.
func (v *Verifier) Pool() *Pool { return v.pool }

// Verify reports whether password is the one stored. Errors: ErrBusy, the
// context's, ErrMalformed, ErrLimits, ErrScheme (the stored hash cannot be
// verified; it costs what a wrong password costs), ErrTooLong. With an error
// the answer is false.
func (v *Verifier) Verify(ctx context.Context, stored Stored, password []byte) (bool, error) {
	if len(password) > MaxPassword {
		return false, ErrTooLong
	}
	err := stored.Validate()
	if err != nil {
		return false, errors.Join(err, v.VerifyUnknown(ctx, password))
	}
	ok, err := v.verify(ctx, stored, password)
	if err != nil || ok {
		if ok {
			v.learn(stored)
		}
		return ok, err
	}
	if v.ref.Algorithm.expensive() && !stored.Scheme.Algorithm.expensive() {
		return false, v.VerifyUnknown(ctx, password)
	}
	v.learn(stored)
	return false, nil
}

// VerifyUnknown spends what Verify spends on a wrong password; to be called
// when there is no such user. The caller answers as to a wrong password.
func (v *Verifier) VerifyUnknown(ctx context.Context, password []byte) error {
	if len(password) > MaxPassword {
		return ErrTooLong
	}
	ref := v.ref
	if s := v.seen.Load(); s != nil {
		ref = *s
	}
	_, err := v.verify(ctx, ref.decoy(), password)
	return err
}

// learn takes the parameters of a source's hashes from the last one seen: the
// seed's setting names bcrypt without its cost.
func (v *Verifier) learn(stored Stored) {
	s := v.ref
	if stored.Scheme.Algorithm != s.Algorithm {
		return
	}
	switch s.Algorithm {
	case Bcrypt:
		s.Cost, _ = bcryptCost(stored.Hash)
	case Argon2id:
		s.Argon, _, _, _ = decodePHC(stored.Hash)
	default:
		return
	}
	if old := v.seen.Load(); old == nil || *old != s {
		v.seen.Store(&s)
	}
}

// verify asks the cache, then computes, in the pool if that is expensive. The
// stored hash is valid.
func (v *Verifier) verify(ctx context.Context, stored Stored, password []byte) (ok bool, err error) {
	if !stored.Scheme.Algorithm.expensive() {
		return stored.check(&v.meter, password)
	}
	var key cacheKey
	if v.cache != nil {
		key = v.cache.key(stored, password)
		if v.cache.has(key) {
			v.hits.Add(1)
			return true, nil
		}
	}
	wait := v.do(ctx, len(password), func() { ok, err = stored.check(&v.meter, password) })
	if wait != nil {
		return false, wait
	}
	if ok && v.cache != nil {
		v.cache.add(key)
	}
	return ok, err
}

func (v *Verifier) do(ctx context.Context, size int, f func()) error {
	err := v.pool.Do(ctx, size, f)
	if errors.Is(err, ErrBusy) {
		v.busy.Add(1)
	}
	return err
}

// Create makes a hash of a new password by the verifier's reference scheme.
// Errors: ErrEmpty, ErrTooLong (bcrypt: over 72 bytes), ErrWeak, ErrBusy, the
// context's.
func (v *Verifier) Create(ctx context.Context, password []byte) (out Stored, err error) {
	if wait := v.do(ctx, len(password), func() { out, err = create(&v.meter, v.ref, password) }); wait != nil {
		return Stored{}, wait
	}
	return out, err
}

// Outdated reports whether a password that just matched should be stored anew:
// its hash is of another scheme than the reference or has other parameters.
func (v *Verifier) Outdated(stored Stored) bool {
	if stored.Scheme.Algorithm != v.ref.Algorithm {
		return true
	}
	switch v.ref.Algorithm {
	case Argon2id:
		a, _, _, err := decodePHC(stored.Hash)
		return err != nil || a != v.ref.argon()
	case Bcrypt:
		cost, err := bcryptCost(stored.Hash)
		return err != nil || cost != v.ref.cost()
	}
	return stored.Scheme != v.ref
}

// Flush forgets all cached credentials.
func (v *Verifier) Flush() {
	if v.cache != nil {
		v.cache.clear()
	}
}

// Stats are counters since New, and gauges, over all verifiers that share them.
type Stats struct {
	Computed uint64 // runs of a hash function
	// Work is their sum in KiB x passes (argon2id), 2^cost (bcrypt),
	// iterations x blocks (PBKDF2) or 1 (digests).
	Work    uint64
	Hits    uint64 // answers from the cache
	Busy    uint64 // callers refused because the queue was full
	Cached  int    // credentials in the cache now
	Running int    // computations now
	Waiting int    // callers now
}

// Stats returns the current counters.
func (v *Verifier) Stats() Stats {
	s := Stats{Computed: v.meter.runs.Load(), Work: v.meter.work.Load(), Hits: v.hits.Load(), Busy: v.busy.Load()}
	s.Running, s.Waiting = v.pool.load()
	if v.cache != nil {
		s.Cached = v.cache.len()
	}
	return s
}
