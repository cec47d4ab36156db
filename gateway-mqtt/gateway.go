package gatewaymqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/log"
	"github.com/pando-mq/pando/services/transport"
)

// Deps is what the process provides.
type Deps struct {
	Edge   *edge.Edge  // started before the gateway and stopped after it
	Access Access      // what is known about who is let in
	Cert   Certificate // for listeners of kind ssl and wss without one of their own
	// MaxConnections bounds the connections of all listeners together, those before CONNECT included; 0: no limit.
	MaxConnections int
	// Full hears when a connection is refused because of MaxConnections (true), and when a tenth of them is free again; nil: nobody. It must not block.
	Full func(full bool)
	// Busy hears of a client whose output passed high_water, of so many bytes; nil: nobody. It must not block.
	Busy func(clientID string, pending int)
	// Status answers /status and /mqtt/status on WebSocket listeners with 200 and text if ok, with 503 and text otherwise. nil: nobody answers.
	Status     func() (text string, ok bool)
	Log        *slog.Logger // nil: none
	Registerer Registerer   // nil: no metrics
}

// Certificate names the PEM files of a server certificate.
type Certificate struct {
	CertFile string
	KeyFile  string
}

// Gateway is the MQTT gateway of one process incarnation. It implements run.Service. Safe for use by many goroutines.
type Gateway struct {
	cfg       Config
	edge      *edge.Edge
	count     *edge.Counters
	log       *slog.Logger
	metrics   *metrics
	budget    *transport.Budget // of all listeners; nil: no limit
	loops     *transport.Loops  // of all listeners
	listeners []*listener       // by name
	encoders  sync.Pool         // of *encoder
	status    func() (string, bool)
	busy      func(clientID string, pending int)
	watch     watch

	mu       sync.Mutex
	conns    map[*conn]struct{}
	stopping bool
}

// New checks the configuration and makes the listeners of it. It opens nothing.
func New(cfg Config, deps Deps) (*Gateway, error) {
	if deps.Edge == nil {
		return nil, errors.New("gateway-mqtt needs Edge")
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("gateway-mqtt configuration: %w", err)
	}
	if err := cfg.CheckExposure(deps.Access); err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, edge: deps.Edge, count: deps.Edge.Counters(), log: deps.Log, status: deps.Status, busy: deps.Busy, loops: transport.NewLoops(0), conns: map[*conn]struct{}{}}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if deps.MaxConnections > 0 {
		g.budget = transport.NewBudget(deps.MaxConnections, func(full bool) { g.full(full, deps) })
	}
	g.encoders.New = func() any { return newEncoder() }
	for _, name := range slices.Sorted(maps.Keys(cfg.Listeners)) {
		if cfg.Listeners[name].Disabled {
			continue
		}
		l, err := newListener(g, name, cfg.Listeners[name], deps.Cert)
		if err != nil {
			return nil, err
		}
		g.listeners = append(g.listeners, l)
	}
	var err error
	if g.metrics, err = newMetrics(g, deps.Registerer); err != nil {
		return nil, fmt.Errorf("gateway-mqtt metrics: %w", err)
	}
	return g, nil
}

// Start opens every listener; if one cannot be opened, none is.
func (g *Gateway) Start(ctx context.Context) error {
	for i, l := range g.listeners {
		if err := l.Start(ctx); err != nil {
			err = fmt.Errorf("%w (set mqtt.listeners.%s.bind, or port_offset for all ports)", err, l.name)
			for _, open := range g.listeners[:i] {
				err = errors.Join(err, open.Close(ctx))
			}
			g.metrics.unregister()
			return err
		}
		l.explain()
	}
	g.watch.start(g)
	return nil
}

// Stop closes the listeners, tells every client that the server shuts down (MQTT 5.0: 0x8B) and waits until all connections are closed. When ctx ends
// the rest is cut off, and the error is ctx's.
func (g *Gateway) Stop(ctx context.Context) error {
	defer g.metrics.unregister()
	g.watch.stop()
	var errs []error
	for _, l := range g.listeners {
		errs = append(errs, l.Stop(ctx))
	}
	g.farewell(ctx)
	for _, l := range g.listeners {
		errs = append(errs, l.Close(ctx))
	}
	return errors.Join(errs...)
}

// farewell tells the clients, and makes sure that later ones end by themselves. It returns when all were told, or when ctx ends.
func (g *Gateway) farewell(ctx context.Context) {
	g.mu.Lock()
	g.stopping = true
	conns := slices.Collect(maps.Keys(g.conns))
	g.mu.Unlock()
	var told sync.WaitGroup
	for _, c := range conns {
		told.Add(1)
		if !c.tc.Post(func() { c.shutdown(); told.Done() }) {
			told.Done()
		}
	}
	done := make(chan struct{})
	go func() { told.Wait(); close(done) }() // posted functions always run, so it ends
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// add notes a connection; false: the gateway stops.
func (g *Gateway) add(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stopping {
		g.conns[c] = struct{}{}
	}
	return !g.stopping
}

func (g *Gateway) remove(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

func (g *Gateway) listener(name string) *listener {
	for _, l := range g.listeners {
		if l.name == name {
			return l
		}
	}
	return nil
}

// defect reports what only a fault of this program can cause.
func (g *Gateway) defect(what string, err error) {
	g.log.Error(what, log.KeyError, err)
}
