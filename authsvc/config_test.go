package authsvc_test

import (
	"bytes"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pando-mq/pando/authsvc"
	conf "github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/config/emq"
)

var update = flag.Bool("update", false, "write the golden files")

// file is a configuration file with the section auth alone.
type file struct {
	Auth authsvc.Config `yaml:"auth"`
}

func load(t *testing.T, text string) (authsvc.Config, *conf.Loaded, error) {
	t.Helper()
	var f file
	loaded, err := conf.Load(&f, conf.Source{File: "pando.yaml", Text: []byte(text), Environ: []string{"SECRET=from the environment"}})
	return f.Auth, loaded, err
}

func TestDefaultsAreTheTags(t *testing.T) {
	t.Parallel()
	got, loaded, err := load(t, "auth:\n")
	must(t, err)
	if diff := cmp.Diff(authsvc.Default(), got); diff != "" {
		t.Error(diff)
	}
	must(t, got.Validate())
	var b bytes.Buffer
	must(t, loaded.Print(&b))
	const golden = "config.golden.yaml"
	if *update {
		must(t, os.WriteFile(golden, b.Bytes(), 0o600))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s is out of date, run go test -update:\n%s", golden, diff)
	}
}

func TestConfigIsRead(t *testing.T) {
	t.Parallel()
	got, _, err := load(t, `
auth:
  allow_anonymous: false
  chain: [user]
  acl_nomatch: allow
  acl_file: /etc/acl.conf
  cache: {enable: false, ttl: 1m}
  password_hash: bcrypt,12
  password: {cache_ttl: 0, workers: 2, queue_bytes: 1MB}
  users:
    - {username: ann, password: env:SECRET}
    - {username: root, password: x, superuser: true}
  clients:
    - {clientid: meter, password: y}
`)
	must(t, err)
	if got.AllowAnonymous == nil || *got.AllowAnonymous || !slices.Equal(got.Chain, []string{"user"}) || got.ACLNoMatch != "allow" ||
		got.ACLFile != "/etc/acl.conf" || got.Cache.Enable || got.Cache.TTL != time.Minute || got.PasswordHash != "bcrypt,12" ||
		got.Password.CacheTTL != 0 || got.Password.Workers != 2 || got.Password.QueueBytes != 1<<20 {
		t.Errorf("%+v", got)
	}
	if len(got.Users) != 2 || got.Users[0].Password.Value() != "from the environment" || !got.Users[1].Superuser || len(got.Clients) != 1 ||
		got.Clients[0].ClientID != "meter" || got.Clients[0].Password.Value() != "y" {
		t.Errorf("%+v %+v", got.Users, got.Clients)
	}
}

func TestConfigRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"unknown key":       {"acl_nomach: deny", "acl_nomatch"},
		"no match":          {"acl_nomatch: maybe", "auth.acl_nomatch"},
		"chain":             {"chain: [ldap]", "auth.chain"},
		"chain twice":       {"chain: [user, user]", "twice"},
		"weak hash":         {"password_hash: md5", "auth.password_hash"},
		"salt elsewhere":    {"password_hash: 'pbkdf2,sha256,1000,32'", "auth.password_hash"},
		"unknown hash":      {"password_hash: rot13", "auth.password_hash"},
		"cache time":        {"password: {cache_ttl: 2d}", "auth.password"},
		"negative queue":    {"password: {queue: -1}", "auth.password"},
		"user, no password": {"users: [{username: ann}]", "auth.users[0]"},
		"user, no name":     {"users: [{password: x}]", "auth.users[0]"},
		"client, no name":   {"clients: [{password: x}]", "auth.clients[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, "auth:\n  "+tt.text+"\n")
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "pando.yaml") {
				t.Errorf("got %v, want a problem with %q at its place", err, tt.want)
			}
		})
	}
	bad := authsvc.Default()
	bad.ACLNoMatch = ""
	if _, err := authsvc.New(bad, authsvc.Deps{}); err == nil {
		t.Error("New takes a bad configuration")
	}
	if _, err := authsvc.New(authsvc.Default(), authsvc.Deps{}); err == nil {
		t.Error("New takes no dependencies")
	}
}

// Every key that a file of EMQ 2.x sets in the section auth is there.
func TestKeysOfEMQ(t *testing.T) {
	t.Parallel()
	keys, err := conf.Keys(&file{})
	must(t, err)
	var known []string
	for _, k := range keys {
		known = append(known, k.Path)
	}
	found := 0
	for _, target := range emq.Targets() {
		if !strings.HasPrefix(target, "auth.") {
			continue
		}
		found++
		if !slices.ContainsFunc(known, func(k string) bool { return k == target || strings.HasPrefix(k, target+"[") }) {
			t.Errorf("%s is not a key; there are %q", target, known)
		}
	}
	if found < 6 {
		t.Errorf("only %d targets in the section auth", found)
	}
}
