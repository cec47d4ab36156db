package router

import (
	"context"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// Who holds $exclusive/<topic> follows from the routes of that name, like everything here: a route says which client of its origin has the topic, and the
// epoch of the topic partition under which that was granted. The highest epoch holds. A grant of epoch e is given only where no route of another client is
// seen, and an owner serves only when it has seen the routes of all origins; so what was confirmed under an earlier epoch is never granted away, and
// where two grants meet, the one of the lower epoch was never confirmed.
//
//	origin                                     owner of the topic partition
//	claim ───────────────────────────────────► nobody else: reserve; epoch e
//	subscribe (durable), announce {holder, e} ► route
//	claim ───────────────────────────────────► still e: the subscription holds
//
// An owner that comes between the two claims may know another holder, or answers its own epoch, with which the origin goes round again.

// reserveTime is how long a claim keeps others away before its route is there.
const reserveTime = 30 * time.Second

// reservation is a claim whose route has not come yet.
type reservation struct {
	client string
	until  time.Time
}

// ClaimExclusive reserves a topic for a client. See broker.Router.
func (r *Router) ClaimExclusive(_ context.Context, c broker.ExclusiveClaim) (grant uint64, err error) {
	k := routeKey{c.Tenant, broker.ExclusivePrefix + c.Topic}
	n := cluster.Partition(k.tenant, k.filter, r.count(cluster.TopicSpace))
	p := r.partition(n)
	if p == nil {
		return 0, broker.Errorf(broker.KindNotOwner, "claim a topic of topic partition %d", n)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != stateServing || !p.claim.Valid() {
		return 0, broker.E(broker.KindUnavailable, "claim: the topic partition does not serve now", nil)
	}
	now := r.deps.Clock()
	if holder, ok := p.holder(k, now); ok && holder != c.ClientID {
		return 0, broker.Errorf(broker.KindConflict, "another client is subscribed exclusively")
	}
	p.reserved[k] = reservation{c.ClientID, now.Add(reserveTime)}
	return p.claim.Epoch, nil
}

// holder is the client that has a topic for itself, by its route or else by a reservation. Called with the lock held.
func (p *partition) holder(k routeKey, now time.Time) (client string, ok bool) {
	var grant uint64
	for _, e := range p.exact.of(k) {
		if h, held := p.exact.holds[holdKey{k, e.to}]; held && e.members > 0 && (!ok || h.grant > grant) {
			client, grant, ok = h.client, h.grant, true
		}
	}
	if ok {
		return client, true
	}
	x, ok := p.reserved[k]
	return x.client, ok && now.Before(x.until)
}

// released forgets a reservation when its client's route has come and gone. Called with the lock held.
func (p *partition) released(k routeKey, holder string) {
	if p.reserved[k].client == holder {
		delete(p.reserved, k)
	}
}

// lapse forgets reservations that are over. Called with the lock held.
func (p *partition) lapse(now time.Time) {
	for k, x := range p.reserved {
		if !now.Before(x.until) {
			delete(p.reserved, k)
		}
	}
}
