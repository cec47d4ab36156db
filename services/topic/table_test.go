package topic_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/pando-mq/pando/services/topic"
)

// TestTableIsAMap fills a table and a map, empties them, and fills them again, in random order.
func TestTableIsAMap(t *testing.T) {
	t.Parallel()
	var x topic.Table[int]
	model := map[string]int{}
	rnd := rand.New(rand.NewPCG(1, 2))
	compare := func() {
		t.Helper()
		got := map[string]int{}
		for f, v := range x.All() {
			got[f] = *v
		}
		if !maps.Equal(got, model) || x.Len() != len(model) {
			t.Fatalf("%d filters visited, Len %d, want %d", len(got), x.Len(), len(model))
		}
	}
	for i := range 60_000 {
		f := fmt.Sprintf("t/%d", rnd.IntN(5000))
		_, had := model[f]
		if rnd.IntN(20_000) < 10_000+8_000*(1-i/10_000%2*2) { // grows and shrinks in turn
			v, isNew := x.Put(f)
			if isNew == had || isNew && *v != 0 || had && *v != model[f] {
				t.Fatalf("Put(%q): %d, new %v; want %d, %v", f, *v, isNew, model[f], !had)
			}
			*v, model[f] = i, i
		} else {
			if got := x.Delete(f); got != had {
				t.Fatalf("Delete(%q) = %v", f, got)
			}
			delete(model, f)
		}
		v := x.Get(f)
		if want, ok := model[f]; (v != nil) != ok || ok && *v != want {
			t.Fatalf("Get(%q) after the change: %v, want %d, %v", f, v, want, ok)
		}
		if i%5000 == 0 {
			compare()
		}
	}
	compare()
	for f := range x.All() {
		if !x.Delete(f) {
			t.Fatalf("Delete(%q) while it is visited", f)
		}
	}
	if clear(model); x.Get("t/1") != nil {
		t.Fatal("found in an empty table")
	}
	compare()
}

// TestTableLetsGo: a table that lost its filters holds hardly any memory.
func TestTableLetsGo(t *testing.T) {
	before := heap()
	var x topic.Table[[4]int]
	const n = 100_000
	for i := range n {
		x.Put(fmt.Sprintf("t/%d", i))
	}
	full := heap() - before
	for i := range n - 10 {
		x.Delete(fmt.Sprintf("t/%d", i))
	}
	if left := heap() - before; left > full/20 {
		t.Fatalf("%d bytes held by 10 filters, %d by %d", left, full, n)
	}
	runtime.KeepAlive(&x)
}

// heap is the bytes of live objects.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkTable(b *testing.B) {
	const n = 1 << 20
	filters := make([]string, n)
	for i := range filters {
		filters[i] = fmt.Sprintf("site/%d/dev/%d", i%50, i)
	}
	var x topic.Table[uint64]
	b.Run("put", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if i%n == 0 {
				x = topic.Table[uint64]{}
			}
			x.Put(filters[i%n])
		}
	})
	before := heap()
	x = topic.Table[uint64]{}
	empty := heap()
	for _, f := range filters {
		x.Put(f)
	}
	full := heap()
	b.Run("get", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if x.Get(filters[i*7919%n]) == nil {
				b.Fatal("lost")
			}
		}
		b.ReportMetric(float64(full-min(empty, before))/n, "B/filter")
	})
	b.Run("get in vain", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if x.Get(filters[i*7919%n][1:]) != nil {
				b.Fatal("found")
			}
		}
	})
}
