package router

import (
	"context"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

const readItems = 256

// ReadRetained reads one partition for an exact filter, and all of them, in turn, for one with wildcards. See broker.Router.
func (r *Router) ReadRetained(ctx context.Context, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	total := r.count(cluster.RetainedSpace)
	if !hasWildcard(q.Filter) {
		return r.readOne(ctx, cluster.Partition(q.Tenant, q.Filter, total), q, yield)
	}
	left := q.Limit
	for n := range total {
		part := q
		part.Limit = left
		err := r.readOne(ctx, n, part, func(batch []*broker.Message) error {
			left -= len(batch)
			return yield(batch)
		})
		if err != nil {
			return err
		}
		if q.Limit > 0 && left <= 0 {
			return nil
		}
	}
	return nil
}

// readOne asks the partition's owner, this router or another.
func (r *Router) readOne(ctx context.Context, n int, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	if r.retained.partition(n) != nil || r.deps.Peers == nil {
		return r.ReadRetainedPartition(ctx, n, q, yield)
	}
	o, ok := r.deps.Cluster.View().Owner(cluster.RetainedSpace, n)
	if !ok {
		return broker.Errorf(broker.KindUnavailable, "retained partition %d has no owner now", n)
	}
	return r.deps.Peers(o.Node).ReadRetainedPartition(ctx, n, q, yield)
}

// ReadRetainedPartition reads a partition held here, page by page, without a lock while yield runs.
func (r *Router) ReadRetainedPartition(ctx context.Context, n int, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	p := r.retained.partition(n)
	if p == nil {
		return broker.Errorf(broker.KindNotOwner, "read retained partition %d", n)
	}
	after, left := "", q.Limit
	for {
		if err := ctx.Err(); err != nil {
			return broker.E(broker.KindCanceled, "read retained", err)
		}
		batch, last, more, err := p.read(q, after)
		if err != nil {
			return err
		}
		if q.Limit > 0 && len(batch) > left {
			batch = batch[:left]
		}
		left -= len(batch)
		if len(batch) > 0 {
			if err := yield(batch); err != nil {
				return err
			}
		}
		if !more || q.Limit > 0 && left <= 0 {
			return nil
		}
		after = last
	}
}

// read takes one page of at most 64 KiB and the name it ends with.
func (p *retainedPartition) read(q broker.RetainedQuery, after string) (batch []*broker.Message, last string, more bool, err error) {
	st, found, last, more, err := p.find(q, after)
	if err != nil || len(found) == 0 {
		return nil, last, more, err
	}
	if st.shelf == nil {
		for _, h := range found {
			batch = append(batch, h.m)
		}
		return batch, last, more, nil
	}
	batch, err = p.load(st, found)
	return batch, last, more, err
}

// find looks up one page.
func (p *retainedPartition) find(q broker.RetainedQuery, after string) (st *retainedState, found []held, last string, more bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == nil || !p.claim.Valid() {
		return nil, nil, "", false, errNotOpen
	}
	now := p.s.r.deps.Clock()
	items, more := p.state.page(q.Tenant, q.Filter, after, readItems)
	size := 0
	for _, it := range items {
		if size > 0 && size+it.Value.size() > maxBatchBytes {
			return p.state, found, last, true, nil
		}
		last = it.Name
		if it.Value.m.Expired(now) {
			continue
		}
		size += it.Value.size()
		found = append(found, it.Value)
	}
	return p.state, found, last, more, nil
}

// errNotOpen ends a read of a partition that moves.
var errNotOpen = broker.E(broker.KindUnavailable, "retained partition is not open", nil)

// load reads messages from the shelf, without the lock, and then again those that were replaced meanwhile; those that were removed are left out.
func (p *retainedPartition) load(st *retainedState, found []held) ([]*broker.Message, error) {
	read := make([]*broker.Message, len(found))
	for i, h := range found {
		read[i], _ = st.shelf.load(h.at) // an error counts below, if the record is still there
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != st {
		return nil, errNotOpen
	}
	batch := read[:0]
	for i, h := range found {
		now, ok := st.get(h.m.Tenant, h.m.Topic)
		if !ok {
			continue
		}
		m := read[i]
		if now.m != h.m || m == nil {
			var err error
			if m, err = st.shelf.load(now.at); err != nil {
				p.spoil(err)
				return nil, broker.E(broker.KindUnavailable, "retained messages", err)
			}
		}
		batch = append(batch, m)
	}
	return batch, nil
}
