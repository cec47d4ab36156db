package cluster

import (
	"context"
	"errors"
	"time"
)

// store is what the rules of this package stand on: revisioned keys, leases, transactions, as etcd has them. Keys are relative to
// the cluster's prefix. Each call ends with ctx; an error other than errNoLease leaves the outcome of a write unknown.
type store interface {
	// grant makes a lease and returns the time to live it really got.
	grant(ctx context.Context, ttl time.Duration) (leaseID, time.Duration, error)
	// keepAlive renews a lease and returns its time to live, counted from some moment after the call. errNoLease: it is over.
	keepAlive(ctx context.Context, id leaseID) (time.Duration, error)
	// revoke ends a lease and deletes its keys in one revision. A lease that is over already is no error.
	revoke(ctx context.Context, id leaseID) error
	// txn does all writes in one revision if all conditions hold, else none. It returns whether it did, and its revision.
	// errNoLease: a write names a lease that is over.
	txn(ctx context.Context, conds []cond, writes []write) (done bool, revision uint64, err error)
	// read returns all keys at the store's present revision, linearizably.
	read(ctx context.Context) (snapshot, error)
	// follow tells f of all that changes until ctx ends, from a snapshot it takes itself.
	follow(ctx context.Context, f feed)
}

// feed receives the state of a store. Calls do not overlap with one another, but may with resets from elsewhere: what is older than
// the state already known is ignored.
type feed interface {
	reset(snapshot)
	apply([]change)
}

// errNoLease says that a lease does not exist any more.
var errNoLease = errors.New("lease not found")

type leaseID int64

// pair is a key with its value and revisions.
type pair struct {
	key              string
	value            []byte
	created, changed uint64 // revisions
	lease            leaseID
}

// snapshot is all keys at one revision.
type snapshot struct {
	pairs    []pair
	revision uint64
}

// change is one event: pair.changed is its revision. A deletion has neither value nor created.
type change struct {
	pair
	deleted bool
}

// cond holds when the key's create revision is created (0: the key is absent) and, unless 0, its last change is changed.
type cond struct {
	key              string
	created, changed uint64
}

// write puts a value under a lease (0: none) or deletes.
type write struct {
	key    string
	value  []byte
	lease  leaseID
	delete bool
}
