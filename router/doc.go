// Package router orders and routes messages: it owns topic partitions (the order of a topic and its exact routes), knows every wildcard filter and
// shared group, and owns retained partitions.
//
// A message comes in on the publish stream of its source, is matched once, and leaves on one first-in-first-out stream per (topic partition,
// destination). Destinations are gateways (clean sessions), session partitions and retained partitions; which of their subscriptions match is decided there. The
// publisher's stream is acked, in order, when every durable destination has answered.
//
// # Which rule lives where
//
//   - stream.go: newest stream of a source wins, acks in order, the lease is checked between matching and acking (Routes rule 4), N4 upward.
//   - destination.go: one stream per destination; its failure closes every publish stream that has something unanswered there (N4).
//   - partition.go: a topic partition serves one epoch (N10); it is SYNCING until sync.go says otherwise (N2, N3).
//   - routes.go: (epoch, version) of deltas and snapshots (N7), removal by NO_SUB (N6).
//   - sync.go: who must be asked for a snapshot, and when it is asked again.
//   - share.go: home of a group, or one gateway of it (R7).
//   - retained*.go: the retained partitions: cursors (N5, N9), log, reading.
//
// # Locks, in the order in which they may be taken
//
//	Router.mu -> partition.mu -> (routes tables, destination and stream state belong to partition.mu) -> wildcards.mu
//	retained.mu stands alone.
//
// None is held across a call into a destination, a log or a callback. The one I/O under a lock is that of a partition's own file (retained_shelf.go): it is
// written there in the order of the log, into the system's cache and never synchronised; pages are read without it.
package router
