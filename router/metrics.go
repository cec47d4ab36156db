package router

import "github.com/prometheus/client_golang/prometheus"

// Registerer takes metrics; nil publishes none.
type Registerer = prometheus.Registerer

type metrics struct {
	received, forwarded, refused, unwanted, duplicates, expired, fired prometheus.Counter
	dropped                                                            *prometheus.CounterVec
}

func newMetrics(reg Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pando", Subsystem: "router", Name: name, Help: help})
	}
	m := &metrics{
		received:   counter("messages_received_total", "Publishes taken from sources."),
		forwarded:  counter("messages_forwarded_total", "Deliveries queued for destinations."),
		refused:    counter("messages_refused_total", "Publish streams ended because too many bytes wait for destinations."),
		unwanted:   counter("deliveries_unwanted_total", "Deliveries that nobody at the destination wanted any more."),
		duplicates: counter("retained_duplicates_total", "Retained deliveries at or below the cursor of their source."),
		expired:    counter("retained_expired_total", "Retained messages removed because their time had come."),
		fired:      counter("delayed_published_total", "Delayed messages whose time had come."),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "pando", Subsystem: "router", Name: "messages_dropped_total", Help: "Messages not forwarded or not retained, by reason.",
		}, []string{"reason"}),
	}
	if reg != nil {
		reg.MustRegister(m.received, m.forwarded, m.refused, m.unwanted, m.duplicates, m.expired, m.fired, m.dropped)
	}
	return m
}
