package sys

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/bus"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/hook"
)

// Deps is what the process provides. All fields but the last three must be set.
type Deps struct {
	Node    string // name of this node
	Version string
	Cluster cluster.Cluster
	Gateway broker.GatewayAdmin                    // this node: its figures
	Routers func(cluster.Node) broker.RouterAdmin  // one router process: what it holds
	Stores  func(cluster.Node) broker.SessionAdmin // one session-store process; asked where it is this very node
	Publish func(m *broker.Message) error          // routes a message of the node itself; it never blocks
	Hooks   *hook.Chains                           // of the edge: client.connected and client.disconnected
	Bus     bus.Bus                                // brings alarms

	Log        *slog.Logger     // nil: discards
	Registerer Registerer       // nil: no metrics
	Now        func() time.Time // nil: time.Now
}

// Service publishes what a node tells about itself. It implements run.Service.
type Service struct {
	cfg      Config
	deps     Deps
	log      *slog.Logger
	now      func() time.Time
	prefix   string // "$SYS/brokers/<node>/"
	started  time.Time
	metrics  *metrics
	alarms   registry
	presence presence
	monitor  *monitor
	highest  map[string]int64 // greatest values of what only routers and session-stores count; of run's goroutine

	cancel      context.CancelFunc
	unsubscribe []func()
	wg          sync.WaitGroup
}

// New makes a Service. It starts nothing.
func New(cfg Config, d Deps) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("sys: %w", err)
	}
	if d.Node == "" || d.Cluster == nil || d.Gateway == nil || d.Routers == nil || d.Stores == nil || d.Publish == nil || d.Hooks == nil || d.Bus == nil {
		return nil, errors.New("sys needs Node, Cluster, Gateway, Routers, Stores, Publish, Hooks and Bus")
	}
	s := &Service{cfg: cfg, deps: d, log: d.Log, now: d.Now, prefix: "$SYS/brokers/" + d.Node + "/", metrics: newMetrics(), highest: map[string]int64{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.presence.s, s.alarms.s, s.monitor = s, s, newMonitor(s)
	return s, nil
}

// Start begins to publish.
func (s *Service) Start(ctx context.Context) error {
	if err := s.metrics.register(s.deps.Registerer); err != nil {
		return fmt.Errorf("start sys: %w", err)
	}
	s.started = s.now()
	for _, step := range []func() error{s.presence.listen, s.alarms.listen} {
		if err := step(); err != nil {
			return errors.Join(fmt.Errorf("start sys: %w", err), s.Stop(ctx))
		}
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	if s.cfg.Interval > 0 {
		s.wg.Go(func() { s.run(life) })
	}
	s.wg.Go(func() { s.monitor.run(life) })
	return nil
}

// Stop ends it, with the last presence events still on their way: stop it after the edge is drained to have them all.
func (s *Service) Stop(context.Context) error {
	s.presence.leave()
	for _, stop := range s.unsubscribe {
		stop()
	}
	s.unsubscribe = nil
	if s.cancel != nil {
		s.cancel()
	}
	s.wg.Wait()
	s.metrics.unregister(s.deps.Registerer)
	return nil
}

// run publishes at each interval and heartbeat until ctx ends.
func (s *Service) run(ctx context.Context) {
	s.tell(ctx)
	interval := time.NewTicker(s.cfg.Interval)
	defer interval.Stop()
	var beat <-chan time.Time
	if s.cfg.Heartbeat > 0 {
		heart := time.NewTicker(s.cfg.Heartbeat)
		defer heart.Stop()
		beat = heart.C
	}
	for {
		select {
		case <-interval.C:
			s.tell(ctx)
		case <-beat:
			s.heartbeat()
		case <-ctx.Done():
			return
		}
	}
}

// tell publishes everything that has an interval.
func (s *Service) tell(ctx context.Context) {
	s.publish("$SYS/brokers", strings.Join(s.nodes(), ","), true)
	s.publish(s.prefix+"version", s.deps.Version, true)
	s.publish(s.prefix+"sysdescr", Description, true)
	s.heartbeat()
	s.alarms.forsaken()
	s.tellFigures(ctx)
}

// Description is the sysdescr of every node.
const Description = "Pando"

// timeForm is how EMQ 2 writes a moment, in local time.
const timeForm = "2006-01-02 15:04:05"

func (s *Service) heartbeat() {
	now := s.now()
	s.publish(s.prefix+"uptime", uptime(now.Sub(s.started)), false)
	s.publish(s.prefix+"datetime", now.Local().Format(timeForm), false)
}

// uptime is a span as EMQ 2 writes it: "1 days, 2 hours, 3 minutes, 4 seconds", without leading zeros.
func uptime(d time.Duration) string {
	left := int64(d / time.Second)
	var parts []string
	for _, unit := range []struct {
		name string
		size int64
	}{{"days", 86400}, {"hours", 3600}, {"minutes", 60}, {"seconds", 1}} {
		n := left / unit.size
		left %= unit.size
		if n > 0 || len(parts) > 0 || unit.size == 1 {
			parts = append(parts, fmt.Sprintf("%d %s", n, unit.name))
		}
	}
	return strings.Join(parts, ", ")
}

// nodes are the names of the running nodes, in order.
func (s *Service) nodes() []string {
	var names []string
	for _, n := range s.deps.Cluster.View().Nodes(cluster.Gateway) {
		names = append(names, name(n))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// name is the configured name of a process, its id if it told none.
func name(n cluster.Node) string { return cmp.Or(n.Meta["name"], n.ID) }

// publish publishes a text with QoS 0.
func (s *Service) publish(topic, text string, retain bool) {
	s.send(&broker.Message{Topic: topic, Payload: []byte(text), Retain: retain})
}

// send passes a message on, and counts it.
func (s *Service) send(m *broker.Message) {
	if err := s.deps.Publish(m); err != nil {
		s.metrics.dropped.Inc()
		return
	}
	s.metrics.published.Inc()
}

// level is a client id or alarm id as one level of a topic: what has a meaning there is written as %2F and the like.
func level(id string) string {
	return strings.NewReplacer("%", "%25", "/", "%2F", "+", "%2B", "#", "%23").Replace(id)
}
