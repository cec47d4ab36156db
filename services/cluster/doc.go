// Package cluster knows who is alive and who owns what: the registry of nodes, the immutable views of it, and the ownership of
// partitions with fencing epochs. It is the only package that talks to etcd.
//
// # What it promises
//
//   - A view is one revision of the cluster's keys, never a mixture, and the views of one Cluster never go back in revision.
//   - A partition has at most one owner at a time: a claim is written by a transaction that needs the key to be absent, under the
//     lease of its holder. While a Claim of an epoch is Valid, no claim of another epoch of that partition is.
//   - Epochs and incarnations are create revisions of etcd keys, so they only grow, and nothing is ever inherited: a process that
//     comes back under the same id has a new incarnation and claims with new epochs.
//   - Valid is conservative: it is counted on the monotonic clock from the moment the last successful keep-alive was sent, and ends
//     a margin before etcd could end the lease.
//   - A hand-over drains first: the old owner releases, stops being Valid, deletes its key; only then the new one can claim.
//
// It never decides what an owner does with a partition, keeps nothing per client or per subscription, and never reads a wall clock.
//
// # Keys, below /pando/<cluster>/
//
//	meta                  counts of partitions, replicas; written once at bootstrap
//	node/<role>/<id>      address, state, the spaces it hosts           lease of the member
//	assign/<space>        node id of each partition, generation         no lease, written by the assigner
//	own/<space>/<p>       who claims partition p                        lease of the member
//	elect/assigner        who writes assign/                            lease of the member
//
// Values are JSON objects with a field "format"; a reader ignores (and logs) a format it does not know.
//
// # Parts
//
// The rules are written once, over a small store of revisioned keys and leases (store.go). etcd is one such store (New), a map in
// memory the other (NewMemory, NewStatic); clustertest.Run is the contract as tests, and both pass it.
//
// # Locks
//
// handle.mu, member.mu and claim.mu are leaves: none is held while another is taken, nor across I/O, a send or a callback.
package cluster
