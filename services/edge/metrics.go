package edge

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/hook"
)

// Registerer is where the metrics of this package are registered.
type Registerer = prometheus.Registerer

// metrics of one Edge. Labels are bounded: reasons, kinds and actions are lists in the code.
type metrics struct {
	kicks, refusals, holds, denials, ends           *prometheus.CounterVec
	revocations, deniedOut, retainedErrors, heldOut prometheus.Counter
	all                                             []prometheus.Collector
}

func newMetrics(e *Edge, reg Registerer) (*metrics, error) {
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	one := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		kicks:          vec("pando_edge_kicks_total", "Connections ended by this side.", "reason"),
		refusals:       vec("pando_edge_connects_refused_total", "Connects refused.", "kind"),
		holds:          vec("pando_edge_holds_total", "Times reading from a client was stopped.", "reason"),
		denials:        vec("pando_edge_denied_total", "Publishes, wills and subscriptions that were denied.", "action"),
		ends:           vec("pando_edge_disconnects_total", "Connections that ended.", "reason"),
		revocations:    one("pando_edge_subscriptions_revoked_total", "Subscriptions ended because the rules changed."),
		deniedOut:      one("pando_edge_deliveries_denied_total", "Messages not delivered because the client may not read them any more."),
		retainedErrors: one("pando_edge_retained_reads_failed_total", "Reads of retained messages that ended early."),
		heldOut:        one("pando_edge_takeover_holds_expired_total", "Take-overs whose older gateway did not answer within a second."),
	}
	m.all = []prometheus.Collector{
		m.kicks, m.refusals, m.holds, m.denials, m.ends, m.revocations, m.deniedOut, m.retainedErrors, m.heldOut, newFigures(e), hook.NewCollector(e.hooks),
	}
	if reg == nil {
		return m, nil
	}
	for i, c := range m.all {
		if err := reg.Register(c); err != nil {
			for _, done := range m.all[:i] {
				reg.Unregister(done)
			}
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) unregister(reg Registerer) {
	if reg == nil {
		return
	}
	for _, c := range m.all {
		reg.Unregister(c)
	}
}

// figures reads what the edge counts anyway.
type figures struct {
	e                                                *Edge
	connections, subscriptions, queued, asked, drops *prometheus.Desc
	count                                            *prometheus.Desc
}

func newFigures(e *Edge) *figures {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &figures{
		e:             e,
		connections:   desc("pando_edge_connections", "Accepted connections."),
		subscriptions: desc("pando_edge_subscriptions", "Subscriptions of sessions that end with their connection."),
		queued:        desc("pando_edge_publish_queue_bytes", "Bytes of messages on their way to the routers."),
		asked:         desc("pando_edge_session_request_bytes", "Bytes of requests to session partitions without an answer."),
		drops:         desc("pando_edge_messages_dropped_total", "Messages that did not go where they would have gone.", "reason"),
		count:         desc("pando_edge_node_total", "Traffic of this node by the name it has under $SYS.", "name"),
	}
}

// Describe implements prometheus.Collector.
func (f *figures) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{f.connections, f.subscriptions, f.queued, f.asked, f.drops, f.count} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (f *figures) Collect(ch chan<- prometheus.Metric) {
	e := f.e
	gauge := func(d *prometheus.Desc, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	gauge(f.connections, float64(e.stats.opened.now.Load()))
	gauge(f.subscriptions, float64(e.stats.subscriptions.now.Load()))
	gauge(f.queued, float64(e.pub.Bytes()))
	asked := 0
	for _, p := range e.parts {
		p.mu.Lock()
		asked += p.bytes
		p.mu.Unlock()
	}
	gauge(f.asked, float64(asked))
	for r := range dropReasonCount {
		ch <- prometheus.MustNewConstMetric(f.drops, prometheus.CounterValue, float64(e.drops.n[r].Load()), r.String())
	}
	for c := range counterCount {
		ch <- prometheus.MustNewConstMetric(f.count, prometheus.CounterValue, float64(e.counters.Get(c)), c.String())
	}
}

func (m *metrics) kicked(code KickCode)         { m.kicks.WithLabelValues(code.String()).Inc() }
func (m *metrics) refusedConnect(k broker.Kind) { m.refusals.WithLabelValues(k.String()).Inc() }
func (m *metrics) deniedAction(a broker.Action) { m.denials.WithLabelValues(a.String()).Inc() }
func (m *metrics) revoked()                     { m.revocations.Inc() }
func (m *metrics) deniedDelivery()              { m.deniedOut.Inc() }
func (m *metrics) retainedFailed()              { m.retainedErrors.Inc() }
func (m *metrics) holdOver()                    { m.heldOut.Inc() }
func (m *metrics) held(reason uint8) {
	names := map[uint8]string{holdGate: "order", holdUnacked: "unacked", holdRoom: "room", holdRate: "rate"}
	m.holds.WithLabelValues(names[reason]).Inc()
}

// closed counts an end. Reasons that are not known here (management may give any) count as "other".
func (m *metrics) closed(reason string) {
	switch reason {
	case "normal", "closed", "timeout", "conflict", "kicked", "keepalive_timeout", "expired", "denied", "shutdown", "session_lost", "quota", "lease_lost", "protocol_error":
	default:
		reason = "other"
	}
	m.ends.WithLabelValues(reason).Inc()
}
