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
	if s.cfg.MaxMessages == 0 {
		return false
	}
	s.mu.Lock()
	held := len(s.partitions)
	s.mu.Unlock()
	total := s.r.count(cluster.RetainedSpace)
	return s.count.Load() >= int64((s.cfg.MaxMessages*held+total-1)/total)
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
	log     journal.Log // nil with storage ram
	newest  uint64      // number of the newest event appended
	durable uint64      // number of the newest durable event
	waiting []waitingAck
	streams map[*retainStream]struct{}
	gone    map[uint64]time.Time // gateway incarnation -> when its key was first missed
	closed  bool
}

// waitingAck is an answer that waits for an event (rule N5: a duplicate waits for the event that moved the cursor, or a later one).
type waitingAck struct {
	event uint64
	s     *retainStream
	no    uint64
}

func newRetainedPartition(s *retainedStore, c cluster.Claim) *retainedPartition {
	return &retainedPartition{s: s, claim: c, streams: map[*retainStream]struct{}{}, gone: map[uint64]time.Time{}}
}

// open replays the log.
func (p *retainedPartition) open(ctx context.Context) error {
	st := newRetainedState()
	var log journal.Log
	if p.s.cfg.Storage != "ram" {
		var err error
		owner := journal.Owner{Epoch: p.claim.Epoch, Valid: p.claim.Valid}
		if log, err = p.s.r.deps.Journal.Open(ctx, logName(p.claim.Partition), owner, st); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.log, p.newest, p.durable = st, log, 0, 0
	p.s.count.Add(int64(st.len()))
	return nil
}

// run opens the log again when it ended by itself and the partition is still claimed.
func (p *retainedPartition) run() {
	for {
		p.mu.Lock()
		log := p.log
		p.mu.Unlock()
		if log == nil {
			return
		}
		select {
		case <-p.s.r.ctx.Done():
			return
		case <-p.claim.Lost:
			return
		case <-log.Lost():
		}
		p.fail(broker.E(broker.KindUnavailable, "retained log ended", log.Err()))
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
			p.s.r.deps.Log.Warn("open retained log", slog.Int("partition", p.claim.Partition), slog.Any("error", err))
		}
	}
}

// fail ends all streams and drops the state; their routers send again.
func (p *retainedPartition) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.streams {
		s.end(err)
	}
	p.waiting = nil
	if p.state != nil {
		p.s.count.Add(-int64(p.state.len()))
		p.state = nil
	}
}

func (p *retainedPartition) close(ctx context.Context) {
	p.mu.Lock()
	p.closed = true
	log := p.log
	p.mu.Unlock()
	p.fail(broker.E(broker.KindNotOwner, "retained partition released", nil))
	if log == nil {
		return
	}
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
