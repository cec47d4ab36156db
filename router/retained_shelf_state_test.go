package router

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

func shelfState(t testing.TB) *retainedState {
	t.Helper()
	s := newRetainedState(64)
	var err error
	if s.shelf, err = newShelf(t.TempDir(), "RT_0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.shelf.close() })
	return s
}

// all lists what a state holds, "topic=payload".
func all(t *testing.T, s *retainedState) []string {
	t.Helper()
	var list []string
	items, _ := s.page("", "#", "", 10000)
	for _, it := range items {
		m := it.Value.m
		if s.shelf != nil {
			var err error
			if m, err = s.shelf.load(it.Value.at); err != nil {
				t.Fatal(err)
			}
			if it.Value.m.Payload != nil {
				t.Errorf("%s is in memory", it.Name)
			}
		}
		list = append(list, m.Topic+"="+string(m.Payload))
	}
	slices.Sort(list)
	return list
}

// Whatever happens to topics, a state with a file holds what one in memory holds, also after a snapshot of either was restored in the other, and its file is no
// larger than what lay there at once needs.
func TestShelfHoldsWhatMemoryHolds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		a, b := newRetainedState(64), shelfState(t)
		var size, most int64
		lens := map[string]int{}
		for i := range 600 {
			name, text := fmt.Sprint("t/", rnd.IntN(40)), strings.Repeat("x", rnd.IntN(5)*rnd.IntN(2000))
			e := event(uint64(i+1), name, text)
			for _, s := range []*retainedState{a, b} {
				if err := s.Apply(e); err != nil {
					t.Fatal(err)
				}
			}
			size -= int64(lens[name])
			if lens[name] = 0; text != "" {
				lens[name] = len(text) + 64 // its record is a little longer
			}
			size += int64(lens[name])
			most = max(most, size)
			if i%100 == 50 {
				now := time.UnixMilli(1000 * int64(i-50)) // see event
				if n, m := a.expire(now), b.expire(now); n != m {
					t.Fatalf("seed %d: %d expired, %d with a file", seed, n, m)
				}
			}
			if i == 300 {
				other := snapshotOf(t, b)
				if err := b.Restore(snapshotOf(t, a)); err != nil {
					t.Fatal(err)
				}
				if err := a.Restore(other); err != nil {
					t.Fatal(err)
				}
			}
		}
		if want, got := all(t, a), all(t, b); !slices.Equal(want, got) {
			t.Fatalf("seed %d:\n%.200v\n%.200v", seed, want, got)
		}
		if info, err := b.shelf.file.Stat(); err != nil || info.Size() > 8*most {
			t.Errorf("seed %d: a file of %d bytes for %d at most: %v", seed, info.Size(), most, err)
		}
	}
}

// A topic that is replaced by messages of the same length takes no more room, and all slots are wide enough and not much wider.
func TestShelfUsesSlotsAgain(t *testing.T) {
	t.Parallel()
	s := shelfState(t)
	for range 1000 {
		if err := s.store(&broker.Message{Topic: "a", Payload: make([]byte, 1000)}); err != nil {
			t.Fatal(err)
		}
	}
	if s.shelf.end > 4096 { // the new one is written before the old one is dropped
		t.Errorf("%d bytes for one message", s.shelf.end)
	}
	for n := 1; n < 200_000; n++ {
		if size := slotSize(n); size < int64(n) || size > int64(n)+int64(n)/8+8 || slotSize(int(size)) != size {
			t.Fatalf("%d bytes lie in %d", n, size)
		}
	}
}

// retainedHeap is what the heap holds for n retained messages of 1 KB.
func retainedHeap(t *testing.T, s *retainedState, n int) uint64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		m := &broker.Message{Topic: fmt.Sprintf("site/%d/device/%d/state", i/1000, i), Payload: make([]byte, 1024), From: fmt.Sprint("device-", i), Published: time.Now()}
		if err := s.store(m); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(s)
	return after.HeapAlloc - before.HeapAlloc
}

// What disc_only is for: messages of 1 KB take less than half of the memory.
func TestShelfSavesMemory(t *testing.T) {
	const n = 20_000
	memory, disc := retainedHeap(t, newRetainedState(64), n), retainedHeap(t, shelfState(t), n)
	t.Logf("%d messages of 1 KiB: %d bytes each in memory, %d each with a file", n, memory/n, disc/n)
	if disc*2 > memory {
		t.Errorf("%d bytes with a file, %d without", disc, memory)
	}
}

func BenchmarkShelf(b *testing.B) {
	m := &broker.Message{Topic: "site/1/device/1/state", Payload: make([]byte, 1024)}
	b.Run("put", func(b *testing.B) {
		s := shelfState(b)
		for range b.N {
			if err := s.store(m); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("load", func(b *testing.B) {
		s := shelfState(b)
		p, err := s.shelf.put(m)
		if err != nil {
			b.Fatal(err)
		}
		for range b.N {
			if _, err := s.shelf.load(p); err != nil {
				b.Fatal(err)
			}
		}
	})
}
