package brokertest

import (
	"context"
	"sync"

	"github.com/pando-mq/pando/services/broker"
)

// FaultyRouter is a broker.Router with faults in front of it. Close it before what it stands before.
type FaultyRouter struct {
	*faulty
	inner broker.Router
}

// NewFaultyRouter puts faults in front of a router.
func NewFaultyRouter(inner broker.Router, f Faults) *FaultyRouter {
	return &FaultyRouter{newFaulty(f), inner}
}

// faultyPublish is a publish stream with faults.
type faultyPublish struct {
	*faultyStream[broker.Publish]
	epoch uint64
}

// Epoch implements broker.PublishStream.
func (s *faultyPublish) Epoch() uint64 { return s.epoch }

// OpenPublish implements broker.Router.
func (r *FaultyRouter) OpenPublish(ctx context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	if err := r.refuse("open publish"); err != nil {
		return nil, err
	}
	s := newFaultyStream(r.faulty, func(p *broker.Publish) int { return p.Msg.Size() })
	var mu sync.Mutex
	told := uint64(0)
	inner, err := r.inner.OpenPublish(ctx, o, func(batch []broker.PublishAck) {
		var up []broker.PublishAck
		mu.Lock()
		for _, a := range batch { // what went down twice is answered once
			if a.Seq > told {
				told = a.Seq
				up = append(up, a)
			}
		}
		mu.Unlock()
		if len(up) > 0 {
			s.answer(func() { acks(up) })
		}
	})
	if err != nil {
		return nil, err
	}
	if err := s.start(inner); err != nil {
		return nil, err
	}
	return &faultyPublish{s, inner.Epoch()}, nil
}

// OpenDeliver implements broker.Router.
func (r *FaultyRouter) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	return openFaultyDeliver(ctx, r.faulty, r.inner, o, acks)
}

// ReadRetained implements broker.Router. It may be refused, before anything was read.
func (r *FaultyRouter) ReadRetained(ctx context.Context, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	if err := r.refuse("read retained"); err != nil {
		return err
	}
	return r.inner.ReadRetained(ctx, q, yield)
}

// Node puts the same schedule in front of one router process.
func (r *FaultyRouter) Node(inner broker.RouterNode) broker.RouterNode {
	return faultyNode{r.faulty, inner}
}

type faultyNode struct {
	*faulty
	inner broker.RouterNode
}

// UpdateRoutes implements broker.RouterNode.
func (n faultyNode) UpdateRoutes(ctx context.Context, u broker.RouteUpdate) error {
	return n.call(ctx, "update routes", func() error { return n.inner.UpdateRoutes(ctx, u) })
}

// ReadRetainedPartition implements broker.RouterNode.
func (n faultyNode) ReadRetainedPartition(ctx context.Context, partition int, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	if err := n.refuse("read retained"); err != nil {
		return err
	}
	return n.inner.ReadRetainedPartition(ctx, partition, q, yield)
}
