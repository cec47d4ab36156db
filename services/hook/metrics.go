package hook

import "github.com/prometheus/client_golang/prometheus"

// collector reads the counters of all points.
type collector struct {
	chains *Chains
	failed *prometheus.Desc
}

// NewCollector makes the metrics of chains: pando_hook_failures_total by point and reason ("panic", "timeout", "refused").
func NewCollector(chains *Chains) prometheus.Collector {
	return &collector{chains, prometheus.NewDesc("pando_hook_failures_total", "Hooks that panicked or were late, and runs that were refused by that.", []string{"point", "reason"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) { ch <- c.failed }

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.chains.each(func(name string, f Failures) {
		for _, v := range [...]struct {
			reason string
			n      uint64
		}{{"panic", f.Panics}, {"timeout", f.Timeouts}, {"refused", f.Refused}} {
			ch <- prometheus.MustNewConstMetric(c.failed, prometheus.CounterValue, float64(v.n), name, v.reason)
		}
	})
}
