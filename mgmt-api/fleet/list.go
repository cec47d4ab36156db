package fleet

import (
	"cmp"
	"context"
	"slices"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// Clients is one page of connections, ordered by client id.
func (f *Fleet) Clients(ctx context.Context, q broker.ClientQuery) (Page[broker.ClientInfo], error) {
	q.Limit = PageSize(q.Limit)
	answers := f.connections(ctx, q)
	if err := refusal(answers); err != nil {
		return Page[broker.ClientInfo]{}, err
	}
	var parts []part[broker.ClientInfo]
	for _, a := range answers {
		parts = append(parts, cut(a.rows, q.Limit, clientKey))
	}
	page := merge(parts, q.Limit, clientKey, func(a, b broker.ClientInfo) int {
		return cmp.Or(cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.Node, b.Node), a.Connected.Compare(b.Connected))
	})
	page.Missing = missing(answers)
	return page, nil
}

func clientKey(c broker.ClientInfo) string { return c.ClientID }

// connections asks the gateways that q.Node allows, and names the node in each row.
func (f *Fleet) connections(ctx context.Context, q broker.ClientQuery) []answer[[]broker.ClientInfo] {
	answers := ask(ctx, f, f.gateways(q.Node), f.deps.Gateways, func(ctx context.Context, g broker.GatewayAdmin) ([]broker.ClientInfo, error) {
		return g.Clients(ctx, q)
	})
	for _, a := range answers {
		for i := range a.rows {
			a.rows[i].Node = cmp.Or(a.rows[i].Node, name(a.node))
		}
	}
	return answers
}

// Client finds the connection of a client id, the newest if a take-over is under way. KindNotFound: it is not connected.
func (f *Fleet) Client(ctx context.Context, tenant, clientID string) (broker.ClientInfo, error) {
	answers := f.connections(ctx, broker.ClientQuery{Tenant: tenant, ClientID: clientID, Limit: 1})
	var newest *broker.ClientInfo
	for i, a := range answers {
		for j := range a.rows {
			if newest == nil || a.rows[j].Connected.After(newest.Connected) {
				newest = &answers[i].rows[j]
			}
		}
		if a.err == nil && len(a.rows) == 0 {
			answers[i].err = broker.E(broker.KindNotFound, "find client", nil)
		}
	}
	if newest != nil {
		return *newest, nil
	}
	_, err := holder("find client", answers)
	return broker.ClientInfo{}, err
}

// CountClients is the number of connections of the nodes of that name, "" for all, as the nodes that answer count them.
func (f *Fleet) CountClients(ctx context.Context, node string) int {
	n := 0
	for _, i := range f.Nodes(ctx, node).Up {
		n += i.Clients
	}
	return n
}

// Kind selects sessions.
type Kind uint8

// The kinds of sessions.
const (
	Every Kind = iota
	Persistent
	Clean
)

// Sessions is one page of sessions, ordered by client id: persistent ones from the session-stores, clean ones from the gateways.
func (f *Fleet) Sessions(ctx context.Context, q broker.ClientQuery, kind Kind) (Page[broker.SessionInfo], error) {
	q.Limit = PageSize(q.Limit)
	var parts []part[broker.SessionInfo]
	var lost []Missing
	if kind != Clean {
		answers := f.stored(ctx, q)
		if err := refusal(answers); err != nil {
			return Page[broker.SessionInfo]{}, err
		}
		for _, a := range answers {
			parts = append(parts, cut(a.rows, q.Limit, sessionKey))
		}
		lost = append(missing(answers), f.unowned(cluster.SessionSpace)...)
	}
	if kind != Persistent {
		answers := f.connections(ctx, q)
		if err := refusal(answers); err != nil {
			return Page[broker.SessionInfo]{}, err
		}
		for _, a := range answers {
			parts = append(parts, cleanPart(cut(a.rows, q.Limit, clientKey)))
		}
		lost = append(lost, missing(answers)...)
	}
	page := merge(parts, q.Limit, sessionKey, func(a, b broker.SessionInfo) int {
		return cmp.Or(cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.Node, b.Node))
	})
	page.Missing = sortedMissing(lost)
	return page, nil
}

func sessionKey(s broker.SessionInfo) string { return s.ClientID }

func (f *Fleet) stored(ctx context.Context, q broker.ClientQuery) []answer[[]broker.SessionInfo] {
	return ask(ctx, f, f.stores(), f.deps.Stores, func(ctx context.Context, s broker.SessionAdmin) ([]broker.SessionInfo, error) {
		return s.Sessions(ctx, q)
	})
}

// cleanPart keeps the sessions of connections that are not persistent; upTo stays what was read.
func cleanPart(p part[broker.ClientInfo]) part[broker.SessionInfo] {
	clean := part[broker.SessionInfo]{more: p.more, upTo: p.upTo}
	for _, c := range p.rows {
		if c.Persistent {
			continue
		}
		s := c.Session
		s.ClientID, s.Username, s.Node, s.Connected, s.Persistent = c.ClientID, c.Username, c.Node, true, false
		if s.Created.IsZero() {
			s.Created = c.Connected
		}
		clean.rows = append(clean.rows, s)
	}
	return clean
}

// Session finds one session; a persistent one goes before a clean one that is ending. KindNotFound: there is none.
func (f *Fleet) Session(ctx context.Context, tenant, clientID string) (broker.SessionInfo, error) {
	page, err := f.Sessions(ctx, broker.ClientQuery{Tenant: tenant, ClientID: clientID, Limit: 1}, Every)
	if err != nil {
		return broker.SessionInfo{}, err
	}
	if i := slices.IndexFunc(page.Rows, func(s broker.SessionInfo) bool { return s.Persistent }); i > 0 {
		return page.Rows[i], nil
	}
	if len(page.Rows) > 0 {
		return page.Rows[0], nil
	}
	if len(page.Missing) > 0 {
		return broker.SessionInfo{}, broker.Errorf(broker.KindUnavailable, "find session: %s: %s", page.Missing[0].Service, page.Missing[0].Reason)
	}
	return broker.SessionInfo{}, broker.E(broker.KindNotFound, "find session", nil)
}

// slack is how many clients more are asked for their subscriptions than were listed, for those that come meanwhile.
const slack = 50

// Subscriptions is one page of subscriptions, ordered by client id and filter. The subscriptions of one client are never split.
func (f *Fleet) Subscriptions(ctx context.Context, q broker.ClientQuery) (Page[broker.SubscriptionInfo], error) {
	q.Limit = min(PageSize(q.Limit), MaxPage-slack)
	stored := ask(ctx, f, f.stores(), f.deps.Stores, func(ctx context.Context, s broker.SessionAdmin) (part[broker.SubscriptionInfo], error) {
		return subscriptionsOf(ctx, q, s.Sessions, sessionKey, s.SessionSubscriptions)
	})
	held := ask(ctx, f, f.gateways(q.Node), f.deps.Gateways, func(ctx context.Context, g broker.GatewayAdmin) (part[broker.SubscriptionInfo], error) {
		return subscriptionsOf(ctx, q, g.Clients, clientKey, g.ClientSubscriptions)
	})
	answers := slices.Concat(stored, held)
	if err := refusal(answers); err != nil {
		return Page[broker.SubscriptionInfo]{}, err
	}
	var parts []part[broker.SubscriptionInfo]
	for _, a := range answers {
		for i := range a.rows.rows {
			a.rows.rows[i].Node = cmp.Or(a.rows.rows[i].Node, name(a.node))
		}
		parts = append(parts, a.rows)
	}
	page := merge(parts, q.Limit, subscriptionKey, func(a, b broker.SubscriptionInfo) int {
		return cmp.Or(cmp.Compare(a.ClientID, b.ClientID), cmp.Compare(a.Filter, b.Filter))
	})
	// A gateway lists what a session-store lists too, when the client of a persistent session is connected to it.
	page.Rows = slices.CompactFunc(page.Rows, func(a, b broker.SubscriptionInfo) bool { return a.ClientID == b.ClientID && a.Filter == b.Filter })
	page.Missing = sortedMissing(append(missing(answers), f.unowned(cluster.SessionSpace)...))
	return page, nil
}

// subscriptionsOf asks one service. The limit of a page of subscriptions counts clients, and clients without any have no row, so that the rows alone do not
// show whether that was all: the page of clients does.
func subscriptionsOf[C any](ctx context.Context, q broker.ClientQuery, owners func(context.Context, broker.ClientQuery) ([]C, error), key func(C) string,
	list func(context.Context, broker.ClientQuery) ([]broker.SubscriptionInfo, error),
) (part[broker.SubscriptionInfo], error) {
	clients, err := owners(ctx, q)
	if err != nil {
		return part[broker.SubscriptionInfo]{}, err
	}
	all := cut(clients, q.Limit, key)
	q.Limit += slack
	rows, err := list(ctx, q)
	if err != nil {
		return part[broker.SubscriptionInfo]{}, err
	}
	return part[broker.SubscriptionInfo]{rows: rows, more: all.more, upTo: all.upTo}, nil
}

func subscriptionKey(s broker.SubscriptionInfo) string { return s.ClientID }

// Routes is one page of routes, ordered by filter and group. The same route known to several routers is one row with all its nodes.
func (f *Fleet) Routes(ctx context.Context, q broker.RouteQuery) (Page[broker.RouteInfo], error) {
	q.Limit = PageSize(q.Limit)
	answers := ask(ctx, f, f.routers(), f.deps.Routers, func(ctx context.Context, r broker.RouterAdmin) ([]broker.RouteInfo, error) {
		return r.Routes(ctx, q)
	})
	if err := refusal(answers); err != nil {
		return Page[broker.RouteInfo]{}, err
	}
	var parts []part[broker.RouteInfo]
	for _, a := range answers {
		parts = append(parts, cut(a.rows, q.Limit, routeKey))
	}
	page := merge(parts, q.Limit, routeKey, func(a, b broker.RouteInfo) int {
		return cmp.Or(cmp.Compare(a.Filter, b.Filter), cmp.Compare(a.Group, b.Group))
	})
	page.Rows = joinRoutes(page.Rows)
	page.Missing = sortedMissing(append(missing(answers), f.unowned(cluster.TopicSpace)...))
	return page, nil
}

func routeKey(r broker.RouteInfo) string { return r.Filter }

// joinRoutes makes one row of neighbours with the same filter and group.
func joinRoutes(rows []broker.RouteInfo) []broker.RouteInfo {
	var joined []broker.RouteInfo
	for _, r := range rows {
		if n := len(joined); n > 0 && joined[n-1].Filter == r.Filter && joined[n-1].Group == r.Group {
			joined[n-1].Nodes = append(joined[n-1].Nodes, r.Nodes...)
			continue
		}
		r.Nodes = slices.Clone(r.Nodes)
		joined = append(joined, r)
	}
	for i := range joined {
		slices.Sort(joined[i].Nodes)
		joined[i].Nodes = slices.Compact(joined[i].Nodes)
	}
	return joined
}
