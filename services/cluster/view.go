package cluster

import (
	"slices"
	"strings"
)

// View is the cluster at one revision. It is immutable and safe for concurrent use.
type View struct {
	// Revision of the store that the view shows. Everything written up to it is in the view.
	Revision uint64

	nodes    map[Role][]Node // sorted by ID
	byInc    map[uint64]Node
	owners   map[Space]map[int]Owner
	assigned map[Space]assignment
	assigner holder
}

// assignment is a decoded assign/<space>.
type assignment struct {
	generation       uint64
	nodes            []string // by partition; "" for none
	created, changed uint64   // revisions of the key, 0 if there is none
}

// holder is the decoded elect/assigner and its create revision, 0 if there is none.
type holder struct {
	incarnation uint64
	revision    uint64
}

// Nodes returns the nodes of a role, sorted by ID. The slice is shared: read only.
func (v *View) Nodes(r Role) []Node { return v.nodes[r] }

// Node returns the node of a role with an id.
func (v *View) Node(r Role, id string) (Node, bool) {
	nodes := v.nodes[r]
	i, ok := slices.BinarySearchFunc(nodes, id, func(n Node, id string) int { return strings.Compare(n.ID, id) })
	if !ok {
		return Node{}, false
	}
	return nodes[i], true
}

// ByIncarnation returns the node, of any role, that registered with this incarnation and is still there.
func (v *View) ByIncarnation(inc uint64) (Node, bool) {
	n, ok := v.byInc[inc]
	return n, ok
}

// Owner returns who owns partition p of a space. At a hand-over, and until the lease of a dead owner ends, that is still the old
// one; between two owners there is none.
func (v *View) Owner(s Space, p int) (Owner, bool) {
	o, ok := v.owners[s][p]
	return o, ok
}

// Assigned returns the id of the node that is to own partition p of a space, "" if none is chosen yet. It owns the partition only
// when Owner says so.
func (v *View) Assigned(s Space, p int) string {
	nodes := v.assigned[s].nodes
	if p < 0 || p >= len(nodes) {
		return ""
	}
	return nodes[p]
}
