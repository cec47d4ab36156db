package routerrpc

import (
	"context"

	"google.golang.org/grpc"

	routerv1 "github.com/pando-mq/pando/proto/gen/pando/router/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

// Service is what a router process implements.
type Service interface {
	broker.Router
	broker.RouterNode
	broker.RouterAdmin
}

// Register serves a router process.
func Register(reg grpc.ServiceRegistrar, impl Service) {
	routerv1.RegisterRouterServiceServer(reg, &server{reg: reg, impl: impl})
}

type server struct {
	routerv1.UnimplementedRouterServiceServer
	reg  grpc.ServiceRegistrar
	impl Service
}

func (s *server) Publish(stream grpc.BidiStreamingServer[routerv1.PublishRequest, routerv1.PublishResponse]) error {
	wire := rpc.NewWire[routerv1.PublishResponse, routerv1.PublishRequest](stream, encodePublishResponses, decodePublishRequests)
	return rpc.Serve(stream.Context(), s.reg, protocol(), wire, s.openPublish)
}

func (s *server) openPublish(ctx context.Context, o broker.PublishOpen, to *rpc.Answers[broker.PublishAck]) (rpc.Stream[broker.Publish], uint64, error) {
	stream, err := s.impl.OpenPublish(ctx, o, to.Send)
	if err != nil {
		return nil, 0, err
	}
	return stream, stream.Epoch(), nil
}

func (s *server) Deliver(stream grpc.BidiStreamingServer[routerv1.DeliverRequest, routerv1.DeliverResponse]) error {
	encode := func(f []brokerrpc.DeliverResponse) *routerv1.DeliverResponse {
		return &routerv1.DeliverResponse{Frame: brokerrpc.EncodeDeliverResponses(f)}
	}
	decode := func(p *routerv1.DeliverRequest) []brokerrpc.DeliverRequest {
		return brokerrpc.DecodeDeliverRequests(p.GetFrame())
	}
	wire := rpc.NewWire[routerv1.DeliverResponse, routerv1.DeliverRequest](stream, encode, decode)
	return rpc.Serve(stream.Context(), s.reg, brokerrpc.DeliverProtocol(), wire, brokerrpc.OpenDeliver(s.impl))
}

func (s *server) UpdateRoutes(ctx context.Context, p *routerv1.UpdateRoutesRequest) (*routerv1.UpdateRoutesResponse, error) {
	var c brokerrpc.Check
	u := decodeUpdate(&c, p)
	if err := c.Invalid("update routes"); err != nil {
		return nil, err
	}
	return &routerv1.UpdateRoutesResponse{}, rpc.ToStatus(s.impl.UpdateRoutes(ctx, u))
}

func (s *server) ClaimExclusive(ctx context.Context, p *routerv1.ClaimExclusiveRequest) (*routerv1.ClaimExclusiveResponse, error) {
	var c brokerrpc.Check
	x := decodeClaim(&c, p)
	if err := c.Invalid("claim exclusive"); err != nil {
		return nil, err
	}
	grant, err := s.impl.ClaimExclusive(ctx, x)
	return &routerv1.ClaimExclusiveResponse{Grant: grant}, rpc.ToStatus(err)
}

func (s *server) ReadRetained(p *routerv1.ReadRetainedRequest, stream grpc.ServerStreamingServer[routerv1.ReadRetainedResponse]) error {
	var c brokerrpc.Check
	partition, q := decodeRetained(&c, p)
	if err := c.Invalid("read retained"); err != nil {
		return err
	}
	return rpc.ToStatus(s.impl.ReadRetainedPartition(stream.Context(), partition, q, func(list []*broker.Message) error {
		out := &routerv1.ReadRetainedResponse{}
		for _, m := range list {
			out.Messages = append(out.Messages, brokerrpc.EncodeMessage(m))
		}
		return stream.Send(out)
	}))
}

func (s *server) ListRoutes(ctx context.Context, p *routerv1.ListRoutesRequest) (*routerv1.ListRoutesResponse, error) {
	var c brokerrpc.Check
	q := decodeRouteQuery(&c, p)
	if err := c.Invalid("list routes"); err != nil {
		return nil, err
	}
	routes, err := s.impl.Routes(ctx, q)
	return &routerv1.ListRoutesResponse{Routes: brokerrpc.Map(routes, encodeRoute)}, rpc.ToStatus(err)
}

func (s *server) Stats(ctx context.Context, _ *routerv1.StatsRequest) (*routerv1.StatsResponse, error) {
	stats, err := s.impl.RouterStats(ctx)
	return &routerv1.StatsResponse{Stats: stats}, rpc.ToStatus(err)
}
