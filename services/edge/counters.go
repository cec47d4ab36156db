package edge

import "sync/atomic"

// Counter names one figure of a node's traffic, with the seed's name ($SYS/brokers/<node>/metrics/<name>).
type Counter uint8

// The counters. Who counts: the gateway what has a packet in its name and the bytes, the edge the messages.
const (
	BytesReceived Counter = iota
	BytesSent
	PacketsReceived
	PacketsSent
	PacketsConnect
	PacketsConnack
	PacketsPublishReceived
	PacketsPublishSent
	PacketsPubackReceived
	PacketsPubackSent
	PacketsPubackMissed // an answer to an unknown packet id; counted by the edge, like the next three
	PacketsPubrecReceived
	PacketsPubrecSent
	PacketsPubrecMissed
	PacketsPubrelReceived
	PacketsPubrelSent
	PacketsPubrelMissed
	PacketsPubcompReceived
	PacketsPubcompSent
	PacketsPubcompMissed
	PacketsSubscribe
	PacketsSuback
	PacketsUnsubscribe
	PacketsUnsuback
	PacketsPingreq
	PacketsPingresp
	PacketsDisconnect
	MessagesReceived
	MessagesSent
	MessagesQoS0Received
	MessagesQoS0Sent
	MessagesQoS1Received
	MessagesQoS1Sent
	MessagesQoS2Received
	MessagesQoS2Sent
	MessagesQoS2Dropped
	MessagesDropped
	counterCount
)

var counterNames = [counterCount]string{
	"bytes/received", "bytes/sent",
	"packets/received", "packets/sent", "packets/connect", "packets/connack", "packets/publish/received", "packets/publish/sent",
	"packets/puback/received", "packets/puback/sent", "packets/puback/missed", "packets/pubrec/received", "packets/pubrec/sent", "packets/pubrec/missed",
	"packets/pubrel/received", "packets/pubrel/sent", "packets/pubrel/missed", "packets/pubcomp/received", "packets/pubcomp/sent", "packets/pubcomp/missed",
	"packets/subscribe", "packets/suback", "packets/unsubscribe", "packets/unsuback", "packets/pingreq", "packets/pingresp", "packets/disconnect",
	"messages/received", "messages/sent", "messages/qos0/received", "messages/qos0/sent", "messages/qos1/received", "messages/qos1/sent",
	"messages/qos2/received", "messages/qos2/sent", "messages/qos2/dropped", "messages/dropped",
}

// String is the seed's name.
func (c Counter) String() string { return counterNames[c] }

// Counters are the figures of one node. The zero value counts from zero; safe for use by many goroutines.
type Counters struct {
	n [counterCount]atomic.Uint64
}

// Add counts n.
func (c *Counters) Add(which Counter, n uint64) { c.n[which].Add(n) }

// Inc counts one.
func (c *Counters) Inc(which Counter) { c.n[which].Add(1) }

// Get reads one figure.
func (c *Counters) Get(which Counter) uint64 { return c.n[which].Load() }

// Map is all figures by name.
func (c *Counters) Map() map[string]int64 {
	m := make(map[string]int64, counterCount)
	for i := range c.n {
		m[counterNames[i]] = int64(c.n[i].Load())
	}
	return m
}

// DropReason says why a message did not go where it would have gone. The reasons of session.DropReason come first.
type DropReason uint8

// The reasons.
const (
	DropQueueFull    DropReason = iota // the client's queue was full
	DropExpired                        // message expiry
	DropOffline                        // QoS 0 for a client that is away
	DropRefused                        // too large for the client, or stopped by a hook
	DropDenied                         // not authorised at delivery
	DropPressure                       // QoS 0 while the queue towards the routers was full
	DropNoReceiver                     // no member of the shared group
	DropPushFull                       // QoS 0 push beyond output.max_pushed
	DropStalled                        // retained messages for a client that took nothing
	DropDisconnected                   // in a session that ended with its connection
	DropDuplicate                      // a delivery that was there already, or of a forgotten source
	dropReasonCount
)

var dropReasonNames = [dropReasonCount]string{"queue_full", "expired", "offline_qos0", "refused", "denied", "pressure", "no_receiver", "push_full", "stalled", "disconnected", "duplicate"}

// String is the reason as metrics write it.
func (r DropReason) String() string { return dropReasonNames[r] }

// drops counts by reason.
type drops struct {
	n [dropReasonCount]atomic.Uint64
}

func (d *drops) add(r DropReason, n int) { d.n[r].Add(uint64(n)) }
