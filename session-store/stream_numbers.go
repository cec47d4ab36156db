package sessionstore

import (
	"context"
	"sync/atomic"

	"github.com/pando-mq/pando/services/broker"
)

// numbered is a router whose publish streams get rising numbers across the openings of one ownership: a Publisher counts from 1, but the numbers of
// a source must rise as long as the source lives, and an outbox outlives its owners (rule N4). The counter begins with the epoch.
type numbered struct {
	broker.Router
	last *atomic.Uint64
}

// OpenPublish implements broker.Router.
func (r numbered) OpenPublish(ctx context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	o.Stream = r.last.Add(1)
	return r.Router.OpenPublish(ctx, o, acks)
}

// firstStream is the base of the numbers under an epoch: room for 16 million openings.
func firstStream(epoch uint64) uint64 { return epoch << 24 }
