package boot

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Registerer takes metrics.
type Registerer = prometheus.Registerer

// Registry holds the metrics of a process.
type Registry = prometheus.Registry

// quietZap silences the etcd client's own logger: what matters comes back as errors.
func quietZap() *zap.Logger { return zap.NewNop() }

// Scope is a Registerer whose metrics go away together, so that the next incarnation can register the same ones.
type Scope struct {
	to Registerer // nil: registers nothing

	mu   sync.Mutex
	held []prometheus.Collector
}

func newScope(to Registerer) *Scope { return &Scope{to: to} }

// Register adds one collector.
func (s *Scope) Register(c prometheus.Collector) error {
	if s.to == nil {
		return nil
	}
	if err := s.to.Register(c); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, c)
	return nil
}

// MustRegister adds collectors and panics if one is there already.
func (s *Scope) MustRegister(list ...prometheus.Collector) {
	for _, c := range list {
		if err := s.Register(c); err != nil {
			panic(err)
		}
	}
}

// Unregister takes one collector away.
func (s *Scope) Unregister(c prometheus.Collector) bool { return s.to != nil && s.to.Unregister(c) }

// close takes all of them away. One that is gone already is no error.
func (s *Scope) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.held {
		s.to.Unregister(c)
	}
	s.held = nil
}
