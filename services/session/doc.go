// Package session is the state machine of one MQTT session: subscriptions, message queue, in-flight window, packet ids, incoming QoS 2 and expiry.
//
// It is pure: no I/O, no clock (times are arguments), no goroutine, no lock. Two hosts run it: services/edge for clean sessions, and the session
// partitions of session-store for persistent ones. A Session belongs to one goroutine at a time.
//
// # Durable and soft state
//
// A host that keeps a log calls the same methods, with the same arguments, when something happens and when it replays the log. Durable methods are
//
//	Subscribe Grant Unsubscribe Attach Detach SetExpiry Enqueue Ack Receive2 Release2 Use
//
// and what they do depends on nothing but the state that earlier durable calls left, their arguments and the [Settings]. [Session.AppendTo] writes
// exactly that state: a live session and its replay give equal bytes. Two things follow. A message becomes part of the in-flight window at a durable
// call and not when it is handed out, so that what may be dropped does not depend on how fast a connection took its messages. And QoS 0 messages,
// which are in no log, never decide what happens to the others. The settings are part of this: under other limits a replay drops other messages than the
// live session did. A host therefore notes its [Config] in the log when it starts to write, and replays each part under the one it was written under.
// (See [Session.Use]. If it does not: an answer from the client to a message that the replay still has in its queue completes it there; one to a message that the replay
// dropped is not known.)
//
// Soft state is what [Session.Next] handed out on the present connection, the QoS 0 queue, and counters of these. It is lost with the process.
//
// # Life of a message
//
//	Enqueue ──► queue ──► window ──Next──► client ──PUBACK────────────────────────────► gone
//	              │  released while attached,  └──PUBREC──► PUBREL ──PUBCOMP──────────► gone
//	              ▼  within the window
//	          dropped (limits, expiry)
//
// Each QoS 1/2 message gets an index, rising by one, when it is queued; its packet id is 1 + index mod 65,535 (rule R4), so a replay gives the same id. A message is
// not released while an older one with the same id is in the window. Order is that of the indexes, per priority.
//
// # Limits
//
// The queue is bounded in messages, and queue and window together in bytes. To make room, QoS 0 messages go first, oldest first, then the oldest that
// were not released yet; among priorities the lowest first, and never one above that of the new message. What was released is never dropped.
package session
