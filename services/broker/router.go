package broker

import (
	"context"
	"time"
)

// Source names one FIFO of publishes: a gateway incarnation, or the outbox of a session or retained partition, towards one topic partition.
// Sequence numbers count per source from 1; cursors at the destinations are kept per source (rule R2).
type Source struct {
	Kind        SourceKind
	Incarnation uint64 // of the gateway; 0 for outboxes, whose numbering outlives their owner
	Partition   int    // session or retained partition of an outbox; 0 for a gateway
	Topic       int    // topic partition addressed
}

// SourceKind tells the kinds of sources apart.
type SourceKind uint8

// The kinds of sources.
const (
	FromGateway  SourceKind = iota
	FromSession             // outbox of a session partition: QoS 2 of persistent publishers, wills, shared redispatch
	FromRetained            // outbox of a retained partition: delayed messages
)

// Publish is one message of a source. Seq rises with every publish of the source; there are gaps where QoS 0 publishes were given up after a broken stream.
type Publish struct {
	Seq   uint64
	Msg   *Message
	Share *Share // non-nil: route to this one shared group only (redispatch by a home or a gateway)
}

// Share names one shared subscription group by its group name and inner filter ("$share/g/a/#" is {"g", "a/#"}; "$queue/a" has the group "$queue").
type Share struct {
	Group  string
	Filter string
}

// PublishAck answers a publish. Acks come in the order of Seq. Every QoS 1 or 2 publish gets one; a QoS 0 publish is answered by the next ack at or
// above its Seq, and the router acks at least the last publish of each batch, so that the opener can count what is under way.
type PublishAck struct {
	Seq     uint64
	Matched bool // at least one subscriber matched (MQTT 5.0 reason 0x10 otherwise)
	Refused bool // a limit of delayed messages is reached: nothing was kept, and the publisher is told so
}

// PublishOpen says what a publish stream carries.
type PublishOpen struct {
	Source Source
	From   NodeRef // the process that opens it
	Stream uint64  // number of this stream within the source, rising with every open (rule N4)
	First  uint64  // Seq of the first publish that will be sent; everything below was answered
}

// PublishStream is the opener's end.
type PublishStream interface {
	// Epoch is the topic partition epoch this stream is bound to (rule N10). It never changes; when the partition changes hands the stream ends.
	Epoch() uint64
	// Send passes a batch on, in order. It never blocks. The slice is the caller's again when Send returns; what it points to is immutable.
	// An error means nothing of this batch will be answered and the stream is dead.
	Send(batch []Publish) error
	// Done is closed when the stream has ended; no ack comes after it. Err then says why: KindBusy, KindStale, KindNotOwner and KindUnavailable ask for
	// a new stream, which sends again from the first unanswered publish.
	Done() <-chan struct{}
	Err() error
	// Close ends the stream. Unanswered publishes stay unanswered.
	Close()
}

// Router orders and routes messages. One Router value stands for the whole tier: its client finds the owner of a partition.
//
// What an ack promises: the message was matched against every subscription whose SUBACK was sent before the publish was accepted, and every
// session partition with a matching persistent subscription, and the retained partition of a retained message, holds it durably.
type Router interface {
	// OpenPublish opens the next stream of a source. The newest stream of a source replaces older ones, which end with KindStale.
	// The slice given to acks holds during the call; one call comes after the other.
	// Errors: KindNotOwner, KindUnavailable (no owner yet, or still syncing beyond the queue limit), KindStale (source incarnation is dead).
	OpenPublish(ctx context.Context, o PublishOpen, acks func([]PublishAck)) (PublishStream, error)

	// ReadRetained yields the retained messages that match filter (for an exact filter one at most), expired ones left out, in batches of at most 64 KiB;
	// their order does not change: by retained partition, then by the levels of the topic. It reads no further until yield returns, so a slow reader slows nobody else. yield returning an error ends the call with that error.
	// A message whose retained publish was acked before the call is seen; while partitions move the call waits or fails with KindUnavailable.
	ReadRetained(ctx context.Context, q RetainedQuery, yield func([]*Message) error) error

	// ClaimExclusive asks for a topic that one client only may be subscribed to as $exclusive/<topic>, and reserves it for a while. What it returns is the
	// epoch of the grant: the origin subscribes, announces the route with that Grant, and claims once more when it is in force: the subscription holds if
	// the same epoch comes back. A client may claim what it has, from wherever it is. KindConflict: another client has the topic.
	// KindUnavailable, KindNotOwner: the owner of the topic partition still collects its routes, or there is none.
	ClaimExclusive(ctx context.Context, c ExclusiveClaim) (grant uint64, err error)

	// Sink receives what topic partitions forward to retained partitions.
	Sink
}

// RetainedQuery selects retained messages.
type RetainedQuery struct {
	Tenant string
	Filter string // inner filter, wildcards allowed
	Limit  int    // 0: all
}

// RouterNode is one router process, addressed as such and not by partition.
type RouterNode interface {
	// UpdateRoutes applies deltas of one origin, in order. nil: all of them, or newer versions of them, are in force at this router (rules N7, N8).
	// Exact filters (without wildcard) need ownership of their topic partition: KindNotOwner names none applied of those that are foreign, the rest is applied.
	// A router that is still syncing applies and answers too. KindStale: the origin's epoch is older than one seen.
	UpdateRoutes(ctx context.Context, u RouteUpdate) error
	// ReadRetainedPartition is ReadRetained on one retained partition of this process. KindNotOwner: it is not here.
	ReadRetainedPartition(ctx context.Context, partition int, q RetainedQuery, yield func([]*Message) error) error
}

// Origin is who announces routes: a session partition in one epoch, or a gateway incarnation.
type Origin struct {
	Kind      SourceKind // FromSession or FromGateway
	Partition int        // session partition; 0 for a gateway
	Node      NodeRef    // the gateway, or the present owner of the session partition
	Epoch     uint64     // partition epoch; for a gateway its incarnation
}

// RouteDelta adds or removes one filter at one origin. Version rises with every change of the origin (rule N7); a later version of the same
// (filter, group) replaces an earlier one. A route says "someone behind this origin matches"; who, is decided there.
type RouteDelta struct {
	Tenant  string
	Filter  string // inner filter
	Group   string // "" for ordinary subscriptions
	Version uint64
	Members int // 0 removes the route; for shared groups the number of members, otherwise 1
	Online  int // shared groups: how many of the members are connected
	// Of the route ExclusivePrefix + topic, which says who has a topic for itself and brings no messages: the client, and the epoch of its grant.
	Holder string
	Grant  uint64
}

// ExclusivePrefix begins the filter of an exclusive subscription. The whole filter is also the name of a route (without wildcard), whose topic partition
// decides who holds it.
const ExclusivePrefix = "$exclusive/"

// ExclusiveClaim asks for a topic.
type ExclusiveClaim struct {
	Tenant   string
	Topic    string // mount point included, without ExclusivePrefix
	ClientID string
	Origin   Origin // where the client's subscription lives
}

// RouteUpdate is a batch of deltas of one origin.
type RouteUpdate struct {
	Origin Origin
	Deltas []RouteDelta
}

// RouteSource is the origin's side: it answers snapshots to routers that synchronise.
type RouteSource interface {
	// SnapshotRoutes yields all routes of the origin that q selects, in batches, and then returns the origin with its version at that moment.
	// Answering registers q.Router in the same step (rule N1): from then on every subscription of the origin that q selects also waits for that
	// router's ack of its delta, until the origin's own view of the cluster is at or past the registration's revision and shows the registration gone.
	SnapshotRoutes(ctx context.Context, q SnapshotQuery, yield func([]RouteDelta) error) (SnapshotInfo, error)
}

// SnapshotQuery selects routes for one router.
type SnapshotQuery struct {
	Router    NodeRef
	Partition int    // session partition asked; ignored by gateways
	Wildcards bool   // all filters with wildcards, all shared groups; otherwise the exact filters of topic partition Topic
	Topic     int    // topic partition, when Wildcards is false
	Revision  uint64 // revision of the key the registration lives by: the topic partition's key, or the router's node key
}

// SnapshotInfo closes a snapshot.
type SnapshotInfo struct {
	Origin  Origin
	Version uint64
}

// RetainedInfo describes one retained message for listings.
type RetainedInfo struct {
	Topic     string
	Size      int
	QoS       QoS
	Published time.Time
	Expires   time.Time
}
