package topic_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pando-mq/pando/services/topic"
	"pgregory.net/rapid"
)

// levelOrder compares names level by level, as Retained does.
func levelOrder(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}

func TestRetainedIsAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := topic.NewRetained[int]()
		model := map[string]int{}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				name, v := genName().Draw(t, "name"), rapid.Int().Draw(t, "value")
				old, had := model[name]
				model[name] = v
				if got, replaced := r.Put(name, v); replaced != had || got != old {
					t.Fatalf("Put: %v, %v; want %v, %v", got, replaced, old, had)
				}
			},
			"delete": func(t *rapid.T) {
				name := genName().Draw(t, "name")
				old, had := model[name]
				delete(model, name)
				if got, ok := r.Delete(name); ok != had || got != old {
					t.Fatalf("Delete: %v, %v; want %v, %v", got, ok, old, had)
				}
			},
			"query": func(t *rapid.T) {
				filter := genFilter().Draw(t, "filter")
				var want, got, paged []string
				for name := range model {
					if naive(filter, name) {
						want = append(want, name)
					}
				}
				slices.SortFunc(want, levelOrder)
				r.Query(filter, func(name string, v int) bool {
					if v != model[name] {
						t.Fatalf("%q holds %d, want %d", name, v, model[name])
					}
					got = append(got, name)
					return true
				})
				if !slices.Equal(got, want) {
					t.Fatalf("Query(%q) = %q, want %q", filter, got, want)
				}
				limit := rapid.IntRange(1, 3).Draw(t, "limit")
				for after, more := "", true; more; {
					var page []topic.Item[int]
					page, more = r.Page(filter, after, limit)
					if len(page) > limit || more && len(page) == 0 {
						t.Fatalf("page of %d, more %v", len(page), more)
					}
					for _, it := range page {
						paged = append(paged, it.Name)
						after = it.Name
					}
				}
				if !slices.Equal(paged, want) {
					t.Fatalf("pages of %q = %q, want %q", filter, paged, want)
				}
			},
			"": func(t *rapid.T) {
				if r.Len() != len(model) {
					t.Fatalf("Len %d, want %d", r.Len(), len(model))
				}
				for name, v := range model {
					if got, ok := r.Get(name); !ok || got != v {
						t.Fatalf("Get(%q) = %v, %v", name, got, ok)
					}
				}
			},
		})
	})
}

// TestRetainedManySiblings goes over the cuts between chunks, pages and lock holds, with changes while the query runs.
func TestRetainedManySiblings(t *testing.T) {
	t.Parallel()
	r := topic.NewRetained[int]()
	const n = 20_000
	for i := range n {
		r.Put(fmt.Sprintf("s/%05d/v", i*7919%n), i)
		r.Put(fmt.Sprintf("s/%05d/w", i), i)
	}
	got := 0
	last := ""
	r.Query("s/+/v", func(name string, _ int) bool {
		if name <= last {
			t.Fatalf("%q after %q", name, last)
		}
		last = name
		got++
		r.Delete(strings.Replace(name, "/v", "/w", 1)) // no lock is held
		return true
	})
	if got != n {
		t.Fatalf("%d names, want %d", got, n)
	}
	if r.Len() != n {
		t.Fatalf("%d left, want %d", r.Len(), n)
	}
	for i := range n {
		r.Delete(fmt.Sprintf("s/%05d/v", i))
	}
	if r.Len() != 0 {
		t.Fatalf("%d left", r.Len())
	}
	r.Query("#", func(name string, _ int) bool { t.Fatalf("found %q", name); return false })
}

// TestRetainedQueryWithoutHits passes many nodes that do not match: the query must come to its end.
func TestRetainedQueryWithoutHits(t *testing.T) {
	t.Parallel()
	r := topic.NewRetained[int]()
	for i := range 30_000 {
		r.Put(fmt.Sprintf("%d/a", i), i)
		r.Put(fmt.Sprintf("$%d/b", i), i)
	}
	r.Put("//b", 1)
	n := 0
	r.Query("+/b", func(string, int) bool { n++; return true })
	if n != 0 {
		t.Fatalf("%d hits", n)
	}
	r.Query("+/+/b", func(name string, _ int) bool { n++; return true })
	if n != 1 {
		t.Fatalf("%d hits, want 1", n)
	}
}

func TestRetainedStops(t *testing.T) {
	t.Parallel()
	r := topic.NewRetained[int]()
	r.Put("a", 1)
	r.Put("b", 1)
	n := 0
	r.Query("#", func(string, int) bool { n++; return false })
	if n != 1 {
		t.Fatalf("%d calls after false", n)
	}
}

func TestRetainedConcurrent(t *testing.T) {
	t.Parallel()
	r := topic.NewRetained[int]()
	for i := range 600 {
		r.Put(fmt.Sprintf("stay/%d", i), i)
	}
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() {
			for i := range 30 {
				name := fmt.Sprintf("stay/%d/%d", i, g)
				r.Put(name, i)
				n := 0
				r.Query("stay/+", func(string, int) bool { n++; return true })
				if n != 600 {
					t.Errorf("saw %d of 600", n)
				}
				r.Delete(name)
			}
		})
	}
	wg.Wait()
}

func BenchmarkRetained(b *testing.B) {
	r := topic.NewRetained[int]()
	for i := range 100_000 {
		r.Put(fmt.Sprintf("site/%d/dev/%d", i%100, i), i)
	}
	b.Run("put", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Put("site/50/dev/50", 1)
		}
	})
	b.Run("query exact", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Query("site/50/dev/50", func(string, int) bool { return true })
		}
	})
	b.Run("query 1000 of 100k", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Query("site/50/dev/+", func(string, int) bool { return true })
		}
	})
}
