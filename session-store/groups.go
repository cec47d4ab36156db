package sessionstore

import (
	"slices"

	"github.com/pando-mq/pando/services/route"
	"github.com/pando-mq/pando/services/topic"
)

// group is the members of one shared group that live in this partition.
type group struct {
	on, off   []*client       // connected and away, in order of arrival
	spellings map[*client]int // by how many filters each is a member ("$queue/a" and "$share/$queue/a")

	// soft: what the strategies remember
	turn   uint64
	sticky *client
}

func shareKey(tenant string, p topic.Parsed) route.Key {
	return route.Key{Tenant: tenant, Filter: p.Filter, Group: p.Group}
}

// know makes a new subscription of c findable. online says whether c is connected.
func (st *state) know(c *client, p topic.Parsed, online bool) {
	k := shareKey(c.key.tenant, p)
	if !p.Shared {
		x := st.index[c.key.tenant]
		if x == nil {
			x = topic.NewIndex[*client, struct{}](1)
			st.index[c.key.tenant] = x
		}
		x.Add(p.Filter, c, struct{}{})
		st.changed(k, 1, 0)
		return
	}
	g := st.groups[k]
	if g == nil {
		g = &group{spellings: map[*client]int{}}
		st.groups[k] = g
	}
	g.spellings[c]++
	if g.spellings[c] == 1 {
		g.put(c, online)
	}
	st.changed(k, 1, one(online))
}

// forget is the reverse of know, after the session let the subscription go.
func (st *state) forget(c *client, p topic.Parsed, online bool) {
	k := shareKey(c.key.tenant, p)
	if !p.Shared {
		if !otherSpelling(c, p) {
			x := st.index[c.key.tenant]
			x.Remove(p.Filter, c)
			if _, values := x.Len(); values == 0 {
				delete(st.index, c.key.tenant)
			}
		}
		st.changed(k, -1, 0)
		return
	}
	g := st.groups[k]
	if g.spellings[c]--; g.spellings[c] == 0 {
		delete(g.spellings, c)
		g.take(c)
	}
	if len(g.spellings) == 0 {
		delete(st.groups, k)
	}
	st.changed(k, -1, -one(online))
}

// otherSpelling reports whether c still has the same inner filter, with or without $local/.
func otherSpelling(c *client, p topic.Parsed) bool {
	p.Local = !p.Local
	_, ok := c.sess.Subscription(p.String())
	return ok
}

// online moves c, which has just connected or gone away, within its groups.
func (st *state) online(c *client, on bool) {
	for _, sub := range c.sess.Subscriptions() {
		p, err := topic.Parse(sub.Filter)
		if err != nil || !p.Shared {
			continue
		}
		k := shareKey(c.key.tenant, p)
		g := st.groups[k]
		g.take(c)
		g.put(c, on)
		st.changed(k, 0, 2*one(on)-1)
	}
}

func (g *group) put(c *client, online bool) {
	if online {
		g.on = append(g.on, c)
	} else {
		g.off = append(g.off, c)
	}
}

func (g *group) take(c *client) {
	if i := slices.Index(g.on, c); i >= 0 {
		g.on = slices.Delete(g.on, i, i+1)
	} else if i := slices.Index(g.off, c); i >= 0 {
		g.off = slices.Delete(g.off, i, i+1)
	}
	if g.sticky == c {
		g.sticky = nil
	}
}

// changed tells of a change of a route.
func (st *state) changed(k route.Key, members, online int) {
	if st.route != nil {
		st.route(k, members, online)
	}
	if st.to != nil {
		st.to.routes = append(st.to.routes, k)
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
