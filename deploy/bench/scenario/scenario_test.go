package scenario_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/scenario"
	"github.com/pando-mq/pando/deploy/bench/wire"
)

func options(t *testing.T, f fault) scenario.Options {
	return scenario.Options{
		Addr: startFaulty(t, f), Dial: load.Dial{Kind: load.TCP}, Version: wire.V311, Prefix: t.Name(), Clean: true, Size: 64, Inflight: 10,
		Duration: 20 * time.Second, Drain: 200 * time.Millisecond, Topic: "bench/%i",
	}
}

// Each kind of broken promise is found, and counted as what it is.
func TestBooksFindEveryFault(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name                     string
		fault                    fault
		lost, repeated, disorder uint64
	}{
		{"none", nil, 0, 0, 0},
		{"every tenth is lost", func(n int) (int, bool) { return min(1, n%10), false }, 40, 0, 0},
		{"every tenth comes twice", func(n int) (int, bool) { return 1 + 1/(n%10+1), false }, 0, 40, 0},
		{"every tenth comes late", func(n int) (int, bool) { return 1, n%10 == 5 }, 0, 0, 40},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := options(t, tc.fault)
			o.Count, o.Messages = 4, 400 // 100 of each publisher, which have their turns together
			o.Rate = 4000
			r, err := scenario.P2P(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			b := r.Books
			if b.Sent != 400 || b.Lost != tc.lost || b.Repeated != tc.repeated || b.Disordered != tc.disorder {
				t.Errorf("sent %d, lost %d, repeated %d, out of order %d; want 400, %d, %d, %d", b.Sent, b.Lost, b.Repeated, b.Disordered, tc.lost, tc.repeated, tc.disorder)
			}
		})
	}
}

// A window that a lost message closed is opened again, and that is counted.
func TestStall(t *testing.T) {
	t.Parallel()
	o := options(t, func(n int) (int, bool) { return min(1, n%10), false })
	o.Count, o.Messages, o.Inflight = 1, 30, 1
	r, err := scenario.P2P(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Books.Lost != 3 || r.Books.Stalls != 2 || r.Books.Sent != 30 { // the third is the last message: no window waits for it
		t.Errorf("lost %d, stalls %d of %d sent; want 3, 2 of 30", r.Books.Lost, r.Books.Stalls, r.Books.Sent)
	}
}

// A shared subscription whose members all get everything is found out.
func TestSharedFindsRepeats(t *testing.T) {
	t.Parallel()
	o := options(t, nil)
	o.Count, o.Receivers, o.Messages, o.Topic, o.Filter = 1, 3, 50, "bench/one", "bench/one"
	r, err := scenario.Shared(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Books.Lost != 0 || r.Books.Repeated != 100 {
		t.Errorf("lost %d, repeated %d; want 0, 100", r.Books.Lost, r.Books.Repeated)
	}
}

func TestFanOut(t *testing.T) {
	t.Parallel()
	o := options(t, func(n int) (int, bool) { return min(1, n%50), false })
	o.Count, o.Messages, o.Topic, o.Rate = 20, 100, "bench/all", 2000
	r, err := scenario.FanOut(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Books.Lost != 40 || r.Measure.Delivered > 1960 || r.Books.Delivered != 1960 {
		t.Errorf("lost %d, delivered %d; want 40, 1960", r.Books.Lost, r.Books.Delivered)
	}
}

// Nothing listens: the error says what happened, and there is no result that could be taken for one.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	o := options(t, nil)
	o.Addr, o.Count = startNothing(t), 3
	_, err := scenario.P2P(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v", err)
	}
}

func TestContextEndsARun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	o := options(t, nil)
	o.Count, o.Duration = 1, time.Hour
	o.Progress = func(p load.Progress) {
		if p.Phase == "publish" && p.Delivered > 10 {
			cancel()
		}
	}
	if _, err := scenario.P2P(ctx, o); err == nil {
		t.Error("a run that was ended says nothing")
	}
}
