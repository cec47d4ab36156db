package cluster

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Registerer is where the metrics of this package are registered.
type Registerer = prometheus.Registerer

// metrics of one Cluster. Labels are bounded: role and space.
type metrics struct {
	revision     prometheus.Gauge
	nodes        *prometheus.GaugeVec
	resyncs      prometheus.Counter
	leaseValid   *prometheus.GaugeVec
	keepAlives   *prometheus.CounterVec
	leasesLost   *prometheus.CounterVec
	owned        *prometheus.GaugeVec
	claimsLost   *prometheus.CounterVec
	acquire      *prometheus.HistogramVec
	acquireError *prometheus.CounterVec
	release      *prometheus.HistogramVec
	assigner     prometheus.Gauge
	assignments  *prometheus.CounterVec
	badRecords   prometheus.Counter
}

func newMetrics(reg Registerer) (*metrics, error) {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	gauges := func(name, help, label string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{label})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histograms := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"space"})
	}
	m := &metrics{
		revision:     gauge("pando_cluster_view_revision", "Revision of the newest view"),
		nodes:        gauges("pando_cluster_nodes", "Registered nodes in the newest view", "role"),
		resyncs:      prometheus.NewCounter(prometheus.CounterOpts{Name: "pando_cluster_resyncs_total", Help: "Times the view was read anew instead of followed"}),
		leaseValid:   gauges("pando_cluster_lease_valid", "1 while this member's lease is certain", "role"),
		keepAlives:   counters("pando_cluster_keepalives_total", "Keep-alives of leases by result", "role", "result"),
		leasesLost:   counters("pando_cluster_leases_lost_total", "Memberships lost", "role"),
		owned:        gauges("pando_cluster_partitions_owned", "Partitions served by this process", "space"),
		claimsLost:   counters("pando_cluster_claims_lost_total", "Partitions lost, not handed over", "space"),
		acquire:      histograms("pando_cluster_acquire_seconds", "Time from the ownership key to serving"),
		acquireError: counters("pando_cluster_acquire_errors_total", "Partitions given back because serving did not start", "space"),
		release:      histograms("pando_cluster_release_seconds", "Time to stop serving a partition"),
		assigner:     gauge("pando_cluster_assigner", "1 while a member of this process writes the assignment"),
		assignments:  counters("pando_cluster_assignments_total", "Assignments written by this process", "space"),
		badRecords:   prometheus.NewCounter(prometheus.CounterOpts{Name: "pando_cluster_bad_records_total", Help: "Values of keys that could not be read"}),
	}
	if reg == nil {
		return m, nil
	}
	for i, c := range m.all() {
		if err := reg.Register(c); err != nil {
			for _, done := range m.all()[:i] {
				reg.Unregister(done)
			}
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{
		m.revision, m.nodes, m.resyncs, m.leaseValid, m.keepAlives, m.leasesLost, m.owned, m.claimsLost,
		m.acquire, m.acquireError, m.release, m.assigner, m.assignments, m.badRecords,
	}
}

func (m *metrics) unregister(reg Registerer) {
	if reg == nil {
		return
	}
	for _, c := range m.all() {
		reg.Unregister(c)
	}
}

// view records the newest view.
func (m *metrics) view(v *View) {
	m.revision.Set(float64(v.Revision))
	m.nodes.Reset()
	for r, nodes := range v.nodes {
		m.nodes.WithLabelValues(string(r)).Set(float64(len(nodes)))
	}
}

// keepAlive records one keep-alive and whether the lease is certain after it.
func (m *metrics) keepAlive(r Role, err error, valid bool) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.keepAlives.WithLabelValues(string(r), result).Inc()
	value := 0.0
	if valid {
		value = 1
	}
	m.leaseValid.WithLabelValues(string(r)).Set(value)
}

func (m *metrics) acquired(s Space, since time.Time, err error) {
	if err != nil {
		m.acquireError.WithLabelValues(string(s)).Inc()
		return
	}
	m.acquire.WithLabelValues(string(s)).Observe(time.Since(since).Seconds())
	m.owned.WithLabelValues(string(s)).Inc()
}

func (m *metrics) released(s Space, since time.Time, lost bool) {
	m.release.WithLabelValues(string(s)).Observe(time.Since(since).Seconds())
	m.owned.WithLabelValues(string(s)).Dec()
	if lost {
		m.claimsLost.WithLabelValues(string(s)).Inc()
	}
}
