package bus

import "github.com/prometheus/client_golang/prometheus"

// Metrics of all buses of a process.
type Metrics struct {
	published prometheus.Counter
	delivered prometheus.Counter
	dropped   *prometheus.CounterVec // reason: queue_full, malformed
}

const (
	reasonFull      = "queue_full"
	reasonMalformed = "malformed"
)

// NewMetrics registers the metrics; a nil registerer makes them count in vain.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pando_bus_events_published_total", Help: "Events handed to the bus.",
		}),
		delivered: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pando_bus_events_delivered_total", Help: "Events handed to subscribers, one for each.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pando_bus_events_dropped_total", Help: "Events that a subscriber missed, by reason.",
		}, []string{"reason"}),
	}
	m.dropped.WithLabelValues(reasonFull)
	m.dropped.WithLabelValues(reasonMalformed)
	if r != nil {
		r.MustRegister(m.published, m.delivered, m.dropped)
	}
	return m
}
