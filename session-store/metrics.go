package sessionstore

import "github.com/prometheus/client_golang/prometheus"

// Registerer is where the metrics of this package are registered.
type Registerer = prometheus.Registerer

// metrics of one Store. Labels are bounded: operations, results and reasons that this package knows.
type metrics struct {
	requests         *prometheus.CounterVec
	deliveries       *prometheus.CounterVec
	dropped          *prometheus.CounterVec
	ended            *prometheus.CounterVec
	kicks            *prometheus.CounterVec
	takeovers        prometheus.Counter
	refusedAtGateway prometheus.Counter
	reassigned       prometheus.Counter
	reopened         prometheus.Counter
	waiting          prometheus.Gauge
	partitions       prometheus.Gauge
	sessions         prometheus.GaugeFunc
	outbox           prometheus.GaugeFunc
}

func newMetrics(s *Store) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "pando_session_store_" + name, Help: help})
	}
	counters := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pando_session_store_" + name, Help: help}, []string{label})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "pando_session_store_" + name, Help: help})
	}
	measured := func(name, help, stat string) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "pando_session_store_" + name, Help: help}, func() float64 { return float64(s.stats()[stat]) })
	}
	return &metrics{
		requests:         counters("requests_total", "Requests of gateways, by operation", "op"),
		deliveries:       counters("deliveries_total", "Deliveries, by result", "result"),
		dropped:          counters("dropped_total", "Messages that a session does not get, by reason", "reason"),
		ended:            counters("sessions_ended_total", "Sessions that ended, by reason", "reason"),
		kicks:            counters("kicks_total", "Connections that gateways were asked to end, by reason", "reason"),
		takeovers:        counter("takeovers_total", "Connections that took a client id over from another one"),
		refusedAtGateway: counter("refused_at_gateway_total", "Messages that a gateway did not send to its client"),
		reassigned:       counter("shared_reassigned_total", "Copies for shared groups that went to another member than the one chosen first"),
		reopened:         counter("logs_reopened_total", "Logs that ended and were opened again under the same ownership"),
		waiting:          gauge("waiting_bytes", "Bytes of requests and deliveries that wait for room in a log"),
		partitions:       gauge("partitions", "Partitions served"),
		sessions:         measured("sessions", "Persistent sessions", "sessions/count"),
		outbox:           measured("outbox_bytes", "Bytes of messages that wait for the routers", "outbox/bytes"),
	}
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.requests, m.deliveries, m.dropped, m.ended, m.kicks, m.takeovers, m.refusedAtGateway, m.reassigned, m.reopened, m.waiting, m.partitions,
		m.sessions, m.outbox,
	}
}

// register publishes the metrics; a nil registerer publishes none.
func (m *metrics) register(reg Registerer) error {
	if reg == nil {
		return nil
	}
	for i, c := range m.all() {
		if err := reg.Register(c); err != nil {
			for _, done := range m.all()[:i] {
				reg.Unregister(done)
			}
			return err
		}
	}
	return nil
}
