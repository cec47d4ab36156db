package router

import (
	"slices"
	"sync"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

type state uint8

const (
	stateSyncing state = iota // collects routes; publishes wait
	stateServing
	stateEnded
)

// partition is one topic partition in one epoch of ownership.
type partition struct {
	r     *Router
	topic int
	claim cluster.Claim

	mu       sync.Mutex
	state    state
	exact    *exactRoutes
	streams  map[broker.Source]*publishStream
	dests    map[destination]*sink
	reserved map[routeKey]reservation // exclusive topics that were claimed
	turns    map[originKey]uint64     // of shared groups, for round_robin
	waiting  []waitingBatch           // publishes that came while syncing, in order
	waits    int64                    // their bytes

	// Memory that one message after the other uses.
	round  uint64     // of touched
	found  targets    // of the message that is matched
	groups []members  // the same
	spare  []*pending // not in use
}

type waitingBatch struct {
	s     *publishStream
	batch []broker.Publish
}

func newPartition(r *Router, c cluster.Claim) *partition {
	return &partition{
		r: r, topic: c.Partition, claim: c, exact: newExactRoutes(),
		streams: map[broker.Source]*publishStream{}, dests: map[destination]*sink{}, reserved: map[routeKey]reservation{}, turns: map[originKey]uint64{},
	}
}

// serve ends SYNCING: what waited is routed, in order, before anything that comes now.
func (p *partition) serve() {
	p.mu.Lock()
	if p.state != stateSyncing {
		p.mu.Unlock()
		return
	}
	p.state = stateServing
	var touched []*sink
	acking := map[*publishStream]struct{}{}
	for _, w := range p.waiting {
		if !w.s.ended {
			touched = append(touched, p.route(w.s, w.batch, nil)...)
			acking[w.s] = struct{}{}
		}
	}
	p.waiting, p.waits = nil, 0
	p.mu.Unlock()
	for _, d := range touched {
		d.pump()
	}
	for s := range acking {
		s.flush()
	}
}

// accept takes a batch of a stream: routed at once on the caller's goroutine when the partition serves, kept up to the limit while it synchronises.
func (p *partition) accept(s *publishStream, batch []broker.Publish) error {
	p.mu.Lock()
	if s.ended || p.state == stateEnded {
		err := s.err
		p.mu.Unlock()
		return err
	}
	if p.state == stateSyncing {
		defer p.mu.Unlock()
		for _, pub := range batch {
			p.waits += int64(pub.Msg.Size())
		}
		if p.waits > p.r.cfg.SyncQueueBytes {
			p.end(s, broker.E(broker.KindBusy, "topic partition collects its routes", nil))
			return s.err
		}
		kept := slices.Clone(batch)
		for i := range kept {
			kept[i].Msg = kept[i].Msg.Own()
		}
		p.waiting = append(p.waiting, waitingBatch{s, kept})
		return nil
	}
	var room [8]*sink
	touched := p.route(s, batch, room[:0])
	p.mu.Unlock()
	for _, d := range touched {
		d.pump()
	}
	s.flush()
	return nil
}

// end closes one publish stream upward. Called with the lock held.
func (p *partition) end(s *publishStream, err error) {
	if s.ended {
		return
	}
	s.ended, s.err = true, err
	if p.streams[s.open.Source] == s {
		delete(p.streams, s.open.Source)
	}
	s.pending, s.out = nil, nil
	if s.acking {
		s.closing = true // flush closes done, behind the acks that it hands out just now
		return
	}
	close(s.done)
}

// close ends the partition with all its streams and destinations.
func (p *partition) close(err error) {
	p.mu.Lock()
	p.state = stateEnded
	for _, s := range p.streams {
		p.end(s, err)
	}
	p.waiting, p.waits = nil, 0
	dests := p.dests
	p.dests = map[destination]*sink{}
	for _, d := range dests {
		d.abandon()
	}
	p.mu.Unlock()
	for _, d := range dests {
		d.shut()
	}
}
