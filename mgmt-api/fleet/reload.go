package fleet

import (
	"context"
	"fmt"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// Reloaded is a process that read its configuration again, or refused to.
type Reloaded struct {
	Process string // "router r-1"; of a process with several roles, its id
	Changes []broker.ConfigChange
	Err     error // KindInvalid: the old configuration stays
}

// errAlone is why a process is not asked.
var errAlone = broker.Errorf(broker.KindUnavailable, "its configuration is read again by SIGHUP, or by pandoctl with its own data directory")

// ReloadConfig has the processes of that name ("" for all) read their configuration again, each once. KindNotFound: there is none.
func (f *Fleet) ReloadConfig(ctx context.Context, node string) (list []Reloaded, lost []Missing, err error) {
	nodes, shared := f.processes(node)
	if len(nodes) == 0 {
		return nil, nil, broker.E(broker.KindNotFound, "reload configuration", nil)
	}
	answers := ask(ctx, f, nodes, f.deps.Processes, func(ctx context.Context, p broker.ProcessAdmin) ([]broker.ConfigChange, error) {
		if p == nil {
			return nil, errAlone
		}
		return p.ReloadConfig(ctx)
	})
	for i, a := range answers {
		who := fmt.Sprintf("%s %s", a.node.Role, a.node.ID)
		if shared[a.node.Incarnation] {
			who = a.node.ID
		}
		if a.err == nil || broker.KindOf(a.err) == broker.KindInvalid {
			list = append(list, Reloaded{who, a.rows, a.err})
			answers[i].err = nil
		}
	}
	return list, missing(answers), nil
}

// processes gives one node of each process, by role and id, and those that stand for several.
func (f *Fleet) processes(node string) (list []cluster.Node, shared map[uint64]bool) {
	first := map[string]uint64{} // incarnation by id, of processes with several roles: they have no address, since nobody else is there
	shared = map[uint64]bool{}
	for _, s := range f.Services() {
		if node != "" && s.Name != node {
			continue
		}
		if s.Addr == "" {
			if inc, ok := first[s.ID]; ok {
				shared[inc] = true
				continue
			}
			first[s.ID] = s.Incarnation
		}
		list = append(list, s.Node)
	}
	return list, shared
}
