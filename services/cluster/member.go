package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// member is a registered node.
type member struct {
	h     *handle
	self  Node // as registered: Role, ID, Addr and Incarnation never change
	lease leaseID
	ttl   time.Duration
	key   string
	born  time.Time     // the zero of validFor, with a monotonic reading
	lost  chan struct{} // see Lost
	done  chan struct{} // closed when the member's goroutines have ended
	stop  context.CancelFunc
	turn  chan struct{} // holds one token: the right to write the node's key

	validFor atomic.Int64 // nanoseconds after born
	over     atomic.Bool  // lost or left
	paused   atomic.Bool  // fault for tests

	mu      sync.Mutex
	node    Node
	changed uint64 // last revision of the node's key; 0: unknown, read it first
	hosts   map[Space]*hosting
	leaving bool
	running sync.WaitGroup // keep-alive and assigner
}

// hosting is a running Host.
type hosting struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func newMember(h *handle, n Node, lease leaseID, ttl time.Duration) *member {
	m := &member{
		h: h, self: n, lease: lease, ttl: ttl, key: nodeKey(n.Role, n.ID), born: time.Now(),
		lost: make(chan struct{}), done: make(chan struct{}), turn: make(chan struct{}, 1),
		node: n, changed: n.Incarnation, hosts: make(map[Space]*hosting),
	}
	m.turn <- struct{}{}
	return m
}

// start runs the keep-alive and the assigner. The handle waits for it, and Leave.
func (m *member) start() {
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.running.Go(func() { m.keepAlive(ctx) })
	m.running.Go(func() { newAssigner(m).run(ctx) })
	m.h.running.Go(func() {
		<-ctx.Done()
		m.running.Wait()
		m.h.forget(m)
		close(m.done)
	})
}

func (m *member) Node() Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node
}

func (m *member) Valid() bool {
	return !m.over.Load() && time.Since(m.born) < time.Duration(m.validFor.Load())
}

func (m *member) Lost() <-chan struct{} { return m.lost }

// extend moves the end of validity to a keep-alive sent at a time.
func (m *member) extend(sent time.Time, ttl time.Duration) {
	m.validFor.Store(int64(sent.Sub(m.born) + ttl - m.h.options.Margin))
}

// keepAlive renews the lease three times in its life, more often after a failure, and watches the node's key.
func (m *member) keepAlive(ctx context.Context) {
	timer := time.NewTimer(0) // the first at once: it opens what the next ones go through
	defer timer.Stop()
	for certain := true; ; {
		v, changed := m.h.observe()
		if _, ok := v.ByIncarnation(m.self.Incarnation); !ok && v.Revision >= m.self.Incarnation {
			m.lose(ctx, "the node's key is gone")
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-m.lost: // by a fault
			return
		case <-changed:
		case <-timer.C:
			err := m.renew(ctx)
			if errors.Is(err, errNoLease) {
				m.lose(ctx, "the lease ended")
				return
			}
			timer.Reset(m.nextRenewal(err))
			if m.Valid() != certain && !m.over.Load() {
				certain = !certain
				m.h.log.Warn("the certainty of the lease changed", "role", m.self.Role, "id", m.self.ID, "valid", certain, "error", err)
			}
		}
	}
}

// nextRenewal is a third of the lease's life, or a twelfth after a failure.
func (m *member) nextRenewal(err error) time.Duration {
	if err == nil {
		return m.ttl / 3
	}
	return m.ttl / 12
}

// renew sends one keep-alive.
func (m *member) renew(ctx context.Context) error {
	if m.paused.Load() {
		return errPaused
	}
	callCtx, cancel := context.WithTimeout(ctx, m.ttl/3)
	defer cancel()
	sent := time.Now()
	ttl, err := m.h.store.keepAlive(callCtx, m.lease)
	if err == nil {
		m.extend(sent, ttl)
	}
	m.h.metrics.keepAlive(m.self.Role, err, m.Valid())
	return err
}

// errPaused is the outcome of a keep-alive while the member is paused.
var errPaused = errors.New("paused by a fault")

// lose ends the membership, once: first Valid, then Lost, then what may be left of the lease.
func (m *member) lose(ctx context.Context, why string) {
	if m.over.Swap(true) {
		return
	}
	close(m.lost)
	m.h.metrics.leasesLost.WithLabelValues(string(m.self.Role)).Inc()
	m.h.metrics.leaseValid.WithLabelValues(string(m.self.Role)).Set(0)
	m.h.log.Warn("the membership is lost", "role", m.self.Role, "id", m.self.ID, "incarnation", m.self.Incarnation, "reason", why)
	m.h.revoke(ctx, m.lease)
	m.stop()
}

func (m *member) SetState(ctx context.Context, state string) error {
	if err := m.rewrite(ctx, func(n *Node) { n.State = state }); err != nil {
		return fmt.Errorf("set state %q of %s: %w", state, m.key, err)
	}
	return nil
}

// rewrite changes the node's record, one change at a time, and repeats until it is written, ctx ends or the membership is over.
func (m *member) rewrite(ctx context.Context, change func(*Node)) error {
	select {
	case <-m.turn:
		defer func() { m.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for wait := storePause(); ; wait = wait.next() {
		err := m.tryRewrite(ctx, change)
		if err == nil || errors.Is(err, ErrLost) || errors.Is(err, ErrClosed) {
			return err
		}
		if wait.sleep(ctx) != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
}

// tryRewrite writes once, on condition that nothing was written since: a write of unknown outcome that arrives late changes nothing.
func (m *member) tryRewrite(ctx context.Context, change func(*Node)) error {
	if m.over.Load() {
		return m.overError()
	}
	m.mu.Lock()
	n, changed := m.node, m.changed
	m.mu.Unlock()
	n.Spaces, n.Meta = slices.Clone(n.Spaces), maps.Clone(n.Meta)
	change(&n)

	ctx, cancel := m.h.callContext(ctx)
	defer cancel()
	if changed == 0 {
		if err := m.h.refresh(ctx); err != nil {
			return err
		}
		changed = m.h.changedAt(m.key)
	}
	done, revision, err := m.h.store.txn(ctx, []cond{{key: m.key, created: n.Incarnation, changed: changed}},
		[]write{{key: m.key, value: encodeNode(n), lease: m.lease}})
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err != nil:
		m.changed = 0
		return err
	case !done:
		m.changed = 0
		return errors.New("the node's key was changed by another")
	}
	m.node, m.changed = n, revision
	return nil
}

// overError says why the membership ended.
func (m *member) overError() error {
	select {
	case <-m.lost:
		return ErrLost
	default:
		return ErrClosed
	}
}

func (m *member) Leave(ctx context.Context) error {
	m.mu.Lock()
	m.leaving = true
	hosts := slices.Collect(maps.Values(m.hosts))
	m.mu.Unlock()
	for _, h := range hosts {
		h.cancel()
	}
	err := m.awaitHosts(ctx, hosts)
	if !m.over.Swap(true) {
		m.h.metrics.leaseValid.WithLabelValues(string(m.self.Role)).Set(0)
		m.h.revoke(ctx, m.lease)
	}
	m.stop()
	<-m.done
	return err
}

func (m *member) awaitHosts(ctx context.Context, hosts []*hosting) error {
	for _, h := range hosts {
		select {
		case <-h.done:
		case <-ctx.Done():
			return fmt.Errorf("leave as %s: partitions not released: %w", m.key, ctx.Err())
		}
	}
	return nil
}

// Pause stops the keep-alives, as if the process were paused or cut off from etcd: a fault for tests (see clustertest).
func (m *member) Pause() { m.paused.Store(true) }

// Resume ends Pause.
func (m *member) Resume() { m.paused.Store(false) }

// Expire ends the membership at once, in the order of a lease that ran out: Valid turns false, the lease ends, Lost closes.
func (m *member) Expire(ctx context.Context) { m.lose(ctx, "expired by a fault") }
