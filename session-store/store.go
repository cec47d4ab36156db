package sessionstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/session"
)

// Deps is what a Store works with.
type Deps struct {
	Cluster cluster.Cluster
	// Member is this process in the role SessionStore: registered, not hosting yet.
	Member cluster.Member
	// Router is the tier of routers: the outbox publishes there, new subscriptions read retained messages.
	Router broker.Router
	// Routers gives the interface of one router process, for route announcements.
	Routers func(cluster.Node) broker.RouterNode
	// Sessions is the tier of session partitions, for copies of shared groups whose member is in another one. Nil: this Store is all of it.
	Sessions broker.Sink
	// Gateways gives the interface of one gateway, for copies of shared groups whose member is a clean session. Nil: they are not reached.
	Gateways func(cluster.Node) broker.Gateway
	Journal  journal.Store
	// QueueAlarm hears when the queue of a persistent session passes session.queue.high_watermark (true), and when it is back at the low one or ends here;
	// nil: nobody. It must not block for long.
	QueueAlarm func(id *broker.Identity, high bool, queued int)
	// Hooks has session.terminated run for each persistent session that ends, once, when that is durable, by the owner of its partition. A process that dies in
	// that moment takes it with it. nil: there are none.
	Hooks *hook.Chains

	Log        *slog.Logger     // nil: discards
	Registerer Registerer       // nil: no metrics are published
	Clock      func() time.Time // nil: time.Now
}

// Store is one session-store process. It implements broker.Sessions and broker.SessionAdmin for the partitions it owns, and cluster.PartitionHost.
type Store struct {
	cfg      StoreConfig
	deps     Deps
	set      atomic.Pointer[session.Settings]
	self     broker.NodeRef
	name     string // for listings
	ids      *broker.IDs
	topics   int // topic partitions
	sessions int // session partitions
	metrics  *metrics

	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	owned map[int]*ownership
}

// New makes a Store that owns nothing yet. It starts no goroutine.
func New(cfg Config, deps Deps) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("session-store: %w", err)
	}
	if deps.Cluster == nil || deps.Member == nil || deps.Router == nil || deps.Routers == nil || deps.Journal == nil {
		return nil, errors.New("session-store: Cluster, Member, Router, Routers and Journal are needed")
	}
	set, err := session.Prepare(cfg.Session)
	if err != nil {
		return nil, fmt.Errorf("session-store: %w", err)
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	n, counts := deps.Member.Node(), deps.Cluster.Meta().Partitions
	s := &Store{
		cfg: cfg.Store, deps: deps, self: broker.NodeRef{ID: n.ID, Incarnation: n.Incarnation}, name: n.ID, ids: broker.NewIDs(n.Incarnation),
		topics: counts[cluster.TopicSpace], sessions: counts[cluster.SessionSpace], owned: map[int]*ownership{},
	}
	s.set.Store(set)
	if name := n.Meta["name"]; name != "" {
		s.name = name
	}
	if deps.Sessions == nil {
		s.deps.Sessions = s
	}
	s.metrics = newMetrics(s)
	if err := s.metrics.register(deps.Registerer); err != nil {
		return nil, fmt.Errorf("session-store: register metrics: %w", err)
	}
	return s, nil
}

// Configure changes what holds for every session, from here on, in every partition that is served here: limits, watermarks, priorities. The settings are part of
// each log, so that it is replayed under those it was written under. A configuration that makes no sense changes nothing and is the error.
func (s *Store) Configure(c session.Config) error {
	set, err := session.Prepare(c)
	if err != nil {
		return fmt.Errorf("session-store: %w", err)
	}
	s.set.Store(set)
	for _, p := range s.serving() {
		p.enter()
		p.reconfigure()
		p.leave()
	}
	return nil
}

// Start contends for partitions and follows the view, until Stop.
func (s *Store) Start(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.wg.Go(func() {
		if err := s.deps.Member.Host(ctx, cluster.SessionSpace, s); err != nil {
			s.deps.Log.Error("session partitions are not hosted any more", slog.Any("error", err))
		}
	})
	s.wg.Go(func() { s.deps.Cluster.Watch(ctx, s.follow) })
	return nil
}

// Stop hands all partitions over: what was taken is made durable and answered first. It waits for everything that Start started, or for ctx.
func (s *Store) Stop(ctx context.Context) error {
	if s.cancel == nil {
		return nil
	}
	s.cancel()
	done := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop session-store: %w", ctx.Err())
	}
}

// Acquire implements cluster.PartitionHost: it replays the log of a partition and serves it. Rule N2: the view is at least as new as the claim.
func (s *Store) Acquire(ctx context.Context, c cluster.Claim) error {
	if _, err := s.deps.Cluster.Sync(ctx, c.Epoch); err != nil {
		return fmt.Errorf("acquire session partition %d: %w", c.Partition, err)
	}
	o := newOwnership(s, c)
	if err := o.open(ctx); err != nil {
		o.close()
		return fmt.Errorf("acquire session partition %d: %w", c.Partition, err)
	}
	s.mu.Lock()
	s.owned[c.Partition] = o
	s.mu.Unlock()
	o.start()
	s.metrics.partitions.Inc()
	s.deps.Log.Debug("session partition acquired", slog.Int("partition", c.Partition), slog.Uint64("epoch", c.Epoch))
	return nil
}

// Release implements cluster.PartitionHost: it drains the partition and closes its log.
func (s *Store) Release(ctx context.Context, n int) {
	s.mu.Lock()
	o := s.owned[n]
	delete(s.owned, n)
	s.mu.Unlock()
	if o == nil {
		return
	}
	o.release(ctx)
	s.metrics.partitions.Dec()
	s.deps.Log.Debug("session partition released", slog.Int("partition", n), slog.Uint64("epoch", o.claim.Epoch))
}

// partition finds a partition that is served here.
func (s *Store) partition(n int, op string) (*partition, error) {
	s.mu.Lock()
	o := s.owned[n]
	s.mu.Unlock()
	if o != nil {
		if p := o.part.Load(); p != nil {
			return p, nil
		}
	}
	return nil, broker.E(broker.KindNotOwner, op, nil)
}

// serving lists the partitions that are served here.
func (s *Store) serving() []*partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*partition
	for _, o := range s.owned {
		if p := o.part.Load(); p != nil {
			all = append(all, p)
		}
	}
	return all
}

// follow takes a newer view to every partition.
func (s *Store) follow(v *cluster.View) {
	for _, p := range s.serving() {
		p.enter()
		p.sweep(v)
		p.leave()
	}
}

// SnapshotRoutes implements broker.RouteSource. Rule N6: it needs the certainty that nobody else owns the partition.
func (s *Store) SnapshotRoutes(ctx context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	p, err := s.partition(q.Partition, "snapshot of routes")
	if err != nil {
		return broker.SnapshotInfo{}, err
	}
	if !p.own.claim.Valid() {
		return broker.SnapshotInfo{}, broker.E(broker.KindUnavailable, "snapshot of routes: the ownership is not certain now", nil)
	}
	return p.own.routes.SnapshotRoutes(ctx, q, yield)
}

func (s *Store) now() time.Time { return s.deps.Clock() }
