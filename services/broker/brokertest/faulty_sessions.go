package brokertest

import (
	"context"
	"sync"

	"github.com/pando-mq/pando/services/broker"
)

// FaultySessions is a broker.Sessions with faults in front of it. Close it before what it stands before.
type FaultySessions struct {
	*faulty
	inner broker.Sessions
}

// NewFaultySessions puts faults in front of session partitions.
func NewFaultySessions(inner broker.Sessions, f Faults) *FaultySessions {
	return &FaultySessions{newFaulty(f), inner}
}

// faultySession is a session stream with faults, and its handler: every request is answered once, however often it went down.
type faultySession struct {
	*faultyStream[broker.SessionRequest]
	h     broker.SessionHandler
	epoch uint64

	waiting sync.Mutex
	open    map[uint64]bool // requests without answer
}

// Epoch implements broker.SessionStream.
func (s *faultySession) Epoch() uint64 { return s.epoch }

// OpenSession implements broker.Sessions.
func (x *FaultySessions) OpenSession(ctx context.Context, o broker.SessionOpen, h broker.SessionHandler) (broker.SessionStream, error) {
	if err := x.refuse("open session stream"); err != nil {
		return nil, err
	}
	s := &faultySession{faultyStream: newFaultyStream(x.faulty, requestSize), h: h, open: map[uint64]bool{}}
	s.once = s.note
	inner, err := x.inner.OpenSession(ctx, o, s)
	if err != nil {
		return nil, err
	}
	s.epoch = inner.Epoch()
	if err := s.start(inner); err != nil {
		return nil, err
	}
	return s, nil
}

func requestSize(r *broker.SessionRequest) int {
	n := 256 + len(r.ClientID) + 128*len(r.Subs)
	if r.Publish2 != nil && r.Publish2.Msg != nil {
		n += r.Publish2.Msg.Size()
	}
	return n
}

func (s *faultySession) note(batch []broker.SessionRequest) {
	s.waiting.Lock()
	defer s.waiting.Unlock()
	for i := range batch {
		s.open[batch[i].ID] = true
	}
}

// Replies implements broker.SessionHandler.
func (s *faultySession) Replies(batch []broker.SessionReply) {
	var up []broker.SessionReply
	s.waiting.Lock()
	for _, r := range batch {
		if s.open[r.ID] {
			delete(s.open, r.ID)
			up = append(up, r)
		}
	}
	s.waiting.Unlock()
	if len(up) > 0 {
		s.answer(func() { s.h.Replies(up) })
	}
}

// Pushes implements broker.SessionHandler.
func (s *faultySession) Pushes(batch []broker.Push) { s.answer(func() { s.h.Pushes(batch) }) }

// OpenDeliver implements broker.Sink.
func (x *FaultySessions) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	return openFaultyDeliver(ctx, x.faulty, x.inner, o, acks)
}

// SnapshotRoutes implements broker.RouteSource. It may be refused, before anything was registered.
func (x *FaultySessions) SnapshotRoutes(ctx context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	if err := x.refuse("snapshot of routes"); err != nil {
		return broker.SnapshotInfo{}, err
	}
	return x.inner.SnapshotRoutes(ctx, q, yield)
}
