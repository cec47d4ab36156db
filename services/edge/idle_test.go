package edge_test

import (
	"context"

	"github.com/pando-mq/pando/services/broker"
)

// idleRouter takes publishes, matches nobody and answers inside Send.
type idleRouter struct{ broker.Router }

func (idleRouter) OpenPublish(_ context.Context, _ broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	return &idleStream{acks: acks, done: make(chan struct{})}, nil
}

type idleStream struct {
	acks func([]broker.PublishAck)
	done chan struct{}
}

func (s *idleStream) Epoch() uint64         { return 1 }
func (s *idleStream) Done() <-chan struct{} { return s.done }
func (s *idleStream) Err() error            { return nil }
func (s *idleStream) Close()                {}
func (s *idleStream) Send(batch []broker.Publish) error {
	s.acks([]broker.PublishAck{{Seq: batch[len(batch)-1].Seq}})
	return nil
}
