package edge

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/topic"
)

const (
	pageDefault = 100
	pageMost    = 1000
)

// find is the attached connection of a client id.
func (e *Edge) find(tenant, clientID string) (*Conn, error) {
	p := e.parts[cluster.Partition(tenant, clientID, len(e.parts))]
	if c := p.client(clientKey{tenant, clientID}); c != nil {
		return c, nil
	}
	return nil, broker.E(broker.KindNotFound, "client is not connected here", nil)
}

// Clients implements broker.GatewayAdmin.
func (e *Edge) Clients(ctx context.Context, q broker.ClientQuery) ([]broker.ClientInfo, error) {
	conns, err := e.page(ctx, q)
	if err != nil {
		return nil, err
	}
	rows := make([]broker.ClientInfo, len(conns))
	for i, c := range conns {
		rows[i] = c.info()
	}
	return rows, nil
}

// ClientSubscriptions implements broker.GatewayAdmin. The limit counts clients: all subscriptions of one are given together.
func (e *Edge) ClientSubscriptions(ctx context.Context, q broker.ClientQuery) ([]broker.SubscriptionInfo, error) {
	conns, err := e.page(ctx, q)
	if err != nil {
		return nil, err
	}
	var rows []broker.SubscriptionInfo
	for _, c := range conns {
		for _, s := range c.subscriptions() {
			rows = append(rows, broker.SubscriptionInfo{ClientID: c.id.ClientID, Node: e.deps.NodeName, Subscription: s})
		}
	}
	return rows, nil
}

// page is the connections that q selects, in order of the client id.
func (e *Edge) page(ctx context.Context, q broker.ClientQuery) ([]*Conn, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = pageDefault
	}
	limit = min(limit, pageMost)
	if q.Node != "" && q.Node != e.deps.NodeName {
		return nil, nil
	}
	if q.ClientID != "" {
		c, err := e.find(q.Tenant, q.ClientID)
		if err != nil || !c.selected(&q) {
			return nil, nil
		}
		return []*Conn{c}, nil
	}
	byID := func(a, b *Conn) int { return cmp.Compare(a.id.ClientID, b.id.ClientID) }
	var list []*Conn
	for _, p := range e.parts {
		if err := ctx.Err(); err != nil {
			return nil, broker.E(broker.KindCanceled, "list clients", err)
		}
		list = p.selectInto(list, &q, 4*limit, func(l []*Conn) []*Conn {
			slices.SortFunc(l, byID)
			return l[:min(len(l), limit)]
		})
	}
	slices.SortFunc(list, byID)
	return list[:min(len(list), limit)], nil
}

// selectInto appends the attached connections that q selects, and has the list cut when it is longer than most.
func (p *partition) selectInto(list []*Conn, q *broker.ClientQuery, most int, cut func([]*Conn) []*Conn) []*Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.clients {
		if !c.selected(q) {
			continue
		}
		if list = append(list, c); len(list) > most {
			list = cut(list)
		}
	}
	return list
}

func (c *Conn) selected(q *broker.ClientQuery) bool {
	return c.id.Tenant == q.Tenant && c.id.ClientID > q.After && strings.Contains(c.id.ClientID, q.Contains) && (q.Username == "" || c.id.Username == q.Username)
}

// info describes the connection. Any goroutine may call it.
func (c *Conn) info() broker.ClientInfo {
	s := &c.Stats
	row := broker.ClientInfo{
		ClientID: c.id.ClientID, Username: c.id.Username, Node: c.e.deps.NodeName, Peer: c.id.Peer.String(), Protocol: c.id.Protocol, Version: c.id.Version,
		Listener: c.id.Listener, CleanStart: s.cleanStart, KeepAlive: s.keepAlive, Connected: s.connected, Expiry: s.expiry, Persistent: !c.clean,
		RecvBytes: s.RecvBytes.Load(), SentBytes: s.SentBytes.Load(), RecvPackets: s.RecvPackets.Load(), SentPackets: s.SentPackets.Load(),
		RecvMsgs: s.RecvMsgs.Load(), SentMsgs: s.SentMsgs.Load(),
	}
	c.mu.Lock()
	if c.sess != nil {
		row.Session = c.sess.Info()
		row.Session.Username, row.Session.Node = c.id.Username, c.e.deps.NodeName
	}
	c.mu.Unlock()
	return row
}

// subscriptions lists the subscriptions in order of their filters.
func (c *Conn) subscriptions() []broker.Subscription {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.listSubs()
}

// Kick implements broker.GatewayAdmin.
func (e *Edge) Kick(_ context.Context, tenant, clientID, reason string) error {
	c, err := e.find(tenant, clientID)
	if err != nil {
		return err
	}
	c.kick(KickAdmin, reason)
	return nil
}

// SubscribeFor implements broker.GatewayAdmin. Filters are as the client would send them; the ACL and the hooks are asked as for the client itself.
func (e *Edge) SubscribeFor(ctx context.Context, tenant, clientID string, subs []broker.Subscription) ([]broker.SubscribeReply, error) {
	subs = slices.Clone(subs)
	return e.change(ctx, tenant, clientID, func(c *Conn, done func([]SubscribeResult)) {
		c.startSubscribe(&subscribing{subs: subs, done: done, always: true})
	})
}

// UnsubscribeFor implements broker.GatewayAdmin.
func (e *Edge) UnsubscribeFor(ctx context.Context, tenant, clientID string, filters []string) ([]broker.SubscribeReply, error) {
	filters = slices.Clone(filters)
	return e.change(ctx, tenant, clientID, func(c *Conn, done func([]SubscribeResult)) {
		c.startUnsubscribe(&unsubscribing{filters: filters, done: done, always: true})
	})
}

// change runs a change of a client's subscriptions on its executor and waits for the answer.
func (e *Edge) change(ctx context.Context, tenant, clientID string, do func(*Conn, func([]SubscribeResult))) ([]broker.SubscribeReply, error) {
	c, err := e.find(tenant, clientID)
	if err != nil {
		return nil, err
	}
	answer := make(chan []SubscribeResult, 1)
	c.post(func() { do(c, func(r []SubscribeResult) { answer <- r }) })
	select {
	case results := <-answer:
		replies := make([]broker.SubscribeReply, len(results))
		for i, r := range results {
			replies[i] = broker.SubscribeReply{Err: r.Err, Existed: r.Existed}
		}
		return replies, nil
	case <-ctx.Done():
		return nil, broker.E(broker.KindCanceled, "change subscriptions", ctx.Err())
	case <-e.ctx.Done():
		return nil, errStopped
	}
}

// ControlListener implements broker.GatewayAdmin.
func (e *Edge) ControlListener(ctx context.Context, name string, do broker.ListenerAction) error {
	if e.deps.ControlListener == nil {
		return broker.E(broker.KindNotFound, "there are no listeners here", nil)
	}
	return e.deps.ControlListener(ctx, name, do)
}

// FlushACL implements broker.GatewayAdmin. Subscriptions are decided again, too.
func (e *Edge) FlushACL(_ context.Context, tenant, clientID string) error {
	flush := func(c *Conn) {
		c.post(func() {
			c.topics = aclCache{}
			c.recheck = true
			c.review()
		})
	}
	if clientID == "" {
		e.each(func(c *Conn) {
			if c.id.Tenant == tenant {
				flush(c)
			}
		})
		return nil
	}
	c, err := e.find(tenant, clientID)
	if err != nil {
		return err
	}
	flush(c)
	return nil
}

// Inject implements broker.GatewayAdmin. m is not changed; its topic is the full one.
func (e *Edge) Inject(ctx context.Context, as broker.Identity, m *broker.Message) (broker.PublishAck, error) {
	if !e.running() {
		return broker.PublishAck{}, errStopped
	}
	if err := e.checkName(m.Topic, len(m.Topic)); err != nil || m.QoS > 2 {
		return broker.PublishAck{}, asError(err, broker.KindInvalid, "publish")
	}
	if !as.Superuser {
		_, inner := topic.SplitDelayed(m.Topic)
		ds, err := e.authorize(&as, broker.ActionPublish, []string{inner})
		if err != nil {
			return broker.PublishAck{}, err
		}
		if !ds[0].Allow {
			return broker.PublishAck{}, broker.E(broker.KindDenied, "publish", nil)
		}
	}
	msg, now := *m, e.now()
	msg.ID, msg.Published = e.ids.Next(now), now
	msg.Tenant, msg.From, msg.Username, msg.Node = as.Tenant, as.ClientID, as.Username, e.deps.NodeName
	return e.inject(ctx, &as, &msg)
}

// inject runs message.publish, routes and waits.
func (e *Edge) inject(ctx context.Context, as *broker.Identity, m *broker.Message) (broker.PublishAck, error) {
	type hooked struct {
		m *broker.Message
		r hook.Result
	}
	later := make(chan hooked, 1)
	m, r, ready := e.hooks.MessagePublish.Run(as, m, func(m *broker.Message, r hook.Result) { later <- hooked{m, r} })
	if !ready {
		select {
		case h := <-later:
			m, r = h.m, h.r
		case <-ctx.Done():
			return broker.PublishAck{}, broker.E(broker.KindCanceled, "publish", ctx.Err())
		}
	}
	switch {
	case r == hook.Refused:
		return broker.PublishAck{}, broker.E(broker.KindDenied, "a hook refused", nil)
	case r == hook.Stopped:
		return broker.PublishAck{}, nil
	case m == nil || e.checkName(m.Topic, len(m.Topic)) != nil:
		return broker.PublishAck{}, broker.E(broker.KindInvalid, "a hook left no valid message", nil)
	}
	local := e.dispatchLocal(m)
	acked := make(chan broker.PublishAck, 1)
	if err := e.pub.Publish(m, nil, func(a broker.PublishAck) { acked <- a }); err != nil {
		return broker.PublishAck{}, err
	}
	select {
	case a := <-acked:
		a.Matched = a.Matched || local
		if a.Refused {
			return a, errRefused
		}
		return a, nil
	case <-ctx.Done():
		return broker.PublishAck{}, broker.E(broker.KindCanceled, "publish", ctx.Err())
	case <-e.ctx.Done():
		return broker.PublishAck{}, errStopped
	}
}
