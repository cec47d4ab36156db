package suite

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// gaugeLine is one metric of the Go runtime, without labels.
var gaugeLine = regexp.MustCompile(`(?m)^(go_goroutines|go_memstats_mallocs_total|go_memstats_heap_alloc_bytes|go_memstats_heap_inuse_bytes) ([0-9.e+]+)$`)

// runtimeOf reads what the runtime of a process of Go says of itself at its admin port, by the names of the metrics.
func runtimeOf(ctx context.Context, ops string) (map[string]float64, error) {
	text, err := get(ctx, "http://"+ops+"/metrics")
	if err != nil {
		return nil, err
	}
	return gauges(text)
}

func gauges(text []byte) (map[string]float64, error) {
	found := map[string]float64{}
	for _, m := range gaugeLine.FindAllSubmatch(text, -1) {
		v, err := strconv.ParseFloat(string(m[2]), 64)
		if err != nil {
			return nil, err
		}
		found[string(m[1])] = v
	}
	if len(found) != 4 {
		return nil, fmt.Errorf("the metrics have %d of 4 figures of the runtime", len(found))
	}
	return found, nil
}

// mallocs counts the allocations of a broker between two marks. To ask allocates too, some thousand objects: that is measured at the first mark, and taken off.
type mallocs struct {
	ops        string
	began, own float64
	made       float64 // between the marks
}

// mark is called twice.
func (m *mallocs) mark(ctx context.Context) error {
	if m.began > 0 {
		v, err := m.count(ctx)
		m.made = max(0, v-m.began-m.own)
		return err
	}
	last, err := m.count(ctx)
	for n := 0; n < asked && err == nil; n++ {
		m.began, err = m.count(ctx)
		if d := m.began - last; n == 0 || d < m.own {
			m.own = d
		}
		last = m.began
	}
	return err
}

// asked is how often the price of asking is measured; the least counts.
const asked = 5

func (m *mallocs) count(ctx context.Context) (float64, error) {
	g, err := runtimeOf(ctx, m.ops)
	return g["go_memstats_mallocs_total"], err
}

// idleMallocs is how many objects a process allocates in a second in which nobody does anything.
func (p *pando) idleMallocs(ctx context.Context) (float64, error) {
	m := mallocs{ops: p.info.Ops}
	begin := time.Now()
	if err := m.mark(ctx); err != nil {
		return 0, err
	}
	select {
	case <-time.After(2 * time.Second):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	err := m.mark(ctx)
	return m.made / time.Since(begin).Seconds(), err
}

// held is what a process of Go holds while nothing happens, after its garbage was collected.
type held struct {
	goroutines, heap, inUse float64 // bytes: of live objects; of spans that have some
	profile                 []byte  // of the heap, for go tool pprof
}

// hold reads it. Two collections: what a sync.Pool has is freed by the second.
func (p *pando) hold(ctx context.Context) (h held, err error) {
	for range 2 {
		if h.profile, err = get(ctx, "http://"+p.info.Ops+"/debug/pprof/heap?gc=1"); err != nil {
			return h, err
		}
	}
	g, err := runtimeOf(ctx, p.info.Ops)
	h.goroutines, h.heap, h.inUse = g["go_goroutines"], g["go_memstats_heap_alloc_bytes"], g["go_memstats_heap_inuse_bytes"]
	return h, err
}
