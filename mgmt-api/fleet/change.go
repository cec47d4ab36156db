package fleet

import (
	"context"
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// Kick ends the connection of a client id: at its gateway, or, when no gateway says that it has it, through the attachment at its session partition.
// KindNotFound: it is not connected.
func (f *Fleet) Kick(ctx context.Context, tenant, clientID, reason string) error {
	_, err := holder("kick", ask(ctx, f, f.gateways(""), f.deps.Gateways, func(ctx context.Context, g broker.GatewayAdmin) (struct{}, error) {
		return struct{}{}, g.Kick(ctx, tenant, clientID, reason)
	}))
	if err == nil {
		return nil
	}
	_, attached := holder("kick", ask(ctx, f, f.stores(), f.deps.Stores, func(ctx context.Context, s broker.SessionAdmin) (struct{}, error) {
		return struct{}{}, s.KickClient(ctx, tenant, clientID, reason)
	}))
	if attached == nil {
		return nil
	}
	return worse(err, attached)
}

// worse of two failures: not found counts only when both say so.
func worse(a, b error) error {
	if broker.KindOf(a) == broker.KindNotFound {
		return b
	}
	return a
}

// Drop ends a session for good: a persistent one at its session-store, a clean one with its connection. KindNotFound: there is none.
func (f *Fleet) Drop(ctx context.Context, tenant, clientID string) error {
	_, err := holder("drop session", ask(ctx, f, f.stores(), f.deps.Stores, func(ctx context.Context, s broker.SessionAdmin) (struct{}, error) {
		return struct{}{}, s.Drop(ctx, tenant, clientID)
	}))
	if err == nil {
		return nil
	}
	c, absent := f.Client(ctx, tenant, clientID)
	if absent != nil {
		return worse(err, absent)
	}
	if c.Persistent {
		return err
	}
	return f.Kick(ctx, tenant, clientID, "kicked")
}

// FlushACL forgets cached decisions of one client id (KindNotFound: it is not connected), or of all ("").
func (f *Fleet) FlushACL(ctx context.Context, tenant, clientID string) ([]Missing, error) {
	if clientID != "" {
		if _, err := f.Client(ctx, tenant, clientID); err != nil {
			return nil, err
		}
	}
	answers := ask(ctx, f, f.gateways(""), f.deps.Gateways, func(ctx context.Context, g broker.GatewayAdmin) (struct{}, error) {
		err := g.FlushACL(ctx, tenant, clientID)
		if err != nil && broker.KindOf(err) == broker.KindNotFound {
			err = nil // its client is elsewhere
		}
		return struct{}{}, err
	})
	return missing(answers), refusal(answers)
}

// Subscribe adds a subscription for a connected client. KindNotFound: it is not connected.
func (f *Fleet) Subscribe(ctx context.Context, tenant, clientID string, s broker.Subscription) error {
	return f.resubscribe(ctx, "subscribe", func(ctx context.Context, g broker.GatewayAdmin) ([]broker.SubscribeReply, error) {
		return g.SubscribeFor(ctx, tenant, clientID, []broker.Subscription{s})
	})
}

// Unsubscribe removes a subscription of a connected client. KindNotFound: it is not connected, or has no such subscription.
func (f *Fleet) Unsubscribe(ctx context.Context, tenant, clientID, filter string) error {
	return f.resubscribe(ctx, "unsubscribe", func(ctx context.Context, g broker.GatewayAdmin) ([]broker.SubscribeReply, error) {
		return g.UnsubscribeFor(ctx, tenant, clientID, []string{filter})
	})
}

func (f *Fleet) resubscribe(ctx context.Context, op string, fn func(context.Context, broker.GatewayAdmin) ([]broker.SubscribeReply, error)) error {
	replies, err := holder(op, ask(ctx, f, f.gateways(""), f.deps.Gateways, fn))
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(replies, func(r broker.SubscribeReply) bool { return r.Err != nil }); i >= 0 {
		return replies[i].Err
	}
	return nil
}

// patience is how many deadlines of a question one publish may take: it waits until a partition that moves has its new owner.
const patience = 5

// Publish publishes a message through one gateway, and through another one when that cannot be reached; it returns when the message is acknowledged.
// A QoS 1 message may then be published twice, as with any client that repeats.
func (f *Fleet) Publish(ctx context.Context, as broker.Identity, m *broker.Message) (matched bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience*f.deps.Timeout)
	defer cancel()
	err = broker.Errorf(broker.KindUnavailable, "publish: there is no gateway")
	for _, n := range f.gateways("") {
		begin := time.Now()
		var ack broker.PublishAck
		ack, err = f.deps.Gateways(n).Inject(ctx, as, m)
		f.deps.Asked(string(n.Role), time.Since(begin), err)
		if err == nil {
			return ack.Matched, nil
		}
		if !broker.KindOf(err).Retryable() {
			return false, err
		}
	}
	return false, err
}

// ControlListener does it on one node, or ("") on all that have a listener of that name, and names those. KindNotFound: none has one.
func (f *Fleet) ControlListener(ctx context.Context, node, listener string, do broker.ListenerAction) (nodes []string, lost []Missing, err error) {
	answers := ask(ctx, f, f.gateways(node), f.deps.Gateways, func(ctx context.Context, g broker.GatewayAdmin) (struct{}, error) {
		return struct{}{}, g.ControlListener(ctx, listener, do)
	})
	if err := refusal(answers); err != nil {
		return nil, nil, err
	}
	if _, err := holder(do.String()+" listener", answers); err != nil {
		return nil, nil, err
	}
	for i, a := range answers {
		switch {
		case a.err == nil:
			nodes = append(nodes, name(a.node))
		case broker.KindOf(a.err) == broker.KindNotFound:
			answers[i].err = nil // this node has no such listener
		}
	}
	slices.Sort(nodes)
	return nodes, missing(answers), nil
}
