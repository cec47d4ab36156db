package journal

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the figures of all logs of a process.
type Metrics struct {
	appends   *prometheus.CounterVec
	events    prometheus.Histogram
	bytes     prometheus.Histogram
	seconds   prometheus.Histogram
	queued    prometheus.Gauge
	stepDowns *prometheus.CounterVec
	settled   prometheus.Counter
	replays   prometheus.Histogram
	snapshots *prometheus.CounterVec
}

// NewMetrics makes the metrics and registers them; a nil registerer registers none.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		appends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pando_journal_appends_total", Help: "Records appended, by result: ok, refused, full or unknown.",
		}, []string{"result"}),
		events: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pando_journal_batch_events", Help: "Events per record.", Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}),
		bytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pando_journal_batch_bytes", Help: "Bytes per record.", Buckets: prometheus.ExponentialBuckets(64, 4, 8),
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pando_journal_append_seconds", Help: "Time from sending a record to its answer.", Buckets: prometheus.ExponentialBuckets(50e-6, 2.5, 14),
		}),
		queued: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pando_journal_pending_bytes", Help: "Bytes of events that are not durable yet.",
		}),
		stepDowns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pando_journal_step_downs_total", Help: "Logs that ended by themselves, by reason: fenced, lease, corrupt or failed.",
		}, []string{"reason"}),
		settled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pando_journal_settled_total", Help: "Appends that were refused or unknown and then settled by reading the tail.",
		}),
		replays: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pando_journal_replay_seconds", Help: "Time to open a log.", Buckets: prometheus.ExponentialBuckets(1e-3, 4, 9),
		}),
		snapshots: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pando_journal_snapshots_total", Help: "Snapshots, by result: ok or failed.",
		}, []string{"result"}),
	}
	if reg != nil {
		reg.MustRegister(m.appends, m.events, m.bytes, m.seconds, m.queued, m.stepDowns, m.settled, m.replays, m.snapshots)
	}
	return m
}

func (m *Metrics) appended(result string, events, bytes int, took time.Duration) {
	m.appends.WithLabelValues(result).Inc()
	m.seconds.Observe(took.Seconds())
	if result == "ok" {
		m.events.Observe(float64(events))
		m.bytes.Observe(float64(bytes))
	}
}

func (m *Metrics) pending(delta int)           { m.queued.Add(float64(delta)) }
func (m *Metrics) steppedDown(reason string)   { m.stepDowns.WithLabelValues(reason).Inc() }
func (m *Metrics) settle()                     { m.settled.Inc() }
func (m *Metrics) replayed(took time.Duration) { m.replays.Observe(took.Seconds()) }
func (m *Metrics) snapshotEnded(result string) { m.snapshots.WithLabelValues(result).Inc() }
