package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// atOnce bounds how many services one question is under way to.
const atOnce = 32

// Deps is what a Fleet stands on. All fields must be set.
type Deps struct {
	Cluster  cluster.Cluster
	Gateways func(cluster.Node) broker.GatewayAdmin
	Stores   func(cluster.Node) broker.SessionAdmin
	Routers  func(cluster.Node) broker.RouterAdmin
	// Processes are those of any role; nil for one that only its own management reaches.
	Processes func(cluster.Node) broker.ProcessAdmin
	Auth      broker.AuthAdmin
	Timeout   time.Duration                                    // how long one service may take
	Asked     func(role string, took time.Duration, err error) // counts each question to a service
}

// Fleet is the cluster as management sees it. Safe for use by many goroutines.
type Fleet struct{ deps Deps }

// New makes a Fleet.
func New(d Deps) *Fleet { return &Fleet{deps: d} }

// Auth manages users and rules: authsvc spreads the changes itself.
func (f *Fleet) Auth() broker.AuthAdmin { return f.deps.Auth }

// Missing names a service whose part of an answer is not there.
type Missing struct {
	Service string // "gateway gw-1", or what has no owner: "session partitions"
	Reason  string
}

// answer is what one service said.
type answer[R any] struct {
	node cluster.Node
	rows R
	err  error
}

// name is the configured name of a process, its id if it told none.
func name(n cluster.Node) string { return cmp.Or(n.Meta["name"], n.ID) }

// gateways are the nodes of that name, "" for all.
func (f *Fleet) gateways(node string) []cluster.Node {
	return named(f.deps.Cluster.View().Nodes(cluster.Gateway), node)
}

func named(nodes []cluster.Node, node string) []cluster.Node {
	if node == "" {
		return nodes
	}
	var list []cluster.Node
	for _, n := range nodes {
		if name(n) == node {
			list = append(list, n)
		}
	}
	return list
}

func (f *Fleet) stores() []cluster.Node  { return f.deps.Cluster.View().Nodes(cluster.SessionStore) }
func (f *Fleet) routers() []cluster.Node { return f.deps.Cluster.View().Nodes(cluster.Router) }

// Known reports whether some process of that name holds connections or sessions.
func (f *Fleet) Known(node string) bool {
	return len(f.gateways(node)) > 0 || len(named(f.stores(), node)) > 0
}

// ask puts one question to all nodes at the same time. The answers are in the order of nodes.
func ask[C, R any](ctx context.Context, f *Fleet, nodes []cluster.Node, client func(cluster.Node) C, fn func(context.Context, C) (R, error)) []answer[R] {
	answers := make([]answer[R], len(nodes))
	free := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, n := range nodes {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			one, cancel := context.WithTimeout(ctx, f.deps.Timeout)
			defer cancel()
			begin := time.Now()
			rows, err := fn(one, client(n))
			f.deps.Asked(string(n.Role), time.Since(begin), err)
			answers[i] = answer[R]{n, rows, err}
		})
	}
	wg.Wait()
	return answers
}

// missing names those that did not answer.
func missing[R any](answers []answer[R]) []Missing {
	var list []Missing
	for _, a := range answers {
		if a.err != nil {
			list = append(list, Missing{fmt.Sprintf("%s %s", a.node.Role, a.node.ID), reason(a.err)})
		}
	}
	return list
}

// reason is an error in words for people; an ended deadline is the service's silence.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "did not answer in time"
	}
	return err.Error()
}

// refusal finds an answer that says the question itself is wrong: then no other answer matters.
func refusal[R any](answers []answer[R]) error {
	for _, a := range answers {
		if a.err == nil {
			continue
		}
		switch broker.KindOf(a.err) {
		case broker.KindInvalid, broker.KindDenied, broker.KindQuota, broker.KindTooLarge:
			return a.err
		}
	}
	return nil
}

// holder gives the answer of the one that has what was asked for. None: KindNotFound, or KindUnavailable when somebody did not answer.
func holder[R any](op string, answers []answer[R]) (R, error) {
	var none R
	var absent []error
	for _, a := range answers {
		if a.err == nil {
			return a.rows, nil
		}
		if broker.KindOf(a.err) != broker.KindNotFound {
			absent = append(absent, fmt.Errorf("%s %s: %s", a.node.Role, a.node.ID, reason(a.err)))
		}
	}
	if err := refusal(answers); err != nil {
		return none, err
	}
	if len(absent) > 0 {
		return none, broker.E(broker.KindUnavailable, op, errors.Join(absent...))
	}
	return none, broker.E(broker.KindNotFound, op, nil)
}

// unowned names the partitions of a space that nobody answers for at present.
func (f *Fleet) unowned(space cluster.Space) []Missing {
	v, n := f.deps.Cluster.View(), f.deps.Cluster.Meta().Partitions[space]
	lost := 0
	for p := range n {
		if _, ok := v.Owner(space, p); !ok {
			lost++
		}
	}
	if lost == 0 {
		return nil
	}
	return []Missing{{fmt.Sprintf("%s partitions", space), fmt.Sprintf("%d of %d have no owner at present", lost, n)}}
}

// sortedMissing orders and removes repetitions.
func sortedMissing(list []Missing) []Missing {
	slices.SortFunc(list, func(a, b Missing) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Reason, b.Reason))
	})
	return slices.Compact(list)
}
