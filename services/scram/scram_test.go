package scram_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	xdg "github.com/xdg-go/scram"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/scram"
)

// generators are another implementation's hash functions, by our names.
var generators = map[string]xdg.HashGeneratorFcn{scram.SHA256: xdg.SHA256, scram.SHA512: xdg.SHA512}

func keys(t *testing.T, method, password string) broker.SCRAM {
	t.Helper()
	k, err := scram.Derive(method, []byte(password), nil, scram.MinIterations)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// run takes both steps of a server whose only user has the keys k.
func run(t *testing.T, method string, k broker.SCRAM, first func() []byte, last func(challenge []byte) []byte) (answer []byte, user string, err error) {
	t.Helper()
	find := func(string) (broker.SCRAM, error) { return k, nil }
	challenge, state, user, err := scram.Step(method, first(), nil, find)
	if err != nil || user != "" {
		t.Fatalf("first step: user %q, %v", user, err)
	}
	answer, rest, user, err := scram.Step(method, last(challenge), state, find)
	if len(rest) != 0 {
		t.Errorf("the last step leaves %q", rest)
	}
	return answer, user, err
}

// TestForeignClient lets another implementation's client in, and checks what it thinks of the server.
func TestForeignClient(t *testing.T) {
	t.Parallel()
	for method, generator := range generators {
		for name, c := range map[string]struct{ user, stored, typed string }{
			"plain":                      {"ann", "pencil", "pencil"},
			"name with comma and equals": {"a=b,c=2C", "pencil", "pencil"},
			"beyond ASCII":               {"anna", "pässwörd №Ⅸ", "pässwörd №Ⅸ"},
			"two forms of one character": {"anna", "e\u0301", "\u00e9"},
			"blank of another kind":      {"anna", "a\u00a0b", "a b"},
			"soft hyphen":                {"anna", "I\u00adX", "IX"},
		} {
			t.Run(method+"/"+name, func(t *testing.T) {
				t.Parallel()
				client, err := generator.NewClient(c.user, c.typed, "")
				if err != nil {
					t.Fatal(err)
				}
				conv := client.NewConversation()
				say := func(in []byte) []byte {
					out, err := conv.Step(string(in))
					if err != nil {
						t.Fatal(err)
					}
					return []byte(out)
				}
				answer, user, err := run(t, method, keys(t, method, c.stored), func() []byte { return say(nil) }, say)
				if err != nil || user != c.user {
					t.Fatalf("user %q, %v", user, err)
				}
				if say(answer); !conv.Valid() {
					t.Error("the client does not believe the server")
				}
			})
		}
	}
}

// TestForeignServer proves a password to another implementation's server, with keys that were derived here.
func TestForeignServer(t *testing.T) {
	t.Parallel()
	for method, generator := range generators {
		k := keys(t, method, "pencil")
		server, err := generator.NewServer(func(string) (xdg.StoredCredentials, error) {
			return xdg.StoredCredentials{KeyFactors: xdg.KeyFactors{Salt: string(k.Salt), Iters: k.Iterations}, StoredKey: k.StoredKey, ServerKey: k.ServerKey}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		conv, c := server.NewConversation(), scram.NewClient(method, "ann", "pencil")
		challenge, err := conv.Step(string(c.First()))
		if err != nil {
			t.Fatal(err)
		}
		last, err := c.Last([]byte(challenge))
		if err != nil {
			t.Fatal(err)
		}
		final, err := conv.Step(string(last))
		if err != nil || !conv.Valid() {
			t.Fatalf("%s: %v", method, err)
		}
		if err := c.Verify([]byte(final)); err != nil {
			t.Error(err)
		}
		if err := c.Verify([]byte("v=AAAA")); err == nil {
			t.Error("the client believes anybody")
		}
	}
}

// TestVector is the exchange of RFC 7677 §3: user "user", password "pencil".
func TestVector(t *testing.T) {
	t.Parallel()
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	k, err := scram.Derive(scram.SHA256, []byte("pencil"), salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	const bare = "n=user,r=rOprNGfwEbeRWgbNEkqO"
	const nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	state := []byte(bare + "\x00r=" + nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
	answer, err := scram.Finish(k, state, []byte("c=biws,r="+nonce+",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="))
	if err != nil || string(answer) != "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("answer %q, %v", answer, err)
	}
}

func TestWrongProofs(t *testing.T) {
	t.Parallel()
	for _, method := range scram.Methods() {
		k := keys(t, method, "pencil")
		c := scram.NewClient(method, "ann", "pencil")
		change := func(from, to string) func([]byte) []byte {
			return func(challenge []byte) []byte {
				last, err := c.Last(challenge)
				if err != nil {
					t.Fatal(err)
				}
				return []byte(strings.Replace(string(last), from, to, 1))
			}
		}
		for name, x := range map[string]struct {
			last func([]byte) []byte
			want error
		}{
			"another nonce":               {change("r=", "r=x"), scram.ErrProof},
			"extension that is not known": {change(",p=", ",m=1,p="), scram.ErrMalformed},
			"extension that was not said": {change(",p=", ",x=1,p="), scram.ErrProof},
			"channel binding":             {change("c=biws", "c=cD10bHMtdW5pcXVlLCw="), scram.ErrBinding},
			"no proof":                    {change(",p=", ",q="), scram.ErrMalformed},
			"short proof":                 {func([]byte) []byte { return []byte("c=biws,r=a,p=AAAA") }, scram.ErrMalformed},
			"nothing":                     {func([]byte) []byte { return nil }, scram.ErrMalformed},
		} {
			if _, user, err := run(t, method, k, c.First, x.last); !errors.Is(err, x.want) || user != "" {
				t.Errorf("%s, %s: user %q, error %v, want %v", method, name, user, err, x.want)
			}
		}
		wrong := scram.NewClient(method, "ann", "pen")
		if _, _, err := run(t, method, k, wrong.First, func(b []byte) []byte { out, _ := wrong.Last(b); return out }); !errors.Is(err, scram.ErrProof) {
			t.Errorf("%s: a wrong password is %v", method, err)
		}
		right := scram.NewClient(method, "ann", "pencil")
		decoy := scram.Decoy(method, "", "ann", scram.MinIterations, []byte("secret"))
		if _, _, err := run(t, method, decoy, right.First, func(b []byte) []byte { out, _ := right.Last(b); return out }); !errors.Is(err, scram.ErrProof) {
			t.Errorf("%s: a proof fits a decoy: %v", method, err)
		}
	}
}

func TestFirstMessages(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]error{
		"n,,n=ann,r=abc":                         nil,
		"n,,n=ann,r=abc,x=more":                  nil,
		"n,,n=ann,r=abc,m=must":                  scram.ErrMalformed,
		"y,,n=ann,r=abc":                         scram.ErrBinding,
		"n,a=bob,n=ann,r=abc":                    scram.ErrBinding,
		"p=tls-unique,,n=a,r=b":                  scram.ErrBinding,
		"n,,n=a=nn,r=abc":                        scram.ErrMalformed,
		"n,,n=,r=abc":                            scram.ErrMalformed,
		"n,,n=ann,r=":                            scram.ErrMalformed,
		"n,,n=ann,r=a b":                         scram.ErrMalformed,
		"n,,r=abc,n=ann":                         scram.ErrMalformed,
		"n,,m=x,n=ann,r=abc":                     scram.ErrMalformed,
		"n,,n=a\x00nn,r=abc":                     scram.ErrMalformed,
		"n,,n=\xff,r=abc":                        scram.ErrMalformed,
		"hello":                                  scram.ErrMalformed,
		"n,,n=ann,r=" + strings.Repeat("x", 257): scram.ErrMalformed,
	} {
		f, err := scram.ParseFirst([]byte(message))
		if !errors.Is(err, want) || want == nil && f.User != "ann" {
			t.Errorf("%q: user %q, error %v, want %v", message, f.User, err, want)
		}
	}
}

func TestStepOfAnUnknownMethodAndBeforeTheFirstMessage(t *testing.T) {
	t.Parallel()
	none := func(string) (broker.SCRAM, error) { return broker.SCRAM{}, errors.New("not asked") }
	if _, _, _, err := scram.Step("SCRAM-SHA-1", []byte("n,,n=a,r=b"), nil, none); !errors.Is(err, scram.ErrMethod) {
		t.Errorf("unknown method: %v", err)
	}
	data, state, user, err := scram.Step(scram.SHA256, nil, nil, none)
	if len(data) > 0 || len(state) > 0 || user != "" || err != nil {
		t.Errorf("a client that lets the server begin is told %q, state %q, user %q, %v", data, state, user, err)
	}
}

func TestChallengesDiffer(t *testing.T) {
	t.Parallel()
	f, err := scram.ParseFirst([]byte("n,,n=ann,r=abc"))
	if err != nil {
		t.Fatal(err)
	}
	k := keys(t, scram.SHA256, "pencil")
	one, _ := f.Challenge(k)
	two, _ := f.Challenge(k)
	if string(one) == string(two) || !strings.HasPrefix(string(one), "r=abc") || !strings.HasSuffix(string(one), ",i=4096") {
		t.Errorf("challenges %q and %q", one, two)
	}
}

func TestDerivationIsBounded(t *testing.T) {
	t.Parallel()
	for _, iterations := range []int{0, scram.MinIterations - 1, scram.MaxIterations + 1} {
		if _, err := scram.Derive(scram.SHA256, []byte("x"), nil, iterations); err == nil {
			t.Errorf("%d iterations were taken", iterations)
		}
	}
	if _, err := scram.Derive("SCRAM-SHA-1", []byte("x"), nil, scram.MinIterations); !errors.Is(err, scram.ErrMethod) {
		t.Errorf("unknown method: %v", err)
	}
	k := keys(t, scram.SHA256, "x")
	k.StoredKey = k.StoredKey[1:]
	if err := scram.Validate(k); !errors.Is(err, scram.ErrKeys) {
		t.Errorf("short key: %v", err)
	}
}

// FuzzStep shows that no message and no state gets a client in without a proof, and that whatever is challenged can be finished.
func FuzzStep(f *testing.F) {
	for _, seed := range []string{"n,,n=ann,r=abc", "c=biws,r=abc,p=AAAA", "n,,n=a=2Cb,r=x,y=z", "", "n,,", "p=x,,n=a,r=b"} {
		f.Add([]byte(seed), []byte(""))
		f.Add([]byte(seed), []byte("n=ann,r=abc\x00r=abcdef,s=AAAA,i=4096"))
	}
	k, err := scram.Derive(scram.SHA256, []byte("a password that no input has"), []byte("0123456789abcdef"), scram.MinIterations)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data, state []byte) {
		_, next, user, err := scram.Step(scram.SHA256, data, state, func(string) (broker.SCRAM, error) { return k, nil })
		if user != "" {
			t.Fatalf("%q is in with %q and state %q", user, data, state)
		}
		if err == nil && len(next) > 0 {
			if _, err := scram.UserOf(next); err != nil {
				t.Fatalf("the state after %q is not read: %v", data, err)
			}
		}
	})
}
