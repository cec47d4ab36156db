package brokertest

import (
	"context"
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

const pageBytes = 64 << 10

// retainedPartition is one retained partition: its messages, and what makes it a durable sink. Its fields belong to the router's lock.
type retainedPartition struct {
	n        int
	epoch    uint64
	messages map[routeName]*broker.Message // by tenant and topic
	sink     sinkState
}

func newRetainedPartition(r *Router, n int, epoch uint64) *retainedPartition {
	p := &retainedPartition{n: n, epoch: epoch, messages: map[routeName]*broker.Message{}}
	p.sink = newSinkState(&r.loop, r.flaws, r.sees)
	return p
}

// MoveRetained gives a retained partition to a new owner; what is durable stays.
func (r *Router) MoveRetained(n int) {
	r.enter()
	defer r.leave()
	r.revision++
	r.retained[n].epoch = r.revision
	r.retained[n].sink.endAll(broker.E(broker.KindNotOwner, "retained partition released", nil))
}

// HoldRetained keeps records of a retained partition from becoming durable until release is called.
func (r *Router) HoldRetained(n int) (release func()) {
	r.enter()
	defer r.leave()
	p := r.retained[n]
	p.sink.hold = true
	return func() {
		r.enter()
		defer r.leave()
		p.sink.durable()
	}
}

// OpenDeliver implements broker.Sink, for retained partitions.
func (r *Router) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	if err := ctx.Err(); err != nil && r.flaws.keeps(cancelledContext) {
		return nil, broker.E(broker.KindCanceled, "open deliver", err)
	}
	r.enter()
	defer r.leave()
	if o.Partition < 0 || o.Partition >= len(r.retained) {
		return nil, broker.Errorf(broker.KindNotOwner, "retained partition %d", o.Partition)
	}
	p := r.retained[o.Partition]
	s, err := p.sink.open(o, acks, p.take)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// take stores, replaces or deletes one retained message. Called with the lock held.
func (p *retainedPartition) take(d *broker.Delivery) broker.DeliverAck {
	k := routeName{d.Msg.Tenant, d.Msg.Topic, ""}
	if len(d.Msg.Payload) == 0 {
		delete(p.messages, k)
	} else {
		p.messages[k] = d.Msg
	}
	return broker.DeliverAck{Epoch: p.epoch}
}

// ReadRetained implements broker.Router.
func (r *Router) ReadRetained(ctx context.Context, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	left := q.Limit
	for n := range r.retained {
		if !topic.HasWildcard(q.Filter) && n != r.RetainedPartition(q.Tenant, q.Filter) {
			continue
		}
		part := q
		part.Limit = left
		err := r.ReadRetainedPartition(ctx, n, part, func(batch []*broker.Message) error {
			left -= len(batch)
			return yield(batch)
		})
		if err != nil || q.Limit > 0 && left <= 0 {
			return err
		}
	}
	return nil
}

// ReadRetainedPartition implements broker.RouterNode.
func (r *Router) ReadRetainedPartition(ctx context.Context, n int, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	if n < 0 || n >= len(r.retained) {
		return broker.Errorf(broker.KindNotOwner, "retained partition %d", n)
	}
	r.enter()
	var found []*broker.Message
	now := time.Now()
	for k, m := range r.retained[n].messages {
		if k.tenant == q.Tenant && topic.Match(q.Filter, k.filter) && (!m.Expired(now) || !r.flaws.keeps(expiredLeftOut)) {
			found = append(found, m)
		}
	}
	r.leave()
	slices.SortFunc(found, func(a, b *broker.Message) int { return topic.CompareNames(a.Topic, b.Topic) })
	if q.Limit > 0 && r.flaws.keeps(retainedLimit) {
		found = found[:min(len(found), q.Limit)]
	}
	return r.pages(ctx, found, yield)
}

// pages yields messages in batches.
func (r *Router) pages(ctx context.Context, found []*broker.Message, yield func([]*broker.Message) error) error {
	for len(found) > 0 {
		if err := ctx.Err(); err != nil && r.flaws.keeps(cancelledContext) {
			return broker.E(broker.KindCanceled, "read retained", err)
		}
		n, size := 0, 0
		for n < len(found) && (n == 0 || size+found[n].Size() <= pageBytes || !r.flaws.keeps(pageBound)) {
			size += found[n].Size()
			n++
		}
		if err := yield(found[:n:n]); err != nil && r.flaws.keeps(yieldError) {
			return err
		}
		found = found[n:]
	}
	return nil
}
