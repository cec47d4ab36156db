package authsvc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/authsvc/hash"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/journal"
)

// Deps is what a Service stands on.
type Deps struct {
	Cluster cluster.Cluster
	Member  cluster.Member // this process in the role Auth: registered, not hosting yet
	Journal journal.Store
	DataDir string // where the projection lies, as auth.db; made if absent
	// Peer gives the AuthAdmin of another authsvc: what is asked of this one and belongs to the owner of the journal goes there. Nil: there is no other.
	Peer func(cluster.Node) broker.AuthAdmin

	Log        *slog.Logger     // nil: discards
	Registerer Registerer       // nil: no metrics are published
	Clock      func() time.Time // nil: time.Now
}

// Service is one authsvc process in one incarnation. It implements broker.Auth,
// broker.AuthAdmin, cluster.PartitionHost for the space "auth" and run.Service.
type Service struct {
	cfg      Config
	deps     Deps
	verifier *hash.Verifier
	metrics  *metrics

	decoys     []byte // makes the keys of unknown users while no user has any
	projection *projection
	accounts   accounts
	rules      *rulebook
	owner      atomic.Pointer[owner] // nil: another process owns the journal, or nobody
	ownership  signal                // raised when owner changed

	stopping chan struct{} // closed by Stop
	cancel   context.CancelFunc
	wg       sync.WaitGroup // everything Start left running
}

// New makes a Service. It reads no file and starts nothing.
func New(cfg Config, deps Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if deps.Cluster == nil || deps.Member == nil || deps.Journal == nil || deps.DataDir == "" {
		return nil, errors.New("auth: Cluster, Member, Journal and DataDir are needed")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	scheme, err := cfg.scheme()
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	limits := cfg.verifier()
	limits.Reference = scheme
	verifier, err := hash.New(limits)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	s := &Service{cfg: cfg, deps: deps, verifier: verifier, metrics: newMetrics(verifier), stopping: make(chan struct{})}
	s.decoys = make([]byte, 32)
	_, _ = rand.Read(s.decoys) // never fails
	s.projection = newProjection(deps.DataDir)
	s.rules = &rulebook{p: s.projection, path: cfg.ACLFile, nomatch: cfg.ACLNoMatch, log: deps.Log, metrics: s.metrics}
	return s, nil
}
