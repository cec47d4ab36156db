package sys

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Registerer takes metrics; nil publishes none.
type Registerer = prometheus.Registerer

// metrics are the figures of one Service, registered while it runs.
type metrics struct {
	published, dropped, failed, overflow, unmonitored prometheus.Counter
	active                                            prometheus.Gauge
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pando", Subsystem: "sys", Name: name, Help: help})
	}
	return &metrics{
		published:   counter("messages_total", "Messages that this node published under $SYS."),
		dropped:     counter("messages_dropped_total", "Messages under $SYS that found no room on their way to the routers."),
		failed:      counter("failures_total", "Figures that another service did not tell in time, and events that could not be read or published."),
		overflow:    counter("alarms_dropped_total", "Alarms that were not told because too many were raised."),
		unmonitored: counter("monitor_suppressed_total", "Events of the system monitor that were not told because the same, or too many others, had been."),
		active:      prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "pando", Subsystem: "sys", Name: "alarms", Help: "Alarms that are raised now and told by this node."}),
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.published, m.dropped, m.failed, m.overflow, m.unmonitored, m.active}
}

func (m *metrics) register(r Registerer) error {
	if r == nil {
		return nil
	}
	var errs []error
	for _, c := range m.all() {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}

func (m *metrics) unregister(r Registerer) {
	if r == nil {
		return
	}
	for _, c := range m.all() {
		r.Unregister(c)
	}
}
