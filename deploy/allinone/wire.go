package allinone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/authsvc"
	gatewaymqtt "github.com/pando-mq/pando/gateway-mqtt"
	mgmtapi "github.com/pando-mq/pando/mgmt-api"
	"github.com/pando-mq/pando/router"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/log"
	"github.com/pando-mq/pando/services/run"
	"github.com/pando-mq/pando/services/sys"
	sessionstore "github.com/pando-mq/pando/session-store"
)

// graph is one incarnation of all services. Each is made from the others; the three that need one another (router, session-store, edge) get what is made
// later through a holder that is filled before anything starts.
type graph struct {
	config  *Config
	process *boot.Process
	live    *boot.Live[hot]
	infra   *boot.Infra
	in      *boot.Incarnation
	cert    gatewaymqtt.Certificate
	say     func(string) // what an operator must see once

	hooks   *hook.Chains
	auth    *authsvc.Service
	router  *router.Router
	store   *sessionstore.Store
	edge    *edge.Edge
	gateway atomic.Pointer[gatewaymqtt.Gateway] // made at its start, when the users are known
	sys     *sys.Service
	mgmt    *mgmtapi.Server
}

// build makes the graph and says in which order it starts. It stops in the reverse order.
func (g *graph) build(ctx context.Context) error {
	for _, step := range []func(context.Context) error{g.buildAuth, g.buildRouting, g.buildEdge, g.buildSys, g.buildMgmt} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := g.live.Follow(g.use); err != nil {
		return err
	}
	g.in.Add("authsvc", g.auth)
	g.in.Add("session-store", g.store)
	g.in.Add("router", g.router)
	g.in.Add("edge", g.edge)
	g.in.Add("partitions", run.Func{OnStart: g.awaitPartitions})
	g.in.Add("sys", g.sys)
	g.in.Add("gateway-mqtt", run.Func{OnStart: g.startGateway, OnStop: g.stopGateway})
	g.in.Add("mgmt-api", g.mgmt)
	g.in.OnLoss(g.edge.Fence)
	g.in.Check("partitions", func(context.Context) error { return g.unserved() })
	g.in.Check("listeners", func(context.Context) error { return g.listening() })
	return nil
}

// use takes what changed while the services run.
func (g *graph) use(h hot) error {
	return errors.Join(g.store.Configure(h.session), g.edge.Configure(h.edge))
}

func (g *graph) buildAuth(ctx context.Context) error {
	member, err := g.register(ctx, cluster.Auth)
	if err != nil {
		return err
	}
	g.auth, err = authsvc.New(g.config.Auth, authsvc.Deps{
		Cluster: g.infra.Cluster, Member: member, Journal: g.infra.Journal, DataDir: g.config.path("auth"), Log: g.log("authsvc"), Registerer: g.in.Metrics,
	})
	return err
}

// sessions is the tier of session partitions for the router, which is made before the session-store.
type sessions struct{ broker.Sessions }

func (g *graph) buildRouting(ctx context.Context) error {
	g.hooks = &hook.Chains{}
	gateways := func(cluster.Node) broker.Gateway { return g.edge }
	member, err := g.register(ctx, cluster.Router)
	if err != nil {
		return err
	}
	tier := &sessions{}
	g.router, err = router.New(g.config.Router, g.config.Retained, router.Deps{
		Cluster: g.infra.Cluster, Member: member, Sessions: tier, Gateways: gateways, Journal: g.infra.Journal,
		Dir: g.config.path("retained"), Log: g.log("router"), Registerer: g.in.Metrics,
	})
	if err != nil {
		return err
	}
	if member, err = g.register(ctx, cluster.SessionStore); err != nil {
		return err
	}
	g.store, err = sessionstore.New(sessionstore.Config{Store: g.config.Store, Session: g.live.Get().session}, sessionstore.Deps{
		Cluster: g.infra.Cluster, Member: member, Router: g.router, Routers: func(cluster.Node) broker.RouterNode { return g.router }, Gateways: gateways,
		Journal: g.infra.Journal, QueueAlarm: sys.QueueAlarm(g.infra.Bus, g.config.NodeName()), Hooks: g.hooks, Log: g.log("session-store"), Registerer: g.in.Metrics,
	})
	tier.Sessions = g.store
	return err
}

func (g *graph) buildEdge(ctx context.Context) error {
	if err := g.infra.Fits("mqtt.max_packet_size", g.config.MQTT.MaxPacketSize); err != nil {
		return err
	}
	member, err := g.register(ctx, cluster.Gateway)
	if err != nil {
		return err
	}
	n := member.Node()
	g.edge, err = edge.New(g.live.Get().edge, edge.Deps{
		Node: broker.NodeRef{ID: n.ID, Incarnation: n.Incarnation}, NodeName: g.config.NodeName(), Version: run.Version(), Cluster: g.infra.Cluster,
		Auth: g.auth, Router: g.router, Routers: func(cluster.Node) broker.RouterNode { return g.router }, Sessions: g.store,
		Hooks: g.hooks, QueueAlarm: sys.QueueAlarm(g.infra.Bus, g.config.NodeName()),
		Listeners: g.listeners, ControlListener: g.controlListener, Durability: g.infra.Durability(), Log: g.log("edge"), Registerer: g.in.Metrics,
	})
	return err
}

func (g *graph) buildSys(context.Context) (err error) {
	g.sys, err = sys.New(g.config.Sys, sys.Deps{
		Node: g.config.NodeName(), Version: run.Version(), Cluster: g.infra.Cluster, Gateway: g.edge, Publish: g.edge.PublishSystem, Hooks: g.hooks, Bus: g.infra.Bus,
		Routers: func(cluster.Node) broker.RouterAdmin { return g.router },
		Stores:  func(cluster.Node) broker.SessionAdmin { return g.store }, Log: g.log("sys"), Registerer: g.in.Metrics,
	})
	return err
}

func (g *graph) buildMgmt(ctx context.Context) error {
	if _, err := g.register(ctx, cluster.Mgmt); err != nil {
		return err
	}
	var err error
	g.mgmt, err = mgmtapi.New(g.config.Mgmt, mgmtapi.Deps{
		Cluster:   g.infra.Cluster,
		Gateways:  func(cluster.Node) broker.GatewayAdmin { return g.edge },
		Stores:    func(cluster.Node) broker.SessionAdmin { return g.store },
		Routers:   func(cluster.Node) broker.RouterAdmin { return g.router },
		Processes: func(cluster.Node) broker.ProcessAdmin { return g.process },
		Auth:      g.auth, DataDir: g.config.DataDir, PortOffset: g.config.PortOffset, Status: g.status, Announce: g.say,
		Log: g.log("mgmt-api"), Registerer: g.in.Metrics,
	})
	return err
}

// log is the log of one service.
func (g *graph) log(service string) *slog.Logger {
	return g.infra.Log.With(slog.String(log.KeyService, service))
}

// register joins the cluster in one role. No role has an address: nobody else could use it.
func (g *graph) register(ctx context.Context, role cluster.Role) (cluster.Member, error) {
	name := g.config.NodeName()
	return g.in.Register(ctx, g.infra.Cluster, cluster.Node{Role: role, ID: name, Meta: map[string]string{"name": name, "version": run.Version()}})
}

// awaitPartitions holds the listeners back until every partition is served, so that the first client is not turned away.
func (g *graph) awaitPartitions(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := g.unserved()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, ctx.Err())
		}
	}
}

// unserved says which partitions are not served. A router serves a topic partition only once every session partition has answered it.
func (g *graph) unserved() error {
	all := g.infra.Cluster.Meta().Partitions
	if _, serving := g.router.Serving(); serving < all[cluster.TopicSpace] {
		return fmt.Errorf("%d of %d topic partitions serve", serving, all[cluster.TopicSpace])
	}
	sessions, err := g.store.SessionStats(context.Background())
	if err != nil {
		return err
	}
	if serving := sessions["partitions/count"]; serving < int64(all[cluster.SessionSpace]) {
		return fmt.Errorf("%d of %d session partitions serve", serving, all[cluster.SessionSpace])
	}
	return boot.Unowned(g.infra.Cluster, cluster.RetainedSpace, cluster.AuthSpace)
}

// startGateway opens the listeners. Whether they may be open to strangers depends on the users, which are known only now.
func (g *graph) startGateway(ctx context.Context) error {
	access, err := boot.AccessOf(ctx, g.auth, g.auth)
	if err != nil {
		return err
	}
	gw, err := gatewaymqtt.New(g.config.MQTT, gatewaymqtt.Deps{
		Edge: g.edge, Access: gatewaymqtt.Access{Authentication: access.Authentication, AnonymousExplicit: access.Anonymous}, Cert: g.cert, Status: g.status,
		MaxConnections: g.config.Limits.Connections(), Full: g.sys.Full, Busy: g.sys.BusyPort, Log: g.log("gateway-mqtt"), Registerer: g.in.Metrics,
	})
	if err != nil {
		return err
	}
	if err := gw.Start(ctx); err != nil {
		return err
	}
	g.gateway.Store(gw)
	return nil
}

func (g *graph) stopGateway(ctx context.Context) error {
	gw := g.gateway.Swap(nil)
	return gw.Stop(ctx)
}

// listeners describes the listeners, none while there is no gateway.
func (g *graph) listeners() []broker.ListenerInfo {
	if gw := g.gateway.Load(); gw != nil {
		return gw.Listeners()
	}
	return nil
}

// controlListener is for operators; there is nothing to control while there is no gateway.
func (g *graph) controlListener(ctx context.Context, name string, do broker.ListenerAction) error {
	if gw := g.gateway.Load(); gw != nil {
		return gw.ControlListener(ctx, name, do)
	}
	return broker.E(broker.KindUnavailable, "control listener: the gateway does not run", nil)
}

func (g *graph) listening() error {
	if gw := g.gateway.Load(); gw == nil || !gw.Serving() {
		return errors.New("not every listener is open")
	}
	return nil
}

// status is the seed's text for load balancers, which serve only while it is true.
func (g *graph) status() (string, bool) {
	return boot.Status(g.config.NodeName(), g.listening() == nil)
}

// kinds is the order in which listeners are told.
var kinds = []string{"tcp", "ssl", "ws", "wss"}

// told are the listeners as Info has them.
func (g *graph) told() []Listener {
	var list []Listener
	for _, l := range g.listeners() {
		c := g.config.MQTT.Listeners[l.Name]
		list = append(list, Listener{Name: l.Name, Kind: strings.TrimPrefix(l.Protocol, "mqtt:"), Addr: l.Bind, Path: c.Path, Own: c.TLS.CertFile != ""})
	}
	slices.SortStableFunc(list, func(a, b Listener) int { return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind) })
	return list
}
