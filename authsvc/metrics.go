package authsvc

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/authsvc/hash"
)

// Registerer takes metrics; nil publishes none.
type Registerer = prometheus.Registerer

// metrics are the figures of one Service, registered while it runs.
type metrics struct {
	authenticated, decided, changes *prometheus.CounterVec
	failures                        *prometheus.CounterVec
	generation, applied, owner      prometheus.Gauge
	passwords                       []prometheus.Collector
}

const namespace, subsystem = "pando", "auth"

func newMetrics(v *hash.Verifier) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, labels)
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help})
	}
	return &metrics{
		authenticated: counter("authentications_total", "Clients that were checked, by result: ok, anonymous, no_keys (a user without what its SCRAM method needs), or the kind of the refusal.", "result"),
		decided:       counter("decisions_total", "Topics decided, by action, result and the source that decided.", "action", "result", "source"),
		changes:       counter("changes_total", "Changes of users, client ids and rules written by this owner of the journal, by result.", "result"),
		failures:      counter("failures_total", "What went wrong inside, by step: follow, apply, rules, acl_file, snapshot.", "step"),
		generation:    gauge("rules_generation", "Generation of the rules in force here."),
		applied:       gauge("applied_events", "Sequence of the last event of the journal in the projection."),
		owner:         gauge("journal_owner", "1 while this process writes the journal of users and rules."),
		passwords:     passwordMetrics(v),
	}
}

// passwordMetrics reads the verifier's own counters.
func passwordMetrics(v *hash.Verifier) []prometheus.Collector {
	counter := func(name, help string, value func(hash.Stats) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help},
			func() float64 { return value(v.Stats()) })
	}
	gauge := func(name, help string, value func(hash.Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help},
			func() float64 { return value(v.Stats()) })
	}
	return []prometheus.Collector{
		counter("password_computations_total", "Password hashes computed.", func(s hash.Stats) float64 { return float64(s.Computed) }),
		counter("password_cache_hits_total", "Passwords that a remembered verification answered.", func(s hash.Stats) float64 { return float64(s.Hits) }),
		counter("password_refused_total", "Clients refused because too many waited for a password computation.", func(s hash.Stats) float64 { return float64(s.Busy) }),
		gauge("password_waiting", "Clients that wait for a password computation.", func(s hash.Stats) float64 { return float64(s.Waiting) }),
		gauge("password_cached", "Passwords remembered as verified.", func(s hash.Stats) float64 { return float64(s.Cached) }),
	}
}

func (m *metrics) all() []prometheus.Collector {
	return append([]prometheus.Collector{m.authenticated, m.decided, m.changes, m.failures, m.generation, m.applied, m.owner}, m.passwords...)
}

// register publishes the metrics; unregister takes them back, so that the next
// incarnation of the process can publish its own.
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
