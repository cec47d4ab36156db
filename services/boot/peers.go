package boot

import (
	"context"
	"log/slog"

	"google.golang.org/grpc"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/log"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/authrpc"
	"github.com/pando-mq/pando/services/rpc/gatewayrpc"
	"github.com/pando-mq/pando/services/rpc/processrpc"
	"github.com/pando-mq/pando/services/rpc/routerrpc"
	"github.com/pando-mq/pando/services/rpc/sessionrpc"
	"github.com/pando-mq/pando/services/run"
)

// Local is the service of this very process, which the clients call directly. One field, and Busy, is set before anything starts.
type Local struct {
	Auth     authrpc.Service
	Router   routerrpc.Service
	Sessions sessionrpc.Service
	Gateway  broker.Gateway
	// Busy hears of streams to other processes that take messages slowly; it must not block. nil: nobody does.
	Busy func(peer string, queued int)
}

// busy is rpc.Deps.Busy.
func (l *Local) busy(n cluster.Node, queued int) {
	if l.Busy != nil {
		l.Busy(string(n.Role)+" "+n.ID, queued)
	}
}

// Peers are the other processes of the cluster, each tier as one value.
type Peers struct {
	Auth     *authrpc.Client
	Router   *routerrpc.Client
	Sessions *sessionrpc.Client
	gateways *gatewayrpc.Client
	process  *processrpc.Client
}

// Gateway is one gateway process.
func (p *Peers) Gateway(n cluster.Node) broker.Gateway { return p.gateways.Node(n) }

// RouterNode is one router process.
func (p *Peers) RouterNode(n cluster.Node) broker.RouterNode { return p.Router.Node(n) }

// Process is one process of any role.
func (p *Peers) Process(n cluster.Node) broker.ProcessAdmin { return p.process.Node(n) }

// Join is what every separate service begins an incarnation with: it registers in its role and adds the clients to the others. local is filled by the
// caller before anything starts.
func (s *Service) Join(ctx context.Context, in *Incarnation, role cluster.Role, local *Local) (cluster.Member, *Peers, error) {
	c := s.Common
	member, err := in.Register(ctx, s.Infra.Cluster, cluster.Node{
		Role: role, ID: c.NodeName(), Addr: c.Cluster.Advertise, Meta: map[string]string{"name": c.NodeName(), "version": run.Version()},
	})
	if err != nil {
		return nil, nil, err
	}
	dialer, err := rpc.NewDialer(rpc.ClientConfig{TLS: c.rpcTLS()}, s.Infra.Cluster, rpc.Deps{Log: s.Log, Registerer: in.Metrics, Busy: local.busy})
	if err != nil {
		return nil, nil, err
	}
	in.Add("rpc client", dialer)
	self := member.Node().Incarnation
	return member, newPeers(dialer, self, local, s.Process), nil
}

func newPeers(d *rpc.Dialer, self uint64, l *Local, p broker.ProcessAdmin) *Peers {
	return &Peers{
		Auth:     authrpc.NewClient(d, authrpc.Options{Local: mine(self, &l.Auth)}),
		Router:   routerrpc.NewClient(d, routerrpc.Options{Local: mine(self, &l.Router)}),
		Sessions: sessionrpc.NewClient(d, sessionrpc.Options{Local: mine(self, &l.Sessions)}),
		gateways: gatewayrpc.NewClient(d, gatewayrpc.Options{Local: mine(self, &l.Gateway)}),
		process:  processrpc.NewClient(d, processrpc.Options{Local: mine(self, &p)}),
	}
}

// mine gives the local service to the node that is this process, and nil to others.
func mine[T any](self uint64, local *T) func(cluster.Node) T {
	return func(n cluster.Node) (none T) {
		if n.Incarnation != self {
			return none
		}
		return *local
	}
}

// Registrar takes the adapters of services.
type Registrar = grpc.ServiceRegistrar

// Serve adds the server at which the other processes reach this one. register puts the service on it.
func (s *Service) Serve(in *Incarnation, register func(Registrar)) error {
	server, err := rpc.NewServer(rpc.ServerConfig{Listen: s.Common.Cluster.Listen, TLS: s.Common.rpcTLS()}, rpc.Deps{Log: s.Log, Registerer: in.Metrics})
	if err != nil {
		return err
	}
	register(server)
	processrpc.Register(server, s.Process)
	in.Add("rpc server", server)
	s.Log.Debug("serving the other services", slog.String(log.KeyAddr, s.Common.Cluster.Listen))
	return nil
}

func (c *Common) rpcTLS() rpc.TLS {
	t := c.Cluster.TLS
	return rpc.TLS{CertFile: t.CertFile, KeyFile: t.KeyFile, CACertFile: t.CAFile}
}
