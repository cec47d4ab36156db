package suite

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func measured(values ...float64) Cell {
	c := Cell{Broker: "pando"}
	for _, v := range values {
		c.Samples = append(c.Samples, Sample{Values: []float64{v}, Settings: Settings{Counts: true}})
	}
	c.Median = medians(c.Samples)
	return c
}

func TestMedians(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1}, 2.5}} {
		if got := measured(tc.in...).Median; len(got) != 1 || got[0] != tc.want {
			t.Errorf("median of %v is %v, want %v", tc.in, got, tc.want)
		}
	}
	if medians(nil) != nil {
		t.Error("there is a median of nothing")
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	lossy, weak := measured(1, 1, 1), measured(1, 1, 1)
	lossy.Samples[1].Lost = 3
	weak.Samples[2].Settings.Counts = false
	tests := []struct {
		name   string
		figure Figure
		cell   Cell
		want   string
	}{
		{"below", Figure{Bar: 2}, measured(1, 2, 3), "met"},
		{"above", Figure{Bar: 2}, measured(1, 4, 5), "MISSED, 2.0 times"},
		{"no bar", Figure{}, measured(1), ""},
		{"lost where nothing may be", Figure{Bar: 2, Exact: true}, lossy, "MISSED: 3 lost"},
		{"lost where that is permitted", Figure{Bar: 2}, lossy, "met"},
		{"less than the defaults", Figure{Bar: 2}, weak, "does not count"},
		{"memory that shrank", Figure{Bar: 2, Unit: byteUnit}, measured(-5), "not measured: less"},
		{"failed", Figure{Bar: 2}, Cell{}, "not measured"},
		{"nothing lost", Figure{Unit: "messages", Exact: true}, measured(0), "met"},
		{"something lost", Figure{Unit: "messages", Exact: true}, lossy, "MISSED"},
	}
	for _, tc := range tests {
		l := Line{Figures: []Figure{tc.figure}, Cells: []Cell{tc.cell}}
		if got := l.Verdict(0); !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// The ratio of the last row is made of the medians of two.
func TestApartAgainstTogether(t *testing.T) {
	t.Parallel()
	table := Table{Lines: []Line{
		{Key: "p2p-q1", Figures: make([]Figure, 1), Cells: []Cell{measured(2, 2, 3)}},
		{Key: "apart", Figures: make([]Figure, 2), Cells: []Cell{measured(8, 7, 9)}},
	}}
	table.finish()
	if got := table.Lines[1].Cells[0].Median; !slices.Equal(got, []float64{8, 4}) {
		t.Errorf("%v, want 8 and 4 times", got)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		base, head []float64
		want       string
	}{
		{[]float64{5, 6, 7}, []float64{1, 2, 3}, "less"},
		{[]float64{1, 2, 3}, []float64{5, 6, 7}, "MORE"},
		{[]float64{1, 5}, []float64{4, 6}, "no difference that can be told from noise"},
		{[]float64{1}, []float64{4}, "too few samples to tell"},
	} {
		if got := judge(tc.base, tc.head); got != tc.want {
			t.Errorf("%v then %v: %q, want %q", tc.base, tc.head, got, tc.want)
		}
	}
}

func TestDurability(t *testing.T) {
	t.Parallel()
	if got, err := durability(`{"nodes":[{"durability":"fsync"},{"durability":"fsync"}]}`); got != "fsync" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{`{"nodes":[]}`, `{"nodes":[{"durability":"fsync"},{"durability":"disk"}]}`, `nothing`} {
		if got, err := durability(bad); err == nil {
			t.Errorf("%s: %q", bad, got)
		}
	}
	for level, want := range map[string]bool{"fsync": true, "fsync x3": true, "disk": false, "memory x3": false, "": false} {
		if s := (Settings{Authentication: on, ACL: on, Metrics: on, Durability: level}); s.defaults() != want {
			t.Errorf("%q: counts %v", level, s.defaults())
		}
	}
}

// The table has the bar, the median, the verdict and what the broker was set to in the row of each figure.
func TestMarkdown(t *testing.T) {
	t.Parallel()
	pando, peer := measured(0.5, 0.7, 0.9), measured(6)
	for i := range pando.Samples {
		pando.Samples[i].Settings = Settings{Version: "v9", Authentication: on, ACL: on, Metrics: on, Durability: "fsync", Counts: true}
	}
	peer.Broker = "mosquitto"
	table := Table{Scale: Quick(), Bounded: "fewer", Lines: []Line{{
		Key: "k", Title: "a title", Figures: []Figure{{Name: "cost", Unit: cpuUnit, Bar: 0.8, EMQX: "11.6", Flash: "0.77", Mosq: "5.9"}}, Cells: []Cell{pando, peer},
	}}}
	var b strings.Builder
	if err := table.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| a title: cost | CPU us | 11.6 | 0.77 | 0.7 (auth on, ACL on, metrics on, fsync) | 6 (5.9) | <= 0.8 | met |",
		"- pando v9: authentication on; ACL on; metrics on; durability fsync", "Not for publication", "Bounded: fewer", "| k | pando | 3 | 0.5 to 0.9 |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
}

func TestGrowthRows(t *testing.T) {
	t.Parallel()
	var keys []string
	for _, r := range GrowthRows(Scale{Connections: 18000, PerClient: 1000}) {
		keys = append(keys, r.Key)
	}
	want := "connections-1000 connections-5000 connections-18000 subscriptions-1000 subscriptions-100000 subscriptions-1000000 " +
		"receivers-1 receivers-10 receivers-100 receivers-1000 receivers-5000 receivers-18000"
	if got := strings.Join(keys, " "); got != want {
		t.Errorf("%s", got)
	}
	if rows := GrowthRows(Scale{Connections: 3000, PerClient: 100}); rows[len(rows)-1].Key != "receivers-3000" {
		t.Errorf("the last is %s", rows[len(rows)-1].Key)
	}
}

// When time is short the cheap rows get their repetitions, and the dear ones have fewer samples.
func TestAffordable(t *testing.T) {
	t.Parallel()
	took := []time.Duration{10 * time.Second, time.Minute, 5 * time.Second, 20 * time.Second}
	for left, want := range map[time.Duration][]bool{
		time.Hour: {true, true, true, true}, 40 * time.Second: {true, false, true, true}, 15 * time.Second: {true, false, true, false}, -time.Second: {false, false, false, false},
	} {
		if got := affordable(took, left); !slices.Equal(got, want) {
			t.Errorf("%s left: %v, want %v", left, got, want)
		}
	}
}
