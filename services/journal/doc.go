// Package journal is the durable log of a partition: it owns the events of one owner at a time, in order, and gives them back to the next owner.
//
// It promises: an event whose done callback got nil is replayed by every later owner, exactly once and in the order of Append; an event whose
// callback got an error may be in the log or not. It never interprets an event, never deletes one that is not covered by a snapshot, and never
// lets two owners interleave.
//
// # Records
//
// Events that gathered while the previous append was under way travel as one record (group commit). One append is in flight per partition.
// A record (record.go draws it) names its format, kind, epoch, batch number and CRC. A log is one JetStream stream with one subject, made at its
// first record; snapshots are chunks in a second stream, SNAP_<name>, made at the first snapshot.
//
//   - data: events, conditional on the last sequence of the stream
//   - manifest: names a complete snapshot and the sequence it covers, conditional too; data and manifests share the batch numbers 1, 2, 3 ...
//   - epoch: a new owner, or the settling of an unknown outcome, unconditional
//
// # Fencing
//
// The epoch of an owner is a number that only grows from owner to owner (the create revision of its ownership key). The epoch record of a new
// owner moves the last sequence, so that what the old owner has under way is refused; only then does the new owner read the log, up to its own
// record, and an owner that finds a newer epoch than its own steps down. Appends are not pipelined: several conditional appends under way
// would not be a fence.
//
// An append that was refused, or whose outcome is unknown (timeout, 503, connection lost), is settled before anything else: read what follows the
// last known sequence; a newer epoch there: step down and write nothing; otherwise, while the lease is valid, write an epoch record and read
// again up to it. What is not there now can not land any more, because its expected sequence is past; only then it is appended again.
//
// # An absent stream
//
// Open of a partition that has no stream reads an empty log and writes nothing: the epoch record waits for the first event. Fencing holds because
// the order is: make the stream, then ask Owner.Valid, then write the epoch record. Let A be an owner that opened the absent stream and later
// writes, and B its successor. If A's Valid said yes, the stream was there at that moment, B got its key after A's lease had ended, so B's Open
// sees a stream, possibly an empty one, writes its epoch record at once, and A's data is refused as always. If A's Valid said no, A writes nothing.
// If B wrote first, A finds B's epoch between the start of the log and its own record and steps down. As a second fence, an owner with a
// postponed epoch record that finds any event before it steps down too, because its state does not hold that event. The look-up of the
// stream is answered by the leader of the JetStream meta group, never by a replica.
//
// # Durability
//
// Level memory keeps streams in the memory of the NATS servers. Levels disk and fsync keep them in files; which of the two is in force is a
// property of the server, not of the stream: with sync_always every append is synced before it is acknowledged (fsync, survives a power
// loss), without it a killed process loses nothing but a power loss may (disk). Options.Level selects the storage and is reported in Stats;
// whoever starts the servers has to set sync_always to match.
//
// # Locks
//
// Each partition has one mutex, for its queue and figures; it is never held across I/O, a channel send or a callback.
package journal
