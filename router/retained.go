package router

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/journal"
)

// forgetAfter is how long the cursors of a gateway outlive its key (rule N9).
const forgetAfter = 5 * time.Minute

// retainedStore hosts the retained partitions of this router.
type retainedStore struct {
	r     *Router
	cfg   RetainedConfig
	count atomic.Int64 // messages in the partitions held here
	later atomic.Int64 // delayed messages there
	bytes atomic.Int64 // of delayed messages

	mu         sync.Mutex
	partitions map[int]*retainedPartition
}

func newRetainedStore(r *Router, cfg RetainedConfig) *retainedStore {
	return &retainedStore{r: r, cfg: cfg, partitions: map[int]*retainedPartition{}}
}

// Acquire replays the partition's log and serves.
func (s *retainedStore) Acquire(ctx context.Context, c cluster.Claim) error {
	p := newRetainedPartition(s, c)
	if err := p.open(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	s.partitions[c.Partition] = p
	s.mu.Unlock()
	s.r.spawn(p.run)
	return nil
}

// Release ends the streams and closes the log behind what was appended.
func (s *retainedStore) Release(ctx context.Context, n int) {
	s.mu.Lock()
	p := s.partitions[n]
	delete(s.partitions, n)
	s.mu.Unlock()
	if p != nil {
		p.close(ctx)
	}
}

func (s *retainedStore) partition(n int) *retainedPartition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.partitions[n]
}

func (s *retainedStore) list() []*retainedPartition {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*retainedPartition, 0, len(s.partitions))
	for _, p := range s.partitions {
		list = append(list, p)
	}
	return list
}

// full reports whether a new topic exceeds the limit: this router's share of it is that of the partitions it holds.
func (s *retainedStore) full() bool {
	return s.cfg.MaxMessages != 0 && s.count.Load() >= s.share(int64(s.cfg.MaxMessages))
}

// share is this router's part of a limit of all partitions: that of the partitions it holds.
func (s *retainedStore) share(limit int64) int64 {
	s.mu.Lock()
	held := int64(len(s.partitions))
	s.mu.Unlock()
	total := int64(s.r.count(cluster.RetainedSpace))
	return limit/total*held + (limit%total*held+total-1)/total
}

// sweep removes expired messages and forgotten cursors until the router stops.
func (s *retainedStore) sweep() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.r.ctx.Done():
			return
		case <-tick.C:
			for _, p := range s.list() {
				p.expire(s.r.deps.Clock())
			}
		}
	}
}

// retainedPartition owns the retained messages of one partition. State changes when an event is appended; answers go out when it is durable.
type retainedPartition struct {
	s     *retainedStore
	claim cluster.Claim

	mu      sync.Mutex
	state   *retainedState
	log     journal.Log
	box     *box   // sends the outbox; nil while the log is not open
	newest  uint64 // number of the newest event appended
	durable uint64 // number of the newest durable event
	waiting []waitingAck
	streams map[*retainStream]struct{}
	gone    map[uint64]time.Time // gateway incarnation -> when its key was first missed
	broken  error                // of the shelf: the state has to be made anew from the log
	closed  bool

	wake     chan struct{} // holds one token: look again
	streamNo atomic.Uint64 // of the publish streams of the outbox
}

// waitingAck is an answer that waits for an event (rule N5: a duplicate waits for the event that moved the cursor, or a later one).
type waitingAck struct {
	event uint64
	s     *retainStream
	no    uint64
}

func newRetainedPartition(s *retainedStore, c cluster.Claim) *retainedPartition {
	p := &retainedPartition{s: s, claim: c, streams: map[*retainStream]struct{}{}, gone: map[uint64]time.Time{}, wake: make(chan struct{}, 1)}
	p.streamNo.Store(c.Epoch << 24) // room for 16 million openings in this epoch
	return p
}

// open replays the log, and has what the outbox holds sent.
func (p *retainedPartition) open(ctx context.Context) (err error) {
	st := newRetainedState(p.s.r.count(cluster.TopicSpace))
	if p.s.cfg.Storage == StorageDiscOnly {
		if st.shelf, err = newShelf(p.s.r.deps.Dir, logName(p.claim.Partition)); err != nil {
			return err
		}
	}
	owner := journal.Owner{Epoch: p.claim.Epoch, Valid: p.claim.Valid}
	log, err := p.s.r.deps.Journal.Open(ctx, logName(p.claim.Partition), owner, st)
	if err != nil {
		return errors.Join(err, st.shelf.close())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed { // while it was opened again; Open's lease is over with the partition
		return errors.Join(errNotOpen, st.shelf.close())
	}
	p.state, p.log, p.newest, p.durable, p.broken = st, log, 0, 0, nil
	p.box = p.newBox(st.delayed.unsent())
	p.s.count.Add(int64(st.len()))
	p.s.delayed(&st.delayed, 1)
	return nil
}

// run works until the partition is given up, and opens the log again when it ended by itself.
func (p *retainedPartition) run() {
	for {
		if !p.work() {
			return
		}
		for pause := retryFloor; ; pause = min(2*pause, retryCeiling) {
			select {
			case <-p.s.r.ctx.Done():
				return
			case <-p.claim.Lost:
				return
			case <-time.After(pause):
			}
			ctx, cancel := context.WithTimeout(p.s.r.ctx, time.Minute)
			err := p.open(ctx)
			cancel()
			if err == nil {
				break
			}
			if closed, _ := p.over(); closed {
				return
			}
			p.s.r.deps.Log.Warn("open retained log", slog.Int("partition", p.claim.Partition), slog.Any("error", err))
		}
	}
}

// work publishes what is due, in its time, until the log ends by itself (true) or the partition is given up.
func (p *retainedPartition) work() (again bool) {
	p.mu.Lock()
	log := p.log
	p.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(p.step())
		over, broken := p.over()
		if over {
			return false
		}
		if broken != nil {
			p.rebuild(log, broken)
			return true
		}
		select {
		case <-p.s.r.ctx.Done():
			return false
		case <-p.claim.Lost:
			return false
		case <-log.Lost():
			p.fail(broker.E(broker.KindUnavailable, "retained log ended", log.Err()))
			return true
		case <-p.wake:
		case <-timer.C:
		}
	}
}

func (p *retainedPartition) over() (closed bool, broken error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed, p.broken
}

// spoil has the state made anew: its file does not hold what was written. Called with the lock held.
func (p *retainedPartition) spoil(err error) {
	if p.broken == nil {
		p.broken = err
		p.nudge()
	}
}

// rebuild ends a state whose file cannot be read, with its log, so that both are opened again.
func (p *retainedPartition) rebuild(log journal.Log, broken error) {
	p.s.r.deps.Log.Error("the file of retained messages is made anew from the log", slog.Int("partition", p.claim.Partition), slog.Any("error", broken))
	p.fail(broker.E(broker.KindUnavailable, "retained messages", broken))
	ctx, cancel := context.WithTimeout(p.s.r.ctx, time.Minute)
	defer cancel()
	if err := log.Close(ctx); err != nil {
		p.s.r.deps.Log.Warn("close retained log", slog.Int("partition", p.claim.Partition), slog.Any("error", err))
	}
}

// fail ends all streams and drops the state; their routers send again.
func (p *retainedPartition) fail(err error) {
	p.mu.Lock()
	for s := range p.streams {
		s.end(err)
	}
	p.waiting = nil
	if p.state != nil {
		p.s.count.Add(-int64(p.state.len()))
		p.s.delayed(&p.state.delayed, -1)
		if err := p.state.shelf.close(); err != nil {
			p.s.r.deps.Log.Warn("remove the file of retained messages", slog.Int("partition", p.claim.Partition), slog.Any("error", err))
		}
		p.state = nil
	}
	box := p.box
	p.box = nil
	p.mu.Unlock()
	if box != nil {
		box.pub.Close()
	}
}

func (p *retainedPartition) close(ctx context.Context) {
	p.mu.Lock()
	p.closed = true
	log := p.log
	p.mu.Unlock()
	p.nudge()
	p.fail(broker.E(broker.KindNotOwner, "retained partition released", nil))
	if err := log.Close(ctx); err != nil && !errors.Is(err, journal.ErrFenced) {
		p.s.r.deps.Log.Warn("close retained log", slog.Int("partition", p.claim.Partition), slog.Any("error", err))
	}
}

// expire removes what is due and forgets the cursors of gateways that left long ago.
func (p *retainedPartition) expire(now time.Time) {
	v := p.s.r.deps.Cluster.View()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == nil {
		return
	}
	n := p.state.expire(now)
	p.s.count.Add(-int64(n))
	p.s.r.metrics.expired.Add(float64(n))
	for src := range p.state.cursors {
		if src.Kind != broker.FromGateway {
			continue
		}
		if _, ok := v.ByIncarnation(src.Incarnation); ok || v.Revision < src.Incarnation {
			continue
		}
		since, ok := p.gone[src.Incarnation]
		if !ok {
			p.gone[src.Incarnation] = now
		} else if now.Sub(since) >= forgetAfter {
			delete(p.state.cursors, src)
		}
	}
}
