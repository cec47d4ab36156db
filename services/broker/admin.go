package broker

import "time"

// ClientQuery pages through clients or sessions.
type ClientQuery struct {
	Tenant   string
	ClientID string // exact, "" any
	Contains string // part of the client id, "" any
	Username string // exact, "" any
	Node     string // node name, "" any
	After    string // client id of the last row seen
	Limit    int    // rows at most; 0: 100
}

// ClientInfo is one connection.
type ClientInfo struct {
	ClientID    string
	Username    string
	Node        string
	Peer        string // "ip:port"
	Protocol    string
	Version     uint8
	Listener    string
	CleanStart  bool
	KeepAlive   time.Duration
	Connected   time.Time
	Expiry      time.Duration
	Persistent  bool
	RecvBytes   uint64
	SentBytes   uint64
	RecvPackets uint64
	SentPackets uint64
	RecvMsgs    uint64
	SentMsgs    uint64
	Session     SessionInfo // of clean sessions; for persistent ones ask the session-store
}

// SessionInfo is one session.
type SessionInfo struct {
	ClientID      string
	Username      string
	Node          string // of the connection, or of the session-store while offline
	Connected     bool
	Persistent    bool
	Subscriptions int
	Window        int // max_inflight
	Inflight      int
	Queued        int
	QueuedBytes   int
	Dropped       uint64
	AwaitingRel   int
	Delivered     uint64
	Enqueued      uint64
	Created       time.Time
	Expires       time.Time // zero while connected or for ever
}

// SubscriptionInfo is one subscription of one client.
type SubscriptionInfo struct {
	ClientID string
	Node     string
	Subscription
}

// RouteQuery pages through routes.
type RouteQuery struct {
	Tenant string
	Filter string // exact, "" any
	After  string
	Limit  int
}

// RouteInfo is one filter and the nodes it leads to.
type RouteInfo struct {
	Filter string
	Group  string
	Nodes  []string
}

// NodeInfo describes one node.
type NodeInfo struct {
	Name        string
	Role        string
	Version     string
	Incarnation uint64
	Started     time.Time
	Uptime      time.Duration
	Load1       float64
	Load5       float64
	Load15      float64
	MemoryTotal uint64 // bytes obtained from the system
	MemoryUsed  uint64
	MaxFDs      uint64
	Goroutines  int
	Clients     int
	Durability  string // "memory", "disk", "fsync", with the replication factor: "fsync x3"
	Listeners   []ListenerInfo
	Stats       map[string]int64 // names of the seed's $SYS stats: "clients/count", ...
	Metrics     map[string]int64 // names of the seed's $SYS metrics: "packets/received", ...
}

// ListenerInfo is one listener of a node.
type ListenerInfo struct {
	Name           string
	Protocol       string // "mqtt:tcp"
	Bind           string
	Acceptors      int
	MaxClients     int
	CurrentClients int
	Running        bool
	Shutdowns      map[string]uint64 // reason -> count
}

// ListenerAction is what an operator may ask of one listener of a node.
type ListenerAction uint8

// The actions. StopListener closes the listening socket; connections stay, and the node goes on serving. RestartListener is both. ReloadListener reads the
// files of certificates, authorities and revocation lists again; a listener whose files are broken keeps the old ones.
const (
	StopListener ListenerAction = iota + 1
	StartListener
	RestartListener
	ReloadListener
)

// String is "stop", "start", "restart" or "reload".
func (a ListenerAction) String() string {
	switch a {
	case StopListener:
		return "stop"
	case StartListener:
		return "start"
	case RestartListener:
		return "restart"
	case ReloadListener:
		return "reload"
	}
	return "unknown"
}
