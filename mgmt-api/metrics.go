package mgmtapi

import "github.com/prometheus/client_golang/prometheus"

// Registerer takes metrics; nil publishes none.
type Registerer = prometheus.Registerer
