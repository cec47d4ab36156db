package journal_test

import (
	"context"
	"testing"

	"github.com/pando-mq/pando/services/journal"
)

type list struct{ events []string }

func (l *list) Restore(b []byte) error { l.events = []string{string(b)}; return nil }
func (l *list) Apply(b []byte) error   { l.events = append(l.events, string(b)); return nil }

func TestSmoke(t *testing.T) {
	s := journal.NewMemory()
	l, err := s.Open(t.Context(), "SS_1", journal.Owner{Epoch: 1}, &list{})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 3)
	for _, e := range []string{"a", "b", "c"} {
		if err := l.Append([]byte(e), func(err error) { got <- err }); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-got; err != nil {
			t.Fatal(err)
		}
	}
	m := &list{}
	l, err = s.Open(t.Context(), "SS_1", journal.Owner{Epoch: 2}, m)
	if err != nil || len(m.events) != 3 {
		t.Fatal(err, m.events)
	}
	l.Close(t.Context())
}
