package edge

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/route"
	"github.com/pando-mq/pando/services/topic"
)

// Subscriptions of clean sessions are found in four places, by their prefixes:
//
//	           ordinary      shared
//	routed     Edge.plain    Edge.groups    announced to the routers
//	$local     Edge.local    Edge.shares    known here only: Conn.Publish asks them

// routeKey names the route of a subscription of this client.
func (c *Conn) routeKey(p topic.Parsed) route.Key {
	return route.Key{Tenant: c.id.Tenant, Filter: p.Filter, Group: p.Group}
}

// addRoute makes a new subscription findable. The routers hear of it by Announcer.Wait.
func (c *Conn) addRoute(p topic.Parsed) {
	e := c.e
	e.stats.subscriptions.Add(1)
	switch {
	case p.Shared && p.Local:
		e.shares.join(groupKey{c.id.Tenant, p.Share()}, c)
	case p.Local:
		e.local.Add(p.Filter, c, struct{}{})
	case p.Shared:
		e.groups.join(groupKey{c.id.Tenant, p.Share()}, c)
		e.ann.Change(c.routeKey(p), 1, 1)
	default:
		e.plain.Add(p.Filter, c, struct{}{})
		e.ann.Change(c.routeKey(p), 1, 1)
	}
}

// holdRoute tells the routers who has an exclusive topic. members is 1 for a new subscription, -1 for one that ended, 0 for a new grant.
func (c *Conn) holdRoute(p topic.Parsed, grant uint64, members int) {
	k := route.ExclusiveKey(c.id.Tenant, p.Filter)
	c.e.ann.Hold(k, route.Hold{Client: c.id.ClientID, Grant: grant}, members)
	if members < 0 {
		c.e.ann.Announce(k)
	}
}

// gone is a subscription that a clean session had.
type gone struct {
	full    string
	grant   uint64 // of an exclusive one; 0: nobody was told of it
	another bool   // there is another one with the same inner filter
}

// removeRoute is the reverse of addRoute.
func (c *Conn) removeRoute(g gone) {
	p, err := topic.Parse(g.full)
	if err != nil || p.Exclusive && g.grant == 0 {
		return
	}
	e := c.e
	if p.Exclusive {
		c.holdRoute(p, g.grant, -1)
	}
	e.stats.subscriptions.Add(-1)
	switch {
	case p.Shared && p.Local:
		e.shares.leave(groupKey{c.id.Tenant, p.Share()}, c)
		return
	case p.Local:
		e.local.Remove(p.Filter, c)
		return
	case p.Shared:
		e.groups.leave(groupKey{c.id.Tenant, p.Share()}, c)
	case !g.another:
		e.plain.Remove(p.Filter, c)
	}
	e.ann.Change(c.routeKey(p), -1, -1)
	e.ann.Announce(c.routeKey(p))
}

// SnapshotRoutes implements broker.RouteSource.
func (e *Edge) SnapshotRoutes(ctx context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	if s := e.state.Load(); s != stateRunning && s != stateDraining {
		return broker.SnapshotInfo{}, errStopped
	}
	return e.ann.SnapshotRoutes(ctx, q, yield)
}

// groupKey names a shared group.
type groupKey struct {
	tenant string
	broker.Share
}

// groups holds the members of shared groups. Lists are replaced, never changed, so they are read without the lock.
type groups struct {
	mu sync.RWMutex
	m  map[groupKey]*group
}

type group struct {
	members []*Conn // one that subscribed by two spellings is there twice
	next    int     // where the last search began
	sticky  *Conn   // who took the last message, for the strategy of that name
}

func (g *groups) join(k groupKey, c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.m == nil {
		g.m = make(map[groupKey]*group)
	}
	x := g.m[k]
	if x == nil {
		x = &group{}
		g.m[k] = x
	}
	x.members = append(x.members[:len(x.members):len(x.members)], c)
}

func (g *groups) leave(k groupKey, c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.m[k]
	if x == nil {
		return
	}
	for i := range x.members {
		if x.members[i] != c {
			continue
		}
		rest := make([]*Conn, 0, len(x.members)-1)
		x.members = append(append(rest, x.members[:i]...), x.members[i+1:]...)
		break
	}
	if x.sticky == c {
		x.sticky = nil
	}
	if len(x.members) == 0 {
		delete(g.m, k)
	}
}

// turn is the members of a group, and the one to begin with by the strategy.
func (g *groups) turn(k groupKey, m *broker.Message, strategy string) (members []*Conn, first int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	x := g.m[k]
	if x == nil {
		return nil, 0
	}
	n := len(x.members)
	switch strategy {
	case broker.StrategyRandom:
		first = rand.IntN(n)
	case broker.StrategySticky:
		first = max(0, slices.Index(x.members, x.sticky))
	case broker.StrategyHashClientID:
		first = cluster.Partition(m.Tenant, m.From, n)
	case broker.StrategyHashTopic:
		first = cluster.Partition(m.Tenant, m.Topic, n)
	default:
		x.next++
		first = x.next % n
	}
	return x.members, first
}

// took notes who got a message of a group.
func (g *groups) took(k groupKey, c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if x := g.m[k]; x != nil && slices.Contains(x.members, c) {
		x.sticky = c
	}
}

// matching lists the groups whose filter matches a name.
func (g *groups) matching(tenant, name string) []groupKey {
	g.mu.RLock()
	defer g.mu.RUnlock()
	var keys []groupKey
	for k := range g.m {
		if k.tenant == tenant && topic.Match(k.Filter, name) {
			keys = append(keys, k)
		}
	}
	return keys
}
