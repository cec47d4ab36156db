package broker

import "context"

// Gateway is what the rest of the suite asks of one gateway process. Attachments, pushes and kicks go over the session streams it opens itself.
type Gateway interface {
	Sink        // deliveries for its clean sessions; acked OK when taken over into bounded per-client queues
	RouteSource // routes of its clean sessions
	GatewayAdmin
}

// GatewayAdmin is the management of one node (a process that holds client connections).
type GatewayAdmin interface {
	// Node describes the process and its load.
	Node(ctx context.Context) (NodeInfo, error)
	// Clients lists connections, ordered by client id, after q.After, at most q.Limit (default 100, at most 1000).
	Clients(ctx context.Context, q ClientQuery) ([]ClientInfo, error)
	// ClientSubscriptions lists the subscriptions of connected clients, same paging; q.ClientID "" lists all.
	ClientSubscriptions(ctx context.Context, q ClientQuery) ([]SubscriptionInfo, error)
	// Kick ends the connection of a client id. KindNotFound: it is not connected here.
	Kick(ctx context.Context, tenant, clientID, reason string) error
	// Inject publishes as if a client of that id had, through hooks, quotas and (unless as.Superuser) the ACL; it returns when acknowledged.
	Inject(ctx context.Context, as Identity, m *Message) (PublishAck, error)
	// SubscribeFor and UnsubscribeFor change the subscriptions of a connected client. KindNotFound: it is not connected here.
	SubscribeFor(ctx context.Context, tenant, clientID string, subs []Subscription) ([]SubscribeReply, error)
	UnsubscribeFor(ctx context.Context, tenant, clientID string, filters []string) ([]SubscribeReply, error)
	// FlushACL drops cached decisions, of one client id or ("") of all.
	FlushACL(ctx context.Context, tenant, clientID string) error
	// ControlListener stops, starts, restarts or reloads the listener of that name; ReloadListener with "" reloads all. KindNotFound: there is none of that
	// name here. KindInvalid: an unknown action, or files that cannot be used. KindUnavailable: its address cannot be bound now. Each is idempotent.
	ControlListener(ctx context.Context, name string, do ListenerAction) error
}

// SessionAdmin is the management of one session-store process; it answers for the partitions it owns.
type SessionAdmin interface {
	// Sessions lists persistent sessions ordered by client id; q.Node "" lists attached and offline ones alike.
	Sessions(ctx context.Context, q ClientQuery) ([]SessionInfo, error)
	// SessionSubscriptions lists subscriptions of persistent sessions.
	SessionSubscriptions(ctx context.Context, q ClientQuery) ([]SubscriptionInfo, error)
	// Drop ends a session for good, connected or not. KindNotFound: there is none here.
	Drop(ctx context.Context, tenant, clientID string) error
	// KickClient ends the attachment of a client id wherever it is connected. KindNotFound: not attached.
	KickClient(ctx context.Context, tenant, clientID, reason string) error
	SessionStats(ctx context.Context) (map[string]int64, error)
}

// RouterAdmin is the management of one router process.
type RouterAdmin interface {
	// Routes lists routes ordered by filter, with the destination nodes as names.
	Routes(ctx context.Context, q RouteQuery) ([]RouteInfo, error)
	RouterStats(ctx context.Context) (map[string]int64, error)
}
