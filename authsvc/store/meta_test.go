package store_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"github.com/pando-mq/pando/authsvc/store"
)

func reload(digest string) store.Event { return store.Event{Type: store.ACLReload, Key: digest} }

func TestReloadIsAVersionOfTheRulesAndOfTheFile(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	if seq, digest := s.FileVersion(); seq != 0 || digest != "" {
		t.Errorf("a new store has file version %d, %q", seq, digest)
	}
	apply(t, s, userPut("", "a", argon), reload("one"), rulePut("r", "t"), userPut("", "b", argon))
	if seq, digest := s.FileVersion(); seq != 2 || digest != "one" || s.RulesVersion() != 3 {
		t.Errorf("file version %d, %q; rules version %d", seq, digest, s.RulesVersion())
	}
	apply(t, s, reload("two"))
	if seq, digest := s.FileVersion(); seq != 5 || digest != "two" || s.RulesVersion() != 5 {
		t.Errorf("file version %d, %q; rules version %d", seq, digest, s.RulesVersion())
	}

	copied := fresh(t)
	if err := copied.Restore(t.Context(), snapshot(t, s)); err != nil {
		t.Fatal(err)
	}
	if seq, digest := copied.FileVersion(); seq != 5 || digest != "two" || !bytes.Equal(snapshot(t, copied), snapshot(t, s)) {
		t.Errorf("by way of a snapshot: file version %d, %q", seq, digest)
	}
	if err := s.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if seq, digest := s.FileVersion(); seq != 0 || digest != "" {
		t.Errorf("after Reset: file version %d, %q", seq, digest)
	}
}

func TestTipTellsHistoriesApart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users.db")
	s := open(t, path)
	other := fresh(t)
	apply(t, s, userPut("", "a", argon), userPut("", "b", argon))
	apply(t, other, userPut("", "a", argon), userPut("", "c", argon))
	seq, tip := s.Tip()
	if _, otherTip := other.Tip(); seq != 2 || tip == "" || tip == otherTip {
		t.Errorf("tips %d, %q and %q", seq, tip, otherTip)
	}
	events := numbered(2, userPut("", "b", argon))
	encoded, err := events[0].Encode()
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := store.DecodeEvent(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if digest, err := decoded.Digest(); err != nil || digest != tip {
		t.Errorf("the event's digest is %q, error %v; the tip %q", digest, err, tip)
	}
	if err := s.Apply(t.Context(), events...); err != nil { // known: nothing changes
		t.Fatal(err)
	}
	if seq, again := open(t, path).Tip(); seq != 2 || again != tip {
		t.Errorf("opened again: tip %d, %q, want %q", seq, again, tip)
	}
	if err := other.Restore(t.Context(), snapshot(t, s)); err != nil {
		t.Fatal(err)
	}
	if seq, tip := other.Tip(); seq != 2 || tip != "" {
		t.Errorf("after a snapshot: tip %d, %q", seq, tip)
	}
}

func TestEmptyAndSnapshotSequence(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	want := func(empty bool, sequence uint64) {
		t.Helper()
		if got, err := s.Empty(t.Context()); err != nil || got != empty {
			t.Errorf("empty: %v, error %v, want %v", got, err, empty)
		}
		if got, err := store.SnapshotSequence(snapshot(t, s)); err != nil || got != sequence {
			t.Errorf("sequence of the snapshot: %d, error %v, want %d", got, err, sequence)
		}
	}
	want(true, 0)
	apply(t, s, rulePut("r", "t"))
	want(true, 1)
	apply(t, s, userPut("other", "a", argon))
	want(false, 2)
	apply(t, s, store.Event{Type: store.UserDel, Tenant: "other", Key: "a"}, clientPut("", "c"))
	want(false, 4)
	if _, err := store.SnapshotSequence([]byte("{}")); !errors.Is(err, store.ErrSnapshot) {
		t.Errorf("a damaged snapshot: %v", err)
	}
}
