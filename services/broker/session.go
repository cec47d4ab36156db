package broker

import (
	"context"
	"time"
)

// Sessions is the tier of session partitions: each owns the attachments of its client ids and their persistent sessions, durably.
type Sessions interface {
	Sink
	RouteSource
	// OpenSession opens the stream between one gateway incarnation and one session partition. A newer stream of the same pair replaces the older one.
	// Errors: KindNotOwner, KindUnavailable, KindStale (the gateway's incarnation is not alive in the owner's view, rule R6: wait and retry, or come back as a new one).
	OpenSession(ctx context.Context, o SessionOpen, h SessionHandler) (SessionStream, error)
}

// SessionOpen says who opens a session stream to which partition.
type SessionOpen struct {
	Gateway   NodeRef
	NodeName  string // the gateway's node name, for listings
	Partition int
}

// SessionStream is the gateway's end. Requests are handled in order; each is answered exactly once, or the stream ends. The gateway keeps every request
// until its answer and repeats the unanswered ones, in order and with the same ID, on the next stream, after one OpAnnounce per attached client (rule R3).
type SessionStream interface {
	Epoch() uint64 // the session partition's epoch
	Send(batch []SessionRequest) error
	Done() <-chan struct{}
	Err() error
	Close()
}

// SessionHandler is the gateway's side of a session stream. Calls come in order, one at a time, and must not block.
type SessionHandler interface {
	Replies([]SessionReply)
	Pushes([]Push)
}

// SessionOp names a request.
type SessionOp uint8

// The requests.
const (
	OpAttach      SessionOp = iota + 1 // Attach: client id is connected here now
	OpAnnounce                         // Announce: after a change of the owner, before anything else of that client
	OpDetach                           // Detach: the connection ended
	OpKicked                           // answer to a kick push: the old connection reads nothing more and its own publishes are acked; Detach, which may be nil, says how it ended
	OpSubscribe                        // Subs; answered when routed (rule N8)
	OpUnsubscribe                      // Subs (filters only)
	OpAck                              // Ack: the client's PUBACK, PUBREC or PUBCOMP
	OpPublish2                         // Publish2: QoS 2 publish of a persistent session; answered when durable, the gateway sends PUBREC then (rule R1)
	OpRelease                          // PacketID: PUBREL; answered when durable, the gateway sends PUBCOMP then
	OpSetExpiry                        // Expiry: session expiry interval changed (MQTT 5.0 §3.14.2.2.2)
)

// SessionRequest is one request of a gateway to a session partition. Exactly the fields that its Op names are set. Every op of an attached client
// carries the connection epoch; a request with an older epoch than the present attachment's changes nothing and is answered KindStale.
type SessionRequest struct {
	ID       uint64 // rises per (gateway incarnation, session partition); the same when repeated
	Op       SessionOp
	Tenant   string
	ClientID string
	Conn     uint64    // connection number: unique within the gateway incarnation
	Epoch    ConnEpoch // zero in OpAttach
	Attach   *Attach
	Announce *Announce
	Detach   *Detach
	Subs     []Subscription
	Ack      *ClientAck
	Publish2 *Publish2
	PacketID uint16
	Expiry   time.Duration
}

// SessionReply answers one request.
type SessionReply struct {
	ID     uint64
	Err    error            // an *Error; nil: done, and durable where the op says so
	Attach *AttachReply     // OpAttach
	Subs   []SubscribeReply // OpSubscribe, OpUnsubscribe: one per filter, in order
	Known  bool             // OpRelease: the id was held; OpPublish2: the id was already held (a repeat: nothing was published again)
}

// Attach makes a connection the owner of its client id.
type Attach struct {
	Identity   Identity
	CleanStart bool          // drop an existing session first
	Expiry     time.Duration // how long the session outlives the connection; 0: not at all (a clean session, which the gateway hosts); Forever: for ever
	Window     uint16        // how many QoS 1/2 pushes may be unacknowledged (receive maximum and max_inflight), >= 1
	KeepAlive  time.Duration
	MaxPacket  uint32 // 0: no limit; larger messages are dropped for this client (MQTT 5.0 §3.1.2.11.4)
	Will       *Will
	At         time.Time // when the gateway accepted the CONNECT
}

// Forever is the expiry of a session that never expires.
const Forever = time.Duration(1<<63 - 1)

// AttachReply answers OpAttach. For a persistent or will-carrying client it is sent when the record is durable, for others under a valid lease (rule N12).
type AttachReply struct {
	Epoch   ConnEpoch
	Present bool           // a session existed and goes on
	Subs    []Subscription // of that session: the gateway checks them again (promise 6)
	// HoldPublishes: an older connection elsewhere is being ended; hold this client's publishes until a Push with Op PushSettled, at most one second.
	HoldPublishes bool
	// Delay asks for a pause before CONNACK: the client id is being taken over to and fro (flapping).
	Delay time.Duration
}

// Will is the message to publish when the connection ends without DISCONNECT (MQTT 5.0 §3.1.2.5). Its id and times are set when it is published.
type Will struct {
	Msg    *Message
	Delay  time.Duration // will delay interval
	Expiry time.Duration // message expiry interval, 0: never
}

// Announce repeats an attachment to a new owner of the partition. Inflight is what the gateway knows of the pushes under way on this live connection (rule R5).
type Announce struct {
	Attach   Attach
	Inflight []Inflight
}

// Inflight is one push whose exchange with the client is not complete.
type Inflight struct {
	Index    uint64
	PacketID uint16
	QoS      QoS
	Received bool // PUBREC has come in
}

// Detach ends an attachment.
type Detach struct {
	Reason    string // "normal", "keepalive_timeout", "closed", "kicked", ...
	DropWill  bool   // DISCONNECT with reason 0x00 was read, or CONNACK was never sent
	HasExpiry bool   // Expiry replaces the session's expiry interval
	Expiry    time.Duration
	At        time.Time
}

// Subscription is one subscription of a client. Filter is the full text as the client sent it, mount point applied to its inner part.
type Subscription struct {
	Filter            string // e.g. "a/+", "$share/g/a/+"
	QoS               QoS
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    uint8  // 0 send retained, 1 only if new, 2 never
	ID                uint32 // subscription identifier, 0: none
	Generation        uint64 // of the rules under which it was granted
}

// SubscribeReply answers one filter.
type SubscribeReply struct {
	Err     error // KindInvalid, KindQuota, KindNotFound (unsubscribe: there was none), ...
	Existed bool  // the filter replaced an existing subscription
}

// ClientAck is what the client answered to a push. Index names the queue entry, not the packet id.
type ClientAck struct {
	Index  uint64
	Kind   AckKind
	Failed bool // reason code >= 0x80
}

// AckKind tells the acks apart.
type AckKind uint8

// The acks of a client.
const (
	AckPuback AckKind = iota + 1
	AckPubrec         // must be durable before PUBREL is sent: the reply is a Push with Op PushRelease
	AckPubcomp
	AckDropped // the gateway did not send it (refused at delivery, too large, expired); it counts as done
)

// Publish2 is a QoS 2 publish of a persistent session, kept until PUBREL under its packet id and routed by the partition's outbox at once.
type Publish2 struct {
	PacketID uint16
	Msg      *Message
}

// PushOp tells pushes apart.
type PushOp uint8

// The pushes.
const (
	PushPublish      PushOp = iota + 1 // deliver Msg to the client
	PushRelease                        // send PUBREL for PacketID
	PushKick                           // end connection Conn: superseded or kicked by management; answer with OpKicked
	PushSettled                        // publishes held after a take-over may go on
	PushUnsubscribed                   // management removed or expiry ended something: Reason says what; informational
)

// Push is what a session partition asks of the gateway that holds the connection. One with an older epoch than the gateway has seen for the client id is ignored.
type Push struct {
	Op       PushOp
	Tenant   string
	ClientID string
	Conn     uint64
	Epoch    ConnEpoch
	Index    uint64 // queue index, 0 for QoS 0
	PacketID uint16 // 1 + index mod 65535 (rule R4), 0 for QoS 0
	QoS      QoS    // granted
	Dup      bool
	Retain   bool // retain flag to send
	Msg      *Message
	SubIDs   []uint32 // all subscription identifiers that matched
	Filters  []string // the filters that matched, for the check at delivery; nil: ask by topic
	Reason   string   // PushKick: "conflict", "kicked", "flapping"; PushUnsubscribed: the filter
}
