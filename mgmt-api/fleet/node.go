package fleet

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// Nodes are the processes that hold client connections.
type Nodes struct {
	Up      []broker.NodeInfo // ordered by name
	Down    []string          // names of those that are registered and did not answer
	Missing []Missing
}

// Nodes asks the nodes of that name, "" for all.
func (f *Fleet) Nodes(ctx context.Context, node string) Nodes {
	answers := ask(ctx, f, f.gateways(node), f.deps.Gateways, func(ctx context.Context, g broker.GatewayAdmin) (broker.NodeInfo, error) {
		return g.Node(ctx)
	})
	n := Nodes{Missing: missing(answers)}
	for _, a := range answers {
		if a.err != nil {
			n.Down = append(n.Down, name(a.node))
			continue
		}
		a.rows.Name = cmp.Or(a.rows.Name, name(a.node))
		n.Up = append(n.Up, a.rows)
	}
	slices.SortFunc(n.Up, func(a, b broker.NodeInfo) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(n.Down)
	return n
}

// Service is one process in one role.
type Service struct {
	cluster.Node
	Name       string
	Partitions map[cluster.Space]int // how many it owns
}

// Services are all processes in the registry, ordered by role and id.
func (f *Fleet) Services() []Service {
	v, meta := f.deps.Cluster.View(), f.deps.Cluster.Meta()
	owned := map[uint64]map[cluster.Space]int{}
	for space, n := range meta.Partitions {
		for p := range n {
			if o, ok := v.Owner(space, p); ok {
				if owned[o.Node.Incarnation] == nil {
					owned[o.Node.Incarnation] = map[cluster.Space]int{}
				}
				owned[o.Node.Incarnation][space]++
			}
		}
	}
	var list []Service
	for _, role := range []cluster.Role{cluster.Auth, cluster.Gateway, cluster.Mgmt, cluster.Router, cluster.SessionStore} {
		for _, n := range v.Nodes(role) {
			list = append(list, Service{Node: n, Name: name(n), Partitions: owned[n.Incarnation]})
		}
	}
	return list
}

// Stats are the gauges of the cluster by the seed's names: those of the nodes that are up, of the routers (routes, topics, retained messages) and of the
// session-stores (persistent sessions), summed.
func (f *Fleet) Stats(ctx context.Context, nodes Nodes) (map[string]int64, []Missing) {
	sum, lost := f.routerStats(ctx)
	for _, n := range nodes.Up {
		addTo(sum, n.Stats)
	}
	stores := f.storeStats(ctx)
	for _, a := range stores {
		addTo(sum, a.rows)
	}
	raiseMax(sum)
	return sum, sortedMissing(slices.Concat(nodes.Missing, lost, missing(stores)))
}

// NodeStats are the gauges of each node that is up. What routers hold belongs to no node and is shown with each, as the seed does; what a session-store
// holds is shown with the node of the same name (all-in-one).
func (f *Fleet) NodeStats(ctx context.Context, nodes Nodes) (map[string]map[string]int64, []Missing) {
	routers, lost := f.routerStats(ctx)
	stores := f.storeStats(ctx)
	each := map[string]map[string]int64{}
	for _, n := range nodes.Up {
		each[n.Name] = maps.Clone(routers)
		addTo(each[n.Name], n.Stats)
		for _, a := range stores {
			if name(a.node) == n.Name {
				addTo(each[n.Name], a.rows)
			}
		}
		raiseMax(each[n.Name])
	}
	return each, sortedMissing(slices.Concat(nodes.Missing, lost, missing(stores)))
}

// routerStats sums what routers hold. Each router has every wildcard route, so that part ("routes/wildcard", "topics/wildcard") counts once.
func (f *Fleet) routerStats(ctx context.Context) (map[string]int64, []Missing) {
	answers := ask(ctx, f, f.routers(), f.deps.Routers, func(ctx context.Context, r broker.RouterAdmin) (map[string]int64, error) {
		return r.RouterStats(ctx)
	})
	sum, most := map[string]int64{}, map[string]int64{}
	for _, a := range answers {
		addTo(sum, a.rows)
		for _, what := range [...]string{"routes", "topics"} {
			if n := a.rows[what+"/wildcard"]; n > 0 {
				sum[what+"/count"] -= n
				most[what+"/count"] = max(most[what+"/count"], n)
			}
		}
	}
	addTo(sum, most)
	return sum, missing(answers)
}

func (f *Fleet) storeStats(ctx context.Context) []answer[map[string]int64] {
	return ask(ctx, f, f.stores(), f.deps.Stores, func(ctx context.Context, s broker.SessionAdmin) (map[string]int64, error) {
		return s.SessionStats(ctx)
	})
}

// public are the gauges with a name of the seed (its $SYS stats); services have others of their own.
func public(name string) bool {
	what, kind, _ := strings.Cut(name, "/")
	switch what {
	case "clients", "sessions", "topics", "subscribers", "subscriptions", "routes", "retained":
		return kind == "count" || kind == "max"
	}
	return false
}

// addTo adds the public gauges.
func addTo(sum, more map[string]int64) {
	for name, n := range more {
		if public(name) {
			sum[name] += n
		}
	}
}

// raiseMax keeps each maximum at least as large as its count: only gateways remember maxima, and sessions and subscriptions are counted elsewhere too.
func raiseMax(sum map[string]int64) {
	for name, n := range sum {
		if what, found := strings.CutSuffix(name, "/max"); found {
			sum[name] = max(n, sum[what+"/count"])
		}
	}
}
