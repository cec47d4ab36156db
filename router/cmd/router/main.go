// Command router runs the routers of a cluster: topic partitions, wildcard filters, shared groups and retained messages.
package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/pando-mq/pando/router"
	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc/routerrpc"
)

type config struct {
	boot.Common
	Router   router.Config         `yaml:"router" doc:"The routers."`
	Retained router.RetainedConfig `yaml:"retained" doc:"Retained messages, kept by the routers."`
}

func newConfig() *config {
	c := &config{}
	c.Router, c.Retained = router.Default()
	return c
}

func main() {
	c := newConfig()
	boot.Main(boot.Program{
		Name: "router", Does: "matches messages with subscriptions, and keeps retained messages.", Port: boot.PortRouter, Config: c, Common: &c.Common,
		Fresh: func() any { return newConfig() }, Build: c.build,
	})
}

func (c *config) build(ctx context.Context, s *boot.Service, in *boot.Incarnation) error {
	local := &boot.Local{}
	member, peers, err := s.Join(ctx, in, cluster.Router, local)
	if err != nil {
		return err
	}
	r, err := router.New(c.Router, c.Retained, router.Deps{
		Cluster: s.Infra.Cluster, Member: member, Sessions: peers.Sessions, Retained: peers.Router, Topics: peers.Router, Gateways: peers.Gateway, Peers: peers.RouterNode,
		Journal: s.Infra.Journal, Dir: filepath.Join(c.DataDir, "retained"), Log: s.Log, Registerer: in.Metrics,
	})
	if err != nil {
		return err
	}
	local.Router = r
	err = s.Serve(in, func(reg boot.Registrar) { routerrpc.Register(reg, r) })
	in.Add("router", r)
	in.Check("partitions", func(context.Context) error {
		if owned, serving := r.Serving(); serving < owned {
			return fmt.Errorf("%d of %d topic partitions collect their routes", owned-serving, owned)
		}
		return nil
	})
	return err
}
