package router

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// share sends the one copy of a group: to its home, if any session partition has members (rule R7), otherwise to one gateway. Called with the lock held.
func (p *partition) share(m *broker.Message, s broker.Share, all []broker.Candidate, list *targets) {
	if len(all) == 0 {
		p.r.metrics.dropped.WithLabelValues("no_member").Inc()
		return
	}
	slices.SortFunc(all, byOnline)
	if slices.ContainsFunc(all, func(c broker.Candidate) bool { return c.Session >= 0 }) {
		t := list.at(destination{toSession, uint64(Home(m.Tenant, s, p.topic, p.r.count(cluster.SessionSpace)))})
		t.shares = append(t.shares, broker.ShareCopy{Share: s, Candidates: slices.Clone(all)})
		return
	}
	t := list.at(destination{toGateway, p.pick(m, s, all).Gateway.Incarnation})
	t.shares = append(t.shares, broker.ShareCopy{Share: s, Strategy: p.r.cfg.SharedStrategy})
}

// Home is the session partition that hands out the messages of one topic partition to a shared group with persistent members (rule R7).
func Home(tenant string, s broker.Share, topic, sessions int) int {
	return cluster.Partition(tenant, s.Group+"/"+strconv.Itoa(topic)+"/"+s.Filter, sessions)
}

// byOnline sorts candidates with connected members first; what follows keeps the order the same from message to message.
func byOnline(a, b broker.Candidate) int {
	return cmp.Or(
		cmp.Compare(min(b.Online, 1), min(a.Online, 1)), cmp.Compare(a.Session, b.Session), cmp.Compare(a.Gateway.Incarnation, b.Gateway.Incarnation),
	)
}

// pick chooses a gateway by the strategy, each with the weight of its members, connected ones first. all is sorted by byOnline.
func (p *partition) pick(m *broker.Message, s broker.Share, all []broker.Candidate) broker.Candidate {
	weight := func(c broker.Candidate) int { return c.Online }
	if all[0].Online == 0 {
		weight = func(c broker.Candidate) int { return c.Members }
	}
	switch p.r.cfg.SharedStrategy {
	case broker.StrategySticky:
		return p.r.stuck(m.Tenant, s, all, weight)
	case broker.StrategyLocal:
		v := p.r.deps.Cluster.View()
		for _, c := range all {
			if n, ok := v.ByIncarnation(c.Gateway.Incarnation); ok && weight(c) > 0 && nodeName(n) == m.Node {
				return c
			}
		}
	}
	total := 0
	for _, c := range all {
		total += weight(c)
	}
	n := p.turn(m, s, max(total, 1))
	for _, c := range all {
		if n -= weight(c); n < 0 {
			return c
		}
	}
	return all[0]
}

// stuck is the gateway that a group sticks to: the same for every topic partition and every router, as long as it has members.
func (r *Router) stuck(tenant string, s broker.Share, all []broker.Candidate, weight func(broker.Candidate) int) broker.Candidate {
	best, most := all[0], -1
	for _, c := range all {
		score := cluster.Partition(tenant, s.Group+"/"+strconv.FormatUint(c.Gateway.Incarnation, 10)+"/"+s.Filter, 1<<30)
		if weight(c) > 0 && score > most {
			best, most = c, score
		}
	}
	return best
}

// turnsKept bounds how many groups' turns a topic partition remembers.
const turnsKept = 4096

// turn picks one of n by the strategy.
func (p *partition) turn(m *broker.Message, s broker.Share, n int) int {
	switch p.r.cfg.SharedStrategy {
	case broker.StrategyRoundRobin:
		k := originKey{m.Tenant, s.Filter, s.Group}
		if _, ok := p.turns[k]; !ok && len(p.turns) >= turnsKept {
			clear(p.turns)
		}
		p.turns[k]++
		return int((p.turns[k] - 1) % uint64(n))
	case broker.StrategyHashClientID:
		return cluster.Partition(m.Tenant, m.From, n)
	case broker.StrategyHashTopic:
		return cluster.Partition(m.Tenant, m.Topic, n)
	}
	return rand.IntN(n)
}

// candidate describes one origin of a group.
func (r *Router) candidate(to destination, m route) broker.Candidate {
	c := broker.Candidate{Session: -1, Members: int(m.members), Online: int(m.online)}
	if to.kind == toSession {
		c.Session = int(to.n)
		return c
	}
	c.Gateway.Incarnation = to.n
	if n, ok := r.deps.Cluster.View().ByIncarnation(to.n); ok {
		c.Gateway.ID = n.ID
	}
	return c
}

// candidates lists the origins of a group.
func (r *Router) candidates(tenant string, s broker.Share) []broker.Candidate {
	var all []broker.Candidate
	r.wild.group(tenant, s, func(to destination, m route) { all = append(all, r.candidate(to, m)) })
	return all
}
