package brokerrpc

import (
	"math"

	brokerv1 "github.com/pando-mq/pando/proto/gen/pando/broker/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
)

// EncodePage converts a client query.
func EncodePage(q broker.ClientQuery) *brokerv1.PageRequest {
	return &brokerv1.PageRequest{
		Tenant: rpc.Text(q.Tenant), ClientId: rpc.Text(q.ClientID), Contains: rpc.Text(q.Contains), Username: rpc.Text(q.Username),
		Node: rpc.Text(q.Node), After: rpc.Text(q.After), Limit: EncodeCount(q.Limit),
	}
}

// Page reads a client query.
func (c *Check) Page(p *brokerv1.PageRequest) broker.ClientQuery {
	return broker.ClientQuery{
		Tenant: c.Text(p.GetTenant(), "tenant"), ClientID: c.Text(p.GetClientId(), "client id"), Contains: c.Text(p.GetContains(), "pattern"),
		Username: c.Text(p.GetUsername(), "user name"), Node: c.Text(p.GetNode(), "node"), After: c.Text(p.GetAfter(), "client id"), Limit: c.Count(p.GetLimit()),
	}
}

// EncodeSession converts a row of a session listing.
func EncodeSession(s *broker.SessionInfo) *brokerv1.SessionRow {
	return &brokerv1.SessionRow{
		ClientId: rpc.Text(s.ClientID), Username: rpc.Text(s.Username), Node: rpc.Text(s.Node), Connected: s.Connected, Persistent: s.Persistent,
		Subscriptions: EncodeCount(s.Subscriptions), Window: EncodeCount(s.Window), Inflight: EncodeCount(s.Inflight), Queued: EncodeCount(s.Queued),
		QueuedBytes: uint64(max(s.QueuedBytes, 0)), Dropped: s.Dropped, AwaitingRel: EncodeCount(s.AwaitingRel), Delivered: s.Delivered, Enqueued: s.Enqueued,
		CreatedMs: EncodeTime(s.Created), ExpiresMs: EncodeTime(s.Expires),
	}
}

// Session reads a row of a session listing.
func (c *Check) Session(p *brokerv1.SessionRow) broker.SessionInfo {
	return broker.SessionInfo{
		ClientID: c.Text(p.GetClientId(), "client id"), Username: c.Text(p.GetUsername(), "user name"), Node: c.Text(p.GetNode(), "node"),
		Connected: p.GetConnected(), Persistent: p.GetPersistent(), Subscriptions: c.Count(p.GetSubscriptions()), Window: c.Count(p.GetWindow()),
		Inflight: c.Count(p.GetInflight()), Queued: c.Count(p.GetQueued()), QueuedBytes: int(min(p.GetQueuedBytes(), math.MaxInt)), Dropped: p.GetDropped(),
		AwaitingRel: c.Count(p.GetAwaitingRel()), Delivered: p.GetDelivered(), Enqueued: p.GetEnqueued(),
		Created: DecodeTime(p.GetCreatedMs()), Expires: DecodeTime(p.GetExpiresMs()),
	}
}

// EncodeSubscriptionRow converts a row of a subscription listing.
func EncodeSubscriptionRow(s *broker.SubscriptionInfo) *brokerv1.SubscriptionRow {
	return &brokerv1.SubscriptionRow{ClientId: rpc.Text(s.ClientID), Node: rpc.Text(s.Node), Subscription: EncodeSubscription(&s.Subscription)}
}

// SubscriptionRow reads a row of a subscription listing.
func (c *Check) SubscriptionRow(p *brokerv1.SubscriptionRow) broker.SubscriptionInfo {
	return broker.SubscriptionInfo{
		ClientID: c.Text(p.GetClientId(), "client id"), Node: c.Text(p.GetNode(), "node"), Subscription: c.Subscription(p.GetSubscription()),
	}
}

// Invalid is the answer to a request that cannot be read; nil if nothing was wrong.
func (c *Check) Invalid(what string) error {
	if c.err == nil {
		return nil
	}
	return rpc.ToStatus(broker.E(broker.KindInvalid, what, c.err))
}

// Garbled is the error for an answer that cannot be read; nil if nothing was wrong.
func (c *Check) Garbled(what string) error {
	if c.err == nil {
		return nil
	}
	return broker.E(broker.KindInternal, what+" cannot be read", c.err)
}
