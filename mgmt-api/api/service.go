package api

import (
	"context"
	"time"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"

	"github.com/pando-mq/pando/mgmt-api/fleet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// service implements pando.mgmt.v1. The proto file is the documentation of its methods.
type service struct {
	mgmtv1.UnimplementedManagementServiceServer
	fleet  *fleet.Fleet
	status func() (text string, serve bool)
}

func (s *service) GetStatus(ctx context.Context, _ *mgmtv1.GetStatusRequest) (*mgmtv1.GetStatusResponse, error) {
	nodes := s.fleet.Nodes(ctx, "")
	stats, missing := s.fleet.Stats(ctx, nodes)
	text, serve := s.status()
	return &mgmtv1.GetStatusResponse{
		Text: text, Serving: serve, Nodes: convert(nodes.Up, nodeOf), Services: convert(s.fleet.Services(), serviceOf), Stats: stats,
		Missing: convert(missing, missingOf),
	}, nil
}

func (s *service) ListNodes(ctx context.Context, r *mgmtv1.ListNodesRequest) (*mgmtv1.ListNodesResponse, error) {
	nodes := s.fleet.Nodes(ctx, r.GetName())
	return &mgmtv1.ListNodesResponse{Nodes: convert(nodes.Up, nodeOf), Missing: convert(nodes.Missing, missingOf)}, nil
}

func (s *service) ListServices(context.Context, *mgmtv1.ListServicesRequest) (*mgmtv1.ListServicesResponse, error) {
	return &mgmtv1.ListServicesResponse{Services: convert(s.fleet.Services(), serviceOf)}, nil
}

func (s *service) ControlListener(ctx context.Context, r *mgmtv1.ControlListenerRequest) (*mgmtv1.ControlListenerResponse, error) {
	do := broker.ListenerAction(min(max(r.GetAction(), 0), 255))
	if r.GetName() == "" && do != broker.ReloadListener {
		return nil, needed("name", r.GetName())
	}
	nodes, missing, err := s.fleet.ControlListener(ctx, r.GetNode(), r.GetName(), do)
	return &mgmtv1.ControlListenerResponse{Nodes: nodes, Missing: convert(missing, missingOf)}, err
}

func (s *service) ListClients(ctx context.Context, r *mgmtv1.ListClientsRequest) (*mgmtv1.ListClientsResponse, error) {
	p, err := s.fleet.Clients(ctx, query(r.GetFilter(), r.GetPageSize(), r.GetPageToken()))
	return &mgmtv1.ListClientsResponse{Clients: convert(p.Rows, clientOf), NextPageToken: p.Next, Missing: convert(p.Missing, missingOf)}, err
}

func (s *service) GetClient(ctx context.Context, r *mgmtv1.GetClientRequest) (*mgmtv1.GetClientResponse, error) {
	if err := needed("client_id", r.GetClientId()); err != nil {
		return nil, err
	}
	c, err := s.fleet.Client(ctx, r.GetTenant(), r.GetClientId())
	return &mgmtv1.GetClientResponse{Client: clientOf(c)}, err
}

func (s *service) KickClient(ctx context.Context, r *mgmtv1.KickClientRequest) (*mgmtv1.KickClientResponse, error) {
	if err := needed("client_id", r.GetClientId()); err != nil {
		return nil, err
	}
	reason := r.GetReason()
	if reason == "" {
		reason = "kicked"
	}
	return &mgmtv1.KickClientResponse{}, s.fleet.Kick(ctx, r.GetTenant(), r.GetClientId(), reason)
}

func (s *service) FlushACLCache(ctx context.Context, r *mgmtv1.FlushACLCacheRequest) (*mgmtv1.FlushACLCacheResponse, error) {
	missing, err := s.fleet.FlushACL(ctx, r.GetTenant(), r.GetClientId())
	return &mgmtv1.FlushACLCacheResponse{Missing: convert(missing, missingOf)}, err
}

func (s *service) ListSessions(ctx context.Context, r *mgmtv1.ListSessionsRequest) (*mgmtv1.ListSessionsResponse, error) {
	kind := map[mgmtv1.SessionKind]fleet.Kind{
		mgmtv1.SessionKind_SESSION_KIND_PERSISTENT: fleet.Persistent, mgmtv1.SessionKind_SESSION_KIND_CLEAN: fleet.Clean,
	}[r.GetKind()]
	p, err := s.fleet.Sessions(ctx, query(r.GetFilter(), r.GetPageSize(), r.GetPageToken()), kind)
	return &mgmtv1.ListSessionsResponse{Sessions: convert(p.Rows, sessionOf), NextPageToken: p.Next, Missing: convert(p.Missing, missingOf)}, err
}

func (s *service) GetSession(ctx context.Context, r *mgmtv1.GetSessionRequest) (*mgmtv1.GetSessionResponse, error) {
	if err := needed("client_id", r.GetClientId()); err != nil {
		return nil, err
	}
	one, err := s.fleet.Session(ctx, r.GetTenant(), r.GetClientId())
	return &mgmtv1.GetSessionResponse{Session: sessionOf(one)}, err
}

func (s *service) DropSession(ctx context.Context, r *mgmtv1.DropSessionRequest) (*mgmtv1.DropSessionResponse, error) {
	if err := needed("client_id", r.GetClientId()); err != nil {
		return nil, err
	}
	return &mgmtv1.DropSessionResponse{}, s.fleet.Drop(ctx, r.GetTenant(), r.GetClientId())
}

func (s *service) ListSubscriptions(ctx context.Context, r *mgmtv1.ListSubscriptionsRequest) (*mgmtv1.ListSubscriptionsResponse, error) {
	p, err := s.fleet.Subscriptions(ctx, query(r.GetFilter(), r.GetPageSize(), r.GetPageToken()))
	return &mgmtv1.ListSubscriptionsResponse{
		Subscriptions: convert(p.Rows, subscriptionOf), NextPageToken: p.Next, Missing: convert(p.Missing, missingOf),
	}, err
}

func (s *service) AddSubscription(ctx context.Context, r *mgmtv1.AddSubscriptionRequest) (*mgmtv1.AddSubscriptionResponse, error) {
	if err := subscriptionRequest(r.GetClientId(), r.GetFilter(), r.GetQos()); err != nil {
		return nil, err
	}
	sub := broker.Subscription{Filter: r.GetFilter(), QoS: broker.QoS(r.GetQos())}
	return &mgmtv1.AddSubscriptionResponse{}, s.fleet.Subscribe(ctx, r.GetTenant(), r.GetClientId(), sub)
}

func (s *service) DeleteSubscription(ctx context.Context, r *mgmtv1.DeleteSubscriptionRequest) (*mgmtv1.DeleteSubscriptionResponse, error) {
	if err := subscriptionRequest(r.GetClientId(), r.GetFilter(), 0); err != nil {
		return nil, err
	}
	return &mgmtv1.DeleteSubscriptionResponse{}, s.fleet.Unsubscribe(ctx, r.GetTenant(), r.GetClientId(), r.GetFilter())
}

func subscriptionRequest(clientID, filter string, qos uint32) error {
	if err := needed("client_id", clientID); err != nil {
		return err
	}
	if _, err := topic.Parse(filter); err != nil {
		return broker.E(broker.KindInvalid, "filter", err)
	}
	return checkQoS(qos)
}

func checkQoS(qos uint32) error {
	if qos > 2 {
		return broker.Errorf(broker.KindInvalid, "qos %d: must be 0, 1 or 2", qos)
	}
	return nil
}

func needed(field, value string) error {
	if value == "" {
		return broker.Errorf(broker.KindInvalid, "%s must not be empty", field)
	}
	return nil
}

func (s *service) ListRoutes(ctx context.Context, r *mgmtv1.ListRoutesRequest) (*mgmtv1.ListRoutesResponse, error) {
	p, err := s.fleet.Routes(ctx, broker.RouteQuery{Tenant: r.GetTenant(), Filter: r.GetFilter(), After: r.GetPageToken(), Limit: pageSize(r.GetPageSize())})
	return &mgmtv1.ListRoutesResponse{Routes: convert(p.Rows, routeOf), NextPageToken: p.Next, Missing: convert(p.Missing, missingOf)}, err
}

func (s *service) Publish(ctx context.Context, r *mgmtv1.PublishRequest) (*mgmtv1.PublishResponse, error) {
	if err := topic.ValidateName(r.GetTopic()); err != nil {
		return nil, broker.E(broker.KindInvalid, "topic", err)
	}
	if err := checkQoS(r.GetQos()); err != nil {
		return nil, err
	}
	if r.GetExpiryMs() < 0 {
		return nil, broker.Errorf(broker.KindInvalid, "expiry_ms must not be negative")
	}
	as := broker.Identity{Tenant: r.GetTenant(), ClientID: r.GetClientId(), Superuser: !r.GetCheckAcl(), Protocol: "http"}
	if as.ClientID == "" {
		as.ClientID = "http"
	}
	m := &broker.Message{
		Tenant: r.GetTenant(), Topic: r.GetTopic(), Payload: r.GetPayload(), QoS: broker.QoS(r.GetQos()), Retain: r.GetRetain(), From: as.ClientID,
		Published: time.Now(),
	}
	if r.GetExpiryMs() > 0 {
		m.Expires = m.Published.Add(time.Duration(min(r.GetExpiryMs(), maxExpiryMs)) * time.Millisecond)
	}
	matched, err := s.fleet.Publish(ctx, as, m)
	return &mgmtv1.PublishResponse{Matched: matched}, err
}

// maxExpiryMs is the largest message expiry interval of MQTT 5.0, 2^32-1 seconds.
const maxExpiryMs = (1<<32 - 1) * 1000
