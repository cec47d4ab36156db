package cluster

import (
	"context"
	"errors"
)

// Role says what a node is. It is a part of the node's key, so it must be neither empty nor contain a slash.
type Role string

// The roles of the suite's own services.
const (
	Gateway      Role = "gateway" // holds client connections, of any protocol
	Router       Role = "router"
	SessionStore Role = "session"
	Auth         Role = "auth"
	Mgmt         Role = "mgmt"
)

// Space is a responsibility that is divided into partitions, numbered from 0.
type Space string

// The spaces, with their usual number of partitions and the role that hosts them.
const (
	TopicSpace    Space = "topic"    // 64, Router: exact-filter routes and the order of a topic
	RetainedSpace Space = "retained" // 16, Router: retained and delayed messages
	SessionSpace  Space = "session"  // 16, SessionStore: attachments and persistent sessions
	AuthSpace     Space = "auth"     // 1, Auth: the right to write the journal of users and rules
)

// Spaces lists all spaces.
func Spaces() []Space { return []Space{TopicSpace, RetainedSpace, SessionSpace, AuthSpace} }

// Role is the role whose members host the space; "" for an unknown space.
func (s Space) Role() Role {
	switch s {
	case TopicSpace, RetainedSpace:
		return Router
	case SessionSpace:
		return SessionStore
	case AuthSpace:
		return Auth
	}
	return ""
}

// The states of a node. Other values are allowed and mean nothing to this package.
const (
	StateServing  = "serving"  // the default of Register
	StateDraining = "draining" // gets no partitions, and those it has are moved away
)

// Node is one registered process in one role. The maps and slices of a Node taken from a View are shared: read only.
type Node struct {
	Role Role
	ID   string // unique within the role, fixed, without a slash
	Addr string // host:port of its gRPC server; empty if it has none
	// Incarnation is the create revision of the node's key: 0 until registered, unique over all roles, greater at each Register.
	Incarnation uint64
	State       string
	Spaces      []Space           // the spaces it hosts at present, sorted; set by Host, ignored by Register
	Meta        map[string]string // whatever the role wants to tell: name, version, zone, ...
}

// Owner is the present holder of a partition.
type Owner struct {
	Node  Node   // as it was when it claimed: Role, ID, Addr and Incarnation are set
	Epoch uint64 // the create revision of the ownership key
}

// Meta is what was decided at bootstrap and holds for the life of the cluster.
type Meta struct {
	Partitions map[Space]int // how many partitions each space has
	Replicas   int           // replicas of a durable stream
}

// ErrLost says that a member's lease is over: its keys are gone, it must Register again.
var ErrLost = errors.New("cluster: membership lost")

// ErrClosed says that the Cluster, or the Member by Leave, was closed.
var ErrClosed = errors.New("cluster: closed")

// Cluster is one process' access to the registry. All methods are safe for concurrent use.
type Cluster interface {
	// View returns the newest view at hand. It does no I/O and is never nil.
	View() *View

	// Watch calls fn with the present view and then with each newer one, in order of revision, until ctx ends or the Cluster is
	// closed. It blocks, and fn runs on the caller's goroutine: start it with go, and wait for it. While fn runs, newer views are
	// coalesced: the next call gets the newest.
	Watch(ctx context.Context, fn func(*View))

	// Sync returns a view whose revision is at least revision. Revision 0 reads through to the store: the view returned holds
	// everything that was written before Sync was called. It returns the error of ctx if that ends first. A
	// store that is behind the present view (its data was replaced) is an error as well, reported when ctx ends.
	Sync(ctx context.Context, revision uint64) (*View, error)

	// Register writes the node's key under a new lease. A living key of the same role and id is waited for until its lease ends, so
	// that two holders never overlap; the new key has a new incarnation. Role and ID must be set; Incarnation and Spaces are ignored;
	// an empty State becomes StateServing. When Register returns, this Cluster's view shows the node.
	Register(ctx context.Context, n Node) (Member, error)

	// Meta returns the partition counts and replicas fixed at bootstrap. The map is shared: read only.
	Meta() Meta

	// Close leaves with each member that has not left (bounded by Options.DrainTimeout and TTL), stops and waits for everything that runs.
	Close() error
}

// Member is a registered node, alive while its lease is. All methods are safe for concurrent use.
type Member interface {
	// Node returns the node with its incarnation and present state.
	Node() Node

	// Valid says that the lease certainly lives: less than the lease's time to live minus the margin passed, on the monotonic clock,
	// since the last successful keep-alive was sent. It turns false while etcd does not answer, and true again when etcd answers
	// before the lease ended. After Lost and after Leave it is false for ever.
	Valid() bool

	// Lost is closed, once, when the lease ended or the node's key was taken away. The holder comes back with a new Register.
	// Leave does not close it.
	Lost() <-chan struct{}

	// SetState writes the node's state; the incarnation stays.
	SetState(ctx context.Context, state string) error

	// Host contends, while the member is Valid, for the partitions of space that the assignment gives to it, and returns when ctx ends (nil), at Leave
	// (nil) or when the membership is lost (ErrLost), after each partition was released and, if the lease lives, its key deleted.
	// Partitions are independent of one another: Acquire and Release of different partitions run at the same time. The member's role
	// must be the space's, and it can host a space only once at a time.
	Host(ctx context.Context, space Space, h PartitionHost) error

	// Leave ends the membership gracefully: no new partitions, running Hosts release theirs, then the lease is revoked, and with it
	// all keys of the member. If ctx ends before the Hosts returned, the lease is revoked all the same (Valid is false before that)
	// and the error of ctx is returned.
	Leave(ctx context.Context) error
}

// PartitionHost is what serves partitions: a router, a session-store. Calls for one partition never overlap; each Acquire that
// returned nil is followed by exactly one Release, a failed one by none.
type PartitionHost interface {
	// Acquire starts to serve a partition whose ownership key was just written; it may take long (replay, sync). An error gives the
	// key back; it is claimed again, with a new epoch, after a pause that doubles from 100 ms to 5 s.
	// ctx lives as long as the claim: it ends when the claim is lost, when Acquire is not wanted any more (hand-over, shutdown), and
	// after Release returned.
	Acquire(ctx context.Context, c Claim) error

	// Release stops serving and drains. At a hand-over and at shutdown the claim stays Valid until Release returned, and ctx ends
	// after Options.DrainTimeout: return then. After a loss Claim.Valid is already false.
	Release(ctx context.Context, p int)
}

// Claim is one ownership of one partition.
type Claim struct {
	Space     Space
	Partition int
	Epoch     uint64 // the create revision of the ownership key: greater than that of each earlier claim of the partition
	// Valid says that nobody else can own the partition now: the claim stands and the lease is certain (see Member.Valid).
	Valid func() bool
	// Lost is closed, once, when the claim is over: the lease ended, the key was taken away, or it was given back after Release.
	// Not being Valid is no loss: an owner with a fence of its own (a conditional append) may go on until Lost.
	Lost <-chan struct{}
}
