package sessionrpc

import (
	"context"

	"google.golang.org/grpc"

	brokerv1 "github.com/pando-mq/pando/proto/gen/pando/broker/v1"
	sessionv1 "github.com/pando-mq/pando/proto/gen/pando/session/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

// Service is what a session-store process implements.
type Service interface {
	broker.Sessions
	broker.SessionAdmin
}

// Register serves a session-store process.
func Register(reg grpc.ServiceRegistrar, impl Service) {
	sessionv1.RegisterSessionServiceServer(reg, &server{reg: reg, impl: impl})
}

type server struct {
	sessionv1.UnimplementedSessionServiceServer
	reg  grpc.ServiceRegistrar
	impl Service
}

func (s *server) Session(stream grpc.BidiStreamingServer[sessionv1.SessionRequest, sessionv1.SessionResponse]) error {
	wire := rpc.NewWire[sessionv1.SessionResponse, sessionv1.SessionRequest](stream, encodeResponses, decodeRequests)
	return rpc.Serve(stream.Context(), s.reg, protocol(), wire, s.openSession)
}

func (s *server) openSession(ctx context.Context, o broker.SessionOpen, to *rpc.Answers[answer]) (rpc.Stream[broker.SessionRequest], uint64, error) {
	stream, err := s.impl.OpenSession(ctx, o, upward{to})
	if err != nil {
		return nil, 0, err
	}
	return stream, stream.Epoch(), nil
}

func (s *server) Deliver(stream grpc.BidiStreamingServer[sessionv1.DeliverRequest, sessionv1.DeliverResponse]) error {
	encode := func(f []brokerrpc.DeliverResponse) *sessionv1.DeliverResponse {
		return &sessionv1.DeliverResponse{Frame: brokerrpc.EncodeDeliverResponses(f)}
	}
	decode := func(p *sessionv1.DeliverRequest) []brokerrpc.DeliverRequest {
		return brokerrpc.DecodeDeliverRequests(p.GetFrame())
	}
	wire := rpc.NewWire[sessionv1.DeliverResponse, sessionv1.DeliverRequest](stream, encode, decode)
	return rpc.Serve(stream.Context(), s.reg, brokerrpc.DeliverProtocol(), wire, brokerrpc.OpenDeliver(s.impl))
}

func (s *server) SnapshotRoutes(p *sessionv1.SnapshotRoutesRequest, stream grpc.ServerStreamingServer[sessionv1.SnapshotRoutesResponse]) error {
	return brokerrpc.ServeSnapshot(stream.Context(), s.impl, p.GetQuery(), func(part *brokerv1.SnapshotRoutesResponse) error {
		return stream.Send(&sessionv1.SnapshotRoutesResponse{Part: part})
	})
}

func (s *server) ListSessions(ctx context.Context, p *sessionv1.ListSessionsRequest) (*sessionv1.ListSessionsResponse, error) {
	var c brokerrpc.Check
	q := c.Page(p.GetPage())
	if err := c.Invalid("list sessions"); err != nil {
		return nil, err
	}
	list, err := s.impl.Sessions(ctx, q)
	return &sessionv1.ListSessionsResponse{Sessions: brokerrpc.Map(list, brokerrpc.EncodeSession)}, rpc.ToStatus(err)
}

func (s *server) ListSubscriptions(ctx context.Context, p *sessionv1.ListSubscriptionsRequest) (*sessionv1.ListSubscriptionsResponse, error) {
	var c brokerrpc.Check
	q := c.Page(p.GetPage())
	if err := c.Invalid("list subscriptions"); err != nil {
		return nil, err
	}
	list, err := s.impl.SessionSubscriptions(ctx, q)
	return &sessionv1.ListSubscriptionsResponse{Subscriptions: brokerrpc.Map(list, brokerrpc.EncodeSubscriptionRow)}, rpc.ToStatus(err)
}

func (s *server) Drop(ctx context.Context, p *sessionv1.DropRequest) (*sessionv1.DropResponse, error) {
	var c brokerrpc.Check
	tenant, client := c.Text(p.GetTenant(), "tenant"), c.Text(p.GetClientId(), "client id")
	if err := c.Invalid("drop session"); err != nil {
		return nil, err
	}
	return &sessionv1.DropResponse{}, rpc.ToStatus(s.impl.Drop(ctx, tenant, client))
}

func (s *server) Kick(ctx context.Context, p *sessionv1.KickRequest) (*sessionv1.KickResponse, error) {
	var c brokerrpc.Check
	tenant, client, reason := c.Text(p.GetTenant(), "tenant"), c.Text(p.GetClientId(), "client id"), c.Text(p.GetReason(), "reason")
	if err := c.Invalid("kick client"); err != nil {
		return nil, err
	}
	return &sessionv1.KickResponse{}, rpc.ToStatus(s.impl.KickClient(ctx, tenant, client, reason))
}

func (s *server) Stats(ctx context.Context, _ *sessionv1.StatsRequest) (*sessionv1.StatsResponse, error) {
	stats, err := s.impl.SessionStats(ctx)
	return &sessionv1.StatsResponse{Stats: stats}, rpc.ToStatus(err)
}
