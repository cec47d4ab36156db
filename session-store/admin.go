package sessionstore

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/session"
)

const defaultLimit, maxLimit = 100, 1000

// Sessions implements broker.SessionAdmin.
func (s *Store) Sessions(ctx context.Context, q broker.ClientQuery) ([]broker.SessionInfo, error) {
	var rows []broker.SessionInfo
	err := s.page(ctx, q, func(c *client) {
		i := c.sess.Info()
		i.Username, i.Connected, i.Node = c.user, c.att != nil, s.nodeOf(c)
		rows = append(rows, i)
	})
	return rows, err
}

// SessionSubscriptions implements broker.SessionAdmin. A page ends with the last subscription of a client.
func (s *Store) SessionSubscriptions(ctx context.Context, q broker.ClientQuery) ([]broker.SubscriptionInfo, error) {
	var rows []broker.SubscriptionInfo
	err := s.page(ctx, q, func(c *client) {
		for _, sub := range c.sess.Subscriptions() {
			rows = append(rows, broker.SubscriptionInfo{ClientID: c.key.id, Node: s.nodeOf(c), Subscription: sub})
		}
	})
	return rows, err
}

// nodeOf is where a session is listed: at the node of its connection, or here.
func (s *Store) nodeOf(c *client) string {
	if c.att != nil {
		return c.att.node
	}
	return s.name
}

// page calls fn, with the lock of its partition held, for the sessions that q selects, in the order of client ids.
func (s *Store) page(ctx context.Context, q broker.ClientQuery, fn func(*client)) error {
	type row struct {
		id string
		p  *partition
	}
	var rows []row
	for _, p := range s.serving() {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.mu.Lock()
		for k, c := range p.st.clients {
			if c.sess != nil && k.id > q.After && s.selects(q, c) {
				rows = append(rows, row{k.id, p})
			}
		}
		p.mu.Unlock()
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.id, b.id) })
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	for _, r := range rows[:min(limit, maxLimit, len(rows))] {
		r.p.mu.Lock()
		if c := r.p.st.session(clientKey{q.Tenant, r.id}); c != nil {
			fn(c)
		}
		r.p.mu.Unlock()
	}
	return nil
}

func (s *Store) selects(q broker.ClientQuery, c *client) bool {
	switch {
	case c.key.tenant != q.Tenant:
	case q.ClientID != "" && c.key.id != q.ClientID:
	case q.Contains != "" && !strings.Contains(c.key.id, q.Contains):
	case q.Username != "" && c.user != q.Username:
	case q.Node != "" && s.nodeOf(c) != q.Node:
	default:
		return true
	}
	return false
}

// partitionOf finds the partition of a client id, if it is served here.
func (s *Store) partitionOf(tenant, clientID, op string) (*partition, error) {
	p, err := s.partition(cluster.Partition(tenant, clientID, s.sessions), op)
	if err != nil {
		return nil, broker.E(broker.KindNotFound, op, err)
	}
	return p, nil
}

// Drop implements broker.SessionAdmin. It returns when the end is durable.
func (s *Store) Drop(ctx context.Context, tenant, clientID string) error {
	p, err := s.partitionOf(tenant, clientID, "drop session")
	if err != nil {
		return err
	}
	done := make(chan struct{})
	if err := p.drop(clientKey{tenant, clientID}, func() { close(done) }); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-p.ctx.Done():
		return broker.E(broker.KindNotOwner, "drop session", nil)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *partition) drop(k clientKey, done func()) error {
	p.enter()
	defer p.leave()
	switch {
	case p.dead:
		return broker.E(broker.KindNotOwner, "drop session", nil)
	case p.st.session(k) == nil:
		return broker.E(broker.KindNotFound, "drop session", nil)
	case !p.room():
		return broker.E(broker.KindBusy, "drop session", nil)
	}
	now := p.now()
	p.unhold(k)
	if !p.commit(&ended{key: k, at: now.UnixMilli(), id: p.s.ids.Next(now), dropped: true}) {
		return broker.E(broker.KindNotOwner, "drop session", nil)
	}
	p.s.metrics.ended.WithLabelValues("dropped").Inc()
	p.after(done)
	return nil
}

// KickClient implements broker.SessionAdmin. The gateway ends the connection; its Detach follows.
func (s *Store) KickClient(_ context.Context, tenant, clientID, reason string) error {
	p, err := s.partitionOf(tenant, clientID, "kick client")
	if err != nil {
		return err
	}
	p.enter()
	defer p.leave()
	k := clientKey{tenant, clientID}
	var att *attachment
	if c := p.st.clients[k]; c != nil {
		att = c.att
	}
	if x := p.soft[k]; x != nil && x.att != nil {
		att = x.att
	}
	if att == nil {
		return broker.E(broker.KindNotFound, "kick client", nil)
	}
	if g := p.gateways[att.gw.Incarnation]; g == nil || g.stream == nil {
		return broker.E(broker.KindUnavailable, "kick client: its gateway has no stream at the moment", nil)
	}
	if reason == "" {
		reason = "kicked"
	}
	p.after(func() { p.kick(kick{key: k, att: att, epoch: att.epoch, why: reason}) })
	return nil
}

// SessionStats implements broker.SessionAdmin.
func (s *Store) SessionStats(context.Context) (map[string]int64, error) { return s.stats(), nil }

// stats sums up the partitions that are served here.
func (s *Store) stats() map[string]int64 {
	all := map[string]int64{
		"sessions/count": 0, "sessions/connected": 0, "subscriptions/count": 0, "subscribers/count": 0, "attachments/count": 0, "queue/messages": 0, "queue/bytes": 0,
		"inflight/messages": 0, "outbox/messages": 0, "outbox/bytes": 0, "wills/waiting": 0, "shared/waiting": 0, "partitions/count": 0,
	}
	for _, p := range s.serving() {
		p.mu.Lock()
		p.addStats(all)
		p.mu.Unlock()
	}
	return all
}

func (p *partition) addStats(all map[string]int64) {
	all["partitions/count"]++
	all["outbox/bytes"] += int64(p.st.outBytes)
	all["attachments/count"] += int64(len(p.soft))
	all["shared/waiting"] += int64(len(p.st.limbo))
	for _, q := range p.st.lanes {
		all["shared/waiting"] += int64(len(q.entries))
	}
	for i := range p.st.outbox {
		all["outbox/messages"] += int64(len(p.st.outbox[i].entries))
	}
	for _, c := range p.st.clients {
		all["attachments/count"] += int64(one(c.att != nil))
		all["wills/waiting"] += int64(one(c.will != nil))
		if c.sess != nil {
			addSession(all, c.sess, c.att != nil)
		}
	}
}

func addSession(all map[string]int64, s *session.Session, connected bool) {
	live, _ := s.Window()
	all["sessions/count"]++
	all["sessions/connected"] += int64(one(connected))
	all["subscriptions/count"] += int64(s.Info().Subscriptions)
	all["subscribers/count"] += int64(s.Info().Subscriptions) // the same number, as in the seed: a subscriber is one of a topic
	all["queue/messages"] += int64(s.Queued())
	all["queue/bytes"] += s.Bytes()
	all["inflight/messages"] += int64(live)
}

var (
	_ broker.Sessions       = (*Store)(nil)
	_ broker.SessionAdmin   = (*Store)(nil)
	_ cluster.PartitionHost = (*Store)(nil)
)
