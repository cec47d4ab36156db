package edge

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
	"github.com/pando-mq/pando/services/route"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/topic"
)

// Deps is what the process provides.
type Deps struct {
	Node     broker.NodeRef // the gateway's registration: one Edge per incarnation
	NodeName string
	Version  string // of the program, for listings
	Cluster  cluster.Cluster
	Auth     broker.Auth
	Router   broker.Router                        // the tier
	Routers  func(cluster.Node) broker.RouterNode // one router process
	Sessions broker.Sessions                      // the tier
	Hooks    *hook.Chains                         // nil: none
	// Listeners describes the gateway's listeners, for listings; nil: none.
	Listeners func() []broker.ListenerInfo
	// ControlListener does what broker.GatewayAdmin says; nil: there are no listeners.
	ControlListener func(ctx context.Context, name string, do broker.ListenerAction) error
	// QueueAlarm hears when a client's queue passes session.queue.high_watermark (true) and when it is back at the low one; nil: nobody. It must not block.
	QueueAlarm func(id *broker.Identity, high bool, queued int)
	Durability string // in force, for listings: "fsync x3"
	Log        *slog.Logger
	Registerer Registerer       // nil: no metrics; it serves one Edge at a time
	Now        func() time.Time // nil: time.Now
}

// Edge is what the gateways of one process incarnation share. It implements broker.Gateway. Safe for use by many goroutines.
type Edge struct {
	cfg   Config
	deps  Deps
	set   atomic.Pointer[settings]
	hooks *hook.Chains
	log   *slog.Logger
	now   func() time.Time
	ids   *broker.IDs

	counters Counters
	drops    drops
	stats    gauges

	state   atomic.Uint32
	next    atomic.Uint64 // connection numbers
	rules   atomic.Uint64 // generation of the rules in force
	started time.Time

	parts   []*partition
	topics  []topicSink
	plain   *topic.Index[*Conn, struct{}] // ordinary subscriptions of clean sessions, by inner filter
	local   *topic.Index[*Conn, struct{}] // $local ones
	groups  groups                        // shared ones
	shares  groups                        // $local and shared
	again   redispatch
	streams deliverStreams
	wheel   *wheel
	connect *pool // questions of CONNECTs
	decide  *pool // questions about topics
	readers chan struct{}
	tasks   tasks
	metrics *metrics

	ctx    context.Context // ends with the Edge
	cancel context.CancelFunc
	pub    *route.Publisher
	ann    *route.Announcer

	idleMu sync.Mutex
	idle   chan struct{} // closed when the last connection is gone, made by Stop
}

// The states of an Edge.
const (
	stateNew uint32 = iota
	stateRunning
	stateDraining // Stop was called
	stateOver     // fenced or stopped
)

// readersMax is how many reads of retained messages run at once.
const readersMax = 32

var errStopped = broker.E(broker.KindUnavailable, "edge is not running", nil)

// New makes an Edge. It starts nothing.
func New(cfg Config, deps Deps) (*Edge, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("edge configuration: %w", err)
	}
	if deps.Cluster == nil || deps.Auth == nil || deps.Router == nil || deps.Routers == nil || deps.Sessions == nil || deps.NodeName == "" {
		return nil, errors.New("edge needs Cluster, Auth, Router, Routers, Sessions and NodeName")
	}
	set, err := session.Prepare(cfg.Session)
	if err != nil {
		return nil, fmt.Errorf("session configuration: %w", err)
	}
	e := &Edge{cfg: cfg, deps: deps, hooks: deps.Hooks, log: deps.Log, now: deps.Now, ids: broker.NewIDs(deps.Node.Incarnation)}
	e.set.Store(&settings{Settings: set, publish: cfg.Publish})
	if e.hooks == nil {
		e.hooks = &hook.Chains{}
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.now == nil {
		e.now = time.Now
	}
	e.build()
	if e.metrics, err = newMetrics(e, deps.Registerer); err != nil {
		return nil, fmt.Errorf("edge metrics: %w", err)
	}
	return e, nil
}

// build makes the parts.
func (e *Edge) build() {
	parts := e.deps.Cluster.Meta().Partitions
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.plain, e.local = topic.NewIndex[*Conn, struct{}](0), topic.NewIndex[*Conn, struct{}](0)
	e.topics = make([]topicSink, parts[cluster.TopicSpace])
	e.parts = make([]*partition, parts[cluster.SessionSpace])
	for i := range e.parts {
		e.parts[i] = newPartition(e, i)
	}
	e.wheel = newWheel(e.now)
	e.connect = &pool{tasks: &e.tasks, workers: e.cfg.Auth.Workers, waiting: e.cfg.Auth.Waiting}
	e.decide = &pool{tasks: &e.tasks, workers: e.cfg.Auth.Workers, waiting: e.cfg.Auth.Waiting}
	e.readers = make(chan struct{}, readersMax)
	e.again.e = e
	e.pub = route.NewPublisher(route.PublisherConfig{
		Router: e.deps.Router, From: e.deps.Node, Topics: parts[cluster.TopicSpace], MaxBytes: int(e.cfg.Publish.MaxQueued), Log: e.log,
		Source: func(t int) broker.Source {
			return broker.Source{Kind: broker.FromGateway, Incarnation: e.deps.Node.Incarnation, Topic: t}
		},
	})
}

// Start begins to accept connections and deliveries. ctx bounds nothing beyond the call.
func (e *Edge) Start(context.Context) error {
	if e.state.Load() != stateNew {
		return errors.New("edge was started before")
	}
	e.started = e.now()
	e.ann = route.NewAnnouncer(route.AnnouncerConfig{
		Origin:  broker.Origin{Kind: broker.FromGateway, Node: e.deps.Node, Epoch: e.deps.Node.Incarnation},
		Cluster: e.deps.Cluster, Routers: e.deps.Routers, Log: e.log,
	})
	e.state.Store(stateRunning)
	e.tasks.spawn(func() { e.wheel.run(e.ctx) })
	e.tasks.spawn(func() { e.watchRules(e.ctx) })
	e.tasks.spawn(func() { e.forgetSources(e.ctx) })
	e.log.Info("edge started", slog.String("node", e.deps.NodeName), slog.Uint64("incarnation", e.deps.Node.Incarnation))
	return nil
}

// Stop drains: no new connection is accepted, clients are told that the server shuts down, publishes and requests under way are waited for, and everything
// ends. What is not done when ctx ends is left undone, which is the error.
func (e *Edge) Stop(ctx context.Context) error {
	was := e.state.Swap(stateDraining)
	switch was {
	case stateNew, stateOver:
		e.close()
		return nil
	}
	idle := make(chan struct{})
	e.idleMu.Lock()
	e.idle = idle
	e.idleMu.Unlock()
	e.each(func(c *Conn) { c.kick(KickShutdown, "") })
	e.quiet()
	err := wait(ctx, idle, "connections")
	if err == nil {
		err = e.pub.Drain(ctx)
	}
	for _, p := range e.parts {
		if err == nil {
			err = p.drain(ctx)
		}
	}
	e.close()
	e.log.Info("edge stopped", slog.String("node", e.deps.NodeName))
	if err != nil {
		return fmt.Errorf("stop edge: %w", err)
	}
	return nil
}

// Fence ends everything at once, because the lease of this incarnation is lost: connections are closed, nothing more is acknowledged, published or
// delivered. Call Stop afterwards to wait for what runs.
func (e *Edge) Fence() {
	e.state.Store(stateOver)
	e.cancel()
	e.endStreams()
	e.tasks.spawn(e.pub.Close)
	if e.ann != nil {
		e.tasks.spawn(e.ann.Close)
	}
	e.each(func(c *Conn) { c.kick(KickLost, "lease_lost") })
	e.log.Warn("edge fenced: the lease is lost", slog.String("node", e.deps.NodeName))
}

// close ends and waits for everything.
func (e *Edge) close() {
	e.state.Store(stateOver)
	e.cancel()
	e.endStreams()
	e.pub.Close()
	if e.ann != nil {
		e.ann.Close()
	}
	e.tasks.close()
	e.metrics.unregister(e.deps.Registerer)
}

// quiet closes idle if there is no connection left.
func (e *Edge) quiet() {
	e.idleMu.Lock()
	defer e.idleMu.Unlock()
	if e.idle != nil && e.stats.connections.Load() == 0 {
		close(e.idle)
		e.idle = nil
	}
}

// running says whether new work is accepted.
func (e *Edge) running() bool { return e.state.Load() == stateRunning }

// over says that nothing may be acknowledged, published or delivered any more.
func (e *Edge) over() bool { return e.state.Load() == stateOver }

// Counters are the figures of this node; the gateway counts packets and bytes there.
func (e *Edge) Counters() *Counters { return &e.counters }

// each calls fn for every attached connection, without locks.
func (e *Edge) each(fn func(*Conn)) {
	for _, p := range e.parts {
		for _, c := range p.all() {
			fn(c)
		}
	}
}

// wait waits for done or the end of ctx.
func wait(ctx context.Context, done <-chan struct{}, what string) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w", what, ctx.Err())
	}
}
