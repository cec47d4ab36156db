package journal_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/journal/journaltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	t.Parallel()
	journaltest.Run(t, func(*testing.T) journal.Streams { return journal.NewMemoryStreams() })
}

func TestOpenRefusesNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a.b", "a b", "a*", "ü", strings.Repeat("x", 129)} {
		if _, err := journal.NewMemory().Open(t.Context(), name, journal.Owner{}, &journaltest.Events{}); err == nil {
			t.Errorf("name %q was taken", name)
		}
	}
}

// The pause between two appends of a partition rises with the rate of all of them and falls again.
func TestSpacingRisesWithTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := journal.NewMemory()
		var logs []journal.Log
		for _, name := range []string{"a", "b", "c", "d"} {
			l, err := store.Open(t.Context(), name, journal.Owner{Epoch: 1}, &journaltest.Events{})
			if err != nil {
				t.Fatal(err)
			}
			logs = append(logs, l)
		}
		one := pingPong(t, logs[:1])
		time.Sleep(time.Second) // of the bubble: the rate falls
		four := pingPong(t, logs)
		if one < 2000 || one > 4000 {
			t.Errorf("one partition makes %d appends per second, want about 3,000", one)
		}
		if four < one || four > 4*one*3/4 {
			t.Errorf("four partitions make %d appends per second, one makes %d", four, one)
		}
		time.Sleep(time.Second)
		start := time.Now()
		done := make(chan error)
		if err := logs[0].Append([]byte("x"), func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil || time.Since(start) > 0 {
			t.Errorf("a single append at rest took %v, error %v", time.Since(start), err)
		}
		for _, l := range logs {
			if err := l.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// pingPong appends one event at a time to each log for a second and returns how many appends that made.
func pingPong(t *testing.T, logs []journal.Log) (batches int) {
	var wg sync.WaitGroup
	for _, l := range logs {
		batches -= int(l.Stats().Batches)
		wg.Go(func() {
			done := make(chan error)
			for start := time.Now(); time.Since(start) < time.Second; {
				if err := l.Append([]byte("x"), func(err error) { done <- err }); err != nil {
					t.Error(err)
					return
				}
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, l := range logs {
		batches += int(l.Stats().Batches)
	}
	return batches
}

func BenchmarkAppendMemory(b *testing.B) {
	l, err := journal.NewMemory().Open(b.Context(), "SS_1", journal.Owner{Epoch: 1}, &journaltest.Events{})
	if err != nil {
		b.Fatal(err)
	}
	journaltest.BenchmarkAppend(b, l, 300)
	if err := l.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}
