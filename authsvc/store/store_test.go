package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pando-mq/pando/authsvc/acl"
	"github.com/pando-mq/pando/authsvc/hash"
	"github.com/pando-mq/pando/authsvc/store"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	created  = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	password = hash.Stored{Scheme: hash.Scheme{Algorithm: hash.MD5, Salt: hash.SaltFirst}, Salt: []byte("salt"), Hash: "c91e85973ceee05f005996584f067a72"}
	argon    = hash.Stored{Hash: "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$OcOAkK8ur6wLi9aio+rmZn3umNfT1uvIOjYDtQgLxI0"}
)

func open(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func fresh(t testing.TB) *store.Store { return open(t, filepath.Join(t.TempDir(), "users.db")) }

// numbered gives events the sequence numbers from first on.
func numbered(first uint64, events ...store.Event) []store.Event {
	for i := range events {
		events[i].Version, events[i].Sequence = store.Version, first+uint64(i)
	}
	return events
}

func userPut(tenant, name string, p hash.Stored) store.Event {
	return store.Event{Type: store.UserPut, Tenant: tenant, User: &store.User{Name: name, Password: p, Created: created}}
}

func clientPut(tenant, id string) store.Event {
	return store.Event{Type: store.ClientPut, Tenant: tenant, Client: &store.Client{ID: id, Password: argon, Created: created}}
}

func rulePut(id, topic string) store.Event {
	return store.Event{Type: store.ACLPut, Rule: &store.Rule{ID: id, Row: acl.Row{Allow: true, Access: acl.PubSub, Topic: topic}}}
}

func apply(t testing.TB, s *store.Store, events ...store.Event) {
	t.Helper()
	if err := s.Apply(t.Context(), numbered(s.Applied()+1, events...)...); err != nil {
		t.Fatal(err)
	}
}

func snapshot(t testing.TB, s *store.Store) []byte {
	t.Helper()
	b, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUsersAndClients(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	ctx := t.Context()
	hostile := "'; DROP TABLE users; -- #+/%u\r\n\u202e😀"
	apply(t, s, userPut("", "bob", password), userPut("acme", "bob", argon), userPut("", "Bob", argon), userPut("", hostile, argon),
		clientPut("", "bob"), store.Event{Type: store.UserPut, User: &store.User{Name: "root", Password: argon, Superuser: true, Created: created}})
	for _, want := range []struct {
		tenant string
		user   store.User
	}{
		{"", store.User{Name: "bob", Password: password, Created: created}},
		{"acme", store.User{Name: "bob", Password: argon, Created: created}},
		{"", store.User{Name: "Bob", Password: argon, Created: created}},
		{"", store.User{Name: hostile, Password: argon, Created: created}},
		{"", store.User{Name: "root", Password: argon, Superuser: true, Created: created}},
	} {
		got, err := s.User(ctx, want.tenant, want.user.Name)
		if diff := cmp.Diff(want.user, got); err != nil || diff != "" {
			t.Errorf("user %q: %v %s", want.user.Name, err, diff)
		}
	}
	c, err := s.Client(ctx, "", "bob")
	if diff := cmp.Diff(store.Client{ID: "bob", Password: argon, Created: created}, c); err != nil || diff != "" {
		t.Errorf("client: %v %s", err, diff)
	}
	for _, miss := range [][2]string{{"", "eve"}, {"other", "bob"}, {"", ""}, {"", "bo%"}, {"", "bob\x00"}, {"", hostile + "x"}} {
		if _, err := s.User(ctx, miss[0], miss[1]); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("user %q of %q: %v, want ErrNotFound", miss[1], miss[0], err)
		}
	}
	apply(t, s, userPut("", "bob", argon), // replaces the whole record
		store.Event{Type: store.UserDel, Tenant: "acme", Key: "bob"}, store.Event{Type: store.UserDel, Key: "nobody"},
		store.Event{Type: store.ClientDel, Key: "bob"})
	if u, err := s.User(ctx, "", "bob"); err != nil || u.Password.Hash != argon.Hash || u.Password.Salt != nil {
		t.Errorf("replaced user: %+v, %v", u, err)
	}
	if _, err := s.User(ctx, "acme", "bob"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted user: %v", err)
	}
	if _, err := s.Client(ctx, "", "bob"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted client id: %v", err)
	}
}

func TestRulesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	apply(t, s, rulePut("a", "1"), rulePut("b", "2"), rulePut("c", "3"))
	expect := func(want string) {
		t.Helper()
		rules, err := s.Rules(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, r := range rules {
			got += r.ID + r.Topic + " "
		}
		if got != want {
			t.Errorf("rules %q, want %q", got, want)
		}
	}
	expect("a1 b2 c3 ")
	version := s.RulesVersion()
	if version != 3 {
		t.Errorf("rules version %d, want 3", version)
	}
	apply(t, s, userPut("", "bob", argon))
	if s.RulesVersion() != version {
		t.Error("a user changed the version of the rules")
	}
	apply(t, s, rulePut("b", "9"))
	expect("a1 b9 c3 ")
	if s.RulesVersion() != 5 {
		t.Errorf("rules version %d, want 5", s.RulesVersion())
	}
	apply(t, s, store.Event{Type: store.ACLOrder, Order: []string{"c", "gone", "a"}})
	expect("c3 a1 b9 ")
	if s.RulesVersion() != 6 {
		t.Errorf("rules version %d after a new order, want 6", s.RulesVersion())
	}
	apply(t, s, store.Event{Type: store.ACLDel, Key: "c"})
	if s.RulesVersion() != 7 {
		t.Errorf("rules version %d after a deletion, want 7", s.RulesVersion())
	}
	apply(t, s, rulePut("c", "0"))
	expect("a1 b9 c0 ")
	if other, err := s.Rules(t.Context(), "acme"); err != nil || len(other) != 0 {
		t.Errorf("another tenant has %v, %v", other, err)
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	var events []store.Event
	for i := range 25 {
		events = append(events, userPut("", fmt.Sprintf("u%02d", i), argon), clientPut("", fmt.Sprintf("c%02d", i)), rulePut(fmt.Sprintf("r%02d", 24-i), "t"))
	}
	apply(t, s, events...)
	page := func(next func(after string) ([]string, error)) int {
		var all []string
		after := ""
		for {
			got, err := next(after)
			if err != nil || len(got) > 10 {
				t.Fatalf("page of %d: %v", len(got), err)
			}
			all = append(all, got...)
			if len(got) < 10 {
				break
			}
			after = got[len(got)-1]
		}
		seen := map[string]bool{}
		for _, name := range all {
			seen[name] = true
		}
		if len(all) != len(seen) {
			t.Errorf("a record came twice: %v", all)
		}
		return len(all)
	}
	for name, next := range map[string]func(string) ([]string, error){
		"users": func(after string) (out []string, err error) {
			l, err := s.Users(t.Context(), "", after, 10)
			for _, u := range l {
				out = append(out, u.Name)
			}
			return out, err
		},
		"clients": func(after string) (out []string, err error) {
			l, err := s.Clients(t.Context(), "", after, 10)
			for _, c := range l {
				out = append(out, c.ID)
			}
			return out, err
		},
		"rules": func(after string) (out []string, err error) {
			l, err := s.RulesPage(t.Context(), "", after, 10)
			for _, r := range l {
				out = append(out, r.ID)
			}
			return out, err
		},
	} {
		if n := page(next); n != 25 {
			t.Errorf("%s: %d records, want 25", name, n)
		}
	}
	if l, err := s.Users(t.Context(), "", "", -5); err != nil || len(l) != 1 {
		t.Errorf("a limit below 1: %d records, %v; want 1", len(l), err)
	}
}

// Apply is idempotent by sequence number, refuses gaps, and a refusal in the
// middle undoes what came before it.
func TestSequence(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users.db")
	s := open(t, path)
	ctx := t.Context()
	first := numbered(1, userPut("", "a", argon), userPut("", "b", argon))
	if err := s.Apply(ctx, first...); err != nil {
		t.Fatal(err)
	}
	apply(t, s, store.Event{Type: store.UserDel, Key: "a"})
	before := snapshot(t, s)
	if err := s.Apply(ctx, first...); err != nil { // again: nothing happens
		t.Fatal(err)
	}
	if !bytes.Equal(before, snapshot(t, s)) {
		t.Error("events applied twice changed the content")
	}
	refused := []struct {
		name   string
		events []store.Event
		want   error
	}{
		{"gap", numbered(5, userPut("", "x", argon)), store.ErrGap},
		{"gap inside", append(numbered(4, userPut("", "x", argon)), numbered(6, userPut("", "y", argon))...), store.ErrGap},
		{"invalid second", numbered(4, userPut("", "x", argon), userPut("", "", argon)), store.ErrInvalid},
		{"newer version", []store.Event{{Version: 2, Sequence: 4, Type: store.UserDel, Key: "b"}}, store.ErrVersion},
	}
	for _, tt := range refused {
		if err := s.Apply(ctx, tt.events...); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if s.Applied() != 3 || !bytes.Equal(before, snapshot(t, s)) {
			t.Errorf("%s: something changed", tt.name)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Apply(cancelled, numbered(4, userPut("", "x", argon))...); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if s.Applied() != 3 || !bytes.Equal(before, snapshot(t, s)) {
		t.Errorf("after a restart: applied %d, want 3 and the same content", s.Applied())
	}
}

func TestResetAndRemove(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users.db")
	s := open(t, path)
	empty := snapshot(t, s)
	apply(t, s, userPut("", "a", argon), clientPut("", "c"), rulePut("r", "t"))
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.Applied() != 0 || s.RulesVersion() != 0 || !bytes.Equal(empty, snapshot(t, s)) {
		t.Error("something is left after Reset")
	}
	apply(t, s, userPut("", "a", argon))
	if err := errors.Join(s.Close(), store.Remove(path), store.Remove(path)); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if s = open(t, path); s.Applied() != 0 {
		t.Error("events in a removed database")
	}
}

// Readers see whole batches: both users of a pair, or neither.
func TestReadersSeeWholeBatches(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				users, err := s.Users(t.Context(), "", "", 10)
				if err != nil || len(users)%2 != 0 {
					t.Errorf("%d users, %v", len(users), err)
					return
				}
			}
		})
	}
	for range 50 {
		apply(t, s, userPut("", "a", argon), userPut("", "b", argon))
		apply(t, s, store.Event{Type: store.UserDel, Key: "a"}, store.Event{Type: store.UserDel, Key: "b"})
	}
	close(done)
	wg.Wait()
	if s.Applied() != 200 {
		t.Errorf("applied %d, want 200", s.Applied())
	}
}

func BenchmarkStore(b *testing.B) {
	s := fresh(b)
	var events []store.Event
	for i := range 10_000 {
		events = append(events, userPut("", fmt.Sprint("user", i), argon))
	}
	b.Run("apply_10000", func(b *testing.B) {
		for b.Loop() {
			apply(b, s, events...)
		}
	})
	b.Run("apply_1", func(b *testing.B) {
		for b.Loop() {
			apply(b, s, events[:1]...)
		}
	})
	b.Run("user", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.User(b.Context(), "", "user5000"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
