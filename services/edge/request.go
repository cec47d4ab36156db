package edge

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// ConnectRequest is a CONNECT, or what corresponds to it. It must not be changed after Connect was called.
type ConnectRequest struct {
	Credentials broker.Credentials // ClientID "": one is assigned
	CleanStart  bool
	// Expiry is how long the session shall outlive the connection: 0 not at all (it is hosted here), broker.Forever: as long as the configuration
	// allows, which is also the most that anything else gets. For MQTT 3 without clean session it is broker.Forever.
	Expiry    time.Duration
	KeepAlive time.Duration // 0: none
	// KeepAliveFixed keeps max_keepalive from clients that cannot be told of another keep-alive: those of MQTT 3.
	KeepAliveFixed bool
	ReceiveMax     uint16       // QoS 1 and 2 messages the client takes at once; 0: it did not say
	MaxPacket      uint32       // largest packet the client takes; 0: no limit. Deliver refuses what is larger.
	Will           *broker.Will // its topic without the mount point; ID, From and the like are set here
	Mountpoint     string       // of the listener; %c and %u stand for client id and user name
	MaxLevels      int          // of topics and filters, beside what the configuration says; 0: no other limit
	// Resend repeats unanswered messages on the live connection after session.retry_interval: for MQTT 3.1 and protocols over UDP.
	Resend bool
	// AuthMethod asks for an enhanced authentication (MQTT 5.0 §4.12) in place of the password; AuthData is the client's first message, Challenge sends it the
	// server's messages but the last, on the executor: Conn.AuthContinue takes each answer.
	AuthMethod string
	AuthData   []byte
	Challenge  func(data []byte)
}

// ConnectResult answers a ConnectRequest.
type ConnectResult struct {
	Err            error // an *Error of package broker; nil: accepted. Kinds: see Edge.Connect
	Identity       *broker.Identity
	Assigned       bool // the client id was assigned here
	SessionPresent bool
	Expiry         time.Duration // what was granted; 0: the session ends with the connection
	KeepAlive      time.Duration // in force; tell the client if it is not what it asked for
	AuthData       []byte        // the last message of an enhanced authentication, for the client
	WillDenied     bool          // the will was left out: the client may not publish it
}

// Publish is one incoming message. Msg holds Topic (as sent), Payload, QoS, Retain, Expires and Props; the rest is set here, and from the call on
// the message belongs to the edge.
type Publish struct {
	Msg      *broker.Message
	PacketID uint16 // 0 for QoS 0
	Dup      bool   // the client says that it may have sent it before
	// Done is called once on the executor; those of QoS 1 in the order of the publishes, and those of QoS 2 too (MQTT 5.0 §4.6). nil with QoS 0: nobody asks.
	Done func(PublishResult)
}

// PublishResult answers a publish: with a nil error send PUBACK or PUBREC.
type PublishResult struct {
	PacketID uint16
	QoS      broker.QoS
	Matched  bool // somebody subscribes to it, as far as it is known (true for persistent QoS 2)
	Repeated bool // QoS 2: the packet id was held already; the message was not published again
	// Err is an *Error. KindDenied: the ACL or a hook refused (MQTT 3.1.1 acknowledges all the same); KindInvalid: bad topic; KindQuota; KindUnavailable.
	Err error
	// Disconnect: acl.deny_action asks to end the connection.
	Disconnect bool
}

// SubscribeResult answers one filter of a subscribe or unsubscribe.
type SubscribeResult struct {
	QoS     broker.QoS // granted
	Existed bool
	Err     error // KindInvalid (filter), KindDenied, KindQuota, KindNotFound (unsubscribe), KindUnavailable
}

// Disconnect is a DISCONNECT of the client.
type Disconnect struct {
	Reason    string        // "normal" if ""
	DropWill  bool          // reason code 0x00
	HasExpiry bool          // Expiry replaces the session's (MQTT 5.0 §3.14.2.2.2)
	Expiry    time.Duration // as in ConnectRequest
}
