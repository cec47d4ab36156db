package mgmtapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/services/broker"
)

// Registerer takes metrics; nil publishes none.
type Registerer = prometheus.Registerer

// metrics has bounded labels only: doors, codes, roles and kinds.
type metrics struct {
	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	asked    *prometheus.HistogramVec
	silent   *prometheus.CounterVec
}

func newMetrics(reg Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "pando", Subsystem: "mgmt", Name: "requests_total", Help: "Requests answered, by door (rest, grpc) and status code.",
		}, []string{"door", "code"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "pando", Subsystem: "mgmt", Name: "request_duration_seconds", Help: "Time to answer a request, by door.",
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10, 30},
		}, []string{"door"}),
		asked: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "pando", Subsystem: "mgmt", Name: "question_duration_seconds", Help: "Time one service took to answer a question, by role.",
			Buckets: []float64{.001, .005, .02, .1, .5, 2, 10},
		}, []string{"role"}),
		silent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "pando", Subsystem: "mgmt", Name: "questions_failed_total", Help: "Questions that a service did not answer, by role and kind of error.",
		}, []string{"role", "kind"}),
	}
	if reg != nil {
		reg.MustRegister(m.requests, m.took, m.asked, m.silent)
	}
	return m
}

func (m *metrics) served(door, code string, took time.Duration) {
	m.requests.WithLabelValues(door, code).Inc()
	m.took.WithLabelValues(door).Observe(took.Seconds())
}

func (m *metrics) servedHTTP(status int, took time.Duration) {
	m.served("rest", strconv.Itoa(status), took)
}

func (m *metrics) servedGRPC(code string, took time.Duration) { m.served("grpc", code, took) }

func (m *metrics) question(role string, took time.Duration, err error) {
	m.asked.WithLabelValues(role).Observe(took.Seconds())
	if err != nil && broker.KindOf(err) != broker.KindNotFound {
		m.silent.WithLabelValues(role, broker.KindOf(err).String()).Inc()
	}
}
