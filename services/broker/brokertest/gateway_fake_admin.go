package brokertest

import (
	"context"
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// Node implements broker.GatewayAdmin.
func (g *Gateway) Node(ctx context.Context) (broker.NodeInfo, error) {
	if err := ctx.Err(); err != nil {
		return broker.NodeInfo{}, broker.E(broker.KindCanceled, "describe node", err)
	}
	g.enter()
	defer g.leave()
	return broker.NodeInfo{
		Name: g.cfg.Name, Role: "gateway", Incarnation: g.cfg.Ref.Incarnation, Started: g.started, Uptime: time.Since(g.started), Clients: len(g.clients),
	}, nil
}

// each lists the clients that q selects. Called with the lock held.
func (g *Gateway) each(q broker.ClientQuery) (list []*Client) {
	for _, c := range g.sorted() {
		if selects(q, c.name.tenant, c.name.id, c.user, g.cfg.Name) {
			list = append(list, c)
		}
	}
	return list
}

// Clients implements broker.GatewayAdmin.
func (g *Gateway) Clients(ctx context.Context, q broker.ClientQuery) ([]broker.ClientInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, broker.E(broker.KindCanceled, "list clients", err)
	}
	g.enter()
	defer g.leave()
	var rows []broker.ClientInfo
	for _, c := range g.each(q) {
		rows = append(rows, broker.ClientInfo{
			ClientID: c.name.id, Username: c.user, Node: g.cfg.Name, CleanStart: true, Connected: c.received,
			Session: broker.SessionInfo{ClientID: c.name.id, Connected: true, Subscriptions: len(c.subs), Queued: len(c.queue), Dropped: uint64(c.dropped)},
		})
	}
	return pageOf(q, rows, func(r broker.ClientInfo) string { return r.ClientID }, g.flaws), nil
}

// ClientSubscriptions implements broker.GatewayAdmin. A limit counts subscriptions.
func (g *Gateway) ClientSubscriptions(ctx context.Context, q broker.ClientQuery) ([]broker.SubscriptionInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, broker.E(broker.KindCanceled, "list subscriptions", err)
	}
	g.enter()
	defer g.leave()
	var rows []broker.SubscriptionInfo
	for _, c := range g.each(q) {
		for _, sub := range c.subs {
			rows = append(rows, broker.SubscriptionInfo{ClientID: c.name.id, Node: g.cfg.Name, Subscription: sub})
		}
	}
	return pageOf(q, rows, func(r broker.SubscriptionInfo) string { return r.ClientID }, g.flaws), nil
}

// find is a connected client; the error is KindNotFound.
func (g *Gateway) find(tenant, clientID, op string) (*Client, error) {
	g.enter()
	defer g.leave()
	c := g.clients[clientName{tenant, clientID}]
	if c == nil {
		return nil, broker.E(broker.KindNotFound, op, nil)
	}
	return c, nil
}

// Kick implements broker.GatewayAdmin.
func (g *Gateway) Kick(_ context.Context, tenant, clientID, reason string) error {
	c, err := g.find(tenant, clientID, "kick")
	if err != nil {
		if !g.flaws.keeps(notAttached) {
			return nil
		}
		return err
	}
	g.enter()
	defer g.leave()
	c.end(reason)
	return nil
}

// Inject implements broker.GatewayAdmin.
func (g *Gateway) Inject(ctx context.Context, as broker.Identity, m *broker.Message) (broker.PublishAck, error) {
	g.enter()
	denied := slices.ContainsFunc(g.denied, func(filter string) bool { return topic.Match(filter, m.Topic) })
	g.leave()
	if denied && !as.Superuser && g.flaws.keeps(injectACL) {
		return broker.PublishAck{}, broker.E(broker.KindDenied, "inject", nil)
	}
	if err := topic.ValidateName(m.Topic); err != nil {
		return broker.PublishAck{}, broker.E(broker.KindInvalid, "inject", err)
	}
	acked := make(chan broker.PublishAck, 1)
	g.outbox.publish(m, nil, func(a broker.PublishAck) { acked <- a })
	if !g.flaws.keeps(injectWaits) {
		return broker.PublishAck{Matched: true}, nil
	}
	select {
	case a := <-acked:
		return a, nil
	case <-ctx.Done():
		return broker.PublishAck{}, broker.E(broker.KindCanceled, "inject", ctx.Err())
	}
}

// SubscribeFor implements broker.GatewayAdmin.
func (g *Gateway) SubscribeFor(ctx context.Context, tenant, clientID string, subs []broker.Subscription) ([]broker.SubscribeReply, error) {
	c, err := g.find(tenant, clientID, "subscribe for a client")
	if err != nil {
		return nil, err
	}
	return c.Subscribe(ctx, subs...)
}

// UnsubscribeFor implements broker.GatewayAdmin.
func (g *Gateway) UnsubscribeFor(_ context.Context, tenant, clientID string, filters []string) ([]broker.SubscribeReply, error) {
	c, err := g.find(tenant, clientID, "unsubscribe for a client")
	if err != nil {
		return nil, err
	}
	return c.Unsubscribe(filters...), nil
}

// FakeListener is the one listener of a fake gateway.
const FakeListener = "tcp"

// ControlListener implements broker.GatewayAdmin for a listener that does nothing.
func (g *Gateway) ControlListener(_ context.Context, name string, do broker.ListenerAction) error {
	switch {
	case do < broker.StopListener || do > broker.ReloadListener:
		return broker.E(broker.KindInvalid, "control listener", nil)
	case name != FakeListener && (name != "" || do != broker.ReloadListener):
		return broker.E(broker.KindNotFound, "control listener", nil)
	}
	return nil
}

// FlushACL implements broker.GatewayAdmin. Decisions are not cached here.
func (g *Gateway) FlushACL(context.Context, string, string) error { return nil }
