package ops

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/pando-mq/pando/services/log"
)

// NewRegistry makes the registry of a process, with the collectors of the Go
// runtime and of the process, and pando_build_info with the version as label.
func NewRegistry(version string) *prometheus.Registry {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "pando_build_info",
		Help:        "Always 1; the label is the version of the binary.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build)
	return r
}

// metricsHandler serves what can be gathered and logs the rest.
func metricsHandler(r *prometheus.Registry, l *slog.Logger) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog:            errorLog{l},
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
	})
}

type errorLog struct{ *slog.Logger }

// Println is what promhttp calls with an error as its last argument.
func (e errorLog) Println(v ...any) {
	e.Warn("metrics are incomplete", log.KeyError, v[len(v)-1])
}
