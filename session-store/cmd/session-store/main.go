// Command session-store runs the session partitions of a cluster: attachments, persistent sessions, their queues and wills.
package main

import (
	"context"

	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc/sessionrpc"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/sys"
	sessionstore "github.com/pando-mq/pando/session-store"
)

type config struct {
	boot.Common
	Store   sessionstore.StoreConfig `yaml:"store" doc:"The session-stores."`
	Session session.Config           `yaml:"session" doc:"What holds for every session, in the gateways and in the session-stores."`
}

func newConfig() *config {
	d := sessionstore.DefaultConfig()
	return &config{Store: d.Store, Session: d.Session}
}

// program is the process: its configuration, and the part of it that may change.
type program struct {
	*config
	live boot.Live[session.Config]
}

func main() {
	c := &program{config: newConfig()}
	boot.Main(boot.Program{
		Name: "session-store", Does: "keeps the sessions of devices.", Port: boot.PortSessionStore, Config: c.config, Common: &c.Common,
		Settle: func() error { return c.live.Set(c.Session) }, Fresh: func() any { return newConfig() }, Build: c.build,
		Use: func(cfg any) error { return c.live.Set(cfg.(*config).Session) },
	})
}

func (c *program) build(ctx context.Context, s *boot.Service, in *boot.Incarnation) error {
	local := &boot.Local{}
	member, peers, err := s.Join(ctx, in, cluster.SessionStore, local)
	if err != nil {
		return err
	}
	store, err := sessionstore.New(sessionstore.Config{Store: c.Store, Session: c.live.Get()}, sessionstore.Deps{
		Cluster: s.Infra.Cluster, Member: member, Router: peers.Router, Routers: peers.RouterNode, Sessions: peers.Sessions, Gateways: peers.Gateway,
		Journal: s.Infra.Journal, QueueAlarm: sys.QueueAlarm(s.Infra.Bus, c.NodeName()), Log: s.Log, Registerer: in.Metrics,
	})
	if err != nil {
		return err
	}
	if err := c.live.Follow(store.Configure); err != nil {
		return err
	}
	local.Sessions = store
	err = s.Serve(in, func(reg boot.Registrar) { sessionrpc.Register(reg, store) })
	in.Add("session-store", store)
	return err
}
