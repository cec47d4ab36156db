package rpc

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Registerer is where the metrics of this package are registered.
type Registerer = prometheus.Registerer

// metrics of one server or one dialer. Labels are bounded: method, code and protocol, and the side that counts.
type metrics struct {
	handled  *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	panics   prometheus.Counter
	conns    prometheus.Gauge
	channels *prometheus.GaugeVec
	frames   *prometheus.CounterVec
	items    *prometheus.CounterVec
	busy     *prometheus.CounterVec
	dropped  *prometheus.CounterVec
}

// newMetrics makes the metrics of a side, "server" or "client"; a nil registerer registers none.
func newMetrics(side string, reg Registerer) (*metrics, error) {
	labels := prometheus.Labels{"side": side}
	counters := func(name, help string, by ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, by)
	}
	m := &metrics{
		handled: counters("pando_rpc_calls_total", "Calls that ended, streams included, by method and status code.", "method", "code"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pando_rpc_call_seconds", Help: "Time of unary calls.", ConstLabels: labels, Buckets: prometheus.ExponentialBuckets(100e-6, 4, 9),
		}, []string{"method"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pando_rpc_panics_total", Help: "Calls that panicked and were answered with an internal error.", ConstLabels: labels,
		}),
		conns: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pando_rpc_connections", Help: "Connections held.", ConstLabels: labels,
		}),
		channels: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "pando_rpc_stream_channels", Help: "Open channels of multiplexed streams.", ConstLabels: labels,
		}, []string{"protocol"}),
		frames:  counters("pando_rpc_stream_frames_total", "gRPC messages sent on multiplexed streams.", "protocol"),
		items:   counters("pando_rpc_stream_items_total", "Items and control frames sent on multiplexed streams.", "protocol"),
		busy:    counters("pando_rpc_stream_busy_total", "Channels ended because a queue was above its bound.", "protocol"),
		dropped: counters("pando_rpc_stream_dropped_total", "Items at QoS 0 dropped because a queue was half full.", "protocol"),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range m.all() {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.handled, m.seconds, m.panics, m.conns, m.channels, m.frames, m.items, m.busy, m.dropped}
}

func (m *metrics) unregister(reg Registerer) {
	if reg == nil {
		return
	}
	for _, c := range m.all() {
		reg.Unregister(c)
	}
}

func (m *metrics) called(method, code string) { m.handled.WithLabelValues(method, code).Inc() }
func (m *metrics) took(method string, d time.Duration) {
	m.seconds.WithLabelValues(method).Observe(d.Seconds())
}
func (m *metrics) panicked()             { m.panics.Inc() }
func (m *metrics) connections(delta int) { m.conns.Add(float64(delta)) }

// streamMetrics are the figures of one protocol.
type streamMetrics struct {
	channels prometheus.Gauge
	frames   prometheus.Counter
	items    prometheus.Counter
	full     prometheus.Counter
	dropped  prometheus.Counter
}

func (m *metrics) stream(protocol string) *streamMetrics {
	return &streamMetrics{
		channels: m.channels.WithLabelValues(protocol),
		frames:   m.frames.WithLabelValues(protocol),
		items:    m.items.WithLabelValues(protocol),
		full:     m.busy.WithLabelValues(protocol),
		dropped:  m.dropped.WithLabelValues(protocol),
	}
}

func (m *streamMetrics) sent(items int) {
	m.frames.Inc()
	m.items.Add(float64(items))
}

func (m *streamMetrics) open(delta int) { m.channels.Add(float64(delta)) }
func (m *streamMetrics) busy()          { m.full.Inc() }
func (m *streamMetrics) drop(n int)     { m.dropped.Add(float64(n)) }
