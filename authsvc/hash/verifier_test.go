package hash_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/authsvc/hash"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const small = "argon2id,64,1,1" // cheap enough to run thousands of times

// cost returns what f computed.
func cost(v *hash.Verifier, f func()) (runs, work uint64) {
	before := v.Stats()
	f()
	after := v.Stats()
	return after.Computed - before.Computed, after.Work - before.Work
}

// Hardening case 30, timing: an unknown user runs exactly the computations that
// a wrong password runs, counted, for every scheme.
func TestUnknownUserCostsAWrongPassword(t *testing.T) {
	t.Parallel()
	tests := []struct{ ref, salt, hash string }{
		{"plain", "", "public"},
		{"md5", "", "900150983cd24fb0d6963f7d28e17f72"},
		{"salt,sha", "salt", "54625c8c5d22e86e9a3d2732bf48d0f43d343366"},
		{"sha256,salt", "salt", "f4a8615be301fbaf6213df33cfe5f22953aafc0c31beb8f2daef55b127444d27"},
		{"sha512", "", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
		{"pbkdf2,sha256,3,100", "saltsalt", "9d1fe19edef876f84795db377e324032088269d0567dc5a20f2410e51683defd1530720bb364c49f7cb7d3a30f6b376d01088a1b2e53270486cc7318383c2edfc0b0d77498689677567fc74b54d26e1572f6c32b862d24c71e390197e1c9f12166a220a6"},
		{"bcrypt,4", "", "$2b$04$Q5QNi6Se0zMeTflVBUjt0..6hunnw/er27gB7y7fkY2J.a.ag/.Rm"},
		{"salt,bcrypt", "", "$2b$04$Q5QNi6Se0zMeTflVBUjt0..6hunnw/er27gB7y7fkY2J.a.ag/.Rm"}, // the cost is learnt
		{"argon2id,64,2,1", "", "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$OcOAkK8ur6wLi9aio+rmZn3umNfT1uvIOjYDtQgLxI0"},
		{"argon2id", "", "$argon2id$v=19$m=256,t=1,p=4$c29tZXNhbHQxMjM0$382uWXJknkqIK7XK7j6Y4R3tGw7zupWf"}, // the parameters are learnt
	}
	for _, tt := range tests {
		for _, ttl := range []time.Duration{-1, time.Minute} {
			t.Run(fmt.Sprintf("%s/%v", tt.ref, ttl), func(t *testing.T) {
				t.Parallel()
				v, err := hash.New(hash.Config{Reference: scheme(t, tt.ref), CacheTTL: ttl})
				if err != nil {
					t.Fatal(err)
				}
				stored := hash.Stored{Scheme: scheme(t, tt.ref), Hash: tt.hash, Salt: []byte(tt.salt)}
				for range 3 {
					runs, work := cost(v, func() {
						if ok, err := v.Verify(t.Context(), stored, []byte("wrong")); ok || err != nil {
							t.Errorf("wrong password: %v, %v", ok, err)
						}
					})
					unknownRuns, unknownWork := cost(v, func() {
						if err := v.VerifyUnknown(t.Context(), []byte("wrong")); err != nil {
							t.Error(err)
						}
					})
					if runs == 0 || runs != unknownRuns || work != unknownWork {
						t.Errorf("wrong password: %d runs, work %d; unknown user: %d runs, work %d", runs, work, unknownRuns, unknownWork)
					}
				}
			})
		}
	}
}

// A table of argon2id with imported digests in it: a wrong password for one of
// them is not told from an unknown user by the expensive part.
func TestWrongPasswordForImportedHash(t *testing.T) {
	t.Parallel()
	v := verifier(t, "argon2id,64,2,1")
	stored := hash.Stored{Scheme: scheme(t, "salt,md5"), Hash: "c91e85973ceee05f005996584f067a72", Salt: []byte("salt")}
	_, wrong := cost(v, func() { _, _ = v.Verify(t.Context(), stored, []byte("x")) })
	_, unknown := cost(v, func() { _ = v.VerifyUnknown(t.Context(), []byte("x")) })
	if unknown != 128 || wrong != unknown+1 {
		t.Errorf("work %d for a wrong password, %d for an unknown user; want 129 (with one MD5) and 128", wrong, unknown)
	}
	if ok, err := v.Verify(t.Context(), stored, []byte("public")); !ok || err != nil {
		t.Errorf("the right password: %v, %v", ok, err)
	}
}

func TestCacheTTLAndSize(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, err := hash.New(hash.Config{Reference: scheme(t, small), CacheTTL: time.Minute, CacheSize: 3})
		if err != nil {
			t.Fatal(err)
		}
		stored := make([]hash.Stored, 5)
		for i := range stored {
			if stored[i], err = v.Create(t.Context(), []byte("public")); err != nil {
				t.Fatal(err)
			}
		}
		verify := func(i int, password string, want bool, wantRuns uint64) {
			t.Helper()
			runs, _ := cost(v, func() {
				if ok, err := v.Verify(t.Context(), stored[i], []byte(password)); ok != want || err != nil {
					t.Errorf("hash %d, password %q: %v, %v", i, password, ok, err)
				}
			})
			if runs != wantRuns {
				t.Errorf("hash %d, password %q: %d runs, want %d", i, password, runs, wantRuns)
			}
		}
		verify(0, "public", true, 1)
		verify(0, "public", true, 0) // cached
		verify(0, "wrong", false, 1) // a failure is not
		verify(0, "wrong", false, 1) // ever
		verify(0, "public", true, 0) // and does not disturb
		verify(1, "public", true, 1) // another salt is another key: a changed password takes effect
		time.Sleep(59 * time.Second) // fake time
		verify(0, "public", true, 0) // not extended by use:
		time.Sleep(1 * time.Second)  //
		verify(0, "public", true, 1) // expired
		if n := v.Stats().Cached; n != 1 {
			t.Errorf("%d entries after the others expired, want 1", n)
		}
		for i := range stored {
			verify(i, "public", true, map[bool]uint64{true: 0, false: 1}[i == 0])
		}
		if n := v.Stats().Cached; n != 3 {
			t.Errorf("%d entries, want the bound of 3", n)
		}
		verify(4, "public", true, 0)
		verify(0, "public", true, 1) // the oldest made room
		v.Flush()
		if n := v.Stats().Cached; n != 0 {
			t.Errorf("%d entries after Flush", n)
		}
		verify(4, "public", true, 1)
	})
}

func TestPoolBoundsConcurrency(t *testing.T) {
	t.Parallel()
	v, err := hash.New(hash.Config{Workers: 1000, Queue: 100})
	if err != nil {
		t.Fatal(err)
	}
	var now, most atomic.Int64
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			err := v.Pool().Do(t.Context(), 1, func() {
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				runtime.Gosched()
				now.Add(-1)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if m := most.Load(); m < 1 || m > int64(runtime.GOMAXPROCS(0)) {
		t.Errorf("%d computations at once, want at most GOMAXPROCS = %d", m, runtime.GOMAXPROCS(0))
	}
}

// The queue is bounded in callers and in bytes, and a caller leaves it when its
// context ends; a verification that is refused is an error, never a yes.
func TestQueueBoundsAndContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v, err := hash.New(hash.Config{Workers: 1, Queue: 2, QueueBytes: 10, Reference: scheme(t, small), CacheTTL: -1})
		if err != nil {
			t.Fatal(err)
		}
		stored, err := v.Create(t.Context(), []byte("public"))
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { _ = v.Pool().Do(t.Context(), 1, func() { <-release }) })
		synctest.Wait()

		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() { // waits, then gives up
			if ok, err := v.Verify(ctx, stored, []byte("public")); ok || !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v, %v", ok, err)
			}
		})
		synctest.Wait()
		if ok, err := v.Verify(t.Context(), stored, []byte("12345")); ok || !errors.Is(err, hash.ErrBusy) {
			t.Errorf("bytes above the bound: %v, %v", ok, err)
		}
		wg.Go(func() { // waits, then is served
			if ok, err := v.Verify(t.Context(), stored, []byte("1234")); ok || err != nil {
				t.Errorf("served late: %v, %v", ok, err)
			}
		})
		synctest.Wait()
		if s := v.Stats(); s.Running != 1 || s.Waiting != 2 {
			t.Errorf("stats %+v, want 1 running and 2 waiting", s)
		}
		if err := v.VerifyUnknown(t.Context(), nil); !errors.Is(err, hash.ErrBusy) {
			t.Errorf("callers above the bound: %v", err)
		}
		if s := v.Stats(); s.Busy != 2 {
			t.Errorf("%d refusals counted, want 2", s.Busy)
		}
		cancel()
		synctest.Wait()
		close(release)
		wg.Wait()
		if s := v.Stats(); s.Running != 0 || s.Waiting != 0 {
			t.Errorf("stats %+v after all left", s)
		}
		if ok, err := v.Verify(ctx, stored, []byte("public")); ok || !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: %v, %v", ok, err)
		}
	})
}

func TestSlotIsFreedByAPanic(t *testing.T) {
	t.Parallel()
	v, err := hash.New(hash.Config{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = v.Pool().Do(t.Context(), 0, func() { panic("x") })
	}()
	if s := v.Stats(); s.Running != 0 {
		t.Errorf("%d slots taken", s.Running)
	}
}

func TestWithShares(t *testing.T) {
	t.Parallel()
	v := verifier(t, small)
	w, err := v.With(scheme(t, "sha256"))
	if err != nil {
		t.Fatal(err)
	}
	if runs, work := cost(v, func() { _ = w.VerifyUnknown(t.Context(), []byte("x")) }); runs != 1 || work != 1 {
		t.Errorf("%d runs, work %d; want one digest, counted in the shared meter", runs, work)
	}
	if _, err := v.With(hash.Scheme{Algorithm: hash.PBKDF2}); !errors.Is(err, hash.ErrScheme) {
		t.Errorf("a scheme without a mac: %v", err)
	}
}

func TestPasswordBound(t *testing.T) {
	t.Parallel()
	v := verifier(t, "plain")
	long := make([]byte, hash.MaxPassword+1)
	if ok, err := v.Verify(t.Context(), hash.Stored{Scheme: scheme(t, "plain"), Hash: "x"}, long); ok || !errors.Is(err, hash.ErrTooLong) {
		t.Errorf("Verify: %v, %v", ok, err)
	}
	if err := v.VerifyUnknown(t.Context(), long); !errors.Is(err, hash.ErrTooLong) {
		t.Errorf("VerifyUnknown: %v", err)
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]hash.Config{
		"workers": {Workers: -1}, "queue": {Queue: -1}, "bytes": {QueueBytes: -1}, "cache": {CacheSize: 1<<20 + 1},
		"ttl": {CacheTTL: 25 * time.Hour}, "reference": {Reference: hash.Scheme{Cost: 40, Algorithm: hash.Bcrypt}},
	} {
		if v, err := hash.New(c); err == nil || v != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestStoredJSON(t *testing.T) {
	t.Parallel()
	in := hash.Stored{Scheme: scheme(t, "salt,md5"), Hash: "c91e85973ceee05f005996584f067a72", Salt: []byte("salt")}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"scheme":"salt,md5","hash":"c91e85973ceee05f005996584f067a72","salt":"c2FsdA=="}`; string(b) != want {
		t.Errorf("got %s, want %s", b, want)
	}
	var out hash.Stored
	if err := json.Unmarshal(b, &out); err != nil || out.Scheme != in.Scheme || out.Hash != in.Hash || string(out.Salt) != "salt" {
		t.Errorf("got %+v, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"scheme":"rot13","hash":"x"}`), &out); !errors.Is(err, hash.ErrScheme) {
		t.Errorf("unknown scheme: %v", err)
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, ref := range []string{"argon2id", "argon2id,65536,3,1", "bcrypt,10", "pbkdf2,sha256,100000,32"} {
		for name, ttl := range map[string]time.Duration{"computed": -1, "cached": time.Hour} {
			v, err := hash.New(hash.Config{Reference: scheme(b, ref), CacheTTL: ttl})
			if err != nil {
				b.Fatal(err)
			}
			stored, err := v.Create(b.Context(), []byte("public"))
			if err != nil {
				b.Fatal(err)
			}
			b.Run(ref+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if ok, err := v.Verify(b.Context(), stored, []byte("public")); !ok || err != nil {
						b.Fatal(ok, err)
					}
				}
			})
		}
	}
}
