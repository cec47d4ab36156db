package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/journal"
)

// Deps is what a Router stands on. All fields but Log, Registerer and Clock must be set.
type Deps struct {
	Cluster  cluster.Cluster
	Member   cluster.Member  // this process, in the role router
	Sessions broker.Sessions // the tier of session partitions
	Retained broker.Sink     // the tier of retained partitions; nil: this router owns them all
	Topics   broker.Router   // the tier of topic partitions, which delayed messages are published to; nil: this router owns them all
	Gateways func(cluster.Node) broker.Gateway
	Peers    func(cluster.Node) broker.RouterNode // other routers, to read their retained partitions; nil: there is none
	Journal  journal.Store
	Dir      string // of files that are made anew at each start, for storage disc_only; it belongs to the Router

	Log        *slog.Logger
	Registerer Registerer
	Clock      func() time.Time
}

// Router is one router process in one incarnation. It implements broker.Router, broker.RouterNode and broker.RouterAdmin.
// When its lease is lost it is of no more use: stop it and make another one for the new incarnation.
type Router struct {
	cfg      Config
	retained *retainedStore
	deps     Deps
	self     broker.NodeRef
	metrics  *metrics
	pending  atomic.Int64 // bytes waiting for destinations

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	wild *wildcards
	sync *synchroniser

	mu         sync.Mutex
	closed     bool
	partitions map[int]*partition
}

// New makes a Router for the incarnation that deps.Member is. It starts nothing.
func New(cfg Config, retained RetainedConfig, deps Deps) (*Router, error) {
	if err := errors.Join(cfg.Validate(), retained.Validate()); err != nil {
		return nil, err
	}
	if retained.Storage == StorageDiscOnly && deps.Dir == "" {
		return nil, errors.New("router: Dir must be set for retained.storage disc_only")
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	n := deps.Member.Node()
	r := &Router{
		cfg: cfg, deps: deps, self: broker.NodeRef{ID: n.ID, Incarnation: n.Incarnation},
		metrics: newMetrics(deps.Registerer), wild: newWildcards(), partitions: map[int]*partition{},
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.retained = newRetainedStore(r, retained)
	if r.deps.Retained == nil {
		r.deps.Retained = r
	}
	if r.deps.Topics == nil {
		r.deps.Topics = r
	}
	r.sync = newSynchroniser(r)
	return r, nil
}

// Start begins to follow the cluster and to contend for topic and retained partitions. It returns at once; partitions serve when they are synchronised. An
// error is one of Deps.Dir.
func (r *Router) Start(context.Context) error {
	if r.retained.cfg.Storage == StorageDiscOnly {
		if err := errors.Join(os.RemoveAll(r.deps.Dir), os.MkdirAll(r.deps.Dir, 0o700)); err != nil {
			return fmt.Errorf("directory of retained messages: %w", err)
		}
	}
	r.spawn(func() { r.deps.Cluster.Watch(r.ctx, r.sync.follow) })
	r.spawn(r.sync.run)
	r.spawn(r.retained.sweep)
	r.spawn(r.bury)
	r.spawn(func() { r.host(cluster.TopicSpace, (*topicHost)(r)) })
	r.spawn(func() { r.host(cluster.RetainedSpace, r.retained) })
	return nil
}

// Stop gives partitions back, ends all streams and waits for everything the Router started. The member is left by its owner.
func (r *Router) Stop(context.Context) error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
	return nil
}

func (r *Router) host(space cluster.Space, h cluster.PartitionHost) {
	if err := r.deps.Member.Host(r.ctx, space, h); err != nil && r.ctx.Err() == nil {
		r.deps.Log.Warn("stopped hosting partitions", slog.String("space", string(space)), slog.Any("error", err))
	}
}

// spawn runs fn in a goroutine that Stop waits for. After Stop began it does nothing.
func (r *Router) spawn(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		fn()
	}()
}

// Serving reports how many topic partitions this router owns and how many of them serve.
func (r *Router) Serving() (owned, serving int) {
	for _, p := range r.owned() {
		owned++
		p.mu.Lock()
		if p.state == stateServing {
			serving++
		}
		p.mu.Unlock()
	}
	return owned, serving
}

// bury forgets, now and then, routes that have had no members for a while.
func (r *Router) bury() {
	tick := time.NewTicker(rest / 6)
	defer tick.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case now := <-tick.C:
			r.wild.bury(now)
			for _, p := range r.owned() {
				p.mu.Lock()
				p.exact.bury(now)
				p.lapse(r.deps.Clock())
				p.mu.Unlock()
			}
		}
	}
}

// partition finds an owned topic partition, nil if it is another router's.
func (r *Router) partition(topic int) *partition {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.partitions[topic]
}

// owned lists the topic partitions owned now.
func (r *Router) owned() []*partition {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*partition, 0, len(r.partitions))
	for _, p := range r.partitions {
		list = append(list, p)
	}
	return list
}

// topics, sessions and retainedPartitions are the counts fixed at bootstrap.
func (r *Router) count(s cluster.Space) int { return r.deps.Cluster.Meta().Partitions[s] }

// topicHost is the Router as the host of topic partitions.
type topicHost Router

// Acquire makes a partition that synchronises; it does not wait for that, so that the routes of all partitions are collected side by side.
func (h *topicHost) Acquire(_ context.Context, c cluster.Claim) error {
	r := (*Router)(h)
	p := newPartition(r, c)
	r.mu.Lock()
	r.partitions[c.Partition] = p
	r.mu.Unlock()
	r.sync.wake()
	return nil
}

// Release ends all streams of the partition. What was accepted and not acked is sent again by its source to the next owner.
func (h *topicHost) Release(_ context.Context, topic int) {
	r := (*Router)(h)
	r.mu.Lock()
	p := r.partitions[topic]
	delete(r.partitions, topic)
	r.mu.Unlock()
	if p != nil {
		p.close(broker.E(broker.KindNotOwner, "topic partition released", nil))
	}
}
