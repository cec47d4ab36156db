package authsvc_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pando-mq/pando/authsvc"
	"github.com/pando-mq/pando/services/broker"
	conf "github.com/pando-mq/pando/services/config"
)

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	strict := config()
	strict.AllowAnonymous = no()
	open := config()
	open.AllowAnonymous = yes()
	userFirst := config()
	userFirst.Chain = []string{authsvc.ChainUser, authsvc.ChainClient}
	onlyClients := strict
	onlyClients.Chain = []string{authsvc.ChainClient}
	n := map[string]*node{
		"auto": s.start("auto", config()), "no": s.start("no", strict), "yes": s.start("yes", open),
		"user first": s.start("user", userFirst), "clients only": s.start("clients", onlyClients),
	}
	admin := n["auto"]
	must(t, admin.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("ann's")}))
	must(t, admin.PutUser(t.Context(), broker.User{Name: "root", Password: broker.Secret("root's"), Superuser: true}))
	must(t, admin.PutUser(t.Context(), broker.User{Tenant: "acme", Name: "tess", Password: broker.Secret("tess's")}))
	must(t, admin.PutClientID(t.Context(), broker.User{Name: "meter", Password: broker.Secret("meter's")}))
	for _, a := range n {
		s.eventually("all replicas have the client id", func() bool {
			list, err := a.ClientIDs(t.Context(), "", "", 10)
			return err == nil && len(list) == 1
		})
	}
	const refused = broker.KindUnauthenticated
	for _, tt := range []struct {
		name, at, clientID, username, password string
		kind                                   broker.Kind
		ok                                     bool
		asUser                                 string
	}{
		{name: "right password", at: "auto", clientID: "c", username: "ann", password: "ann's", ok: true, asUser: "ann"},
		{name: "wrong password", at: "auto", clientID: "c", username: "ann", password: "x", kind: refused},
		{name: "wrong password where anonymous clients get in", at: "yes", clientID: "c", username: "ann", password: "x", kind: refused},
		{name: "known user without a password", at: "yes", clientID: "c", username: "ann", kind: refused},
		{name: "unknown user", at: "auto", clientID: "c", username: "bob", password: "x", kind: refused},
		{name: "unknown user where anonymous clients get in", at: "yes", clientID: "c", username: "bob", password: "x", ok: true, asUser: "bob"},
		{name: "nobody", at: "no", clientID: "c", kind: refused},
		{name: "nobody, while there are users", at: "auto", clientID: "c", kind: refused},
		{name: "nobody where anonymous clients get in", at: "yes", clientID: "c", ok: true},
		{name: "user of another tenant", at: "auto", clientID: "c", username: "tess", password: "tess's", kind: refused},
		{name: "client id", at: "auto", clientID: "meter", password: "meter's", ok: true},
		{name: "client id with a wrong password", at: "yes", clientID: "meter", password: "x", kind: refused},
		{name: "client id with its password and a free user name", at: "auto", clientID: "meter", username: "free", password: "meter's", ok: true, asUser: "free"},
		{name: "client id with its password and somebody's user name", at: "auto", clientID: "meter", username: "root", password: "meter's", ok: true},
		{name: "user on a known client id", at: "auto", clientID: "meter", username: "ann", password: "ann's", kind: refused},
		{name: "user on a known client id, users first", at: "user first", clientID: "meter", username: "ann", password: "ann's", ok: true, asUser: "ann"},
		{name: "client id and a user's wrong password, users first", at: "user first", clientID: "meter", username: "ann", password: "meter's", kind: refused},
		{name: "users are not asked", at: "clients only", clientID: "c", username: "ann", password: "ann's", kind: refused},
		{name: "password of 64 KiB", at: "auto", clientID: "c", username: "ann", password: strings.Repeat("x", 65536), kind: refused},
		{name: "name that is no UTF-8", at: "auto", clientID: "\xff", username: "\xff", password: "x", kind: refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			id, err := n[tt.at].login(t, tt.clientID, tt.username, tt.password)
			if !tt.ok {
				wantKind(t, err, tt.kind)
				if id != nil {
					t.Errorf("identity %+v with an error", id)
				}
				return
			}
			must(t, err)
			if id.Username != tt.asUser || id.ClientID != tt.clientID || id.Superuser || id.Peer != peerAddr || id.Listener == "" || id.Version != 5 {
				t.Errorf("identity %+v", id)
			}
		})
	}
	id, err := admin.login(t, "c", "root", "root's")
	if err != nil || !id.Superuser {
		t.Errorf("superuser: %+v, %v", id, err)
	}
	c := credentials("c", "tess", "tess's")
	c.Tenant = "acme"
	if id, err := admin.Authenticate(t.Context(), c); err != nil || id.Tenant != "acme" {
		t.Errorf("user of a tenant: %+v, %v", id, err)
	}
}

// Without any configuration only loopback listeners admit anonymous clients, and only until there is a user.
func TestAnonymousWithoutConfiguration(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	n := s.start("a", config())
	try := func(loopback bool) error {
		c := credentials("c", "", "")
		c.Loopback = loopback
		_, err := n.Authenticate(t.Context(), c)
		return err
	}
	configured := func(want bool) {
		t.Helper()
		if got, err := n.Configured(t.Context()); err != nil || got != want {
			t.Errorf("configured: %v, %v, want %v", got, err, want)
		}
	}
	configured(false)
	must(t, try(true))
	wantKind(t, try(false), broker.KindUnauthenticated)
	must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("x")}))
	configured(true)
	wantKind(t, try(true), broker.KindUnauthenticated)
	must(t, n.DeleteUser(t.Context(), "", "ann"))
	must(t, try(true))
}

// What one computation costs is the promise of package hash.
func TestUnknownUsersCostOneComputation(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	cfg := config()
	cfg.AllowAnonymous = no()
	n := s.start("a", cfg)
	must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("x")}))
	must(t, n.PutClientID(t.Context(), broker.User{Name: "meter", Password: broker.Secret("x")}))
	for name, tt := range map[string]struct {
		credentials *broker.Credentials
		want        float64
	}{
		"known user":                   {credentials("c", "ann", "wrong"), 1},
		"known client id":              {credentials("meter", "", "wrong"), 1},
		"nobody knows it":              {credentials("c", "bob", "wrong"), 1},
		"known user, no password":      {credentials("c", "ann", ""), 0},
		"nobody knows it, no password": {credentials("c", "bob", ""), 0},
	} {
		before := values(t, n.metrics)["pando_auth_password_computations_total"]
		_, err := n.Authenticate(t.Context(), tt.credentials)
		wantKind(t, err, broker.KindUnauthenticated)
		if got := values(t, n.metrics)["pando_auth_password_computations_total"] - before; got != tt.want {
			t.Errorf("%s: %v computations, want %v", name, got, tt.want)
		}
	}
}

func TestVerifiedCredentialsAreRemembered(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	n := s.start("a", config())
	cfg := config()
	cfg.Password.CacheTTL = 0
	without := s.start("b", cfg)
	must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("old")}))
	s.eventually("both have the user", func() bool {
		x, _ := n.Users(t.Context(), "", "", 1)
		y, _ := without.Users(t.Context(), "", "", 1)
		return len(x) == 1 && len(y) == 1
	})
	for at, want := range map[*node]float64{n: 1, without: 5} {
		before := values(t, at.metrics)["pando_auth_password_computations_total"]
		for range 5 {
			_, err := at.login(t, "c", "ann", "old")
			must(t, err)
		}
		if got := values(t, at.metrics)["pando_auth_password_computations_total"] - before; got != want {
			t.Errorf("%s: %v computations for 5 logins, want %v", at.dir, got, want)
		}
	}
	owner := s.owner(n, without)
	must(t, owner.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("new")}))
	_, err := owner.login(t, "c", "ann", "old")
	wantKind(t, err, broker.KindUnauthenticated)
}

func TestImportedHashes(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	n := s.start("a", config())
	sum := md5.Sum([]byte("saltpublic"))
	for method, u := range map[string]broker.User{
		"plain":     {Hash: "public"},
		"salt,md5":  {Hash: hex.EncodeToString(sum[:]), Salt: "salt"},
		"sha256":    {Hash: "efa1f375d76194fa51a3556a97e641e61685f914d446979da50a551a4333ffd7"},
		"bcrypt":    {Hash: "$2a$04$broken"},
		"md5":       {Hash: "abc"},
		"argon2id":  {Hash: "$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHQ$AAAA"},
		"something": {Hash: "x"},
	} {
		t.Run(method, func(t *testing.T) {
			u.Name, u.Method = method, method
			err := n.PutUser(t.Context(), u)
			if method != "plain" && method != "salt,md5" && method != "sha256" {
				wantKind(t, err, broker.KindInvalid)
				return
			}
			must(t, err)
			if _, err := n.login(t, "c", method, "public"); err != nil {
				t.Error(err)
			}
			_, err = n.login(t, "c", method, "Public")
			wantKind(t, err, broker.KindUnauthenticated)
		})
	}
}

// What the built-in user tables of the seed hold (§6.4, §8.3) is binary: it travels as text, through every authsvc.
func TestHashesOfTheSeedsOwnTables(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	a, b := s.start("a", config()), s.start("b", config())
	rest := other(s.owner(a, b), a, b)
	salt := []byte{0xff, 0x00, 0xc3, 0x28} // not UTF-8
	sum := md5.Sum(append(slices.Clone(salt), "public"...))
	row := hex.EncodeToString(append(slices.Clone(salt), sum[:]...))
	must(t, rest.PutUser(t.Context(), broker.User{Name: "admin", Hash: row, Method: "emq"}))
	must(t, rest.PutClientID(t.Context(), broker.User{Name: "dev", Hash: strings.ToUpper(row), Method: "EMQ"}))
	s.knows(rest, "admin", "public")
	s.eventually("the client id can log in", func() bool {
		_, err := rest.login(t, "dev", "", "public")
		return err == nil
	})
	_, err := rest.login(t, "c", "admin", "Public")
	wantKind(t, err, broker.KindUnauthenticated)
	for _, u := range []broker.User{
		{Name: "x", Hash: row[:38], Method: "emq"}, {Name: "x", Hash: row + "00", Method: "emq"}, {Name: "x", Hash: row[:39] + "g", Method: "emq"},
		{Name: "x", Hash: row, Method: "emq", Salt: "salt"},
	} {
		wantKind(t, rest.PutUser(t.Context(), u), broker.KindInvalid)
	}
}

func TestStaticEntries(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	cfg := config()
	cfg.Users = []authsvc.StaticUser{
		{Username: "ann", Password: conf.NewSecret("first")}, {Username: "root", Password: conf.NewSecret("r"), Superuser: true},
	}
	cfg.Clients = []authsvc.StaticClient{{ClientID: "meter", Password: conf.NewSecret("m")}}
	n := s.start("a", cfg)
	for _, c := range []*broker.Credentials{credentials("c", "ann", "first"), credentials("c", "root", "r"), credentials("meter", "", "m")} {
		if _, err := n.Authenticate(t.Context(), c); err != nil {
			t.Errorf("%s/%s, right after the start: %v", c.ClientID, c.Username, err)
		}
	}
	must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("changed")}))
	s.stop(n)
	n = s.start("a", cfg)
	if _, err := n.login(t, "c", "ann", "changed"); err != nil {
		t.Errorf("the changed password after a restart: %v", err)
	}
	_, err := n.login(t, "c", "ann", "first")
	wantKind(t, err, broker.KindUnauthenticated)
	anonymous := credentials("c", "", "")
	anonymous.Loopback = true
	_, err = n.Authenticate(t.Context(), anonymous)
	wantKind(t, err, broker.KindUnauthenticated)
}

func TestDeniedOnErrors(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	cfg := config()
	cfg.AllowAnonymous = yes()
	n := s.start("a", cfg)
	must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("x")}))

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []*broker.Credentials{credentials("c", "ann", "x"), credentials("c", "ann", "wrong"), credentials("c", "bob", "x")} {
		id, err := n.Authenticate(ended, c)
		wantKind(t, err, broker.KindCanceled)
		if id != nil {
			t.Errorf("%s got in", c.Username)
		}
	}
	_, err := n.Authorize(t.Context(), nil, broker.ActionPublish, []string{"a"})
	wantKind(t, err, broker.KindInvalid)
	_, err = n.Authorize(t.Context(), &broker.Identity{}, 0, []string{"a"})
	wantKind(t, err, broker.KindInvalid)

	fresh := s.join("b", cfg) // not started: nothing is known yet
	_, err = fresh.login(t, "c", "", "")
	wantKind(t, err, broker.KindUnavailable)
	_, err = fresh.Authorize(t.Context(), &broker.Identity{}, broker.ActionPublish, []string{"a"})
	wantKind(t, err, broker.KindUnavailable)
	_, err = fresh.Users(t.Context(), "", "", 0)
	wantKind(t, err, broker.KindUnavailable)

	s.stop(n)
	_, err = n.login(t, "c", "ann", "x")
	wantKind(t, err, broker.KindUnavailable)
}

// More clients than may wait are told so, not let in.
func TestStormIsBounded(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	cfg := config()
	cfg.PasswordHash = "argon2id,32768,2,1"
	cfg.Password.Workers, cfg.Password.Queue = 1, 1
	n := s.start("a", cfg)
	must(t, n.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("x")}))
	results := make(chan error, 16)
	for i := range cap(results) {
		go func() {
			_, err := n.login(t, "c", "ann", fmt.Sprint("wrong", i))
			results <- err
		}()
	}
	kinds := map[broker.Kind]int{}
	for range cap(results) {
		kinds[broker.KindOf(<-results)]++
	}
	if kinds[broker.KindBusy] == 0 || kinds[broker.KindUnauthenticated] == 0 || len(kinds) != 2 {
		t.Errorf("answers: %v", kinds)
	}
}
