package sessionstore_test

import (
	"bytes"
	"sync"
	"testing"

	sessionstore "github.com/pando-mq/pando/session-store"

	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/session"
)

// recorder is a journal machine that keeps the events as they are.
type recorder struct{ events [][]byte }

func (r *recorder) Restore([]byte) error { return nil }
func (r *recorder) Apply(b []byte) error { r.events = append(r.events, bytes.Clone(b)); return nil }

// TestEveryEventIsReadAsWritten replays the log of a full life, event by event.
func TestEveryEventIsReadAsWritten(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.populate()
		w.router.set(func(r *router) { r.refuse = false })
		w.tier.setRefuse(false)
		settleLong()
		w.kill()
		r := &recorder{}
		log, err := w.journal().Open(w.t.Context(), "SS_0", journal.Owner{Epoch: w.cluster.View().Revision}, r)
		if err != nil {
			t.Fatal(err)
		}
		_ = log.Close(w.t.Context())
		for _, b := range r.events {
			again, err := sessionstore.Recode(b)
			if err != nil || !bytes.Equal(b, again) {
				t.Fatalf("event %x is read as %x: %v", b, again, err)
			}
		}
		if len(r.events) < 20 {
			t.Fatalf("only %d events", len(r.events))
		}
		w.startStore()
	})
}

// The samples hold every kind of event, and are read as they were written.
func TestSamplesCoverEveryKind(t *testing.T) {
	t.Parallel()
	kinds := map[byte]bool{}
	for _, b := range sessionstore.Samples() {
		kinds[b[1]] = true
		if again, err := sessionstore.Recode(b); err != nil || !bytes.Equal(b, again) {
			t.Errorf("event %x is read as %x: %v", b, again, err)
		}
	}
	for k := byte(1); k <= sessionstore.Kinds; k++ {
		if !kinds[k] {
			t.Errorf("no sample of kind %d", k)
		}
	}
	if _, state := seeds(); !readable(state) {
		t.Error("the state that the samples lead to cannot be read")
	}
}

// seeds is a log for the fuzz corpora.
var seeds = sync.OnceValues(func() ([][]byte, []byte) {
	m := sessionstore.NewMachine(session.DefaultConfig(), topics)
	var events [][]byte
	for _, b := range sessionstore.Samples() {
		if err := m.Apply(b); err != nil {
			panic(err)
		}
		events = append(events, b)
	}
	return events, m.State()
})

// FuzzDecodeEvent: any input gives an error or an event that is written as it was read and can be applied to a state, which stays readable.
func FuzzDecodeEvent(f *testing.F) {
	events, state := seeds()
	for _, b := range events {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := sessionstore.Recode(b)
		if err != nil {
			return
		}
		if third, err := sessionstore.Recode(again); err != nil || !bytes.Equal(again, third) {
			t.Fatalf("%x becomes %x, then %x: %v", b, again, third, err)
		}
		m := sessionstore.NewMachine(session.DefaultConfig(), topics)
		if err := m.Restore(state); err != nil {
			t.Fatal(err)
		}
		if err := m.Apply(b); err != nil {
			t.Fatal(err)
		}
		if after := m.State(); !readable(after) {
			t.Fatalf("the state after %x cannot be read", b)
		}
	})
}

func readable(state []byte) bool {
	again, err := sessionstore.Decode(state, topics)
	return err == nil && bytes.Equal(again, state)
}

// FuzzDecodeSnapshot: any input gives an error or a state that is read as it is written.
func FuzzDecodeSnapshot(f *testing.F) {
	_, state := seeds()
	f.Add(state)
	f.Add(sessionstore.NewMachine(session.DefaultConfig(), topics).State())
	f.Fuzz(func(t *testing.T, b []byte) {
		again, err := sessionstore.Decode(b, topics)
		if err == nil && !readable(again) {
			t.Fatalf("%x becomes %x, which cannot be read", b, again)
		}
	})
}
