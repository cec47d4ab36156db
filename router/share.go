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
	slices.SortStableFunc(all, byOnline)
	if slices.ContainsFunc(all, func(c broker.Candidate) bool { return c.Session >= 0 }) {
		t := list.at(destination{toSession, uint64(Home(m.Tenant, s, p.topic, p.r.count(cluster.SessionSpace)))})
		t.shares = append(t.shares, broker.ShareCopy{Share: s, Candidates: all})
		return
	}
	t := list.at(destination{toGateway, pick(all).Gateway.Incarnation})
	t.shares = append(t.shares, broker.ShareCopy{Share: s})
}

// Home is the session partition that hands out the messages of one topic partition to a shared group with persistent members (rule R7).
func Home(tenant string, s broker.Share, topic, sessions int) int {
	return cluster.Partition(tenant, s.Group+"/"+strconv.Itoa(topic)+"/"+s.Filter, sessions)
}

// byOnline sorts candidates with connected members first.
func byOnline(a, b broker.Candidate) int { return cmp.Compare(min(b.Online, 1), min(a.Online, 1)) }

// pick chooses a candidate at random, each by its number of members, connected ones first. all is sorted by byOnline.
func pick(all []broker.Candidate) broker.Candidate {
	weight := func(c broker.Candidate) int { return c.Online }
	if all[0].Online == 0 {
		weight = func(c broker.Candidate) int { return c.Members }
	}
	total := 0
	for _, c := range all {
		total += weight(c)
	}
	n := rand.IntN(max(total, 1))
	for _, c := range all {
		if n -= weight(c); n < 0 {
			return c
		}
	}
	return all[0]
}

// candidate describes one origin of a group.
func (r *Router) candidate(to destination, m route) broker.Candidate {
	c := broker.Candidate{Session: -1, Members: m.members, Online: m.online}
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
