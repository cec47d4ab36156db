// Package sessionstore is the session-store service: it owns session partitions. A partition is the one place that knows who is connected under a client id,
// and the home of the persistent sessions of its client ids: subscriptions, queue, messages under way, incoming QoS 2 ids, will and expiry.
//
// It promises: what it has answered is in the log at the configured level; a message whose delivery it answered with OK reaches the session; QoS 2 is
// once, whoever dies; a client id has one owner. It never routes a message itself, never speaks a device's protocol, and never decides about access.
//
// # State and events
//
// A partition is a [state] that changes by events alone (events*.go, drawn there; apply*.go), written to the journal stream SS_<p>. Live handling
// and replay run the same code: an event is handed to the log first and applied in the same step, so the state is ahead of what is durable by what is under
// way. Whatever leaves the partition (answers, acks, pushes, kicks, publishes, route announcements) waits in a queue of effects until
// every event before it is durable. Duplicates and repeats wait there too, which is rule N5. If the log ends, everything that waits is dropped with the state.
//
//	clients   per client id: attachment, superseded connections with their parked wills, session (services/session), delayed will
//	cursors   per source: the highest sequence number that was appended; highest epoch per topic partition
//	outbox    per topic partition: numbered publishes that the routers have not acknowledged (QoS 2 of sessions, wills, shared messages again)
//	lanes     per destination: numbered copies for members of shared groups elsewhere; limbo: copies that nobody took
//
// A clean attachment without will is in no log: it is kept in memory, answered under a valid lease, and announced by its gateway to the next owner. Also in
// memory: which connections are ready for pushes, QoS 0 messages, cursors of deliveries that needed no record, and what the strategies of
// shared groups remember. Times in events are absolute; timers are set from the state.
//
// Settings of sessions are part of the log: an owner with other settings says so by an event, and a replay uses what was in force.
//
// # Shared groups (rule R7)
//
// A router sends the copy of a group with persistent members to its home partition. The record that moves the cursor also says where the copy goes: to a
// member here, or into a lane to another session partition or a gateway that has members. A lane is a deliver stream of its own, with the source
// {FromSession, home, T + home} and numbers that are never used again, T being the number of topic partitions; so the destination's cursor makes it once,
// and the number T + home with the home's epoch makes rule N10 hold for homes as for topic partitions. (Gateways know topic partitions only: towards
// them the stream names one of those with the epoch that the view has; the source is the same.) The destination picks the member. NoReceiver brings
// the copy back: the home tries its own members and the other candidates, then puts it into limbo, from where it is routed to the group again (Publish.Share)
// a second later; when the routers know no member any more they acknowledge and it is over. A gateway that dies gives back what it had not answered,
// except QoS 2, which may have been sent.
//
// # Which rule lives where
//
//   - N2: store.go (Acquire). N4, N5, N6, N9, N10: deliver.go, plan.go. N8: subscribe.go. N11: services/journal; ownership.go opens a log again that ended by itself.
//   - N12: attach.go, announce.go, request.go (current). R6: attach.go (repeats), takeover.go (kicks, holds), apply.go (wills), sweep.go (gateways that are gone).
//   - R1: publish2.go, outbox.go. R3: every request is harmless when repeated: attach by connection, publishes by held packet id, acks by index.
//   - R4: services/session and follow.go (pump). R5: announce.go (resume). R7: share.go, forward.go, apply.go (endSession).
//   - N1, N7: services/route.
//
// # Back-pressure
//
// Requests and deliveries go straight to the log while it has room (store.max_pending); then they wait, in order (store.max_waiting); then their
// stream ends with KindBusy and is opened again later. The outbox refuses new QoS 2 publishes above store.max_outbox. Queues of sessions have their own bounds.
//
// # Locks, in the order in which they may be taken
//
//	Store.mu; partition.mu -> the locks of route.Announcer and journal.Log
//
// No lock is held across a call into a router, a gateway, a callback or I/O: such calls are queued under partition.mu and made without it, in order, by one
// goroutine at a time (partition.leave).
package sessionstore
