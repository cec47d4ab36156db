// Command mgmt-api is the management of a cluster: REST, and gRPC for pandoctl.
package main

import (
	"context"

	mgmtapi "github.com/pando-mq/pando/mgmt-api"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

type config struct {
	boot.Common
	Mgmt mgmtapi.Config `yaml:"mgmt" doc:"Management: REST, and gRPC for pandoctl."`
}

func newConfig() *config { return &config{Mgmt: mgmtapi.Default()} }

func main() {
	c := newConfig()
	boot.Main(boot.Program{
		Name: "mgmt-api", Does: "manages a cluster: REST on 8080, and gRPC for pandoctl.", Port: boot.PortMgmt, Config: c, Common: &c.Common,
		Fresh: func() any { return newConfig() }, Build: c.build,
	})
}

func (c *config) build(ctx context.Context, s *boot.Service, in *boot.Incarnation) error {
	member, peers, err := s.Join(ctx, in, cluster.Mgmt, &boot.Local{})
	if err != nil {
		return err
	}
	tls, err := c.ServiceTLS()
	if err != nil {
		return err
	}
	m, err := mgmtapi.New(c.Mgmt, mgmtapi.Deps{
		Cluster:  s.Infra.Cluster,
		Gateways: func(n cluster.Node) broker.GatewayAdmin { return peers.Gateway(n) },
		Stores:   func(n cluster.Node) broker.SessionAdmin { return peers.Sessions.Node(n) },
		Routers:  func(n cluster.Node) broker.RouterAdmin { return peers.Router.Node(n) },
		Processes: func(n cluster.Node) broker.ProcessAdmin {
			if n.Role == cluster.Mgmt && n.Incarnation != member.Node().Incarnation {
				return nil // its port is for people
			}
			return peers.Process(n)
		},
		Auth: peers.Auth, DataDir: c.DataDir, PortOffset: c.PortOffset, GRPC: c.Cluster.Listen, TLS: tls,
		Status: func() (string, bool) { return boot.Status(c.NodeName(), s.Ready(ctx) == nil) },
		Log:    s.Log, Registerer: in.Metrics,
	})
	if err != nil {
		return err
	}
	in.Add("mgmt-api", m)
	return nil
}
