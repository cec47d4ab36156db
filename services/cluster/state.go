package cluster

import (
	"fmt"
	"slices"
	"strings"
)

// state is the mutable form of a view: every key, decoded once. Its owner serialises the calls.
type state struct {
	revision uint64
	entries  map[string]entry
}

type entry struct {
	pair
	decoded any // nil if the value could not be read
}

// reset replaces everything by a snapshot, unless that is older; it reports whether it did. Unchanged keys are not decoded again.
func (s *state) reset(snap snapshot) (done bool, bad []error) {
	if snap.revision <= s.revision && s.entries != nil {
		return false, nil
	}
	old := s.entries
	s.entries = make(map[string]entry, len(snap.pairs))
	s.revision = snap.revision
	for _, p := range snap.pairs {
		if e, ok := old[p.key]; ok && e.changed == p.changed {
			s.entries[p.key] = e
			continue
		}
		bad = s.put(p, bad)
	}
	return true, bad
}

// apply takes the changes that are newer than the state; it reports whether there was one. A change list holds complete revisions.
func (s *state) apply(changes []change) (done bool, bad []error) {
	known := s.revision
	for _, c := range changes {
		if c.changed <= known {
			continue
		}
		done = true
		s.revision = max(s.revision, c.changed)
		if c.deleted {
			delete(s.entries, c.key)
			continue
		}
		bad = s.put(c.pair, bad)
	}
	return done, bad
}

func (s *state) put(p pair, bad []error) []error {
	decoded, err := decodePair(p)
	if err != nil {
		bad = append(bad, fmt.Errorf("key %s: %w", p.key, err))
		decoded = nil
	}
	s.entries[p.key] = entry{pair: p, decoded: decoded}
	return bad
}

// view renders the state.
func (s *state) view() *View {
	v := &View{
		Revision: s.revision,
		nodes:    make(map[Role][]Node),
		byInc:    make(map[uint64]Node),
		owners:   make(map[Space]map[int]Owner),
		assigned: make(map[Space]assignment),
	}
	for _, e := range s.entries {
		switch d := e.decoded.(type) {
		case Node:
			v.nodes[d.Role] = append(v.nodes[d.Role], d)
			v.byInc[d.Incarnation] = d
		case owned:
			if v.owners[d.space] == nil {
				v.owners[d.space] = make(map[int]Owner)
			}
			v.owners[d.space][d.partition] = d.owner
		case spaceAssignment:
			v.assigned[d.space] = d.assignment
		case holder:
			v.assigner = d
		}
	}
	for _, nodes := range v.nodes {
		slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.ID, b.ID) })
	}
	return v
}
