package journal_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/journal/journaltest"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	faults := journaltest.NewFaults(journal.NewMemoryStreams())
	store := journal.New(faults, journal.Options{}, journal.Deps{Metrics: journal.NewMetrics(reg)})
	l, err := store.Open(t.Context(), "SS_1", journal.Owner{Epoch: 1}, &journaltest.Events{})
	if err != nil {
		t.Fatal(err)
	}
	faults.Drop("SS_1")
	done := make(chan error, 1)
	for range 2 {
		if err := l.Append([]byte("event"), func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := faults.Fence(t.Context(), "SS_1", 2); err != nil {
		t.Fatal(err)
	}
	if err := l.Append([]byte("event"), nil); err != nil {
		t.Fatal(err)
	}
	<-l.Lost()
	got := gather(t, reg)
	for name, want := range map[string]float64{
		"pando_journal_appends_total ok":        4, // two epoch records, two of data
		"pando_journal_appends_total unknown":   1,
		"pando_journal_appends_total refused":   1,
		"pando_journal_step_downs_total fenced": 1,
		"pando_journal_pending_bytes":           0,
		"pando_journal_settled_total":           2, // the drop, the fence
		"pando_journal_replay_seconds":          1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

// gather returns counters and gauges by name and label, of histograms the count.
func gather(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return got
}
