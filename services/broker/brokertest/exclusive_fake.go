package brokertest

import (
	"context"

	"github.com/pando-mq/pando/services/broker"
)

// ClaimExclusive implements broker.Router.
func (r *Router) ClaimExclusive(ctx context.Context, c broker.ExclusiveClaim) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, broker.E(broker.KindCanceled, "claim exclusive", err)
	}
	r.enter()
	defer r.leave()
	name := routeName{c.Tenant, broker.ExclusivePrefix + c.Topic, ""}
	p := r.topics[r.TopicPartition(name.tenant, name.filter)]
	if !p.owned {
		return 0, broker.E(broker.KindNotOwner, "claim exclusive", nil)
	}
	holder, grant := p.reserved[name], uint64(0)
	for _, x := range p.exact[name] {
		if x.members > 0 && x.grant >= grant {
			holder, grant = x.holder, x.grant
		}
	}
	if holder != "" && holder != c.ClientID {
		return 0, broker.E(broker.KindConflict, "another client has the topic", nil)
	}
	if p.reserved == nil {
		p.reserved = map[routeName]string{}
	}
	p.reserved[name] = c.ClientID
	return p.epoch, nil
}

// ClaimExclusive implements broker.Router: the first who asks has the topic until its route is taken away.
func (u *Upstream) ClaimExclusive(ctx context.Context, c broker.ExclusiveClaim) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, broker.E(broker.KindCanceled, "claim exclusive", err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for k, d := range u.routes {
		if k.filter == broker.ExclusivePrefix+c.Topic && d.Members > 0 && d.Holder != c.ClientID {
			return 0, broker.E(broker.KindConflict, "another client has the topic", nil)
		}
	}
	return 1, nil
}

// ClaimExclusive implements broker.Router. It may be refused.
func (r *FaultyRouter) ClaimExclusive(ctx context.Context, c broker.ExclusiveClaim) (uint64, error) {
	if err := r.refuse("claim exclusive"); err != nil {
		return 0, err
	}
	return r.inner.ClaimExclusive(ctx, c)
}
