package suite

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const page = "# HELP go_goroutines n\ngo_goroutines %d\ngo_memstats_heap_alloc_bytes 1.5e+06\ngo_memstats_heap_inuse_bytes 2e+06\ngo_memstats_mallocs_total %d\n"

// What asking allocates is taken off, though it becomes more.
func TestMallocs(t *testing.T) {
	t.Parallel()
	count, price := 1000, 30
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		count += price
		fmt.Fprintf(w, page, 7, count)
	}))
	t.Cleanup(s.Close)
	m := mallocs{ops: strings.TrimPrefix(s.URL, "http://")}
	if err := m.mark(t.Context()); err != nil {
		t.Fatal(err)
	}
	if count += 500; m.made != 0 {
		t.Errorf("%g before anything was done", m.made)
	}
	price = 50
	if err := m.mark(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m.made != 510 { // the one that asked in between cost 50, of which 40 are taken off
		t.Errorf("%g allocations, want 510", m.made)
	}
}

func TestGauges(t *testing.T) {
	t.Parallel()
	g, err := gauges([]byte(fmt.Sprintf(page, 7, 1000)))
	if err != nil || g["go_goroutines"] != 7 || g["go_memstats_heap_alloc_bytes"] != 1.5e6 || g["go_memstats_heap_inuse_bytes"] != 2e6 || g["go_memstats_mallocs_total"] != 1000 {
		t.Errorf("%v, %v", g, err)
	}
	if g, err := gauges([]byte("go_goroutines 7\n")); err == nil {
		t.Errorf("a page without most of them is %v", g)
	}
}

// A figure that only the first sample takes has its median of that one, and the ratio of the last row is made of first figures.
func TestFiguresOfSomeSamples(t *testing.T) {
	t.Parallel()
	got := medians([]Sample{{Values: []float64{3, 40}}, {Values: []float64{1}}, {Values: []float64{2}}})
	if len(got) != 2 || got[0] != 2 || got[1] != 40 {
		t.Errorf("%v, want 2 and 40", got)
	}
	table := Table{Lines: []Line{
		{Key: "p2p-q1", Cells: []Cell{{Broker: "pando", Samples: []Sample{{Values: []float64{2, 1.1}, Profiles: map[string][]byte{"silent": {1}}}}}}},
		{Key: "apart", Cells: []Cell{{Broker: "pando", Samples: []Sample{{Values: []float64{8}}}}}},
	}}
	table.finish()
	if got := table.Lines[1].Cells[0].Median; len(got) != 2 || got[1] != 4 {
		t.Errorf("%v, want 8 and 4 times", got)
	}
	if p := table.Profiles(); len(p) != 1 || len(p["p2p-q1-pando-silent"]) != 1 {
		t.Errorf("profiles %v", p)
	}
}
