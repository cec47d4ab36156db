package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	gatewaymqtt "github.com/pando-mq/pando/gateway-mqtt"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/log"
	"github.com/pando-mq/pando/services/rpc/gatewayrpc"
	"github.com/pando-mq/pando/services/run"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/sys"
)

type config struct {
	boot.Common
	MQTT    gatewaymqtt.Config `yaml:"mqtt" doc:"The MQTT gateway."`
	Sys     sys.Config         `yaml:"sys" doc:"What a node tells about itself under $SYS."`
	Session session.Config     `yaml:"session" doc:"What holds for every session, in the gateways and in the session-stores."`
}

func newConfig() *config {
	return &config{MQTT: gatewaymqtt.DefaultConfig(), Sys: sys.DefaultConfig(), Session: session.DefaultConfig()}
}

// edge is the configuration of the edge.
func (c *config) edge() edge.Config { return c.MQTT.Edge(c.Session, c.Limits.Connections()) }

// program is the process: its configuration, and the part of it that may change.
type program struct {
	*config
	live boot.Live[edge.Config]
}

// settle moves the listeners by the port offset.
func (c *program) settle() error {
	if err := c.MQTT.MoveListeners(c.OffsetAddr); err != nil {
		return err
	}
	return c.live.Set(c.edge())
}

// use takes the keys that may change while it runs.
func (c *program) use(cfg any) error { return c.live.Set(cfg.(*config).edge()) }

// gateway is one incarnation of the process.
type gateway struct {
	*config
	service *boot.Service
	in      *boot.Incarnation
	peers   *boot.Peers
	edge    *edge.Edge
	sys     *sys.Service
	mqtt    atomic.Pointer[gatewaymqtt.Gateway] // made at its start, when authsvc can be asked
}

func (c *program) build(ctx context.Context, s *boot.Service, in *boot.Incarnation) error {
	if err := s.Infra.Fits("mqtt.max_packet_size", c.MQTT.MaxPacketSize); err != nil {
		return err
	}
	local := &boot.Local{}
	member, peers, err := s.Join(ctx, in, cluster.Gateway, local)
	if err != nil {
		return err
	}
	g := &gateway{config: c.config, service: s, in: in, peers: peers}
	n, hooks := member.Node(), &hook.Chains{}
	g.edge, err = edge.New(c.live.Get(), edge.Deps{
		Node: broker.NodeRef{ID: n.ID, Incarnation: n.Incarnation}, NodeName: c.NodeName(), Version: run.Version(), Cluster: s.Infra.Cluster,
		Auth: peers.Auth, Router: peers.Router, Routers: peers.RouterNode, Sessions: peers.Sessions,
		Hooks: hooks, QueueAlarm: sys.QueueAlarm(s.Infra.Bus, c.NodeName()),
		Listeners: g.listeners, ControlListener: g.controlListener, Durability: s.Infra.Durability(), Log: s.Log, Registerer: in.Metrics,
	})
	if err != nil {
		return err
	}
	if err := c.live.Follow(g.edge.Configure); err != nil {
		return err
	}
	local.Gateway = g.edge
	g.sys, err = sys.New(c.Sys, sys.Deps{
		Node: c.NodeName(), Version: run.Version(), Cluster: s.Infra.Cluster, Gateway: g.edge, Publish: g.edge.PublishSystem, Hooks: hooks, Bus: s.Infra.Bus,
		Routers: func(n cluster.Node) broker.RouterAdmin { return peers.Router.Node(n) },
		Stores:  func(n cluster.Node) broker.SessionAdmin { return peers.Sessions.Node(n) }, Log: s.Log, Registerer: in.Metrics,
	})
	if err != nil {
		return err
	}
	local.Busy = g.sys.BusyDistPort
	if err := s.Serve(in, func(reg boot.Registrar) { gatewayrpc.Register(reg, g.edge) }); err != nil {
		return err
	}
	in.Add("edge", g.edge)
	in.Add("sys", g.sys)
	in.Add("gateway-mqtt", run.Func{OnStart: g.start, OnStop: func(ctx context.Context) error { return g.mqtt.Swap(nil).Stop(ctx) }})
	in.OnLoss(g.edge.Fence)
	in.Check("listeners", g.listening)
	return nil
}

// patience is how long a start waits for the rest of the cluster.
const patience = 15 * time.Second

// start opens the listeners. Whether they may be open to strangers depends on the users, which authsvc knows.
func (g *gateway) start(ctx context.Context) error {
	cert, ca, err := g.MQTT.Certify(filepath.Join(g.DataDir, "certs"))
	if err != nil {
		return err
	}
	if ca.File != "" {
		g.service.Log.Info("TLS listeners use the certificate made at the first start", slog.String(log.KeyFile, ca.File))
	}
	if err := boot.AwaitOwners(ctx, g.service.Infra.Cluster, patience, cluster.SessionSpace, cluster.TopicSpace); err != nil {
		g.service.Log.Warn("clients are let in although a part of the cluster is missing", slog.Any(log.KeyError, err))
	}
	access, err := boot.AwaitAccess(ctx, g.peers.Auth, g.peers.Auth)
	if err != nil {
		return err
	}
	mqtt, err := gatewaymqtt.New(g.MQTT, gatewaymqtt.Deps{
		Edge: g.edge, Access: gatewaymqtt.Access{Authentication: access.Authentication, AnonymousExplicit: access.Anonymous}, Cert: cert,
		MaxConnections: g.Limits.Connections(), Full: g.sys.Full, Busy: g.sys.BusyPort,
		Status: func() (string, bool) { return boot.Status(g.NodeName(), g.listening(ctx) == nil) }, Log: g.service.Log, Registerer: g.in.Metrics,
	})
	if err == nil {
		err = mqtt.Start(ctx)
	}
	if err == nil {
		g.mqtt.Store(mqtt)
	}
	return err
}

func (g *gateway) listeners() []broker.ListenerInfo {
	if m := g.mqtt.Load(); m != nil {
		return m.Listeners()
	}
	return nil
}

var errClosed = errors.New("not every listener is open")

// controlListener is for operators; there is nothing to control while there is no gateway.
func (g *gateway) controlListener(ctx context.Context, name string, do broker.ListenerAction) error {
	if gw := g.mqtt.Load(); gw != nil {
		return gw.ControlListener(ctx, name, do)
	}
	return broker.E(broker.KindUnavailable, "control listener: the gateway does not run", nil)
}

func (g *gateway) listening(context.Context) error {
	if m := g.mqtt.Load(); m == nil || !m.Serving() {
		return errClosed
	}
	return nil
}
