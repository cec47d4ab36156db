package router

import (
	"cmp"
	"context"
	"slices"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

type listKey struct{ filter, group string }

// Routes lists the routes this router knows, ordered by filter. See broker.RouterAdmin.
func (r *Router) Routes(_ context.Context, q broker.RouteQuery) ([]broker.RouteInfo, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	found := map[listKey]map[destination]struct{}{}
	add := func(filter, group string, to destination) {
		if filter <= q.After || q.Filter != "" && filter != q.Filter {
			return
		}
		k := listKey{filter, group}
		if found[k] == nil {
			found[k] = map[destination]struct{}{}
		}
		found[k][to] = struct{}{}
	}
	for _, p := range r.owned() {
		p.listExact(q.Tenant, add)
	}
	r.wild.list(q.Tenant, add)
	keys := make([]listKey, 0, len(found))
	for k := range found {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b listKey) int {
		return cmp.Or(cmp.Compare(a.filter, b.filter), cmp.Compare(a.group, b.group))
	})
	list := make([]broker.RouteInfo, 0, min(limit, len(keys)))
	for i, k := range keys {
		if len(list) >= limit && k.filter != keys[i-1].filter { // a filter is never split between pages
			break
		}
		list = append(list, broker.RouteInfo{Filter: k.filter, Group: k.group, Nodes: r.names(found[k])})
	}
	return list, nil
}

func (p *partition) listExact(tenant string, add func(filter, group string, to destination)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.exact.each(func(k routeKey, to destination) {
		if k.tenant == tenant {
			add(k.filter, "", to)
		}
	})
}

func (w *wildcards) list(tenant string, add func(filter, group string, to destination)) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if x := w.tenants[tenant]; x != nil {
		x.Walk("", func(filter string, k wildKey, r route) bool {
			if r.members > 0 {
				add(filter, k.group, k.to)
			}
			return true
		})
	}
}

// names gives the node names of destinations, without repetition, sorted.
func (r *Router) names(set map[destination]struct{}) []string {
	v := r.deps.Cluster.View()
	var names []string
	for to := range set {
		if to.kind == toSession {
			if o, ok := v.Owner(cluster.SessionSpace, int(to.n)); ok {
				names = append(names, nodeName(o.Node))
			}
		} else if n, ok := v.ByIncarnation(to.n); ok {
			names = append(names, nodeName(n))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// nodeName is the configured name of a process, its id if it told none.
func nodeName(n cluster.Node) string {
	return cmp.Or(n.Meta["name"], n.ID)
}

// RouterStats gives counts under the seed's names. See broker.RouterAdmin.
func (r *Router) RouterStats(context.Context) (map[string]int64, error) {
	var exact, topics int64
	for _, p := range r.owned() {
		p.mu.Lock()
		var last routeKey
		p.exact.each(func(k routeKey, _ destination) {
			if exact++; k != last {
				topics++
			}
			last = k
		})
		p.mu.Unlock()
	}
	filters, values := r.wild.count()
	return map[string]int64{
		"routes/count": exact + values, "topics/count": topics + filters, "retained/count": r.retained.count.Load(),
		"delayed/count": r.retained.later.Load(), "delayed/bytes": r.retained.bytes.Load(),
		"routes/wildcard": values, "topics/wildcard": filters, // every router has these: count them once
		"pending/bytes": r.pending.Load(),
	}, nil
}

func (w *wildcards) count() (filters, values int64) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	last := ""
	for _, x := range w.tenants {
		x.Walk("", func(filter string, _ wildKey, r route) bool {
			if r.members > 0 {
				values++
				if filter != last {
					filters, last = filters+1, filter
				}
			}
			return true
		})
	}
	return filters, values
}
