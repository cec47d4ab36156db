package router

import (
	"slices"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/topic"
)

// target collects what one destination gets of one message.
type target struct {
	to     destination
	plain  bool
	shares []broker.ShareCopy
}

// members are the origins of a shared group.
type members struct {
	share broker.Share
	all   []broker.Candidate
}

// targets is a short list: messages rarely go to more than a few processes.
type targets []target

// at finds or adds a destination.
func (t *targets) at(to destination) *target {
	for i := range *t {
		if (*t)[i].to == to {
			return &(*t)[i]
		}
	}
	*t = append(*t, target{to: to})
	return &(*t)[len(*t)-1]
}

// route matches a batch and queues it at its destinations, in order. It appends the sinks to pump, after the lock is released, to touched. Called with the lock held.
func (p *partition) route(s *publishStream, batch []broker.Publish, touched []*sink) []*sink {
	full := p.r.pending.Load() > p.r.cfg.MaxPendingBytes
	now := p.r.deps.Clock()
	p.round++
	received, forwarded := 0, 0
	for i := range batch {
		pub := &batch[i]
		if full && pub.Msg.QoS > 0 {
			p.r.metrics.refused.Inc()
			p.end(s, broker.E(broker.KindBusy, "too many bytes wait for destinations", nil))
			break
		}
		var q *pending
		if last := i == len(batch)-1; last || pub.Msg.QoS > 0 { // the others are answered by the next of these
			q = p.pending(s, pub)
		}
		received++
		switch {
		case full:
			p.r.metrics.dropped.WithLabelValues("queue_full").Inc()
		case pub.Msg.Expired(now):
			p.r.metrics.dropped.WithLabelValues("expired").Inc()
		default:
			list := p.match(pub)
			touched = p.forward(s, pub, q, list, touched)
			forwarded += len(list)
		}
	}
	p.r.metrics.received.Add(float64(received))
	p.r.metrics.forwarded.Add(float64(forwarded))
	return touched
}

// spareKept is how many pendings a topic partition keeps for the next messages.
const spareKept = 256

// pending notes a publish that will be acked. Called with the lock held.
func (p *partition) pending(s *publishStream, pub *broker.Publish) *pending {
	var q *pending
	if n := len(p.spare); n > 0 {
		q, p.spare = p.spare[n-1], p.spare[:n-1]
	} else {
		q = new(pending)
	}
	*q = pending{s: s, seq: pub.Seq}
	s.pending = append(s.pending, q)
	return q
}

// forward queues one message at each of its destinations. q is nil if nobody waits for an answer to it. Called with the lock held.
func (p *partition) forward(s *publishStream, pub *broker.Publish, q *pending, list targets, touched []*sink) []*sink {
	msg := pub.Msg
	for i := range list {
		t := &list[i]
		d := p.sink(t.to)
		wait := q
		if t.to.durable() {
			msg = msg.Own() // it stays until its record is durable
		}
		if !t.to.durable() || pub.Msg.QoS == 0 {
			wait = nil
			if q != nil {
				q.matched = q.matched || t.to.kind != toRetained
			}
		}
		d.add(broker.Delivery{Source: s.open.Source, Seq: pub.Seq, Msg: msg, Plain: t.plain, Shares: t.shares}, wait)
		if d.round != p.round {
			d.round = p.round
			touched = append(touched, d)
		}
	}
	return touched
}

// match finds the destinations of one message: every origin with a matching ordinary route, one per shared group, and the retained partition.
// A delayed message goes to the retained partition of its target alone. The list holds until the next call. Called with the lock held.
func (p *partition) match(pub *broker.Publish) targets {
	clear(p.found)
	list := p.found[:0]
	p.collect(pub, &list)
	p.found = list
	return list
}

func (p *partition) collect(pub *broker.Publish, list *targets) {
	m := pub.Msg
	if delay, rest := topic.SplitDelayed(m.Topic); delay != "" {
		list.at(destination{toRetained, uint64(cluster.Partition(m.Tenant, rest, p.r.count(cluster.RetainedSpace)))})
		return
	}
	if pub.Share != nil {
		p.share(m, *pub.Share, p.r.candidates(m.Tenant, *pub.Share), list)
		return
	}
	p.exact.carriers(routeKey{m.Tenant, m.Topic}, func(to destination) { list.at(to).plain = true })
	groups := p.groups[:0]
	p.r.wild.match(m.Tenant, m.Topic, func(filter string, k wildKey, r route) {
		if k.group == "" {
			list.at(k.to).plain = true
			return
		}
		s := broker.Share{Group: k.group, Filter: filter}
		i := slices.IndexFunc(groups, func(g members) bool { return g.share == s })
		if i < 0 {
			if i = len(groups); i < cap(groups) {
				groups = groups[:i+1]
			} else {
				groups = append(groups, members{})
			}
			groups[i] = members{s, groups[i].all[:0]}
		}
		groups[i].all = append(groups[i].all, p.r.candidate(k.to, r))
	})
	for i := range groups {
		p.share(m, groups[i].share, groups[i].all, list)
	}
	p.groups = groups
	if m.Retain {
		n := cluster.Partition(m.Tenant, m.Topic, p.r.count(cluster.RetainedSpace))
		list.at(destination{toRetained, uint64(n)})
	}
}
