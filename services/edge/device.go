package edge

import "github.com/pando-mq/pando/services/broker"

// Device is a gateway's side of one connection. Its methods but Post and Pending are called on the connection's executor only: inside a call that the
// gateway makes on the Conn, or inside a function given to Post. None of them may block.
type Device interface {
	// Deliver sends a message to the client. d is valid during the call only; what it points to is immutable and may be kept.
	Deliver(d *Delivery) Outcome
	// Release sends PUBREL, or what corresponds to it.
	Release(packetID uint16)
	// Hold stops reading (true) or goes on (false). Calls alternate, beginning with true. It is advice: what the gateway read already it may still pass on.
	Hold(on bool)
	// Kick ends the connection: tell the client why if the protocol can, close, and call Conn.Closed when it is closed. It is called at most once;
	// no Deliver follows.
	Kick(k Kick)
	// Post runs fn on the executor, in order with other posted functions. false: the connection is closed or closing, fn will not run, and Conn.Closed
	// was called or will be. Any goroutine may call it. The Conn has at most one function of its own posted at a time.
	Post(fn func()) bool
	// Pending is how many bytes of output wait. Any goroutine may call it.
	Pending() int
}

// Outcome is what became of a delivery.
type Outcome uint8

// The outcomes.
const (
	Sent     Outcome = iota // taken
	SentFull                // taken, and the output is above its mark: give nothing more until Conn.Drained
	Refused                 // not taken: larger than the client accepts, or not expressible in its protocol; counts as done
)

// Delivery is one message for the client.
type Delivery struct {
	Msg      *broker.Message
	Topic    string // to send: Msg.Topic without the mount point
	QoS      broker.QoS
	PacketID uint16 // 0 for QoS 0
	Dup      bool
	Retain   bool
	SubIDs   []uint32 // subscription identifiers
}

// KickCode says why a connection is to end.
type KickCode uint8

// The codes.
const (
	KickTakenOver KickCode = iota + 1 // another connection of the client id took over (MQTT 5.0 0x8E)
	KickAdmin                         // management ended it (0x98)
	KickKeepAlive                     // nothing was heard for 1.5 times the keep-alive (0x8D)
	KickExpired                       // the credentials' time is over (0x87)
	KickDenied                        // a publish was denied, and acl.deny_action is disconnect (0x87)
	KickShutdown                      // the process stops (0x8B)
	KickLost                          // the session cannot go on here: connect again (0x89)
	KickQuota                         // more than the limits allow (0x97)
)

var kickNames = [...]string{"", "conflict", "kicked", "keepalive_timeout", "expired", "denied", "shutdown", "session_lost", "quota"}

// String is the reason as hooks, listings and metrics write it.
func (k KickCode) String() string {
	if int(k) < len(kickNames) {
		return kickNames[k]
	}
	return "unknown"
}

// Kick says why a connection is to end.
type Kick struct {
	Code   KickCode
	Reason string // Code's name, or what management gave
}
