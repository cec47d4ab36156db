package api

import (
	"time"

	mgmtv1 "github.com/pando-mq/pando/proto/gen/pando/mgmt/v1"

	"github.com/pando-mq/pando/mgmt-api/fleet"
	"github.com/pando-mq/pando/services/broker"
)

// convert applies fn to each element.
func convert[From, To any](list []From, fn func(From) To) []To {
	out := make([]To, 0, len(list))
	for _, v := range list {
		out = append(out, fn(v))
	}
	return out
}

// millis is a moment on the wire; 0: none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func query(f *mgmtv1.ClientFilter, size uint32, token string) broker.ClientQuery {
	return broker.ClientQuery{
		Tenant: f.GetTenant(), ClientID: f.GetClientId(), Contains: f.GetContains(), Username: f.GetUsername(), Node: f.GetNode(),
		After: token, Limit: pageSize(size),
	}
}

func pageSize(wish uint32) int { return fleet.PageSize(int(min(wish, fleet.MaxPage))) }

func missingOf(m fleet.Missing) *mgmtv1.Missing {
	return &mgmtv1.Missing{Service: m.Service, Reason: m.Reason}
}

func nodeOf(n broker.NodeInfo) *mgmtv1.Node {
	return &mgmtv1.Node{
		Name: n.Name, Role: n.Role, Version: n.Version, Incarnation: n.Incarnation, StartedMs: millis(n.Started), UptimeMs: n.Uptime.Milliseconds(),
		Load1: n.Load1, Load5: n.Load5, Load15: n.Load15, MemoryTotal: n.MemoryTotal, MemoryUsed: n.MemoryUsed, MaxFds: n.MaxFDs,
		Goroutines: uint32(n.Goroutines), Clients: uint32(n.Clients), Durability: n.Durability, Stats: n.Stats, Metrics: n.Metrics,
		Listeners: convert(n.Listeners, func(l broker.ListenerInfo) *mgmtv1.Listener { return listenerOf(n.Name, l) }),
	}
}

func listenerOf(node string, l broker.ListenerInfo) *mgmtv1.Listener {
	return &mgmtv1.Listener{
		Node: node,
		Name: l.Name, Protocol: l.Protocol, Bind: l.Bind, Acceptors: uint32(l.Acceptors), MaxClients: uint32(l.MaxClients),
		CurrentClients: uint32(l.CurrentClients), Running: l.Running, Shutdowns: l.Shutdowns,
	}
}

func serviceOf(s fleet.Service) *mgmtv1.Service {
	owned := map[string]uint32{}
	for space, n := range s.Partitions {
		owned[string(space)] = uint32(n)
	}
	return &mgmtv1.Service{Role: string(s.Role), Id: s.ID, Name: s.Name, Addr: s.Addr, State: s.State, Incarnation: s.Incarnation, Partitions: owned}
}

func clientOf(c broker.ClientInfo) *mgmtv1.Client {
	return &mgmtv1.Client{
		ClientId: c.ClientID, Username: c.Username, Node: c.Node, Peer: c.Peer, Protocol: c.Protocol, Version: uint32(c.Version), Listener: c.Listener,
		CleanStart: c.CleanStart, KeepAliveMs: c.KeepAlive.Milliseconds(), ConnectedMs: millis(c.Connected), ExpiryMs: c.Expiry.Milliseconds(),
		Persistent: c.Persistent, RecvBytes: c.RecvBytes, SentBytes: c.SentBytes, RecvPackets: c.RecvPackets, SentPackets: c.SentPackets,
		RecvMsgs: c.RecvMsgs, SentMsgs: c.SentMsgs,
	}
}

func sessionOf(s broker.SessionInfo) *mgmtv1.Session {
	return &mgmtv1.Session{
		ClientId: s.ClientID, Username: s.Username, Node: s.Node, Connected: s.Connected, Persistent: s.Persistent, Subscriptions: uint32(s.Subscriptions),
		Window: uint32(s.Window), Inflight: uint32(s.Inflight), Queued: uint32(s.Queued), QueuedBytes: uint64(s.QueuedBytes), Dropped: s.Dropped,
		AwaitingRel: uint32(s.AwaitingRel), Delivered: s.Delivered, Enqueued: s.Enqueued, CreatedMs: millis(s.Created), ExpiresMs: millis(s.Expires),
	}
}

func subscriptionOf(s broker.SubscriptionInfo) *mgmtv1.Subscription {
	return &mgmtv1.Subscription{
		ClientId: s.ClientID, Node: s.Node, Filter: s.Filter, Qos: uint32(s.QoS), NoLocal: s.NoLocal, RetainAsPublished: s.RetainAsPublished,
		RetainHandling: uint32(s.RetainHandling), Id: s.ID,
	}
}

func routeOf(r broker.RouteInfo) *mgmtv1.Route {
	return &mgmtv1.Route{Filter: r.Filter, Group: r.Group, Nodes: r.Nodes}
}

func userOf(u broker.User) *mgmtv1.User {
	return &mgmtv1.User{Tenant: u.Tenant, Name: u.Name, Superuser: u.Superuser, CreatedMs: millis(u.Created)}
}

func ruleOf(r broker.Rule) *mgmtv1.Rule {
	return &mgmtv1.Rule{
		Id: r.ID, Index: int32(r.Index), Allow: r.Allow, Username: r.Username, ClientId: r.ClientID, Cidr: r.CIDR, Access: mgmtv1.Access(r.Access), Topic: r.Topic,
	}
}
