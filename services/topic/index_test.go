package topic_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/topic"
	"pgregory.net/rapid"
)

// TestIndexIsAMap drives an index and a map with naive matching side by side.
func TestIndexIsAMap(t *testing.T) {
	t.Parallel()
	type key struct {
		filter string
		key    int
	}
	rapid.Check(t, func(t *rapid.T) {
		x := topic.NewIndex[int, int](rapid.SampledFrom([]int{1, 4}).Draw(t, "shards"))
		model := map[key]int{}
		count := func(filter string) (n int) {
			for k := range model {
				if k.filter == filter {
					n++
				}
			}
			return n
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				k, v := key{genFilter().Draw(t, "filter"), rapid.IntRange(0, 20).Draw(t, "key")}, rapid.Int().Draw(t, "value")
				_, had := model[k]
				model[k] = v
				if n, replaced := x.Add(k.filter, k.key, v); replaced != had || n != count(k.filter) {
					t.Fatalf("Add: %d keys, replaced %v; want %d, %v", n, replaced, count(k.filter), had)
				}
			},
			"remove": func(t *rapid.T) {
				k := key{genFilter().Draw(t, "filter"), rapid.IntRange(0, 20).Draw(t, "key")}
				for have := range model {
					if rapid.Bool().Draw(t, "this") {
						k = have
						break
					}
				}
				_, had := model[k]
				delete(model, k)
				if n, removed := x.Remove(k.filter, k.key); removed != had || n != count(k.filter) {
					t.Fatalf("Remove: %d keys, removed %v; want %d, %v", n, removed, count(k.filter), had)
				}
			},
			"match": func(t *rapid.T) {
				name := genName().Draw(t, "name")
				got := map[key]int{}
				x.Match(name, func(f string, k, v int) {
					if _, twice := got[key{f, k}]; twice {
						t.Fatalf("%q of %d found twice", f, k)
					}
					got[key{f, k}] = v
				})
				for k, v := range model {
					if want := naive(k.filter, name); want != (got[k] == v && hasKey(got, k)) {
						t.Fatalf("%q by %q: wanted %v", k.filter, name, want)
					}
					delete(got, k)
				}
				if len(got) > 0 {
					t.Fatalf("found what is not there: %v", got)
				}
			},
			"": func(t *rapid.T) {
				want := map[string]bool{}
				for k, v := range model {
					want[k.filter] = true
					if got, ok := x.Get(k.filter, k.key); !ok || got != v {
						t.Fatalf("Get(%v) = %v, %v", k, got, ok)
					}
				}
				list := x.Filters("", 0)
				if !slices.IsSorted(list) || len(list) != len(want) {
					t.Fatalf("filters %q", list)
				}
				if f, v := x.Len(); f != len(want) || v != len(model) {
					t.Fatalf("Len %d, %d", f, v)
				}
				n := 0
				x.Walk("", func(f string, k, v int) bool { n++; return model[key{f, k}] == v })
				if n != len(model) {
					t.Fatalf("walked %d of %d", n, len(model))
				}
			},
		})
	})
}

func hasKey[K comparable, V any](m map[K]V, k K) bool { _, ok := m[k]; return ok }

func TestIndexPages(t *testing.T) {
	t.Parallel()
	x := topic.NewIndex[int, int](8)
	var want []string
	for i := range 500 {
		f := fmt.Sprintf("t/%03d", i)
		if i%2 == 0 {
			f += "/#"
		}
		want = append(want, f)
		x.Add(f, 1, i)
	}
	slices.Sort(want)
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page := x.Filters(after, 64)
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%d filters in pages, want %d", len(got), len(want))
	}
}

// TestIndexMayBeCalledFromMatch: no lock is held while the caller's function runs.
func TestIndexMayBeCalledFromMatch(t *testing.T) {
	t.Parallel()
	x := topic.NewIndex[int, int](1)
	x.Add("a/+", 1, 1)
	x.Add("a/b", 1, 1)
	n := 0
	x.Match("a/b", func(f string, k, _ int) {
		n++
		x.Remove(f, k)
		x.Add("c/+", k, 1)
		x.Match("c/d", func(string, int, int) { n++ })
	})
	if n != 4 {
		t.Fatalf("%d calls, want 4", n)
	}
}

func TestIndexDeepNames(t *testing.T) {
	t.Parallel()
	x := topic.NewIndex[int, int](1)
	deep := strings.Repeat("a/", 30000) + "a"
	for i, f := range []string{"#", "a/+/#", "a/+", deep, "b/#"} {
		x.Add(f, i, i)
	}
	var got []int
	x.Match(deep, func(_ string, k, _ int) { got = append(got, k) })
	slices.Sort(got)
	if !slices.Equal(got, []int{0, 1, 3}) {
		t.Fatalf("matched %v", got)
	}
}

// TestIndexConcurrent is for the race detector; what must hold meanwhile is that filters nobody touches are always found.
func TestIndexConcurrent(t *testing.T) {
	t.Parallel()
	x := topic.NewIndex[int, int](4)
	x.Add("a/#", -1, 0)
	x.Add("a/b", -1, 0)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 300 {
				f := [...]string{"a/b", "a/+", "+/b", fmt.Sprintf("a/%d", i)}[i%4]
				x.Add(f, g, i)
				n := 0
				x.Match("a/b", func(_ string, k, _ int) {
					if k == -1 {
						n++
					}
				})
				if n != 2 {
					t.Errorf("found %d of the 2 that stay", n)
				}
				x.Filters("", 3)
				x.Remove(f, g)
			}
		})
	}
	wg.Wait()
	if f, v := x.Len(); f != 2 || v != 2 {
		t.Fatalf("%d filters, %d values left, want 2 and 2", f, v)
	}
}

func TestIndexManyValuesOfOneFilter(t *testing.T) {
	t.Parallel()
	x := topic.NewIndex[int, int](1)
	for i := range 2000 {
		x.Add("a", i, i)
	}
	for i := 0; i < 2000; i += 2 {
		if n, ok := x.Remove("a", i); !ok || n != 2000-1-i/2 {
			t.Fatalf("Remove %d: %d left, %v", i, n, ok)
		}
	}
	sum := 0
	x.Each("a", func(k, v int) {
		if k != v || k%2 == 0 {
			t.Errorf("found %d with %d", k, v)
		}
		sum++
	})
	if sum != 1000 || x.Keys("a") != 1000 {
		t.Fatalf("%d values, %d keys", sum, x.Keys("a"))
	}
}

// hostile is many wildcard shapes that agree with one name for as long as possible.
func hostile(x *topic.Index[int, int], n int) (name string) {
	const levels = 14
	for i := range n {
		parts := make([]string, levels)
		for l := range parts {
			parts[l] = "a"
			if i>>l&1 == 1 {
				parts[l] = "+"
			}
		}
		x.Add(strings.Join(parts, "/")+"/+/x", 1, i)
	}
	return strings.Repeat("a/", levels) + "b/y"
}

func fill(x *topic.Index[int, int], n int) {
	for i := range n {
		f := fmt.Sprintf("site/%d/line/%d/dev/%d", i%50, i%977, i)
		switch i % 10 {
		case 0:
			f = fmt.Sprintf("site/%d/line/+/dev/%d", i%50, i)
		case 1:
			f = fmt.Sprintf("site/%d/line/%d/#", i%50, i)
		case 2:
			f = fmt.Sprintf("+/%d/line/%d/dev/+", i%50, i)
		}
		x.Add(f, i, i)
	}
}

// TestIndexAfterMuchChange: nodes, leaves and level numbers that were used before do not lead to old filters.
func TestIndexAfterMuchChange(t *testing.T) {
	t.Parallel()
	x := topic.NewIndex[int, int](4)
	rnd := rand.New(rand.NewPCG(3, 4))
	levels := []string{"a", "b", "c", "d", "e", "f", "g", "h", "$x", "", "+", "+"}
	random := func(levels []string) string {
		parts := make([]string, 1+rnd.IntN(5))
		for i := range parts {
			parts[i] = levels[rnd.IntN(len(levels))]
		}
		return strings.Join(parts, "/")
	}
	model := map[string]bool{}
	for i := range 20_000 {
		f := random(levels)
		if f == "" {
			f = "/"
		}
		if rnd.IntN(4) == 0 {
			f += "/#"
		}
		if i/4000%2 == 0 == (rnd.IntN(10) > 0) { // grows and shrinks in turn
			x.Add(f, 1, 1)
			model[f] = true
		} else {
			_, removed := x.Remove(f, 1)
			if removed != model[f] {
				t.Fatalf("Remove(%q) = %v", f, removed)
			}
			delete(model, f)
		}
		if i%100 != 0 {
			continue
		}
		name := random(levels[:10])
		got := map[string]bool{}
		x.Match(name, func(f string, _, _ int) { got[f] = true })
		for f := range model {
			if name != "" && naive(f, name) != got[f] {
				t.Fatalf("%q by %q: found %v", f, name, got[f])
			}
			delete(got, f)
		}
		if len(got) > 0 {
			t.Fatalf("%q found what is not there: %v", name, got)
		}
	}
	for f := range model {
		x.Remove(f, 1)
	}
	if filters, values := x.Len(); filters != 0 || values != 0 || len(x.Filters("", 0)) > 0 {
		t.Fatalf("%d filters and %d values left", filters, values)
	}
}

// TestIndexWithHostileShapes: what a subscriber may ask for cannot make the matches of others slow. 10,000 shapes that agree with a name up to the last but one
// level cost at most one step per node of the trie, and the names of others nothing at all.
func TestIndexWithHostileShapes(t *testing.T) {
	x := topic.NewIndex[int, int](0)
	evil := hostile(x, 10_000)
	fill(x, 1000)
	cost := func(name string, want int) time.Duration {
		t.Helper()
		best := time.Hour
		for range 20 { // the least is free of what else the machine does
			hits, begin := 0, time.Now()
			x.Match(name, func(string, int, int) { hits++ })
			if best = min(best, time.Since(begin)); hits != want {
				t.Fatalf("%d filters match %q, want %d", hits, name, want)
			}
		}
		return best
	}
	if d := cost(evil, 0); d > 20*time.Millisecond {
		t.Errorf("10,000 shapes that agree with a name up to the end take %v", d)
	}
	if d := cost("site/3/line/3/dev/3", 1); d > time.Millisecond {
		t.Errorf("the name of somebody else takes %v", d)
	}
}

func BenchmarkIndexMemory(b *testing.B) {
	const n = 200_000
	filters := make([]string, n)
	for i := range filters {
		filters[i] = fmt.Sprintf("site/%d/line/%d/dev/%d", i%50, i%977, i)
	}
	for _, kind := range []string{"", "/+", "/#"} {
		b.Run("exact"+kind, func(b *testing.B) {
			for b.Loop() {
				texts := make([]string, n)
				for i := range texts {
					texts[i] = filters[i] + kind
				}
				before := heap()
				x := topic.NewIndex[*int, struct{}](0)
				for _, f := range texts {
					x.Add(f, &one, struct{}{})
				}
				b.ReportMetric(float64(heap()-before)/n, "B/filter")
				runtime.KeepAlive(x)
				runtime.KeepAlive(texts)
			}
		})
	}
}

var one int

func BenchmarkIndexMatch(b *testing.B) {
	b.Run("100k filters, 30% wildcards", func(b *testing.B) {
		x := topic.NewIndex[int, int](0)
		fill(x, 100_000)
		names := make([]string, 1024)
		for i := range names {
			n := i * 97
			names[i] = fmt.Sprintf("site/%d/line/%d/dev/%d", n%50, n%977, n)
		}
		b.ReportAllocs()
		hits, i := 0, 0
		for b.Loop() {
			x.Match(names[i%1024], func(string, int, int) { hits++ })
			i++
		}
		b.ReportMetric(float64(hits)/float64(b.N), "hits/op")
	})
	b.Run("10k hostile shapes, none matches", func(b *testing.B) {
		x := topic.NewIndex[int, int](0)
		name := hostile(x, 10_000)
		b.ReportAllocs()
		for b.Loop() {
			x.Match(name, func(string, int, int) {})
		}
	})
	b.Run("one filter, 1000 values", func(b *testing.B) {
		x := topic.NewIndex[int, int](0)
		for i := range 1000 {
			x.Add("a/b", i, i)
		}
		b.ReportAllocs()
		for b.Loop() {
			x.Match("a/b", func(string, int, int) {})
		}
	})
}

func BenchmarkIndexAddRemove(b *testing.B) {
	x := topic.NewIndex[int, int](0)
	fill(x, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		x.Add("site/1/line/+/dev/new", 1, 1)
		x.Remove("site/1/line/+/dev/new", 1)
	}
}
