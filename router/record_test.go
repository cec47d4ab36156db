package router

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

func event(seq uint64, topic, text string) []byte {
	return appendEvent(nil, &broker.Delivery{
		Source: broker.Source{Incarnation: 77, Topic: 3}, Seq: seq,
		Msg: &broker.Message{Topic: topic, Payload: []byte(text), Expires: time.UnixMilli(1000 * int64(seq))},
	}, 12)
}

func snapshotOf(t testing.TB, s *retainedState) []byte {
	t.Helper()
	b, err := s.snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestStateIsTheSameThroughASnapshot(t *testing.T) {
	t.Parallel()
	a := newRetainedState(64)
	for i, topic := range []string{"a", "b", "a", "$SYS/a", "$other/b/c"} {
		if err := a.Apply(event(uint64(i+1), topic, "x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Apply(event(6, "b", "")); err != nil {
		t.Fatal(err)
	}
	b := newRetainedState(64)
	if err := b.Restore(snapshotOf(t, a)); err != nil {
		t.Fatal(err)
	}
	if a.len() != 3 || b.len() != a.len() || !reflect.DeepEqual(a.cursors, b.cursors) || !reflect.DeepEqual(a.epochs, b.epochs) {
		t.Fatalf("%d %d %v %v %v %v", a.len(), b.len(), a.cursors, b.cursors, a.epochs, b.epochs)
	}
	for _, topic := range []string{"a", "$SYS/a", "$other/b/c"} {
		if _, ok := b.get("", topic); !ok {
			t.Errorf("%s is not in the snapshot", topic)
		}
	}
}

// What another version of the program wrote is refused, and the error says so.
func TestOtherVersionsAreRefused(t *testing.T) {
	t.Parallel()
	s := newRetainedState(64)
	if err := s.Apply(event(1, "a", "x")); err != nil {
		t.Fatal(err)
	}
	later, snapshot := event(2, "b", "y"), snapshotOf(t, s)
	later[0], snapshot[0] = 9, 9
	for what, err := range map[string]error{"event": s.Apply(later), "snapshot": newRetainedState(64).Restore(snapshot)} {
		if err == nil || !strings.Contains(err.Error(), what+" of version 9, this program knows version") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if s.len() != 1 {
		t.Errorf("%d retained messages", s.len())
	}
}

func FuzzApply(f *testing.F) {
	f.Add(event(1, "a/b", "payload"))
	f.Add(event(9, "a/b", ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newRetainedState(64)
		if s.Apply(slices.Clone(b)) == nil && len(s.cursors) != 1 && b[1] != opFire && b[1] != opSent {
			t.Fatal("applied without a cursor")
		}
	})
}

func FuzzRestore(f *testing.F) {
	s := newRetainedState(64)
	_ = s.Apply(event(1, "a/b", "payload"))
	f.Add(snapshotOf(f, s))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newRetainedState(64)
		if s.Restore(b) == nil {
			again := newRetainedState(64)
			if err := again.Restore(snapshotOf(t, s)); err != nil || again.len() != s.len() {
				t.Fatalf("%d became %d: %v", s.len(), again.len(), err)
			}
		}
	})
}
