package topic

import "strings"

// trie holds the filters with wildcards, level by level. It is flat: nodes and leaves have numbers, and what leads from one to the next has no pointer, so
// that the garbage collector has little to look at. Level texts are interned to numbers too: a name's levels are looked up once and the walk compares
// numbers. Number 0 stands for none, and for every text no filter has. The zero value is empty.
//
//	root ─ kid "a" ─ plus ─ kid "b" ─ end: leaf of a/+/b
//	                   └─── hash: leaf of a/+/#
type trie[K comparable, V any] struct {
	root   node
	nodes  slab[node]
	leaves slab[wildLeaf[K, V]]
	kids   map[edge]uint32 // children for literal levels, but the first of each node
	intern Table[level]
	texts  slab[struct{}] // the numbers of intern
	depth  int            // levels of the deepest filter ever added: names are not taken apart beyond it
}

// wildLeaf is a leaf with its filter; a filter is never empty, but that of a number that is not in use.
type wildLeaf[K comparable, V any] struct {
	filter string
	leaf[K, V]
}

// level is the number of a level text and how many nodes use it.
type level struct{ id, refs uint32 }

// edge leads from a node (0: the root) to its child for a level.
type edge struct{ node, level uint32 }

// node is one level. Most nodes have one literal child: it is held in place, which saves a look-up per step.
type node struct {
	plus  uint32 // node
	hash  uint32 // leaf of the filter that ends here with a further level #
	end   uint32 // leaf of the filter that ends here
	kid   uint32 // the child for the literal kidID, if there is one
	kidID uint32
	kids  uint32 // how many further children there are; there may be some without a kid
}

// frame is a node that agrees with the first `level` levels of the name.
type frame struct {
	node  uint32
	level int
}

// at is a node; its pointer is valid until the next node is made.
func (t *trie[K, V]) at(number uint32) *node {
	if number == 0 {
		return &t.root
	}
	return t.nodes.at(number)
}

// child is the node of a literal level, 0 if there is none.
func (t *trie[K, V]) child(n *node, number, id uint32) uint32 {
	switch {
	case n.kidID == id:
		return n.kid
	case n.kids == 0:
		return 0
	}
	return t.kids[edge{number, id}]
}

// match collects all leaves whose filter matches name.
func (t *trie[K, V]) match(name string, sc *matchScratch[K, V]) {
	if t.root == (node{}) || name == "" {
		return
	}
	levels, deeper := t.levels(name, sc.levels)
	sc.levels = levels
	stack := append(sc.stack, frame{})
	noWild := name[0] == '$'
	for len(stack) > 0 {
		f := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		n, i := t.at(f.node), f.level
		wild := i > 0 || !noWild
		if n.hash != 0 && wild {
			sc.addWild(t.leaves.at(n.hash))
		}
		if i == len(levels) {
			if n.end != 0 && !deeper {
				sc.addWild(t.leaves.at(n.end))
			}
			continue
		}
		if n.plus != 0 && wild {
			stack = append(stack, frame{n.plus, i + 1})
		}
		if id := levels[i]; id != 0 {
			if k := t.child(n, f.node, id); k != 0 {
				stack = append(stack, frame{k, i + 1})
			}
		}
	}
	sc.stack = stack[:0]
}

// levels turns a name into numbers, at most as many as a filter can need; deeper says that levels were left out.
func (t *trie[K, V]) levels(name string, dst []uint32) (_ []uint32, deeper bool) {
	for i := 0; ; {
		if len(dst) == t.depth {
			return dst, true
		}
		end := levelEnd(name, i)
		id := uint32(0)
		if l := t.intern.Get(name[i:end]); l != nil {
			id = l.id
		}
		dst = append(dst, id)
		if end == len(name) {
			return dst, false
		}
		i = end + 1
	}
}

// step goes down one level of a filter other than #; 0 if there is no such node.
func (t *trie[K, V]) step(number uint32, level string) uint32 {
	n := t.at(number)
	if level == "+" {
		return n.plus
	}
	if l := t.intern.Get(level); l != nil {
		return t.child(n, number, l.id)
	}
	return 0
}

// find is the leaf of a filter, or nil.
func (t *trie[K, V]) find(filter string) *leaf[K, V] {
	number := uint32(0)
	for level := range strings.SplitSeq(filter, "/") {
		if level == "#" {
			return t.leafAt(t.at(number).hash)
		}
		if number = t.step(number, level); number == 0 {
			return nil
		}
	}
	return t.leafAt(t.at(number).end)
}

func (t *trie[K, V]) leafAt(number uint32) *leaf[K, V] {
	if number == 0 {
		return nil
	}
	return &t.leaves.at(number).leaf
}

// each visits the filter of every leaf in no particular order.
func (t *trie[K, V]) each(fn func(filter string)) {
	for _, c := range t.leaves.chunks {
		for i := range c {
			if c[i].filter != "" {
				fn(c[i].filter)
			}
		}
	}
}
