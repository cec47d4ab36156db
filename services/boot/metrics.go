package boot

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Registerer takes metrics.
type Registerer = prometheus.Registerer

// quietZap silences the etcd client's own logger: what matters comes back as errors.
func quietZap() *zap.Logger { return zap.NewNop() }
