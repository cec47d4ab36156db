package suite

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/pando-mq/pando/deploy/bench/load"
	"github.com/pando-mq/pando/deploy/bench/plot"
	"github.com/pando-mq/pando/deploy/bench/scenario"
)

// The series of growth: does the cost of a message stay the same when there is more of something else?
const (
	growConnections   = "connections"
	growSubscriptions = "subscriptions"
	growReceivers     = "receivers"
)

// GrowthRows are three series, up to as many connections as permitted.
func GrowthRows(s Scale) []Row {
	var rows []Row
	for _, n := range steps(1000, 5000, s.Connections) {
		rows = append(rows, Row{Key: key(growConnections, n), Title: fmt.Sprintf("p2p, 50 pairs, 20 in flight each, QoS 1, beside %d idle connections", n),
			Figures: []Figure{{Name: "per delivered message", Unit: cpuUnit}}, run: beside(n)})
	}
	for _, n := range steps(1, 100, s.PerClient) {
		rows = append(rows, Row{Key: key(growSubscriptions, 1000*n), Title: fmt.Sprintf("one message in flight, %d subscriptions on 1,000 connections, one matches", 1000*n),
			Figures: []Figure{{Name: "per message", Unit: cpuUnit}, {Name: "per subscription", Unit: byteUnit}}, run: perClient(n)})
	}
	for _, n := range steps(1, 10, 100, 1000, 5000, s.Connections) {
		rows = append(rows, Row{Key: key(growReceivers, n), Title: fmt.Sprintf("fan-out 1->%d, 32 in flight, QoS 0", n),
			Figures: []Figure{{Name: "per delivered message", Unit: cpuUnit}}, run: fanout(0, n)})
	}
	return rows
}

// steps are the values up to the last one, which is always among them.
func steps(list ...int) []int {
	last := list[len(list)-1]
	var kept []int
	for _, n := range list[:len(list)-1] {
		if n < last {
			kept = append(kept, n)
		}
	}
	return append(kept, last)
}

func key(series string, n int) string { return fmt.Sprintf("%s-%d", series, n) }

func beside(n int) func(context.Context, *stand) (Sample, error) {
	return func(ctx context.Context, s *stand) (Sample, error) {
		o, err := s.options(load.TCP, n+100)
		if err != nil {
			return Sample{}, err
		}
		o.Count, o.QoS, o.Inflight, o.Idle = 50, 1, 20, n
		r, err := scenario.P2P(ctx, o)
		return sample(r, r.PerUnit), err
	}
}

func perClient(n int) func(context.Context, *stand) (Sample, error) {
	return func(ctx context.Context, s *stand) (Sample, error) {
		one := *s
		one.scale.PerClient = n
		r, err := subs(ctx, &one)
		if len(r.Values) == 2 {
			r.Values[0], r.Values[1] = r.Values[1], r.Values[0]
		}
		return r, err
	}
}

// Plot draws the first figure of each series, a line for each broker.
func (t Table) Plot(w io.Writer) error {
	return plot.Write(w,
		t.chart(growConnections, "CPU per message beside idle connections (p2p QoS 1)"),
		t.chart(growSubscriptions, "CPU per message with so many subscriptions (one in flight, one matches)"),
		t.chart(growReceivers, "CPU per delivered copy (fan-out QoS 0)"))
}

func (t Table) chart(series, title string) plot.Chart {
	c := plot.Chart{Title: title, X: series, Y: cpuUnit, LogX: true}
	for _, name := range t.brokers() {
		line := plot.Line{Name: name}
		for i := range t.Lines {
			l := &t.Lines[i]
			if cell := l.cell(name); strings.HasPrefix(l.Key, series+"-") && cell != nil && len(cell.Median) > 0 {
				var n float64
				if _, err := fmt.Sscanf(l.Key, series+"-%g", &n); err == nil {
					line.Points = append(line.Points, plot.Point{X: n, Y: cell.Median[0]})
				}
			}
		}
		c.Lines = append(c.Lines, line)
	}
	return c
}
