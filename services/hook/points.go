package hook

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// None is the accumulator of points that only tell.
type None = struct{}

// Chains holds the eleven hook points of one process. Its zero value is ready, without hooks.
//
// client.subscribe, client.unsubscribe and client.connected see topics without the mount point, the points of sessions and messages see them with it.
// A message hook that wants to change a message answers with another one: others hold the one it was given.
type Chains struct {
	ClientConnected     Chain[Connected, None]                         // client.connected: after every decision on a CONNECT; Refused refuses an accepted one
	ClientDisconnected  Chain[Disconnected, None]                      // client.disconnected: a connection that was accepted ended
	ClientSubscribe     Chain[*broker.Identity, []broker.Subscription] // client.subscribe: before; Stopped and Refused: nothing is subscribed
	ClientUnsubscribe   Chain[*broker.Identity, []string]              // client.unsubscribe: before, full filters; Stopped and Refused: nothing happens
	SessionCreated      Chain[*broker.Identity, None]                  // session.created: a new session began
	SessionSubscribed   Chain[Subscribed, None]                        // session.subscribed: after, for repeated ones too
	SessionUnsubscribed Chain[Subscribed, None]                        // session.unsubscribed: after
	SessionTerminated   Chain[Terminated, None]                        // session.terminated: a session ended; of clean ones at the gateway, of persistent ones at the session-store
	MessagePublish      Chain[*broker.Identity, *broker.Message]       // message.publish: before routing; Stopped: not routed, yet acknowledged; Refused: refused
	MessageDelivered    Chain[*broker.Identity, *broker.Message]       // message.delivered: about to be handed to the connection; Stopped and Refused: not delivered
	MessageAcked        Chain[*broker.Identity, *broker.Message]       // message.acked: the client acknowledged it (PUBACK, PUBREC)
}

// Connected tells of the decision on a CONNECT.
type Connected struct {
	Client         *broker.Identity
	Err            error // nil: accepted; otherwise an *Error of package broker
	CleanStart     bool
	SessionPresent bool
	KeepAlive      time.Duration
	At             time.Time
}

// Disconnected tells of the end of a connection.
type Disconnected struct {
	Client *broker.Identity
	Reason string // "normal", "closed", "keepalive_timeout", "conflict", "kicked", ...
	At     time.Time
}

// Subscribed names one subscription of a client.
type Subscribed struct {
	Client       *broker.Identity
	Subscription broker.Subscription // Filter with the mount point; of an unsubscription only Filter is set
	Existed      bool                // it replaced one with the same filter
}

// Terminated tells of the end of a session.
type Terminated struct {
	Client *broker.Identity
	Reason string
}

// each calls fn with the name and the counters of every point.
func (c *Chains) each(fn func(name string, f Failures)) {
	fn("client.connected", c.ClientConnected.Failures())
	fn("client.disconnected", c.ClientDisconnected.Failures())
	fn("client.subscribe", c.ClientSubscribe.Failures())
	fn("client.unsubscribe", c.ClientUnsubscribe.Failures())
	fn("session.created", c.SessionCreated.Failures())
	fn("session.subscribed", c.SessionSubscribed.Failures())
	fn("session.unsubscribed", c.SessionUnsubscribed.Failures())
	fn("session.terminated", c.SessionTerminated.Failures())
	fn("message.publish", c.MessagePublish.Failures())
	fn("message.delivered", c.MessageDelivered.Failures())
	fn("message.acked", c.MessageAcked.Failures())
}

// RemoveTag takes out every hook with a tag at every point and returns how many there were.
func (c *Chains) RemoveTag(tag string) int {
	return c.ClientConnected.RemoveTag(tag) + c.ClientDisconnected.RemoveTag(tag) + c.ClientSubscribe.RemoveTag(tag) + c.ClientUnsubscribe.RemoveTag(tag) +
		c.SessionCreated.RemoveTag(tag) + c.SessionSubscribed.RemoveTag(tag) + c.SessionUnsubscribed.RemoveTag(tag) + c.SessionTerminated.RemoveTag(tag) +
		c.MessagePublish.RemoveTag(tag) + c.MessageDelivered.RemoveTag(tag) + c.MessageAcked.RemoveTag(tag)
}
