package sessionstore

import (
	"math/rand/v2"
	"slices"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/route"
	"github.com/pando-mq/pando/services/session"
)

// The strategies of shared subscriptions.
const (
	StrategyRandom       = broker.StrategyRandom
	StrategyRoundRobin   = broker.StrategyRoundRobin
	StrategySticky       = broker.StrategySticky
	StrategyHashClientID = broker.StrategyHashClientID
	StrategyHashTopic    = broker.StrategyHashTopic
	StrategyLocal        = broker.StrategyLocal
)

// pick is what the strategies remember of a group at its home.
type pick struct {
	turn   uint64
	last   option
	sticky bool // last counts
}

// option is one place with members of a group: this partition, or the end of a lane.
type option struct {
	own             bool
	lane            laneKey
	members, online int
}

// choose decides where a copy goes: connected members first, by the strategy (rule R7). Lanes in tried are left out. A choice for this
// partition names the member.
func (p *partition) choose(m *broker.Message, s broker.Share, candidates []broker.Candidate, tried []laneKey) target {
	k := route.Key{Tenant: m.Tenant, Filter: s.Filter, Group: s.Group}
	all := p.options(k, candidates, tried)
	for len(all) > 0 {
		i := p.chooseOption(k, m, all)
		if !all[i].own {
			return target{kind: toLane, lane: all[i].lane}
		}
		if c, g, ok := p.member(s, m); ok {
			return target{kind: toMember, ref: ref{client: c.number, grant: g}}
		}
		all = slices.Delete(all, i, i+1)
	}
	return target{}
}

// options lists where members are. What candidates say of this partition is older than what it knows itself.
func (p *partition) options(k route.Key, candidates []broker.Candidate, tried []laneKey) []option {
	var all []option
	if g := p.st.groups[k]; g != nil {
		all = append(all, option{own: true, members: len(g.on) + len(g.off), online: len(g.on)})
	}
	v := p.s.deps.Cluster.View()
	for _, c := range candidates {
		o := option{lane: laneKey{session: c.Session}, members: max(1, c.Members), online: c.Online}
		if c.Session < 0 {
			o.lane = laneKey{session: -1, incarnation: c.Gateway.Incarnation}
		}
		switch {
		case c.Session == p.n, c.Session >= p.s.sessions, slices.Contains(tried, o.lane):
		case c.Session < 0 && !alive(v, c.Gateway.Incarnation):
		default:
			all = append(all, o)
		}
	}
	return all
}

// chooseOption picks a place, each with the weight of its members, connected ones alone if there are any.
func (p *partition) chooseOption(k route.Key, m *broker.Message, all []option) int {
	weight := func(o option) int { return o.online }
	total := sum(all, weight)
	if total == 0 {
		weight = func(o option) int { return o.members }
		total = sum(all, weight)
	}
	mind := p.mind(k)
	if mind.sticky {
		for i, o := range all {
			if o.own == mind.last.own && o.lane == mind.last.lane && weight(o) > 0 {
				return i
			}
		}
	}
	n := p.turn(&mind.turn, m, total)
	for i, o := range all {
		if n -= weight(o); n < 0 {
			mind.last, mind.sticky = o, p.s.cfg.SharedStrategy == StrategySticky
			return i
		}
	}
	return len(all) - 1
}

// picksKept bounds how many groups' last choices are remembered.
const picksKept = 4096

// mind is what the strategy remembers of a group.
func (p *partition) mind(k route.Key) *pick {
	if s := p.s.cfg.SharedStrategy; s != StrategySticky && s != StrategyRoundRobin {
		return &pick{}
	}
	mind := p.picks[k]
	if mind == nil {
		if len(p.picks) >= picksKept {
			clear(p.picks)
		}
		mind = &pick{}
		p.picks[k] = mind
	}
	return mind
}

func sum(all []option, weight func(option) int) (n int) {
	for _, o := range all {
		n += weight(o)
	}
	return n
}

// turn picks one of n by the strategy.
func (p *partition) turn(turn *uint64, m *broker.Message, n int) int {
	if n <= 1 {
		return 0
	}
	switch p.s.cfg.SharedStrategy {
	case StrategyRoundRobin:
		*turn++
		return int((*turn - 1) % uint64(n))
	case StrategyHashClientID:
		return cluster.Partition(m.Tenant, m.From, n)
	case StrategyHashTopic:
		return cluster.Partition(m.Tenant, m.Topic, n)
	}
	return rand.IntN(n)
}

// member picks a session of this partition for a copy of a group.
func (p *partition) member(s broker.Share, m *broker.Message) (*client, session.Grant, bool) {
	g := p.st.groups[route.Key{Tenant: m.Tenant, Filter: s.Filter, Group: s.Group}]
	if g == nil {
		return nil, session.Grant{}, false
	}
	if p.s.cfg.SharedStrategy == StrategySticky && g.sticky != nil && (g.sticky.sess.Attached() || len(g.on) == 0) {
		if grant, ok := grantFor(g.sticky, s, m); ok {
			return g.sticky, grant, true
		}
	}
	for _, list := range [...][]*client{g.on, g.off} {
		start := p.start(g, list, m)
		for i := range list {
			c := list[(start+i)%len(list)]
			if grant, ok := grantFor(c, s, m); ok {
				g.sticky = c
				return c, grant, true
			}
		}
	}
	return nil, session.Grant{}, false
}

// start is where the strategy begins in a list of members.
func (p *partition) start(g *group, list []*client, m *broker.Message) int {
	if p.s.cfg.SharedStrategy == StrategyLocal && m.Node != "" {
		if i := slices.IndexFunc(list, func(c *client) bool { return c.node() == m.Node }); i >= 0 {
			return i
		}
	}
	return p.turn(&g.turn, m, len(list))
}

// grantFor says how a member gets a copy; false if it does not want it ($local/).
func grantFor(c *client, s broker.Share, m *broker.Message) (session.Grant, bool) {
	full, ok := c.sess.ShareFilter(s, m, c.node())
	if !ok {
		return session.Grant{}, false
	}
	return c.sess.GrantFor(full, m, c.node())
}
