package hash_test

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/pando-mq/pando/authsvc/hash"
)

// scheme reads a setting that must be valid.
func scheme(t testing.TB, s string) hash.Scheme {
	t.Helper()
	sc, err := hash.ParseScheme(s)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// verifier returns one without a cache.
func verifier(t testing.TB, ref string) *hash.Verifier {
	t.Helper()
	v, err := hash.New(hash.Config{Reference: scheme(t, ref), CacheTTL: -1})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Vectors from other implementations: FIPS 180-4 and RFC 1321 ("abc"), RFC 6070
// and RFC 7914 (PBKDF2), Python's hashlib and OpenSSL 3 (digests, PBKDF2), the
// bcrypt module of Python and crypt(3) of libxcrypt, the argon2 command of the
// reference implementation.
func TestVectors(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, scheme, salt, hash, password string }{
		{"plain", "plain", "", "public", "public"},
		{"md5 RFC 1321", "md5", "", "900150983cd24fb0d6963f7d28e17f72", "abc"},
		{"sha1 FIPS 180", "sha", "", "a9993e364706816aba3e25717850c26c9cd0d89d", "abc"},
		{"sha256 FIPS 180", "sha256", "", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "abc"},
		{"sha512 FIPS 180", "sha512", "", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f", "abc"},
		{"upper case", "sha", "", "A9993E364706816ABA3E25717850C26C9CD0D89D", "abc"},
		{"salt,md5", "salt,md5", "salt", "c91e85973ceee05f005996584f067a72", "public"},
		{"md5,salt", "md5,salt", "salt", "b8fe9a6d76f4fa94adda07a7833e6402", "public"},
		{"salt,sha", "salt,sha", "salt", "54625c8c5d22e86e9a3d2732bf48d0f43d343366", "public"},
		{"sha,salt", "sha,salt", "salt", "43e71834067d59d83ae934bb80670178b810b9be", "public"},
		{"salt,sha256", "salt,sha256", "salt", "f2ef7f9aedb2c3b5040bc16691a1177758a92ad91e1ee77770215a332bf6099f", "public"},
		{"sha256,salt", "sha256,salt", "salt", "f4a8615be301fbaf6213df33cfe5f22953aafc0c31beb8f2daef55b127444d27", "public"},
		{"salt,sha512", "salt,sha512", "salt", "82112846414ba6fd95be5ac402188c3a7cf1a178485e937fded30f9e398c94094d2d742a41dd0982febd36484be12f19d3cf9130fe2d903d61b5c7ae9a327185", "public"},
		{"sha512,salt", "sha512,salt", "salt", "7ffaf674fc0b94835d6cdba9f3e80b7d7dc8efe5fe7cfe9f01d38d309718cef339fc3014fb007d2133d65d6fea8e904817670aeb69ca47a74554804c15e1bd4f", "public"},
		{"bcrypt 2b", "salt,bcrypt", "", "$2b$04$Q5QNi6Se0zMeTflVBUjt0..6hunnw/er27gB7y7fkY2J.a.ag/.Rm", "public"},
		{"bcrypt 2a", "bcrypt", "", "$2a$05$GObeSbbqAcAfs/QsylKD1eT6duGt1w2eb3n62EDaia/CD5hW39Yu6", "public"},
		{"bcrypt 2y", "bcrypt", "", "$2y$05$abcdefghijklmnopqrstuuwwPIUV0aLdd4MRrWIJ1GQ9qm/ci/n7y", "public"},
		{"bcrypt of 72 bytes", "bcrypt", "", "$2b$04$sPkovPrlTNCaZBrMRZ1TZezO1sGJf.MlInIMH9SBV6jlOSRbQTac2", strings.Repeat("x", 72)},
		{"bcrypt counts 72 bytes", "bcrypt", "", "$2b$04$sPkovPrlTNCaZBrMRZ1TZezO1sGJf.MlInIMH9SBV6jlOSRbQTac2", strings.Repeat("x", 72) + "tail"},
		{"pbkdf2 RFC 6070", "pbkdf2,sha,4096,20", "salt", "4b007901b765489abead49d926f721d065a429c1", "password"},
		{"pbkdf2 RFC 7914 §11", "pbkdf2,sha256,1,64", "salt", "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783", "passwd"},
		{"pbkdf2 md4", "pbkdf2,md4,1000,20", "saltsalt", "9d811f54d4dc19c0b421b634b5c7ac313613236e", "public"},
		{"pbkdf2 md5", "pbkdf2,md5,1000,20", "saltsalt", "b4b14bcb8e1ecef233251f82ab1c114fd19b84c8", "public"},
		{"pbkdf2 ripemd160", "pbkdf2,ripemd160,1000,20", "saltsalt", "daa9f10eccd6810c9fc9ba52d36ce47a6e85e21b", "public"},
		{"pbkdf2 sha", "pbkdf2 sha 1000 20", "saltsalt", "3d3d03a16f7903a3888ed952e029933941b90511", "public"},
		{"pbkdf2 sha224", "pbkdf2,sha224,1000,20", "saltsalt", "a97464f1b47c06e71e7b218214445f08ab266885", "public"},
		{"pbkdf2 sha256", "pbkdf2, sha256, 1000, 20", "saltsalt", "603fccf636174292d0ec9e3e151b81d67c6fd52b", "public"},
		{"pbkdf2 sha384", "pbkdf2,sha384,1000,20", "saltsalt", "70c571f41c89219cb74e678627d4b310e3ad2176", "public"},
		{"pbkdf2 sha512", "pbkdf2,sha512,1000,20", "saltsalt", "ae942ddecde4abf87968bb9f8f19b504a646dedc", "public"},
		{"pbkdf2 several blocks", "pbkdf2,sha256,3,100", "saltsalt", "9d1fe19edef876f84795db377e324032088269d0567dc5a20f2410e51683defd1530720bb364c49f7cb7d3a30f6b376d01088a1b2e53270486cc7318383c2edfc0b0d77498689677567fc74b54d26e1572f6c32b862d24c71e390197e1c9f12166a220a6", "public"},
		{"argon2id", "argon2id", "", "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$OcOAkK8ur6wLi9aio+rmZn3umNfT1uvIOjYDtQgLxI0", "public"},
		{"argon2id of four lanes", "argon2id", "", "$argon2id$v=19$m=256,t=1,p=4$c29tZXNhbHQxMjM0$382uWXJknkqIK7XK7j6Y4R3tGw7zupWf", "public"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stored := hash.Stored{Scheme: scheme(t, tt.scheme), Hash: tt.hash, Salt: []byte(tt.salt)}
			v := verifier(t, tt.scheme)
			if ok, err := v.Verify(t.Context(), stored, []byte(tt.password)); !ok || err != nil {
				t.Errorf("the right password: %v, %v", ok, err)
			}
			for _, wrong := range []string{"", "Public", "public ", tt.password[1:], tt.hash + "x"} {
				if ok, err := v.Verify(t.Context(), stored, []byte(wrong)); ok || err != nil {
					t.Errorf("password %q: %v, %v", wrong, ok, err)
				}
			}
		})
	}
}

// §6.4: 4 random bytes, then MD5 of these and the password.
func TestFromSeed(t *testing.T) {
	t.Parallel()
	blob := append([]byte("salt"), mustHex(t, "c91e85973ceee05f005996584f067a72")...)
	stored, err := hash.FromSeed(blob)
	if err != nil {
		t.Fatal(err)
	}
	v := verifier(t, "salt,md5")
	if ok, err := v.Verify(t.Context(), stored, []byte("public")); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	for _, n := range []int{0, 4, 19, 21} {
		if _, err := hash.FromSeed(make([]byte, n)); !errors.Is(err, hash.ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func mustHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Hardening case 30: what a row may not hold. Nothing of it is computed, the
// answer is no, and the cost is that of an unknown user.
func TestStoredIsNotTrusted(t *testing.T) {
	t.Parallel()
	const salt, key = "c29tZXNhbHQ", "OcOAkK8ur6wLi9aio+rmZn3umNfT1uvIOjYDtQgLxI0"
	phc := func(params string) string { return "$argon2id$v=19$" + params + "$" + salt + "$" + key }
	crypt := strings.Repeat("a", 53)
	tests := []struct {
		name, scheme, salt, hash string
		want                     error
	}{
		{"argon2 memory bomb", "argon2id", "", phc("m=4194304,t=1,p=1"), hash.ErrLimits},
		{"argon2 memory 2^32-1", "argon2id", "", phc("m=4294967295,t=1,p=1"), hash.ErrLimits},
		{"argon2 time bomb", "argon2id", "", phc("m=64,t=4000000,p=1"), hash.ErrLimits},
		{"argon2 product bomb", "argon2id", "", phc("m=262144,t=16,p=1"), hash.ErrLimits},
		{"argon2 lanes bomb", "argon2id", "", phc("m=65536,t=1,p=255"), hash.ErrLimits},
		{"argon2 lanes 257 are not 1", "argon2id", "", phc("m=65536,t=1,p=257"), hash.ErrLimits},
		{"argon2 without lanes", "argon2id", "", phc("m=64,t=1,p=0"), hash.ErrLimits},
		{"argon2 without passes", "argon2id", "", phc("m=64,t=0,p=1"), hash.ErrLimits},
		{"argon2 memory below 8 per lane", "argon2id", "", phc("m=7,t=1,p=1"), hash.ErrLimits},
		{"argon2 beyond 32 bits", "argon2id", "", phc("m=4294967360,t=1,p=1"), hash.ErrMalformed},
		{"argon2 negative", "argon2id", "", phc("m=-64,t=1,p=1"), hash.ErrMalformed},
		{"argon2 leading zero", "argon2id", "", phc("m=064,t=1,p=1"), hash.ErrMalformed},
		{"argon2 order", "argon2id", "", phc("t=1,m=64,p=1"), hash.ErrMalformed},
		{"argon2 extra parameter", "argon2id", "", phc("m=64,t=1,p=1,data=AAAA"), hash.ErrMalformed},
		{"argon2i", "argon2id", "", "$argon2i$v=19$m=64,t=2,p=1$" + salt + "$" + key, hash.ErrMalformed},
		{"argon2 of another version", "argon2id", "", "$argon2id$v=16$m=64,t=2,p=1$" + salt + "$" + key, hash.ErrMalformed},
		{"argon2 short key", "argon2id", "", "$argon2id$v=19$m=64,t=2,p=1$" + salt + "$AAAA", hash.ErrMalformed},
		{"argon2 empty key", "argon2id", "", "$argon2id$v=19$m=64,t=2,p=1$" + salt + "$", hash.ErrMalformed},
		{"argon2 short salt", "argon2id", "", "$argon2id$v=19$m=64,t=2,p=1$AAAA$" + key, hash.ErrMalformed},
		{"argon2 no base64", "argon2id", "", "$argon2id$v=19$m=64,t=2,p=1$" + salt + "$" + key[:42] + "*", hash.ErrMalformed},
		{"argon2 line break in base64", "argon2id", "", "$argon2id$v=19$m=64,t=2,p=1$" + salt + "$\n" + key, hash.ErrMalformed},
		{"argon2 padded base64", "argon2id", "", "$argon2id$v=19$m=64,t=2,p=1$" + salt + "=$" + key, hash.ErrMalformed},
		{"argon2 huge", "argon2id", "", "$argon2id$v=19$m=64,t=2,p=1$" + salt + "$" + strings.Repeat("A", 1<<20), hash.ErrMalformed},
		{"argon2 one field more", "argon2id", "", phc("m=64,t=1,p=1") + "$", hash.ErrMalformed},
		{"bcrypt cost bomb", "bcrypt", "", "$2a$31$" + crypt, hash.ErrLimits},
		{"bcrypt cost 15", "bcrypt", "", "$2a$15$" + crypt, hash.ErrLimits},
		{"bcrypt cost 3", "bcrypt", "", "$2a$03$" + crypt, hash.ErrLimits},
		{"bcrypt cost no number", "bcrypt", "", "$2a$ 4$" + crypt, hash.ErrMalformed},
		{"bcrypt 2x", "bcrypt", "", "$2x$04$" + crypt, hash.ErrMalformed},
		{"bcrypt short", "bcrypt", "", "$2a$04$" + crypt[1:], hash.ErrMalformed},
		{"bcrypt long", "bcrypt", "", "$2a$04$" + crypt + "a", hash.ErrMalformed},
		{"bcrypt alphabet", "bcrypt", "", "$2a$04$" + crypt[1:] + "=", hash.ErrMalformed},
		{"empty plain", "plain", "", "", hash.ErrMalformed},
		{"empty digest", "sha256", "", "", hash.ErrMalformed},
		{"truncated digest", "sha256", "", "ba7816bf", hash.ErrMalformed},
		{"digest of another size", "sha256", "", "a9993e364706816aba3e25717850c26c9cd0d89d", hash.ErrMalformed},
		{"no hexadecimal", "md5", "", "900150983cd24fb0d6963f7d28e17fzz", hash.ErrMalformed},
		{"salted without salt", "salt,md5", "", "c91e85973ceee05f005996584f067a72", hash.ErrMalformed},
		{"pbkdf2 without salt", "pbkdf2,sha,1000,20", "", "3d3d03a16f7903a3888ed952e029933941b90511", hash.ErrMalformed},
		{"pbkdf2 shorter than dklen", "pbkdf2,sha,1000,20", "s", "3d3d", hash.ErrMalformed},
		{"huge salt", "salt,md5", strings.Repeat("s", 5000), "c91e85973ceee05f005996584f067a72", hash.ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			stored := hash.Stored{Scheme: scheme(t, tt.scheme), Hash: tt.hash, Salt: []byte(tt.salt)}
			if err := stored.Validate(); !errors.Is(err, tt.want) {
				t.Errorf("Validate: %v, want %v", err, tt.want)
			}
			v := verifier(t, "argon2id,64,1,1")
			for _, password := range []string{"", "public", tt.hash} {
				before := v.Stats()
				ok, err := v.Verify(t.Context(), stored, []byte(password[:min(len(password), 100)]))
				if ok || !errors.Is(err, tt.want) {
					t.Errorf("Verify: %v, %v; want %v", ok, err, tt.want)
				}
				if after := v.Stats(); after.Computed != before.Computed+1 || after.Work != before.Work+64 {
					t.Errorf("cost: %+v, want one run of the reference", after)
				}
			}
		})
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		ref, password string
		want          error
	}{
		{"argon2id", "public", nil},
		{"argon2id,64,1,1", strings.Repeat("x", hash.MaxPassword), nil},
		{"argon2id,64,1,1", strings.Repeat("x", hash.MaxPassword+1), hash.ErrTooLong},
		{"argon2id,64,1,1", "", hash.ErrEmpty},
		{"bcrypt,4", strings.Repeat("x", 72), nil},
		{"bcrypt,4", strings.Repeat("x", 73), hash.ErrTooLong}, // hardening case 30
		{"bcrypt,4", "", hash.ErrEmpty},
		{"pbkdf2,sha256,1000,32", "public", nil},
		{"plain", "public", hash.ErrWeak},
		{"md5", "public", hash.ErrWeak},
		{"salt,sha512", "public", hash.ErrWeak},
	}
	for _, tt := range tests {
		t.Run(tt.ref, func(t *testing.T) {
			t.Parallel()
			v := verifier(t, tt.ref)
			stored, err := v.Create(t.Context(), []byte(tt.password))
			if !errors.Is(err, tt.want) {
				t.Fatalf("Create: %v, want %v", err, tt.want)
			}
			if err != nil {
				return
			}
			if ok, err := v.Verify(t.Context(), stored, []byte(tt.password)); !ok || err != nil {
				t.Errorf("the password just stored: %v, %v", ok, err)
			}
			if ok, err := v.Verify(t.Context(), stored, []byte(tt.password[1:])); ok || err != nil {
				t.Errorf("another password: %v, %v", ok, err)
			}
			again, err := v.Create(t.Context(), []byte(tt.password))
			if err != nil || again.Hash == stored.Hash {
				t.Errorf("two hashes of one password are equal: no salt (%v)", err)
			}
			if v.Outdated(stored) {
				t.Error("a new hash is outdated")
			}
		})
	}
	stored, err := verifier(t, "argon2id").Create(t.Context(), []byte("public"))
	if err != nil || !strings.HasPrefix(stored.Hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("default parameters: %q, %v", stored.Hash, err)
	}
}

func TestOutdated(t *testing.T) {
	t.Parallel()
	v := verifier(t, "argon2id,64,2,1")
	old, err := verifier(t, "argon2id,64,1,1").Create(t.Context(), []byte("public"))
	if err != nil {
		t.Fatal(err)
	}
	for name, stored := range map[string]hash.Stored{
		"other parameters": old,
		"other algorithm":  {Scheme: scheme(t, "md5"), Hash: "900150983cd24fb0d6963f7d28e17f72"},
	} {
		if !v.Outdated(stored) {
			t.Errorf("%s: not outdated", name)
		}
	}
	b := verifier(t, "bcrypt,5")
	if !b.Outdated(hash.Stored{Scheme: scheme(t, "bcrypt"), Hash: "$2b$04$Q5QNi6Se0zMeTflVBUjt0..6hunnw/er27gB7y7fkY2J.a.ag/.Rm"}) {
		t.Error("another cost: not outdated")
	}
}

func TestParseScheme(t *testing.T) {
	t.Parallel()
	// §6.3: commas and blanks are both taken.
	good := map[string]string{
		"plain": "plain", "SHA256": "sha256", "salt sha256": "salt,sha256", "sha256 salt": "sha256,salt", "salt, md5": "salt,md5",
		"sha1": "sha", "salt,bcrypt": "bcrypt", "bcrypt": "bcrypt", "bcrypt,12": "bcrypt,12", "pbkdf2,sha1,1000,20": "pbkdf2,sha,1000,20",
		"pbkdf2 sha512 1000 64": "pbkdf2,sha512,1000,64", "argon2id": "argon2id", "argon2id,65536,3,1": "argon2id,65536,3,1",
	}
	for in, want := range good {
		sc, err := hash.ParseScheme(in)
		if err != nil || sc.String() != want {
			t.Errorf("%q: %q, %v; want %q", in, sc, err, want)
		}
	}
	bad := map[string]error{
		"": hash.ErrScheme, "salt": hash.ErrScheme, ",": hash.ErrScheme, "sha3": hash.ErrScheme, "salt,sha256,salt": hash.ErrScheme,
		"sha256,pepper": hash.ErrScheme, "salt,plain": hash.ErrScheme, "salt,argon2id": hash.ErrScheme, "salt,pbkdf2,sha,1,20": hash.ErrScheme,
		"pbkdf2": hash.ErrScheme, "pbkdf2,sha3,1000,20": hash.ErrScheme, "pbkdf2,sha,x,20": hash.ErrScheme, "pbkdf2,sha,-1,20": hash.ErrScheme,
		"pbkdf2,sha,0,20": hash.ErrLimits, "pbkdf2,sha,1,0": hash.ErrLimits, "pbkdf2,sha,2000001,20": hash.ErrLimits,
		"pbkdf2,sha,1000000,128": hash.ErrLimits, "pbkdf2,sha,1,129": hash.ErrLimits, "bcrypt,15": hash.ErrLimits, "bcrypt,0": hash.ErrScheme,
		"bcrypt,4,4": hash.ErrScheme, "argon2id,4194304,1,1": hash.ErrLimits, "argon2id,64,1": hash.ErrScheme, "argon2id,64,1,256": hash.ErrScheme,
		"argon2id,0,0,0": hash.ErrLimits, "pbkdf2,sha,99999999999999999999,20": hash.ErrScheme,
	}
	for in, want := range bad {
		if sc, err := hash.ParseScheme(in); !errors.Is(err, want) || sc != (hash.Scheme{}) {
			t.Errorf("%q: %v, %v; want %v", in, sc, err, want)
		}
	}
}

// FuzzStored: no text of a setting, a hash and a salt panics, what is valid can
// be computed within the limits, and a setting's text parses to itself.
func FuzzStored(f *testing.F) {
	f.Add("argon2id", "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$OcOAkK8ur6wLi9aio+rmZn3umNfT1uvIOjYDtQgLxI0", "")
	f.Add("bcrypt", "$2b$04$Q5QNi6Se0zMeTflVBUjt0..6hunnw/er27gB7y7fkY2J.a.ag/.Rm", "")
	f.Add("pbkdf2,sha,4,20", "4b007901b765489abead49d926f721d065a429c1", "salt")
	f.Add("salt md5", "c91e85973ceee05f005996584f067a72", "salt")
	f.Add("emq", "73616c74c91e85973ceee05f005996584f067a72", "")
	f.Add("argon2id,64,1,1", "$argon2id$v=19$m=4294967295,t=4294967295,p=255$$", "")
	v := verifier(f, "plain")
	f.Fuzz(func(t *testing.T, setting, stored, salt string) {
		if s, err := hash.Import(setting, stored, []byte(salt)); err == nil && s.Validate() != nil {
			t.Fatalf("%q is imported and not valid", setting)
		}
		sc, err := hash.ParseScheme(setting)
		if err != nil {
			return
		}
		again, err := hash.ParseScheme(sc.String())
		if err != nil || again != sc {
			t.Fatalf("%q: %v became %v, %v", setting, sc, again, err)
		}
		s := hash.Stored{Scheme: sc, Hash: stored, Salt: []byte(salt)}
		if s.Validate() != nil || (sc.Algorithm <= hash.PBKDF2 && !cheap(s)) {
			return
		}
		ok, err := v.Verify(context.Background(), s, []byte("public"))
		if err != nil {
			t.Fatalf("valid but not verified: %v", err)
		}
		if ok && sc.Algorithm == hash.Plain && stored != "public" {
			t.Fatalf("plain %q matched", stored)
		}
	})
}

// cheap reports whether a valid hash can be computed many times in a test.
func cheap(s hash.Stored) bool {
	switch s.Scheme.Algorithm {
	case hash.Bcrypt:
		return s.Hash[4:6] == "04"
	case hash.Argon2id:
		return strings.HasPrefix(s.Hash, "$argon2id$v=19$m=64,t=2,p=1$")
	}
	return s.Scheme.Iterations < 100
}
