package brokertest

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/pando-mq/pando/services/broker"
)

// pageOf is the rows after q.After, by client id, at most q.Limit.
func pageOf[R any](q broker.ClientQuery, rows []R, id func(R) string, f flaws) []R {
	slices.SortStableFunc(rows, func(a, b R) int { return cmp.Compare(id(a), id(b)) })
	rows = slices.DeleteFunc(rows, func(r R) bool { return id(r) <= q.After })
	limit := min(cmp.Or(q.Limit, 100), 1000)
	if !f.keeps(pageLimit) {
		limit = len(rows)
	}
	return rows[:min(limit, len(rows))]
}

func selects(q broker.ClientQuery, tenant, id, user, node string) bool {
	return q.Tenant == tenant && (q.ClientID == "" || q.ClientID == id) && strings.Contains(id, q.Contains) &&
		(q.Username == "" || q.Username == user) && (q.Node == "" || q.Node == node)
}

func (c *fakeClient) node() string {
	if c.att != nil {
		return c.att.node
	}
	return "sessions"
}

// each calls fn for the persistent sessions that q selects, with the lock held.
func (s *Sessions) each(q broker.ClientQuery, fn func(c *fakeClient)) {
	s.enter()
	defer s.leave()
	for _, p := range s.parts {
		for _, c := range p.sorted() {
			if selects(q, c.name.tenant, c.name.id, c.user, c.node()) {
				fn(c)
			}
		}
	}
}

// Sessions implements broker.SessionAdmin.
func (s *Sessions) Sessions(ctx context.Context, q broker.ClientQuery) ([]broker.SessionInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, broker.E(broker.KindCanceled, "list sessions", err)
	}
	var rows []broker.SessionInfo
	s.each(q, func(c *fakeClient) {
		i := broker.SessionInfo{
			ClientID: c.name.id, Username: c.user, Node: c.node(), Connected: c.att != nil, Persistent: true, Subscriptions: len(c.sess.subs),
			AwaitingRel: len(c.sess.held), Enqueued: c.sess.last,
		}
		for _, x := range c.sess.queue {
			if x.out {
				i.Inflight++
			} else {
				i.Queued++
				i.QueuedBytes += x.msg.Size()
			}
		}
		rows = append(rows, i)
	})
	return pageOf(q, rows, func(r broker.SessionInfo) string { return r.ClientID }, s.flaws), nil
}

// SessionSubscriptions implements broker.SessionAdmin. A limit counts subscriptions.
func (s *Sessions) SessionSubscriptions(ctx context.Context, q broker.ClientQuery) ([]broker.SubscriptionInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, broker.E(broker.KindCanceled, "list subscriptions", err)
	}
	var rows []broker.SubscriptionInfo
	s.each(q, func(c *fakeClient) {
		for _, sub := range c.sess.subs {
			rows = append(rows, broker.SubscriptionInfo{ClientID: c.name.id, Node: c.node(), Subscription: sub})
		}
	})
	return pageOf(q, rows, func(r broker.SubscriptionInfo) string { return r.ClientID }, s.flaws), nil
}

func (s *Sessions) find(tenant, clientID string) *fakeClient {
	return s.parts[s.Partition(tenant, clientID)].clients[clientName{tenant, clientID}]
}

// Drop implements broker.SessionAdmin.
func (s *Sessions) Drop(_ context.Context, tenant, clientID string) error {
	s.enter()
	defer s.leave()
	c := s.find(tenant, clientID)
	if c == nil || c.sess == nil {
		return broker.E(broker.KindNotFound, "drop session", nil)
	}
	if old := c.att; old != nil {
		c.online(-1)
		c.kick(old, "kicked")
		c.olds, c.att, c.ready = append(c.olds, old), nil, false
		c.p.over[old.connection] = true
	}
	c.drop()
	c.tidy()
	return nil
}

// KickClient implements broker.SessionAdmin. Its gateway detaches it.
func (s *Sessions) KickClient(_ context.Context, tenant, clientID, reason string) error {
	s.enter()
	defer s.leave()
	c := s.find(tenant, clientID)
	if (c == nil || c.att == nil) && s.flaws.keeps(notAttached) {
		return broker.E(broker.KindNotFound, "kick client", nil)
	}
	if c != nil && c.att != nil {
		c.kick(c.att, cmp.Or(reason, "kicked"))
	}
	return nil
}

// SessionStats implements broker.SessionAdmin.
func (s *Sessions) SessionStats(context.Context) (map[string]int64, error) {
	n := int64(0)
	s.each(broker.ClientQuery{}, func(*fakeClient) { n++ })
	return map[string]int64{"sessions/persistent/count": n}, nil
}
