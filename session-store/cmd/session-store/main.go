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

func main() {
	d := sessionstore.DefaultConfig()
	c := &config{Store: d.Store, Session: d.Session}
	boot.Main(boot.Program{
		Name: "session-store", Does: "keeps the sessions of devices.", Port: boot.PortSessionStore, Config: c, Common: &c.Common, Build: c.build,
	})
}

func (c *config) build(ctx context.Context, s *boot.Service, in *boot.Incarnation) error {
	local := &boot.Local{}
	member, peers, err := s.Join(ctx, in, cluster.SessionStore, local)
	if err != nil {
		return err
	}
	store, err := sessionstore.New(sessionstore.Config{Store: c.Store, Session: c.Session}, sessionstore.Deps{
		Cluster: s.Infra.Cluster, Member: member, Router: peers.Router, Routers: peers.RouterNode, Sessions: peers.Sessions, Gateways: peers.Gateway,
		Journal: s.Infra.Journal, QueueAlarm: sys.QueueAlarm(s.Infra.Bus, c.NodeName()), Log: s.Log, Registerer: in.Metrics,
	})
	if err != nil {
		return err
	}
	local.Sessions = store
	err = s.Serve(in, func(reg boot.Registrar) { sessionrpc.Register(reg, store) })
	in.Add("session-store", store)
	return err
}
