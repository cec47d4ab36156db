package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// handle is the Cluster over any store.
type handle struct {
	options Options
	store   store
	log     *slog.Logger
	metrics *metrics
	meta    Meta
	stop    context.CancelFunc // ends follow
	done    chan struct{}      // closed by Close, first thing
	running sync.WaitGroup     // follow and the members' goroutines
	newest  atomic.Pointer[View]

	mu      sync.Mutex
	state   state
	changed chan struct{} // closed at each new view
	members map[*member]struct{}
	closed  bool
}

// open bootstraps and starts to follow. It does the work of New and Join.
func open(ctx context.Context, o Options, dial func(Options, *metrics) store) (Cluster, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("cluster options: %w", err)
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics of cluster %q: %w", o.Name, err)
	}
	h := &handle{
		options: o,
		store:   dial(o, m),
		log:     o.Log,
		metrics: m,
		done:    make(chan struct{}),
		changed: make(chan struct{}),
		members: make(map[*member]struct{}),
	}
	if err := h.bootstrap(ctx); err != nil {
		m.unregister(o.Registerer)
		return nil, fmt.Errorf("bootstrap cluster %q: %w", o.Name, err)
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.stop = stop
	h.running.Go(func() { h.store.follow(following, h) })
	return h, nil
}

// bootstrap writes meta unless it is there, and reads the first view.
func (h *handle) bootstrap(ctx context.Context) error {
	b := h.options.Bootstrap
	value := encode(metaRecord{Format: recordFormat, Partitions: b.Partitions, Replicas: b.Replicas})
	for wait := storePause(); ; wait = wait.next() {
		err := h.tryBootstrap(ctx, value)
		if err == nil || errors.Is(err, errBadMeta) || ctx.Err() != nil {
			return err
		}
		h.log.Warn("the cluster's store does not answer", "error", err)
		if err := wait.sleep(ctx); err != nil {
			return err
		}
	}
}

func (h *handle) tryBootstrap(ctx context.Context, value []byte) error {
	ctx, cancel := h.callContext(ctx)
	defer cancel()
	if _, _, err := h.store.txn(ctx, []cond{{key: metaKey}}, []write{{key: metaKey, value: value}}); err != nil {
		return err
	}
	snap, err := h.store.read(ctx)
	if err != nil {
		return err
	}
	h.reset(snap)
	h.mu.Lock()
	defer h.mu.Unlock()
	meta, ok := h.state.entries[metaKey].decoded.(Meta)
	if !ok {
		return errBadMeta
	}
	h.meta = meta
	return nil
}

// errBadMeta stops the start: without the partition counts nothing can be found.
var errBadMeta = errors.New("the cluster's meta key cannot be read by this version")

// callContext bounds one call of the store.
func (h *handle) callContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, max(h.options.TTL, time.Second))
}

// reset and apply make the handle the feed of its store.
func (h *handle) reset(snap snapshot) {
	h.update(func(s *state) (bool, []error) { return s.reset(snap) })
}

func (h *handle) apply(changes []change) {
	h.update(func(s *state) (bool, []error) { return s.apply(changes) })
}

// update changes the state and, if it did change, publishes the new view.
func (h *handle) update(change func(*state) (bool, []error)) {
	h.mu.Lock()
	done, bad := change(&h.state)
	if done {
		v := h.state.view()
		h.newest.Store(v)
		close(h.changed)
		h.changed = make(chan struct{})
		h.metrics.view(v)
	}
	h.mu.Unlock()
	for _, err := range bad {
		h.metrics.badRecords.Inc()
		h.log.Error("a record of the cluster cannot be read", "error", err)
	}
}

func (h *handle) View() *View { return h.newest.Load() }

func (h *handle) Meta() Meta { return h.meta }

// observe returns the newest view and a channel that is closed at the next one.
func (h *handle) observe() (*View, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.newest.Load(), h.changed
}

// leaseOf returns the lease a key is under in the newest view.
func (h *handle) leaseOf(key string) leaseID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state.entries[key].lease
}

// changedAt returns the last revision of a key in the newest view, 0 if it is not there.
func (h *handle) changedAt(key string) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state.entries[key].changed
}

func (h *handle) Watch(ctx context.Context, fn func(*View)) {
	for ctx.Err() == nil {
		v, changed := h.observe()
		fn(v)
		select {
		case <-changed:
		case <-ctx.Done():
			return
		case <-h.done:
			return
		}
	}
}

// syncPatience is how long Sync hopes for the watch before it reads.
const syncPatience = 100 * time.Millisecond

func (h *handle) Sync(ctx context.Context, revision uint64) (*View, error) {
	deadline := time.NewTimer(syncPatience)
	defer deadline.Stop()
	for revision > 0 {
		v, changed := h.observe()
		if v.Revision >= revision {
			return v, nil
		}
		select {
		case <-changed:
			continue
		case <-deadline.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("sync to revision %d: %w", revision, ctx.Err())
		case <-h.done:
			return nil, ErrClosed
		}
		break
	}
	return h.readThrough(ctx, revision)
}

// readThrough reads the store until its revision is at least revision.
func (h *handle) readThrough(ctx context.Context, revision uint64) (*View, error) {
	for wait := storePause(); ; wait = wait.next() {
		err := h.refresh(ctx)
		if v := h.View(); err == nil && v.Revision >= revision {
			return v, nil
		}
		select {
		case <-h.done:
			return nil, ErrClosed
		default:
		}
		if wait.sleep(ctx) != nil {
			return nil, fmt.Errorf("sync to revision %d: %w", revision, errors.Join(ctx.Err(), err))
		}
	}
}

// refresh installs a snapshot. A store that went back is refused: epochs and incarnations would repeat.
func (h *handle) refresh(ctx context.Context) error {
	ctx, cancel := h.callContext(ctx)
	defer cancel()
	known := h.View().Revision
	snap, err := h.store.read(ctx)
	if err != nil {
		return err
	}
	if snap.revision < known {
		err := fmt.Errorf("the store is at revision %d, behind the %d that was seen: its data was replaced", snap.revision, known)
		h.log.Error("the cluster's store went back, this process must be restarted", "error", err)
		return err
	}
	h.reset(snap)
	return nil
}

func (h *handle) Close() error {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		h.running.Wait()
		return nil
	}
	h.closed = true
	members := make([]*member, 0, len(h.members))
	for m := range h.members {
		members = append(members, m)
	}
	h.mu.Unlock()

	ctx, cancel := context.WithTimeout(context.Background(), h.options.DrainTimeout+h.options.TTL)
	defer cancel()
	errs := make([]error, len(members))
	var leaving sync.WaitGroup
	for i, m := range members {
		leaving.Go(func() { errs[i] = m.Leave(ctx) })
	}
	leaving.Wait()
	close(h.done)
	h.stop()
	h.running.Wait()
	h.metrics.unregister(h.options.Registerer)
	return errors.Join(errs...)
}

// pause is a wait between attempts that doubles.
type pause struct{ d, max time.Duration }

// storePause is the first wait between calls of the store.
func storePause() pause { return pause{20 * time.Millisecond, 250 * time.Millisecond} }

// acquirePause is the first wait between attempts to acquire a partition.
func acquirePause() pause { return pause{100 * time.Millisecond, 5 * time.Second} }

func (p pause) next() pause { return pause{min(2*p.d, p.max), p.max} }

// sleep waits, or returns the error of ctx.
func (p pause) sleep(ctx context.Context) error {
	t := time.NewTimer(p.d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
