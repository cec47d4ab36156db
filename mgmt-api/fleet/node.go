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

// Stats are the gauges of the cluster, or of one node, by the seed's names. What routers and session-stores hold (routes, topics, retained messages,
// persistent sessions) belongs to no node: it is added to the cluster's sum, and shown with each node as the seed does.
func (f *Fleet) Stats(ctx context.Context, nodes Nodes) (map[string]int64, []Missing) {
	sum := map[string]int64{}
	for _, n := range nodes.Up {
		addTo(sum, n.Stats)
	}
	shared, lost := f.shared(ctx)
	addTo(sum, shared)
	return sum, sortedMissing(append(slices.Clone(nodes.Missing), lost...))
}

// NodeStats gives the gauges of each node that is up.
func (f *Fleet) NodeStats(ctx context.Context, nodes Nodes) (map[string]map[string]int64, []Missing) {
	shared, lost := f.shared(ctx)
	each := map[string]map[string]int64{}
	for _, n := range nodes.Up {
		stats := maps.Clone(n.Stats)
		if stats == nil {
			stats = map[string]int64{}
		}
		addTo(stats, shared)
		each[n.Name] = stats
	}
	return each, sortedMissing(append(slices.Clone(nodes.Missing), lost...))
}

// shared sums what routers and session-stores hold. Each router has every wildcard route, so that part ("routes/wildcard", "topics/wildcard") counts once.
func (f *Fleet) shared(ctx context.Context) (map[string]int64, []Missing) {
	sum := map[string]int64{}
	routers := ask(ctx, f, f.routers(), f.deps.Routers, func(ctx context.Context, r broker.RouterAdmin) (map[string]int64, error) {
		return r.RouterStats(ctx)
	})
	most := map[string]int64{}
	for _, a := range routers {
		addTo(sum, a.rows)
		for _, what := range [...]string{"routes", "topics"} {
			sum[what+"/count"] -= a.rows[what+"/wildcard"]
			most[what+"/count"] = max(most[what+"/count"], a.rows[what+"/wildcard"])
		}
	}
	addTo(sum, most)
	stores := ask(ctx, f, f.stores(), f.deps.Stores, func(ctx context.Context, s broker.SessionAdmin) (map[string]int64, error) {
		return s.SessionStats(ctx)
	})
	for _, a := range stores {
		addTo(sum, a.rows)
	}
	for name := range sum {
		if !public(name) {
			delete(sum, name)
		}
	}
	return sum, append(missing(routers), missing(stores)...)
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

func addTo(sum, more map[string]int64) {
	for name, n := range more {
		sum[name] += n
	}
}
