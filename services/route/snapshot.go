package route

import (
	"context"

	"github.com/pando-mq/pando/services/broker"
)

// SnapshotRoutes answers a router that synchronises, and registers it in the same step (rule N1). It implements broker.RouteSource for one origin.
func (a *Announcer) SnapshotRoutes(ctx context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	want := -1
	if !q.Wildcards {
		want = q.Topic
	}
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return broker.SnapshotInfo{}, ErrClosed
	}
	a.regs[registration{q.Router.Incarnation, want}] = q.Revision
	var all []broker.RouteDelta
	a.routes.each(want, func(k Key, e *entry) {
		if e.members > 0 {
			all = append(all, a.delta(k, e))
		}
	})
	info := broker.SnapshotInfo{Origin: a.cfg.Origin, Version: a.version}
	a.mu.Unlock()
	for len(all) > 0 {
		n := min(len(all), deltaBatch)
		if err := ctx.Err(); err != nil {
			return broker.SnapshotInfo{}, err
		}
		if err := yield(all[:n]); err != nil {
			return broker.SnapshotInfo{}, err
		}
		all = all[n:]
	}
	return info, nil
}
