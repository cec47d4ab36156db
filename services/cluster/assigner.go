package cluster

import (
	"context"
	"slices"
	"time"
)

// assigner is one member's candidacy for writing the assignments. It holds no truth: who is elected is what elect/assigner says in
// the view, and each write is conditional on that key and on the assignment it was computed from.
type assigner struct {
	m     *member
	since map[Space]time.Time // when a move that can wait was first seen
	acted bool                // this member was the assigner at the last look
	done  *View               // all is assigned as it should be, as this view has it: nothing to compute until there is another one
}

func newAssigner(m *member) *assigner { return &assigner{m: m, since: make(map[Space]time.Time)} }

// run looks at each view, and again when a move that waited is due.
func (a *assigner) run(ctx context.Context) {
	timer := time.NewTimer(recheck)
	defer timer.Stop()
	defer a.note(false)
	for {
		v, changed := a.m.h.observe()
		timer.Reset(a.step(ctx, v))
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// step stands for election or assigns; it returns when to look again at the latest.
func (a *assigner) step(ctx context.Context, v *View) time.Duration {
	self := a.m.self
	a.note(v.assigner.incarnation == self.Incarnation)
	next := recheck
	switch {
	case v.assigner.revision == 0 && hosts(v, self):
		a.stand(ctx)
	case a.acted && a.done == v:
	case a.acted:
		settled := true
		for space, n := range a.m.h.meta.Partitions {
			wait, as := a.assign(ctx, v, space, n)
			next, settled = min(next, wait), settled && as
		}
		if settled {
			a.done = v
		}
	default:
		clear(a.since)
	}
	return next
}

// hosts says that a member hosts a space, as the view has it: only such a member stands for election.
func hosts(v *View, self Node) bool {
	n, ok := v.ByIncarnation(self.Incarnation)
	return ok && len(n.Spaces) > 0
}

// stand writes the election's key if it is absent. The view tells the outcome.
func (a *assigner) stand(ctx context.Context) {
	ctx, cancel := a.m.h.callContext(ctx)
	defer cancel()
	_, _, err := a.m.h.store.txn(ctx,
		[]cond{{key: assignerKey}, {key: a.m.key, created: a.m.self.Incarnation}},
		[]write{{key: assignerKey, value: encodeOwner(a.m.self), lease: a.m.lease}})
	if err != nil {
		a.m.h.log.Debug("the outcome of standing for election is unknown", "node", a.m.key, "error", err)
	}
}

// assign writes the assignment of a space if it is due; it returns when to look again, and whether it already is as it should be.
func (a *assigner) assign(ctx context.Context, v *View, s Space, partitions int) (next time.Duration, settled bool) {
	nodes := eligible(v, s)
	present := v.assigned[s]
	wanted := Assign(s, partitions, present.nodes, nodes)
	if len(nodes) == 0 || slices.Equal(wanted, present.nodes) {
		delete(a.since, s)
		return recheck, true
	}
	if !urgent(present.nodes, nodes) {
		first, ok := a.since[s]
		if !ok {
			first = time.Now()
			a.since[s] = first
		}
		if left := a.m.h.options.Settle - time.Since(first); left > 0 {
			return left, false
		}
	}
	delete(a.since, s)
	a.write(ctx, v, s, wanted)
	return recheck, false
}

// write replaces the assignment that the view shows, if it is still that one and this member still the assigner.
func (a *assigner) write(ctx context.Context, v *View, s Space, nodes []string) {
	ctx, cancel := a.m.h.callContext(ctx)
	defer cancel()
	present := v.assigned[s]
	record := assignRecord{Format: recordFormat, Generation: present.generation + 1, Nodes: nodes}
	key := assignKey(s)
	done, _, err := a.m.h.store.txn(ctx,
		[]cond{{key: assignerKey, created: v.assigner.revision}, {key: key, created: present.created, changed: present.changed}},
		[]write{{key: key, value: encode(record)}})
	if err != nil || !done {
		a.m.h.log.Debug("an assignment was not written", "space", s, "error", err)
		return
	}
	a.m.h.metrics.assignments.WithLabelValues(string(s)).Inc()
	a.m.h.log.Info("partitions are assigned", "space", s, "generation", record.Generation, "nodes", eligible(v, s))
}

// note keeps the metric of being the assigner.
func (a *assigner) note(elected bool) {
	if elected == a.acted {
		return
	}
	a.acted = elected
	if elected {
		a.m.h.metrics.assigner.Inc()
		return
	}
	a.m.h.metrics.assigner.Dec()
}

// eligible returns the ids of the nodes that host a space and are not draining, sorted.
func eligible(v *View, s Space) []string {
	var ids []string
	for _, n := range v.Nodes(s.Role()) {
		if n.State != StateDraining && slices.Contains(n.Spaces, s) {
			ids = append(ids, n.ID)
		}
	}
	return ids
}

// urgent says that a partition is assigned to a node that cannot have it.
func urgent(present, nodes []string) bool {
	return slices.ContainsFunc(present, func(id string) bool { return id != "" && !slices.Contains(nodes, id) })
}
