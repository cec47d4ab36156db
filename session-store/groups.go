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
	if p.Exclusive {
		grant := c.sess.Granted(p.String())
		if grant == 0 {
			return // nobody is to find it before it is granted
		}
		st.held(c, p, grant, 1)
	}
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

// let takes a subscription away, and reports whether there was one.
func (st *state) let(c *client, full string) bool {
	p, err := topic.Parse(full)
	grant := c.sess.Granted(full)
	if !c.sess.Unsubscribe(full) || err != nil {
		return false
	}
	if p.Exclusive {
		if grant == 0 {
			return true
		}
		st.held(c, p, grant, -1)
	}
	st.forget(c, p, c.sess.Attached())
	return true
}

// held tells of a change of the route that says who has an exclusive topic.
func (st *state) held(c *client, p topic.Parsed, grant uint64, members int) {
	k := route.ExclusiveKey(c.key.tenant, p.Filter)
	if st.hold != nil {
		st.hold(k, route.Hold{Client: c.key.id, Grant: grant}, members)
	}
	if st.to != nil {
		st.to.routes = append(st.to.routes, k)
	}
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

// otherSpelling reports whether c still has the same inner filter, with or without $local/ or $exclusive/.
func otherSpelling(c *client, p topic.Parsed) bool {
	for _, x := range [...]topic.Parsed{{Filter: p.Filter}, {Filter: p.Filter, Local: true}, {Filter: p.Filter, Exclusive: true}} {
		full := x.String()
		if _, ok := c.sess.Subscription(full); ok && (!x.Exclusive || c.sess.Granted(full) != 0) {
			return true
		}
	}
	return false
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
