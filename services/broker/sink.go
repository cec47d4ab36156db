package broker

import "context"

// Sink is what receives deliveries from routers: a gateway, a session partition, a retained partition.
//
// Contract. Deliveries of one source come in the order of their sequence numbers, with gaps (what did not match).
// A durable sink (session, retained) keeps a cursor per source: what is not above it is a duplicate and is answered OK, but only when the record
// that moved the cursor is durable (rule N5). A gateway keeps the same cursors in memory, so that a router's fail-over repeats nothing. A delivery with a topic epoch lower than one seen for that topic partition ends the stream with KindStale (rule N10).
type Sink interface {
	// OpenDeliver opens a stream for one (topic partition, destination). Errors: KindNotOwner, KindUnavailable, KindStale.
	OpenDeliver(ctx context.Context, o DeliverOpen, acks func([]DeliverAck)) (DeliverStream, error)
}

// DeliverOpen says what a deliver stream carries.
type DeliverOpen struct {
	Router     NodeRef
	Topic      int    // topic partition
	TopicEpoch uint64 // its epoch at the router
	Partition  int    // session or retained partition addressed; ignored by gateways
}

// DeliverStream is the router's end. Its methods behave like those of PublishStream; deliveries are numbered by the order in which they are sent, from 1.
type DeliverStream interface {
	Send(batch []Delivery) error
	Done() <-chan struct{}
	Err() error
	Close()
}

// Delivery is one message for one destination. Which subscriptions it matches is found at the destination.
type Delivery struct {
	Source Source
	Seq    uint64
	Msg    *Message // for a session or retained partition never of a Slab: it stays there
	// Plain: ordinary subscriptions of the destination match (or may match).
	Plain bool
	// Shares are the groups whose copy this destination gets: a gateway picks one of its own clean members, a session partition is the group's home (rule R7).
	Shares []ShareCopy
}

// ShareCopy is one group's copy. Candidates are the session partitions and gateways that have members, as the router knows them, connected ones first.
// A gateway that gets a copy picks a member itself and ignores them.
type ShareCopy struct {
	Share
	Candidates []Candidate
	Strategy   string // how a gateway picks its member, one of the Strategy constants; "": round_robin
}

// The strategies of shared subscriptions.
const (
	StrategyRandom       = "random"
	StrategyRoundRobin   = "round_robin"
	StrategySticky       = "sticky"
	StrategyHashClientID = "hash_clientid"
	StrategyHashTopic    = "hash_topic"
	StrategyLocal        = "local"
)

// Strategies lists them.
func Strategies() []string {
	return []string{StrategyRandom, StrategyRoundRobin, StrategySticky, StrategyHashClientID, StrategyHashTopic, StrategyLocal}
}

// Candidate is one destination with members of a shared group.
type Candidate struct {
	Session int     // session partition, or -1
	Gateway NodeRef // when Session is -1
	Members int
	Online  int
}

// Result says what became of a delivery.
type Result uint8

// The results of a delivery.
const (
	OK         Result = iota // a durable sink: the record is durable (or nothing had to be recorded); a gateway: taken over
	NoSub                    // no subscription matches any more: the route may be removed (rule N6)
	NoReceiver               // no member of the shared group can take it
	Full                     // a retained partition: a limit is reached, the delayed message was not kept
)

// DeliverAck answers deliveries in order: No counts them from 1. An ack with Result OK answers all up to No that are still unanswered; the others answer
// exactly one, NoSub and NoReceiver with the origin's epoch and route version at that moment.
type DeliverAck struct {
	No      uint64
	Result  Result
	Epoch   uint64
	Version uint64
}
