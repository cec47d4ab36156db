package cluster

import (
	"context"
	"time"
)

// JoinFaulty is Join over a store whose calls go through fault. It is given the call, for a transaction with the first key written, as
// in "txn own/topic/3", and run, which does it: now, later or twice. Its error is that of the call.
func (m *Memory) JoinFaulty(o Options, fault func(call string, run func() error) error) (Cluster, error) {
	return open(context.Background(), o, func(o Options, _ *metrics) store {
		return &faultyStore{store: &memoryStore{m: m, prefix: "/pando/" + o.Name + "/"}, do: fault}
	})
}

type faultyStore struct {
	store
	do func(call string, run func() error) error
}

func (s *faultyStore) grant(ctx context.Context, ttl time.Duration) (id leaseID, got time.Duration, err error) {
	err = s.do("grant", func() (err error) { id, got, err = s.store.grant(ctx, ttl); return err })
	return id, got, err
}

func (s *faultyStore) keepAlive(ctx context.Context, id leaseID) (ttl time.Duration, err error) {
	err = s.do("keepAlive", func() (err error) { ttl, err = s.store.keepAlive(ctx, id); return err })
	return ttl, err
}

func (s *faultyStore) revoke(ctx context.Context, id leaseID) error {
	return s.do("revoke", func() error { return s.store.revoke(ctx, id) })
}

func (s *faultyStore) txn(ctx context.Context, conds []cond, writes []write) (done bool, revision uint64, err error) {
	ctx = context.WithoutCancel(ctx)
	err = s.do("txn "+writes[0].key, func() (err error) { done, revision, err = s.store.txn(ctx, conds, writes); return err })
	return done, revision, err
}

func (s *faultyStore) read(ctx context.Context) (snap snapshot, err error) {
	err = s.do("read", func() (err error) { snap, err = s.store.read(ctx); return err })
	return snap, err
}

// DecodePair is decodePair for the fuzz test: whether the value of a key can be read.
func DecodePair(key string, value []byte) (any, error) {
	return decodePair(pair{key: key, value: value, created: 7, changed: 9})
}

// Rewind empties the store and begins anew at a low revision, as if its data had been replaced.
func (m *Memory) Rewind() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.pairs)
	m.revision = 0
	m.advance()
}

// Put writes a raw value to a key of a cluster; an empty one deletes it.
func (m *Memory) Put(name, key, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance()
	s := &memoryStore{m: m, prefix: "/pando/" + name + "/"}
	s.write(write{key: key, value: []byte(value), delete: value == ""})
}
