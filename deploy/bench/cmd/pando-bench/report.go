package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/pando-mq/pando/deploy/bench/plot"
	"github.com/pando-mq/pando/deploy/bench/scenario"
)

// report writes the result for people, and the files that were asked for.
func (f *flags) report(w io.Writer, r scenario.Result) error {
	if f.jsonFile == "-" {
		return encode(w, r)
	}
	tell(w, r)
	if f.jsonFile != "" {
		if err := create(f.jsonFile, func(w io.Writer) error { return encode(w, r) }); err != nil {
			return err
		}
	}
	if f.svgFile != "" {
		return create(f.svgFile, func(w io.Writer) error { return draw(w, r) })
	}
	return nil
}

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func create(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

func tell(w io.Writer, r scenario.Result) {
	b, m := r.Books, r.Measure
	row := func(title, format string, args ...any) {
		fmt.Fprintf(w, "%-12s "+format+"\n", append([]any{title}, args...)...)
	}
	row("scenario", "%s", r.Scenario)
	row("connections", "%d of %d in %.2f s, CONNACK after p50 %d us, p99 %d us; %d subscriptions", b.Connected, b.Clients, r.Connect.Seconds, b.Connect.P50, b.Connect.P99, b.Subscribed)
	row("messages", "%d sent, %d delivered in %.2f s; %.0f per second (%s)", m.Sent, m.Delivered, m.Elapsed.Seconds(), r.Rate, r.Unit)
	row("latency", "p50 %d us, p90 %d us, p99 %d us, p99.9 %d us, max %d us", m.Latency.P50, m.Latency.P90, m.Latency.P99, m.Latency.P999, m.Latency.Max)
	if m.Late.Count > 0 {
		row("generator", "sent p50 %d us, p99 %d us late; held back %d", m.Late.P50, m.Late.P99, m.Held)
	}
	row("books", "lost %d, repeated %d, out of order %d, unacknowledged %d, refused %d, foreign %d, stalls %d", b.Lost, b.Repeated, b.Disordered, b.Unacked, b.Refused, b.Foreign, b.Stalls)
	if r.PerUnit > 0 {
		row("broker CPU", "%.3g us per %s", r.PerUnit, r.Unit)
	}
	row("own CPU", "%.3g us per %s", r.OwnUnit, r.Unit)
	if r.Connect.BrokerCPU > 0 {
		row("connect", "%.3g us of the broker's CPU per connection", r.Connect.BrokerCPU)
	}
	if r.Memory.After.RSS > 0 {
		row("memory", "%.1f MiB resident before, %.1f MiB after: %.0f bytes each", mib(r.Memory.Before.RSS), mib(r.Memory.After.RSS), r.Memory.Each)
	}
	for text, n := range b.Errors {
		row("error", "%d times: %s", n, text)
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// draw plots what happened over the time, and the distribution of latencies.
func draw(w io.Writer, r scenario.Result) error {
	var sent, delivered, p99, curve []plot.Point
	for _, p := range r.Measure.Timeline {
		sent = append(sent, plot.Point{X: p.At, Y: p.Sent})
		delivered = append(delivered, plot.Point{X: p.At, Y: p.Delivered})
		p99 = append(p99, plot.Point{X: p.At, Y: float64(p.P99)})
	}
	for _, p := range r.Measure.Curve {
		if p.Percent < 100 {
			curve = append(curve, plot.Point{X: 100 / (100 - p.Percent), Y: float64(p.Us)})
		}
	}
	return plot.Write(w,
		plot.Chart{Title: r.Scenario + ": rate", X: "s", Y: "messages per second", Lines: []plot.Line{{Name: "sent", Points: sent}, {Name: "delivered", Points: delivered}}},
		plot.Chart{Title: r.Scenario + ": latency, p99 of each quarter of a second", X: "s", Y: "us", Lines: []plot.Line{{Name: "p99", Points: p99}}},
		plot.Chart{Title: r.Scenario + ": distribution of latency", X: "one of so many messages is slower (2: p50, 100: p99)", Y: "us", LogX: true, LogY: true, Lines: []plot.Line{{Name: "latency", Points: curve}}},
	)
}
