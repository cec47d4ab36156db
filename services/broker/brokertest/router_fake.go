package brokertest

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/pando-mq/pando/services/broker"
)

// RouterConfig says what a Router delivers to. The zero value is a router without destinations.
type RouterConfig struct {
	Topics, Sessions, Retained int                                  // partitions; 0: 8, 4, 4
	Sinks                      broker.Sessions                      // the tier of session partitions; nil: there is none
	Gateways                   func(broker.NodeRef) broker.Gateway  // nil: there is none
	Place                      func(tenant, name string, n int) int // which of n partitions has a topic or an exact filter; nil: a hash of its own
	SyncQueueBytes             int                                  // of publishes that wait while routes are collected; 0: 64 KiB
}

// Router is the whole tier of routers in memory: it implements broker.Router, broker.RouterNode and broker.RouterAdmin. Close it.
type Router struct {
	loop
	cfg    RouterConfig
	flaws  flaws
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	revision uint64 // of epochs and incarnations
	alive    map[uint64]broker.NodeRef
	epochs   map[int]uint64 // of session partitions: the highest seen
	topics   []*topicPartition
	wild     routeTable
	retained []*retainedPartition
	turn     int // of gateways, for shared groups
}

// NewRouter makes a Router that owns all partitions and serves.
func NewRouter(cfg RouterConfig) *Router { return newRouter(cfg, nil) }

func newRouter(cfg RouterConfig, f flaws) *Router {
	cfg.Topics, cfg.Sessions, cfg.Retained = cmp.Or(cfg.Topics, 8), cmp.Or(cfg.Sessions, 4), cmp.Or(cfg.Retained, 4)
	cfg.SyncQueueBytes = cmp.Or(cfg.SyncQueueBytes, 64<<10)
	if cfg.Place == nil {
		cfg.Place = hash
	}
	r := &Router{cfg: cfg, flaws: f, alive: map[uint64]broker.NodeRef{}, epochs: map[int]uint64{}, wild: routeTable{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for n := range cfg.Topics {
		r.revision++
		r.topics = append(r.topics, newTopicPartition(r, n, r.revision))
	}
	for n := range cfg.Retained {
		r.revision++
		r.retained = append(r.retained, newRetainedPartition(r, n, r.revision))
	}
	return r
}

// Close ends all streams and waits for everything that runs.
func (r *Router) Close() {
	r.cancel()
	r.enter()
	for _, p := range r.topics {
		p.close(broker.E(broker.KindUnavailable, "router closed", nil))
	}
	r.leave()
	r.wg.Wait()
}

// TopicPartition is where a topic or an exact filter lives.
func (r *Router) TopicPartition(tenant, name string) int {
	return r.cfg.Place(tenant, name, r.cfg.Topics)
}

// RetainedPartition is where the retained message of a topic lives.
func (r *Router) RetainedPartition(tenant, name string) int {
	return r.cfg.Place(tenant, name, r.cfg.Retained)
}

// StartGateway makes a gateway incarnation that the router sees.
func (r *Router) StartGateway(id string) broker.NodeRef {
	r.enter()
	defer r.leave()
	r.revision++
	ref := broker.NodeRef{ID: id, Incarnation: r.revision}
	r.alive[ref.Incarnation] = ref
	return ref
}

// StopGateway makes the router see that an incarnation is gone, for ever; its routes go with it.
func (r *Router) StopGateway(ref broker.NodeRef) {
	r.enter()
	defer r.leave()
	delete(r.alive, ref.Incarnation)
	gone := destination{toGateway, ref.Incarnation}
	r.wild.forget(gone)
	for _, p := range r.topics {
		p.exact.forget(gone)
		if d := p.dests[gone]; d != nil {
			d.abandon()
			delete(p.dests, gone)
		}
	}
}

// UnseenGateway is an incarnation that the router may see later.
func (r *Router) UnseenGateway() broker.NodeRef {
	r.enter()
	defer r.leave()
	return broker.NodeRef{ID: "unseen", Incarnation: r.revision + 1000}
}

// MoveTopic gives a topic partition a new epoch. It serves when every origin answered a snapshot.
func (r *Router) MoveTopic(n int) {
	r.ReleaseTopic(n)
	r.enter()
	r.revision++
	p := newTopicPartition(r, n, r.revision)
	p.serving = false
	r.topics[n] = p
	r.leave()
	r.wg.Go(func() { r.synchronise(p) })
}

// ReleaseTopic gives a topic partition up: nobody owns it then.
func (r *Router) ReleaseTopic(n int) {
	r.enter()
	defer r.leave()
	r.topics[n].close(broker.E(broker.KindNotOwner, "topic partition released", nil))
}

// Routes implements broker.RouterAdmin. Nodes are named by their gateway's id, or "session-<partition>".
func (r *Router) Routes(ctx context.Context, q broker.RouteQuery) ([]broker.RouteInfo, error) {
	if err := ctx.Err(); err != nil {
		return nil, broker.E(broker.KindCanceled, "list routes", err)
	}
	r.enter()
	defer r.leave()
	found := map[routeName]map[string]bool{}
	r.wild.list(q, r.nodeName, found)
	for _, p := range r.topics {
		p.exact.list(q, r.nodeName, found)
	}
	var list []broker.RouteInfo
	for k, nodes := range found {
		info := broker.RouteInfo{Filter: k.filter, Group: k.group}
		for n := range nodes {
			info.Nodes = append(info.Nodes, n)
		}
		slices.Sort(info.Nodes)
		list = append(list, info)
	}
	slices.SortFunc(list, func(a, b broker.RouteInfo) int {
		return cmp.Or(cmp.Compare(a.Filter, b.Filter), cmp.Compare(a.Group, b.Group))
	})
	limit := cmp.Or(q.Limit, 100)
	for i := range list { // a filter is never split between pages
		if i >= limit && list[i].Filter != list[i-1].Filter {
			return list[:i], nil
		}
	}
	return list, nil
}

// RouterStats implements broker.RouterAdmin.
func (r *Router) RouterStats(context.Context) (map[string]int64, error) {
	r.enter()
	defer r.leave()
	n := int64(0)
	for _, p := range r.retained {
		n += int64(len(p.messages))
	}
	return map[string]int64{"retained/count": n}, nil
}
