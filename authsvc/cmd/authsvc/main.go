// Command authsvc decides who gets in, and what they may do.
package main

import (
	"context"
	"path/filepath"

	"github.com/pando-mq/pando/authsvc"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc/authrpc"
)

type config struct {
	boot.Common
	Auth authsvc.Config `yaml:"auth" doc:"Who gets in, and what they may do."`
}

func newConfig() *config { return &config{Auth: authsvc.Default()} }

func main() {
	c := newConfig()
	boot.Main(boot.Program{
		Name: "authsvc", Does: "decides who gets in, and what they may do.", Port: boot.PortAuth, Config: c, Common: &c.Common,
		Fresh: func() any { return newConfig() }, Build: c.build,
	})
}

func (c *config) build(ctx context.Context, s *boot.Service, in *boot.Incarnation) error {
	local := &boot.Local{}
	member, peers, err := s.Join(ctx, in, cluster.Auth, local)
	if err != nil {
		return err
	}
	a, err := authsvc.New(c.Auth, authsvc.Deps{
		Cluster: s.Infra.Cluster, Member: member, Journal: s.Infra.Journal, DataDir: filepath.Join(c.DataDir, "auth"),
		Peer: func(n cluster.Node) broker.AuthAdmin { return peers.Auth.Node(n) }, Log: s.Log, Registerer: in.Metrics,
	})
	if err != nil {
		return err
	}
	local.Auth = a
	err = s.Serve(in, func(reg boot.Registrar) { authrpc.Register(reg, a) })
	in.Add("authsvc", a)
	return err
}
