// Package store is a replica's projection of the built-in users, client ids
// and access rules: a SQLite file that answers look-ups and can be deleted at
// any time, because the journal rebuilds it. It never decides anything and
// never writes to the journal.
//
// # Promises
//
//   - Events are applied in the order of their sequence numbers, each exactly
//     once: the number of the last one is committed in the transaction that
//     applies it, an event at or below it is skipped, a gap is refused
//     ([ErrGap]). An event that is refused changes nothing.
//   - The content depends on the events alone: replicas that applied the same
//     ones, by replay or by way of a snapshot, give byte-equal snapshots.
//   - A reader sees the state between two calls of Apply, never half of one.
//   - The file and its companions (-wal, -shm) have mode 0600. What it holds
//     of a password is its hash.
//   - A file that another program made is refused, never changed ([ErrForeign]);
//     a damaged one is reported ([ErrCorrupt]) for the owner to [Remove].
//
// A crash of the process loses no applied event; a power loss may lose the
// last ones together with their sequence number, and replay applies them again.
package store
