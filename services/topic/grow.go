package topic

import "strings"

// leaf finds the leaf of a filter or makes it; a new one is zero.
func (t *trie[K, V]) leaf(filter string) (l *leaf[K, V], isNew bool) {
	number, depth := uint32(0), 0
	for level := range strings.SplitSeq(filter, "/") {
		depth++
		if level == "#" {
			t.depth = max(t.depth, depth)
			return t.leafOf(filter, &t.at(number).hash)
		}
		next := t.step(number, level)
		if next == 0 {
			next = t.grow(number, level)
		}
		number = next
	}
	t.depth = max(t.depth, depth)
	return t.leafOf(filter, &t.at(number).end)
}

// leafOf is the leaf that a node names, or a new one.
func (t *trie[K, V]) leafOf(filter string, number *uint32) (l *leaf[K, V], isNew bool) {
	if *number != 0 {
		return t.leafAt(*number), false
	}
	var w *wildLeaf[K, V]
	*number, w = t.leaves.add()
	w.filter = filter
	return &w.leaf, true
}

// grow makes the child of a node for a level other than #.
func (t *trie[K, V]) grow(number uint32, text string) uint32 {
	next, _ := t.nodes.add()
	n := t.at(number)
	if text == "+" {
		n.plus = next
		return next
	}
	id := t.use(text)
	if n.kid == 0 {
		n.kid, n.kidID = next, id
		return next
	}
	if t.kids == nil {
		t.kids = make(map[edge]uint32)
	}
	t.kids[edge{number, id}] = next
	n.kids++
	return next
}

// use is the number of a level text for one more node.
func (t *trie[K, V]) use(text string) uint32 {
	l := t.intern.Get(text)
	if l == nil {
		l, _ = t.intern.Put(strings.Clone(text)) // a part of a filter would keep all of it
		l.id, _ = t.texts.add()
	}
	l.refs++
	return l.id
}

// prune takes the leaf of a filter out, with the nodes that nothing else needs.
func (t *trie[K, V]) prune(filter string) {
	path := []uint32{0}
	levels := strings.Split(filter, "/")
	for _, level := range levels {
		if level == "#" {
			break
		}
		next := t.step(path[len(path)-1], level)
		if next == 0 {
			return
		}
		path = append(path, next)
	}
	last := t.at(path[len(path)-1])
	ends := &last.end
	if levels[len(levels)-1] == "#" {
		ends = &last.hash
	}
	t.leaves.remove(*ends)
	*ends = 0
	for i := len(path) - 1; i > 0 && *t.at(path[i]) == (node{}); i-- {
		t.nodes.remove(path[i])
		t.unlink(path[i-1], levels[i-1])
	}
}

// unlink forgets the child of a node and gives its level text back.
func (t *trie[K, V]) unlink(number uint32, text string) {
	n := t.at(number)
	if text == "+" {
		n.plus = 0
		return
	}
	l := t.intern.Get(text)
	if n.kidID == l.id {
		n.kid, n.kidID = 0, 0
	} else {
		n.kids--
		if delete(t.kids, edge{number, l.id}); len(t.kids) == 0 {
			t.kids = nil // a map never gets smaller
		}
	}
	if l.refs--; l.refs == 0 {
		t.texts.remove(l.id)
		t.intern.Delete(text)
	}
}
