package topic

import (
	"slices"
	"strings"
)

// walk goes through the nodes of a Retained that agree with a beginning of a filter, parents before children, siblings in order. It keeps its own stack,
// as deep as the filter, or below a # as deep as the tree.
type walk[V any] struct {
	filter []string
	stack  []walkFrame[V]
}

// walkFrame is a node whose children are being looked at.
type walkFrame[V any] struct {
	n    *nameNode[V]
	kids place // next child
	only bool  // a literal level: its one child was looked up; it is the last
	done bool
}

// seek puts the walk behind the node with these levels (which need not be there any more), or for nil at the beginning.
func (w *walk[V]) seek(root *nameNode[V], at []string) {
	w.push(root)
	for depth, level := range at {
		f := &w.stack[len(w.stack)-1]
		if f.done {
			return
		}
		if f.only {
			k := f.n.kids.at(f.kids)
			switch c := strings.Compare(k.level, level); {
			case c > 0:
				return
			case c < 0:
				f.done = true
				return
			}
			f.done = true
			w.push(k)
			continue
		}
		f.kids = f.n.kids.seek(level)
		k := f.n.kids.at(f.kids)
		if k == nil || k.level != level || !w.allowed(k, depth) {
			return
		}
		f.kids = f.n.kids.after(f.kids)
		w.push(k)
	}
}

// push opens the children of n, which lies as many levels deep as the stack has frames.
func (w *walk[V]) push(n *nameNode[V]) {
	f := walkFrame[V]{n: n}
	if depth := len(w.stack); !w.below(depth) {
		if depth >= len(w.filter) {
			f.done = true
		} else if level := w.filter[depth]; level != "+" && level != "#" {
			f.only = true
			f.kids = n.kids.seek(level)
			if k := n.kids.at(f.kids); k == nil || k.level != level {
				f.done = true
			}
		}
	}
	w.stack = append(w.stack, f)
}

// below reports whether the children of a node so deep are all matched by a trailing #.
func (w *walk[V]) below(depth int) bool {
	last := len(w.filter) - 1
	return depth >= last && w.filter[last] == "#"
}

// allowed refuses names with $ at the top to filters that begin with a wildcard (MQTT 5.0 §4.7.2).
func (w *walk[V]) allowed(k *nameNode[V], depth int) bool {
	return depth > 0 || !strings.HasPrefix(k.level, "$") || w.filter[0] != "+" && w.filter[0] != "#"
}

// next is the next node, and whether it holds a name that matches; nil at the end.
func (w *walk[V]) next() (n *nameNode[V], matched bool) {
	for len(w.stack) > 0 {
		depth := len(w.stack) - 1
		f := &w.stack[depth]
		k := f.n.kids.at(f.kids)
		if f.done || k == nil {
			w.stack = w.stack[:depth]
			continue
		}
		f.done = f.only
		f.kids = f.n.kids.after(f.kids)
		if !w.allowed(k, depth) {
			f.kids = f.n.kids.seek("%") // behind everything that begins with $
			continue
		}
		w.push(k)
		depth++ // of k
		return k, k.has && (depth == len(w.filter) || w.below(depth))
	}
	return nil, false
}

// path is the levels of the node that next returned last.
func (w *walk[V]) path() []string {
	var at []string
	for n := w.stack[len(w.stack)-1].n; n.parent != nil; n = n.parent {
		at = append(at, n.level)
	}
	slices.Reverse(at)
	return at
}
