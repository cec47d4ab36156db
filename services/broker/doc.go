// Package broker is the vocabulary of the suite: the types that every service and gateway speaks, and the contracts between them.
// It imports the standard library alone and holds no behaviour beyond what the types need.
//
// # Who does what
//
//	device ── gateway (edge) ──► Router ──► Sink of a session partition   (session-store, durable)
//	               │   ▲             ├────► Sink of a gateway             (clean sessions, not durable)
//	               │   └─ pushes ─┐  └────► Sink of a retained partition  (router, durable)
//	               ├─ Auth        │
//	               └─ Sessions ───┘  attach, subscribe, acks, QoS 2 of persistent sessions
//
// A gateway translates bytes into calls of services/edge. edge owns clean sessions; a session partition owns each persistent session and the
// attachment of every client id; a topic partition owns the order of its topics and their exact routes; a retained partition owns retained messages.
//
// # What a delivery guarantees
//
//   - QoS 0: at most once. Dropped under pressure; never logged.
//   - QoS 1: at least once for persistent subscribers that matched when the message was first routed. The publisher's acknowledgement is sent after
//     every session partition concerned (and the retained partition) has made its record durable at the configured level.
//   - QoS 2: exactly once, also across the death of any one process between two packets.
//   - Order: per publisher connection, topic and QoS.
//
// # Streams
//
// The three hot hops (publish, deliver, session) are streams: Open binds a stream to one source, one destination partition and one ownership epoch.
// A stream is FIFO. It fails as a whole (rule N4): after a refusal nothing later is accepted on it; the opener opens the next one and sends again
// from its first unanswered item. Nobody retries a single item. Send never blocks; it passes the batch on, whose messages are immutable from then on.
// Answers come through a callback, in order, from a goroutine of the stream or from inside Send; a callback must not block and may call Send of the same stream only
// through another goroutine.
//
// # Local and remote
//
// Each interface has a local implementation (the service itself) and a remote one (services/rpc); both pass the suites of brokertest.
package broker
