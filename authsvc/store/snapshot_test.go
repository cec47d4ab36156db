package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/pando-mq/pando/authsvc/acl"
	"github.com/pando-mq/pando/authsvc/hash"
	"github.com/pando-mq/pando/authsvc/store"
	"pgregory.net/rapid"
)

func TestSnapshotAndRestore(t *testing.T) {
	t.Parallel()
	a, b := fresh(t), fresh(t)
	apply(t, a, userPut("", "bob", password), userPut("acme", "eve", argon), clientPut("", "c"), rulePut("x", "1"), rulePut("y", "2"),
		store.Event{Type: store.ACLOrder, Order: []string{"y", "x"}}, userPut("", "zoe", argon))
	snap := snapshot(t, a)
	apply(t, b, userPut("", "old", argon), rulePut("old", "t"))
	if err := b.Restore(t.Context(), snap); err != nil {
		t.Fatal(err)
	}
	if b.Applied() != 7 || b.RulesVersion() != 6 || !bytes.Equal(snap, snapshot(t, b)) {
		t.Errorf("restored to %d/%d:\n%s\nwant\n%s", b.Applied(), b.RulesVersion(), snapshot(t, b), snap)
	}
	apply(t, b, rulePut("z", "3")) // life goes on
	rules, err := b.Rules(t.Context(), "")
	if err != nil || len(rules) != 3 || rules[0].ID != "y" || rules[2].ID != "z" {
		t.Errorf("rules %v, %v", rules, err)
	}
}

// Whatever happens to a snapshot on its way, Restore notices and the content
// stays: each truncation and each changed byte.
func TestDamagedSnapshot(t *testing.T) {
	t.Parallel()
	a, b := fresh(t), fresh(t)
	apply(t, a, userPut("", "bob", password), rulePut("x", "1"))
	snap := snapshot(t, a)
	apply(t, b, userPut("", "keep", argon))
	before := snapshot(t, b)
	refuse := func(name string, damaged []byte) {
		t.Helper()
		if err := b.Restore(t.Context(), damaged); !errors.Is(err, store.ErrSnapshot) && !errors.Is(err, store.ErrVersion) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range len(snap) - 1 { // the final line feed says nothing
		refuse(fmt.Sprintf("first %d bytes", n), snap[:n])
	}
	for i := range len(snap) - 1 {
		damaged := bytes.Clone(snap)
		damaged[i] ^= 0x01
		refuse(fmt.Sprintf("byte %d changed", i), damaged)
	}
	refuse("a line more", append(bytes.Clone(snap), "{}\n"...))
	resum := func(body string) []byte {
		return fmt.Appendf([]byte(body), "{\"sha256\":\"%x\"}\n", sha256.Sum256([]byte(body)))
	}
	refuse("fewer records", resum(`{"format":1,"seq":1,"acl_seq":0,"records":1}`+"\n"))
	refuse("negative records", resum(`{"format":1,"seq":1,"acl_seq":0,"records":-1}`+"\n"))
	refuse("rules newer than all", resum(`{"format":1,"seq":1,"acl_seq":2,"records":0}`+"\n"))
	refuse("format 2", resum(`{"format":2,"seq":1,"acl_seq":0,"records":0}`+"\n"))
	refuse("a deletion", resum(`{"format":1,"seq":1,"acl_seq":0,"records":1}`+"\n"+`{"v":1,"seq":1,"type":"user_del","key":"keep"}`+"\n"))
	if !bytes.Equal(before, snapshot(t, b)) {
		t.Error("a refused snapshot changed the content")
	}
	if err := b.Restore(t.Context(), resum(`{"format":1,"seq":9,"acl_seq":2,"records":0}`+"\n")); err != nil || b.Applied() != 9 {
		t.Errorf("a good empty snapshot: %v, applied %d", err, b.Applied())
	}
}

// model is the content as plain Go values.
type model struct {
	users, clients map[string]string // tenant/name -> hash
	rules          map[string][]store.Rule
}

func (m *model) apply(e store.Event) {
	switch e.Type {
	case store.UserPut:
		m.users[e.Tenant+"/"+e.User.Name] = e.User.Password.Hash
	case store.UserDel:
		delete(m.users, e.Tenant+"/"+e.Key)
	case store.ClientPut:
		m.clients[e.Tenant+"/"+e.Client.ID] = e.Client.Password.Hash
	case store.ClientDel:
		delete(m.clients, e.Tenant+"/"+e.Key)
	default:
		m.rules[e.Tenant] = applyRules(m.rules[e.Tenant], e)
	}
}

func applyRules(rules []store.Rule, e store.Event) []store.Rule {
	var out []store.Rule
	take := func(id string) {
		for i, r := range rules {
			if r.ID == id {
				out = append(out, r)
				rules = append(append([]store.Rule{}, rules[:i]...), rules[i+1:]...)
				return
			}
		}
	}
	switch e.Type {
	case store.ACLPut:
		for i := range rules {
			if rules[i].ID == e.Rule.ID {
				rules[i] = *e.Rule
				return rules
			}
		}
		return append(rules, *e.Rule)
	case store.ACLDel:
		take(e.Key)
		return rules
	}
	for _, id := range e.Order {
		take(id)
	}
	return append(out, rules...)
}

func genEvent(t *rapid.T) store.Event {
	name := rapid.SampledFrom([]string{"a", "b", "c", "d", "é"}).Draw(t, "name")
	e := store.Event{
		Tenant: rapid.SampledFrom([]string{"", "acme"}).Draw(t, "tenant"),
		Type: rapid.SampledFrom([]store.Type{store.UserPut, store.UserPut, store.UserDel, store.ClientPut, store.ClientDel,
			store.ACLPut, store.ACLPut, store.ACLPut, store.ACLDel, store.ACLOrder, store.ACLReload}).Draw(t, "type"),
	}
	p := rapid.SampledFrom([]hash.Stored{argon, password}).Draw(t, "password")
	switch e.Type {
	case store.UserPut:
		e.User = &store.User{Name: name, Password: p, Created: created}
	case store.ClientPut:
		e.Client = &store.Client{ID: name, Password: p, Created: created}
	case store.ACLPut:
		topic := rapid.SampledFrom([]string{"1", "2", "eq #"}).Draw(t, "topic")
		e.Rule = &store.Rule{ID: name, Row: acl.Row{Access: acl.PubSub, Topic: topic}}
	case store.ACLOrder:
		e.Order = rapid.Permutation([]string{"a", "b", "c", "x"}).Draw(t, "order")[:rapid.IntRange(1, 4).Draw(t, "n")]
	default:
		e.Key = name
	}
	return e
}

// Three ways to the same content: one event at a time; in batches that overlap;
// a snapshot in the middle and the rest after it. All agree with the model.
func TestReplayAgrees(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var stores [3]*store.Store
	for i := range stores {
		stores[i] = open(t, filepath.Join(dir, fmt.Sprint(i)))
	}
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range stores {
			must(s.Reset(ctx))
		}
		events := numbered(1, rapid.SliceOfN(rapid.Custom(genEvent), 1, 25).Draw(t, "events")...)
		m := &model{users: map[string]string{}, clients: map[string]string{}, rules: map[string][]store.Rule{}}
		middle := rapid.IntRange(0, len(events)).Draw(t, "middle")
		for i, e := range events {
			if i == middle {
				snap, err := stores[0].Snapshot(ctx)
				must(err)
				must(stores[2].Restore(ctx, snap))
			}
			must(stores[0].Apply(ctx, e))
			m.apply(e)
		}
		must(stores[1].Apply(ctx, events[:middle]...))
		must(stores[1].Apply(ctx, events[middle/2:]...))
		must(stores[2].Apply(ctx, events...))
		want, err := stores[0].Snapshot(ctx)
		must(err)
		for i, s := range stores[1:] {
			got, err := s.Snapshot(ctx)
			must(err)
			if !bytes.Equal(got, want) {
				t.Fatalf("way %d:\n%s\nwant\n%s", i+1, got, want)
			}
		}
		m.compare(t, stores[0])
	})
}

func (m *model) compare(t *rapid.T, s *store.Store) {
	ctx := t.Context()
	users, clients := 0, 0
	for _, tenant := range []string{"", "acme"} {
		us, err := s.Users(ctx, tenant, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range us {
			if users++; m.users[tenant+"/"+u.Name] != u.Password.Hash {
				t.Fatalf("user %s of %s: %s", u.Name, tenant, u.Password.Hash)
			}
		}
		cs, err := s.Clients(ctx, tenant, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cs {
			if clients++; m.clients[tenant+"/"+c.ID] != c.Password.Hash {
				t.Fatalf("client id %s of %s: %s", c.ID, tenant, c.Password.Hash)
			}
		}
		rules, err := s.Rules(ctx, tenant)
		if err != nil || fmt.Sprint(rules) != fmt.Sprint(m.rules[tenant]) {
			t.Fatalf("rules of %s: %v, %v; want %v", tenant, rules, err, m.rules[tenant])
		}
	}
	if users != len(m.users) || clients != len(m.clients) {
		t.Fatalf("%d users and %d client ids, want %d and %d", users, clients, len(m.users), len(m.clients))
	}
}

// FuzzRestore: no bytes panic, and what is refused changes nothing.
func FuzzRestore(f *testing.F) {
	s := fresh(f)
	apply(f, s, userPut("", "bob", password), clientPut("t", "c"), rulePut("x", "a/%u"))
	f.Add(snapshot(f, s))
	f.Add([]byte(`{"format":1,"seq":1,"acl_seq":0,"records":0}` + "\n" + `{"sha256":""}` + "\n"))
	f.Add([]byte("{}\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := snapshot(t, s)
		if err := s.Restore(t.Context(), b); err != nil && !bytes.Equal(before, snapshot(t, s)) {
			t.Fatalf("refused (%v) but changed", err)
		}
	})
}
