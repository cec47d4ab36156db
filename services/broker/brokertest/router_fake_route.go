package brokertest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

type destKind uint8

const (
	toGateway destKind = iota
	toSession
	toRetained
)

// destination is a gateway incarnation, or a session or retained partition.
type destination struct {
	kind destKind
	n    uint64
}

func (d destination) durable() bool { return d.kind != toGateway }

// fakeRoute is one origin's interest in one filter; (epoch, version) orders its changes (rule N7).
type fakeRoute struct {
	epoch, version  uint64
	members, online int
	holder          string // of an exclusive topic
	grant           uint64
}

// routeTable is routes by filter and origin. A removed route stays, so that an older addition cannot come back.
type routeTable map[routeName]map[destination]fakeRoute

func (t routeTable) apply(from destination, epoch uint64, d broker.RouteDelta, f flaws) {
	k := routeName{d.Tenant, d.Filter, d.Group}
	if t[k] == nil {
		t[k] = map[destination]fakeRoute{}
	}
	old, ok := t[k][from]
	if ok && (old.epoch > epoch || old.epoch == epoch && old.version >= d.Version) && f.keeps(newerVersions) {
		return
	}
	t[k][from] = fakeRoute{epoch, d.Version, d.Members, d.Online, d.Holder, d.Grant}
}

// replace installs a snapshot: what it does not name, and is not newer, goes.
func (t routeTable) replace(from destination, info broker.SnapshotInfo, deltas []broker.RouteDelta) {
	for _, origins := range t {
		if r, ok := origins[from]; ok && (r.epoch < info.Origin.Epoch || r.epoch == info.Origin.Epoch && r.version <= info.Version) {
			delete(origins, from)
		}
	}
	for _, d := range deltas {
		t.apply(from, info.Origin.Epoch, d, nil)
	}
}

func (t routeTable) forget(from destination) {
	for _, origins := range t {
		delete(origins, from)
	}
}

// drop removes the routes that led a message to an origin that does not want it, if they did not change since (rule N6).
func (t routeTable) drop(from destination, m *broker.Message, shares []broker.ShareCopy, a broker.DeliverAck, f flaws) {
	for k, origins := range t {
		r, ok := origins[from]
		if !ok || k.tenant != m.Tenant || !topic.Match(k.filter, m.Topic) || r.epoch != a.Epoch {
			continue
		}
		if r.version > a.Version && f.keeps(dropByVersion) {
			continue
		}
		named := k.group == "" && a.Result == broker.NoSub
		for _, s := range shares {
			named = named || s.Share == broker.Share{Group: k.group, Filter: k.filter}
		}
		if named {
			r.members, r.online = 0, 0
			origins[from] = r
		}
	}
}

func (t routeTable) list(q broker.RouteQuery, name func(destination) string, found map[routeName]map[string]bool) {
	for k, origins := range t {
		if k.tenant != q.Tenant || k.filter <= q.After || q.Filter != "" && k.filter != q.Filter {
			continue
		}
		for d, r := range origins {
			if r.members == 0 {
				continue
			}
			if found[k] == nil {
				found[k] = map[string]bool{}
			}
			found[k][name(d)] = true
		}
	}
}

func (r *Router) nodeName(d destination) string {
	if d.kind == toGateway {
		return r.alive[d.n].ID
	}
	return "session-" + strconv.FormatUint(d.n, 10)
}

// UpdateRoutes implements broker.RouterNode.
func (r *Router) UpdateRoutes(ctx context.Context, u broker.RouteUpdate) error {
	if err := ctx.Err(); err != nil {
		return broker.E(broker.KindCanceled, "update routes", err)
	}
	r.enter()
	defer r.leave()
	from, err := r.origin(u.Origin)
	if err != nil {
		return err
	}
	foreign := 0
	for _, d := range u.Deltas {
		if d.Group != "" || topic.HasWildcard(d.Filter) {
			r.wild.apply(from, u.Origin.Epoch, d, r.flaws)
			continue
		}
		p := r.topics[r.TopicPartition(d.Tenant, d.Filter)]
		if !p.owned && r.flaws.keeps(foreignFilters) {
			foreign++
			continue
		}
		p.exact.apply(from, u.Origin.Epoch, d, r.flaws)
		if name := (routeName{d.Tenant, d.Filter, ""}); d.Holder != "" && d.Members == 0 && p.reserved[name] == d.Holder {
			delete(p.reserved, name)
		}
	}
	if foreign > 0 {
		return broker.Errorf(broker.KindNotOwner, "%d exact filters are another router's", foreign)
	}
	return nil
}

// origin checks who announces. Called with the lock held.
func (r *Router) origin(o broker.Origin) (destination, error) {
	if o.Kind == broker.FromGateway {
		if _, ok := r.alive[o.Node.Incarnation]; !ok && r.flaws.keeps(originEpoch) {
			return destination{}, broker.E(broker.KindStale, "the gateway is gone", nil)
		}
		return destination{toGateway, o.Node.Incarnation}, nil
	}
	if o.Epoch < r.epochs[o.Partition] && r.flaws.keeps(originEpoch) {
		return destination{}, broker.Errorf(broker.KindStale, "epoch %d of session partition %d", o.Epoch, o.Partition)
	}
	r.epochs[o.Partition] = max(r.epochs[o.Partition], o.Epoch)
	return destination{toSession, uint64(o.Partition)}, nil
}

// synchronise takes snapshots of all origins until each has answered, and then lets the partition serve.
func (r *Router) synchronise(p *topicPartition) {
	retry := time.NewTicker(time.Millisecond)
	defer retry.Stop()
	for !r.snapshots(p) {
		select {
		case <-r.ctx.Done():
			return
		case <-retry.C:
		}
	}
	r.enter()
	p.serve()
	r.leave()
}

func (r *Router) snapshots(p *topicPartition) bool {
	r.enter()
	gateways := make([]broker.NodeRef, 0, len(r.alive))
	for _, ref := range r.alive {
		gateways = append(gateways, ref)
	}
	r.leave()
	for n := range r.cfg.Sessions {
		if r.cfg.Sinks != nil && !r.snapshot(p, destination{toSession, uint64(n)}, r.cfg.Sinks, n) {
			return false
		}
	}
	for _, ref := range gateways {
		if r.cfg.Gateways != nil && !r.snapshot(p, destination{toGateway, ref.Incarnation}, r.cfg.Gateways(ref), 0) {
			return false
		}
	}
	return true
}

// snapshot installs the routes of one origin: the exact ones of the partition, and the wildcards.
func (r *Router) snapshot(p *topicPartition, from destination, src broker.RouteSource, partition int) bool {
	for _, wild := range []bool{false, true} {
		var all []broker.RouteDelta
		q := broker.SnapshotQuery{Router: r.self(), Partition: partition, Wildcards: wild, Topic: p.n, Revision: p.epoch}
		info, err := src.SnapshotRoutes(r.ctx, q, func(d []broker.RouteDelta) error { all = append(all, d...); return nil })
		if err != nil {
			return false
		}
		if !r.flaws.keeps(snapshotInstalled) {
			continue
		}
		r.enter()
		if from.kind == toSession {
			r.epochs[partition] = max(r.epochs[partition], info.Origin.Epoch)
		}
		if wild {
			r.wild.replace(from, info, all)
		} else {
			p.exact.replace(from, info, all)
		}
		r.leave()
	}
	return true
}

func (r *Router) self() broker.NodeRef { return broker.NodeRef{ID: "router", Incarnation: 1} }

// target collects what one destination gets of one message.
type fakeTarget struct {
	to     destination
	plain  bool
	shares []broker.ShareCopy
}

// match finds the destinations of one publish. Called with the lock held.
func (p *topicPartition) match(pub *broker.Publish) []*fakeTarget {
	r, m := p.r, pub.Msg
	var list []*fakeTarget
	at := func(to destination) *fakeTarget {
		for _, t := range list {
			if t.to == to {
				return t
			}
		}
		list = append(list, &fakeTarget{to: to})
		return list[len(list)-1]
	}
	groups := map[broker.Share][]broker.Candidate{}
	for _, table := range []routeTable{p.exact, r.wild} {
		for k, origins := range table {
			share := broker.Share{Group: k.group, Filter: k.filter}
			if k.tenant != m.Tenant || pub.Share == nil && !topic.Match(k.filter, m.Topic) || pub.Share != nil && *pub.Share != share && r.flaws.keeps(onlyThatGroup) {
				continue
			}
			for to, route := range origins {
				switch {
				case route.members == 0:
				case k.group == "":
					at(to).plain = true
				default:
					groups[share] = append(groups[share], r.candidate(to, route))
				}
			}
		}
	}
	for s, all := range groups {
		to := p.pick(m, s, all)
		copied := broker.ShareCopy{Share: s}
		if to.kind == toSession {
			copied.Candidates = all
		}
		at(to).shares = append(at(to).shares, copied)
	}
	if m.Retain && pub.Share == nil {
		at(destination{toRetained, uint64(r.RetainedPartition(m.Tenant, m.Topic))})
	}
	return list
}

func (r *Router) candidate(to destination, f fakeRoute) broker.Candidate {
	c := broker.Candidate{Session: -1, Members: f.members, Online: f.online}
	if to.kind == toSession {
		c.Session = int(to.n)
	} else {
		c.Gateway = r.alive[to.n]
	}
	return c
}

// pick is where a group's copy goes: its home if a session partition has members (rule R7), otherwise one gateway. all is sorted: connected ones first.
func (p *topicPartition) pick(m *broker.Message, s broker.Share, all []broker.Candidate) destination {
	slices.SortFunc(all, func(a, b broker.Candidate) int {
		if x := min(b.Online, 1) - min(a.Online, 1); x != 0 && p.r.flaws.keeps(connectedFirst) {
			return x
		}
		return a.Session - b.Session
	})
	if slices.ContainsFunc(all, func(c broker.Candidate) bool { return c.Session >= 0 }) {
		return destination{toSession, uint64(hash(m.Tenant, fmt.Sprint(s, p.n), p.r.cfg.Sessions))}
	}
	online := 0
	for online < len(all) && all[online].Online > 0 {
		online++
	}
	p.r.turn++
	return destination{toGateway, all[p.r.turn%max(online, 1)].Gateway.Incarnation}
}
