package gatewaymqtt

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// Registerer takes metrics; nil publishes none.
type Registerer = prometheus.Registerer

// metrics counts what concerns MQTT itself; traffic is counted by the edge.
type metrics struct {
	reg        prometheus.Registerer
	gw         *Gateway
	connacks   *prometheus.CounterVec // by reason code, "0x00"
	malformed  *prometheus.CounterVec // by reason code
	disconnect *prometheus.CounterVec // by reason code, those sent

	current, accepted, failed, shutdowns *prometheus.Desc
}

func newMetrics(g *Gateway, reg prometheus.Registerer) (*metrics, error) {
	byCode := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "pando", Subsystem: "mqtt", Name: name, Help: help}, []string{"code"})
	}
	byListener := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc("pando_mqtt_"+name, help, append([]string{"listener"}, more...), nil)
	}
	m := &metrics{
		reg: reg, gw: g,
		connacks:   byCode("connacks_total", "Answers to CONNECT, by reason code of MQTT 5.0."),
		malformed:  byCode("malformed_packets_total", "Packets that were refused because they break the protocol, by reason code of MQTT 5.0."),
		disconnect: byCode("disconnects_sent_total", "Connections that the server ended after CONNACK, by reason code of MQTT 5.0."),
		current:    byListener("listener_connections", "Connections, those in a handshake included."),
		accepted:   byListener("listener_accepted_total", "Connections accepted, refused ones included."),
		failed:     byListener("listener_accept_errors_total", "Times that accepting failed, as without a free file descriptor."),
		shutdowns:  byListener("listener_shutdowns_total", "Connections that ended, by reason.", "reason"),
	}
	if reg == nil {
		return m, nil
	}
	return m, reg.Register(m)
}

// unregister takes the metrics back, for the next incarnation.
func (m *metrics) unregister() {
	if m.reg != nil {
		m.reg.Unregister(m)
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.connacks.Describe(ch)
	m.malformed.Describe(ch)
	m.disconnect.Describe(ch)
	ch <- m.current
	ch <- m.accepted
	ch <- m.failed
	ch <- m.shutdowns
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.connacks.Collect(ch)
	m.malformed.Collect(ch)
	m.disconnect.Collect(ch)
	for _, l := range m.gw.listeners {
		ch <- prometheus.MustNewConstMetric(m.current, prometheus.GaugeValue, float64(l.Count()), l.name)
		ch <- prometheus.MustNewConstMetric(m.accepted, prometheus.CounterValue, float64(l.Accepted()), l.name)
		ch <- prometheus.MustNewConstMetric(m.failed, prometheus.CounterValue, float64(l.AcceptErrors()), l.name)
		for reason, n := range l.Shutdowns() {
			ch <- prometheus.MustNewConstMetric(m.shutdowns, prometheus.CounterValue, float64(n), l.name, string(reason))
		}
	}
}

// label is a reason code as metrics write it; table 2-6 bounds their number.
func label(r packet.ReasonCode) string { return fmt.Sprintf("0x%02x", byte(r)) }

func (m *metrics) connack(r packet.ReasonCode)      { m.connacks.WithLabelValues(label(r)).Inc() }
func (m *metrics) broken(r packet.ReasonCode)       { m.malformed.WithLabelValues(label(r)).Inc() }
func (m *metrics) disconnected(r packet.ReasonCode) { m.disconnect.WithLabelValues(label(r)).Inc() }
