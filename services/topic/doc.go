// Package topic knows MQTT topic names and topic filters: what is valid, what matches what, and how to find the matches among very many.
//
// It owns the grammar (MQTT 5.0 §4.7, §4.8.2, and the prefixes $share/, $queue/ and $local/), the mount point arithmetic, the subscription index
// ([Index]: filters stored, names asked), the [Table] of filters that all who keep filters use, and the reverse index for retained messages ([Retained]: names stored, filters asked).
// It does no I/O, has no clock and starts no goroutine. Nothing in it recurses on its input.
//
// # Words
//
// A name is what a message is published to: no wildcards. A filter is what a subscription asks for: + stands for one whole level, # for all
// remaining levels including none. A full filter may carry prefixes; what is left without them is the inner filter, and only that takes part in
// matching, routing, authorisation and mounting.
//
// # Locks
//
// [Index] has one read-write lock per shard of exact filters and one for the wildcard trie; [Retained] has one. No method holds two of them, and none
// is held while a caller's function runs.
package topic
