package cluster

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a store in this process' memory: what etcd is to New. Clusters joined to the same Memory under the same name are one
// cluster, as if each were a process of its own.
type Memory struct {
	mu        sync.Mutex
	revision  uint64
	pairs     map[string]pair
	leases    map[leaseID]*memoryLease
	lastLease leaseID
	changed   chan struct{} // closed at each new revision
}

type memoryLease struct {
	ttl      time.Duration
	deadline time.Time
	timer    *time.Timer
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{
		revision: 1,
		pairs:    make(map[string]pair),
		leases:   make(map[leaseID]*memoryLease),
		changed:  make(chan struct{}),
	}
}

// Join returns a Cluster on the store. Defaults differ from New in TTL, 30 s, so that a busy machine does not lose leases in tests,
// and in Settle, 0.
func (m *Memory) Join(o Options) (Cluster, error) {
	if o.TTL == 0 {
		o.TTL = 30 * time.Second
	}
	return open(context.Background(), o, func(o Options, _ *metrics) store {
		return &memoryStore{m: m, prefix: "/pando/" + o.Name + "/"}
	})
}

// NewStatic returns a Cluster of this process only, without etcd: all partitions are owned by the members registered with it. The
// semantics are those of New, epochs, hand-over and lease loss included. See Memory.Join for the defaults.
func NewStatic(o Options) (Cluster, error) { return NewMemory().Join(o) }

// memoryStore is one cluster's part of a Memory.
type memoryStore struct {
	m      *Memory
	prefix string
}

func (s *memoryStore) grant(ctx context.Context, ttl time.Duration) (leaseID, time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, err
	}
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lastLease++
	id := m.lastLease
	m.leases[id] = &memoryLease{
		ttl:      ttl,
		deadline: time.Now().Add(ttl),
		timer:    time.AfterFunc(ttl, func() { m.expire(id) }),
	}
	return id, ttl, nil
}

func (s *memoryStore) keepAlive(ctx context.Context, id leaseID) (time.Duration, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	l, ok := s.m.leases[id]
	if !ok {
		return 0, errNoLease
	}
	l.deadline = time.Now().Add(l.ttl)
	l.timer.Reset(l.ttl)
	return l.ttl, nil
}

func (s *memoryStore) revoke(ctx context.Context, id leaseID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.end(id)
	return nil
}

// expire ends a lease whose timer fired, unless it was renewed meanwhile.
func (m *Memory) expire(id leaseID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, ok := m.leases[id]; ok && !time.Now().Before(l.deadline) {
		m.end(id)
	}
}

// end deletes a lease and its keys. The caller holds mu.
func (m *Memory) end(id leaseID) {
	l, ok := m.leases[id]
	if !ok {
		return
	}
	l.timer.Stop()
	delete(m.leases, id)
	var keys []string
	for k, p := range m.pairs {
		if p.lease == id {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return
	}
	for _, k := range keys {
		delete(m.pairs, k)
	}
	m.advance()
}

// advance starts a new revision. The caller holds mu.
func (m *Memory) advance() {
	m.revision++
	close(m.changed)
	m.changed = make(chan struct{})
}

func (s *memoryStore) txn(ctx context.Context, conds []cond, writes []write) (bool, uint64, error) {
	if err := ctx.Err(); err != nil {
		return false, 0, err
	}
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range conds {
		p := m.pairs[s.prefix+c.key]
		if p.created != c.created || c.changed != 0 && p.changed != c.changed {
			return false, m.revision, nil
		}
	}
	for _, w := range writes {
		if _, ok := m.leases[w.lease]; w.lease != 0 && !ok {
			return false, m.revision, errNoLease
		}
	}
	m.advance()
	for _, w := range writes {
		s.write(w)
	}
	return true, m.revision, nil
}

// write does one write in the present revision. The caller holds mu.
func (s *memoryStore) write(w write) {
	key := s.prefix + w.key
	if w.delete {
		delete(s.m.pairs, key)
		return
	}
	p, ok := s.m.pairs[key]
	if !ok {
		p.created = s.m.revision
	}
	p.key, p.value, p.changed, p.lease = w.key, slices.Clone(w.value), s.m.revision, w.lease
	s.m.pairs[key] = p
}

func (s *memoryStore) read(ctx context.Context) (snapshot, error) {
	snap, _ := s.snapshot()
	return snap, ctx.Err()
}

func (s *memoryStore) snapshot() (snapshot, <-chan struct{}) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	snap := snapshot{revision: s.m.revision}
	for k, p := range s.m.pairs {
		if strings.HasPrefix(k, s.prefix) {
			snap.pairs = append(snap.pairs, p)
		}
	}
	return snap, s.m.changed
}

// follow hands over a snapshot at each change: here that is cheap.
func (s *memoryStore) follow(ctx context.Context, f feed) {
	for {
		snap, changed := s.snapshot()
		f.reset(snap)
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
