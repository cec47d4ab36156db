package gatewayrpc

import (
	"context"

	"google.golang.org/grpc"

	brokerv1 "github.com/pando-mq/pando/proto/gen/pando/broker/v1"
	gatewayv1 "github.com/pando-mq/pando/proto/gen/pando/gateway/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

// Register serves a gateway process.
func Register(reg grpc.ServiceRegistrar, impl broker.Gateway) {
	gatewayv1.RegisterGatewayServiceServer(reg, &server{reg: reg, impl: impl})
}

type server struct {
	gatewayv1.UnimplementedGatewayServiceServer
	reg  grpc.ServiceRegistrar
	impl broker.Gateway
}

func (s *server) Deliver(stream grpc.BidiStreamingServer[gatewayv1.DeliverRequest, gatewayv1.DeliverResponse]) error {
	encode := func(f []brokerrpc.DeliverResponse) *gatewayv1.DeliverResponse {
		return &gatewayv1.DeliverResponse{Frame: brokerrpc.EncodeDeliverResponses(f)}
	}
	decode := func(p *gatewayv1.DeliverRequest) []brokerrpc.DeliverRequest {
		return brokerrpc.DecodeDeliverRequests(p.GetFrame())
	}
	wire := rpc.NewWire[gatewayv1.DeliverResponse, gatewayv1.DeliverRequest](stream, encode, decode)
	return rpc.Serve(stream.Context(), s.reg, brokerrpc.DeliverProtocol(), wire, brokerrpc.OpenDeliver(s.impl))
}

func (s *server) SnapshotRoutes(p *gatewayv1.SnapshotRoutesRequest, stream grpc.ServerStreamingServer[gatewayv1.SnapshotRoutesResponse]) error {
	return brokerrpc.ServeSnapshot(stream.Context(), s.impl, p.GetQuery(), func(part *brokerv1.SnapshotRoutesResponse) error {
		return stream.Send(&gatewayv1.SnapshotRoutesResponse{Part: part})
	})
}

func (s *server) GetNode(ctx context.Context, _ *gatewayv1.GetNodeRequest) (*gatewayv1.GetNodeResponse, error) {
	n, err := s.impl.Node(ctx)
	return &gatewayv1.GetNodeResponse{Node: encodeNode(&n)}, rpc.ToStatus(err)
}

func (s *server) ListClients(ctx context.Context, p *gatewayv1.ListClientsRequest) (*gatewayv1.ListClientsResponse, error) {
	var c brokerrpc.Check
	q := c.Page(p.GetPage())
	if err := c.Invalid("list clients"); err != nil {
		return nil, err
	}
	list, err := s.impl.Clients(ctx, q)
	return &gatewayv1.ListClientsResponse{Clients: brokerrpc.Map(list, encodeClient)}, rpc.ToStatus(err)
}

func (s *server) ListSubscriptions(ctx context.Context, p *gatewayv1.ListSubscriptionsRequest) (*gatewayv1.ListSubscriptionsResponse, error) {
	var c brokerrpc.Check
	q := c.Page(p.GetPage())
	if err := c.Invalid("list subscriptions"); err != nil {
		return nil, err
	}
	list, err := s.impl.ClientSubscriptions(ctx, q)
	return &gatewayv1.ListSubscriptionsResponse{Subscriptions: brokerrpc.Map(list, brokerrpc.EncodeSubscriptionRow)}, rpc.ToStatus(err)
}

func (s *server) Kick(ctx context.Context, p *gatewayv1.KickRequest) (*gatewayv1.KickResponse, error) {
	var c brokerrpc.Check
	tenant, client, reason := c.Text(p.GetTenant(), "tenant"), c.Text(p.GetClientId(), "client id"), c.Text(p.GetReason(), "reason")
	if err := c.Invalid("kick client"); err != nil {
		return nil, err
	}
	return &gatewayv1.KickResponse{}, rpc.ToStatus(s.impl.Kick(ctx, tenant, client, reason))
}

func (s *server) Inject(ctx context.Context, p *gatewayv1.InjectRequest) (*gatewayv1.InjectResponse, error) {
	var c brokerrpc.Check
	as, m := c.Identity(p.GetAs()), c.Message(p.GetMsg())
	if err := c.Invalid("inject message"); err != nil {
		return nil, err
	}
	ack, err := s.impl.Inject(ctx, *as, m)
	return &gatewayv1.InjectResponse{Matched: ack.Matched, Seq: ack.Seq}, rpc.ToStatus(err)
}

func (s *server) Subscribe(ctx context.Context, p *gatewayv1.SubscribeRequest) (*gatewayv1.SubscribeResponse, error) {
	var c brokerrpc.Check
	tenant, client, subs := c.Text(p.GetTenant(), "tenant"), c.Text(p.GetClientId(), "client id"), c.Subscriptions(p.GetSubscriptions())
	if err := c.Invalid("subscribe client"); err != nil {
		return nil, err
	}
	results, err := s.impl.SubscribeFor(ctx, tenant, client, subs)
	return &gatewayv1.SubscribeResponse{Results: brokerrpc.EncodeResults(results)}, rpc.ToStatus(err)
}

func (s *server) Unsubscribe(ctx context.Context, p *gatewayv1.UnsubscribeRequest) (*gatewayv1.UnsubscribeResponse, error) {
	var c brokerrpc.Check
	tenant, client := c.Text(p.GetTenant(), "tenant"), c.Text(p.GetClientId(), "client id")
	filters := brokerrpc.ReadAll(p.GetFilters(), c.Filter)
	if err := c.Invalid("unsubscribe client"); err != nil {
		return nil, err
	}
	results, err := s.impl.UnsubscribeFor(ctx, tenant, client, filters)
	return &gatewayv1.UnsubscribeResponse{Results: brokerrpc.EncodeResults(results)}, rpc.ToStatus(err)
}

func (s *server) FlushACL(ctx context.Context, p *gatewayv1.FlushACLRequest) (*gatewayv1.FlushACLResponse, error) {
	var c brokerrpc.Check
	tenant, client := c.Text(p.GetTenant(), "tenant"), c.Text(p.GetClientId(), "client id")
	if err := c.Invalid("flush access rules"); err != nil {
		return nil, err
	}
	return &gatewayv1.FlushACLResponse{}, rpc.ToStatus(s.impl.FlushACL(ctx, tenant, client))
}

func (s *server) ControlListener(ctx context.Context, p *gatewayv1.ControlListenerRequest) (*gatewayv1.ControlListenerResponse, error) {
	var c brokerrpc.Check
	name := c.Text(p.GetName(), "listener")
	if err := c.Invalid("control listener"); err != nil {
		return nil, err
	}
	do := broker.ListenerAction(min(max(p.GetAction(), 0), 255))
	return &gatewayv1.ControlListenerResponse{}, rpc.ToStatus(s.impl.ControlListener(ctx, name, do))
}
