package tally

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency is an HDR histogram of durations from 1 us to 1 min with three significant digits. Longer ones count as 1 min.
type Latency struct {
	h *hdrhistogram.Histogram
}

const longest = int64(time.Minute / time.Microsecond)

// NewLatency makes an empty histogram.
func NewLatency() *Latency { return &Latency{h: hdrhistogram.New(1, longest, 3)} }

// Record adds one duration in ns. Those below 1 us count as 1 us.
func (l *Latency) Record(ns int64) {
	_ = l.h.RecordValue(min(max(ns/1000, 1), longest)) // inside the range: it cannot fail
}

// Reset forgets everything.
func (l *Latency) Reset() { l.h.Reset() }

// Count is how many durations there are.
func (l *Latency) Count() int64 { return l.h.TotalCount() }

// At is a percentile, 0 to 100.
func (l *Latency) At(percent float64) time.Duration {
	return time.Duration(l.h.ValueAtQuantile(percent)) * time.Microsecond
}

// Summary in microseconds.
type Summary struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_us"`
	P50   int64   `json:"p50_us"`
	P90   int64   `json:"p90_us"`
	P99   int64   `json:"p99_us"`
	P999  int64   `json:"p999_us"`
	Max   int64   `json:"max_us"`
}

// Summary of the histogram; zero without durations.
func (l *Latency) Summary() Summary {
	if l.h.TotalCount() == 0 {
		return Summary{}
	}
	q := l.h.ValueAtPercentile
	return Summary{Count: l.h.TotalCount(), Mean: l.h.Mean(), P50: q(50), P90: q(90), P99: q(99), P999: q(99.9), Max: l.h.Max()}
}

// Point is one point of a curve of percentiles.
type Point struct {
	Percent float64 `json:"percent"`
	Us      int64   `json:"us"`
}

// Curve is the distribution by percentiles from 0 up to the largest.
func (l *Latency) Curve() []Point {
	var curve []Point
	for _, b := range l.h.CumulativeDistribution() {
		curve = append(curve, Point{b.Quantile, b.ValueAt})
	}
	return curve
}

// Merge adds the durations of another histogram.
func (l *Latency) Merge(other *Latency) { l.h.Merge(other.h) }
