package store_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pando-mq/pando/authsvc/store"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/scram"
)

// keysOf are a password's keys for all methods.
func keysOf(t testing.TB, password string) []store.SCRAM {
	t.Helper()
	var list []broker.SCRAM
	for _, method := range scram.Methods() {
		k, err := scram.Derive(method, []byte(password), nil, scram.MinIterations)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, k)
	}
	return store.SCRAMOf(list)
}

// TestKeysOfUsers live through the file, an event and a snapshot; the first seed stays.
func TestKeysOfUsers(t *testing.T) {
	t.Parallel()
	a, b := fresh(t), fresh(t)
	one, two := strings.Repeat("01", 32), strings.Repeat("02", 32)
	put := userPut("acme", "bob", argon)
	put.User.SCRAM = keysOf(t, "pencil")
	apply(t, a, store.Event{Type: store.SCRAMSeed, Key: one}, put, userPut("acme", "eve", argon), store.Event{Type: store.SCRAMSeed, Key: two})
	if err := b.Restore(t.Context(), snapshot(t, a)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*store.Store{a, b} {
		u, err := s.User(t.Context(), "acme", "bob")
		if diff := cmp.Diff(put.User.SCRAM, u.SCRAM); err != nil || diff != "" || s.SCRAMSeed() != one {
			t.Errorf("seed %s, %v %s", s.SCRAMSeed(), err, diff)
		}
		if u, err := s.User(t.Context(), "acme", "eve"); err != nil || u.SCRAM != nil {
			t.Errorf("%+v, %v", u, err)
		}
	}
	if !bytes.Equal(snapshot(t, a), snapshot(t, b)) {
		t.Error("the snapshot of a snapshot is another one")
	}
	if err := a.Reset(t.Context()); err != nil || a.SCRAMSeed() != "" {
		t.Errorf("seed %q after a reset, %v", a.SCRAMSeed(), err)
	}
}

func TestInvalidKeysAreNoEvent(t *testing.T) {
	t.Parallel()
	good := keysOf(t, "x")
	for name, list := range map[string][]store.SCRAM{
		"twice":          {good[0], good[0]},
		"unknown method": {{Method: "X", Iterations: 4096, Salt: good[0].Salt, StoredKey: good[0].StoredKey, ServerKey: good[0].ServerKey}},
		"cheap":          {{Method: good[0].Method, Iterations: 4095, Salt: good[0].Salt, StoredKey: good[0].StoredKey, ServerKey: good[0].ServerKey}},
		"no salt":        {{Method: good[0].Method, Iterations: 4096, StoredKey: good[0].StoredKey, ServerKey: good[0].ServerKey}},
		"cut":            {{Method: good[0].Method, Iterations: 4096, Salt: good[0].Salt, StoredKey: good[0].StoredKey[1:], ServerKey: good[0].ServerKey}},
	} {
		put := userPut("", "bob", argon)
		put.User.SCRAM = list
		if e := numbered(1, put)[0]; e.Validate() == nil {
			t.Errorf("%s: the event is valid", name)
		}
	}
	for _, key := range []string{"", "01", strings.Repeat("0", 63), strings.Repeat("xy", 32)} {
		if e := numbered(1, store.Event{Type: store.SCRAMSeed, Key: key})[0]; e.Validate() == nil {
			t.Errorf("the seed %q is valid", key)
		}
	}
}
