package topic

import "strings"

// trie holds the filters with wildcards, level by level. Level texts are interned to numbers, so that a name's levels are looked up once and the
// walk compares numbers; number 0 stands for every text no filter has. The zero value is empty.
type trie[K comparable, V any] struct {
	root   node[K, V]
	intern map[string]*levelID
	free   []uint32 // numbers of texts that are gone
	last   uint32   // highest number in use so far
	depth  int      // levels of the deepest filter ever added: names are not taken apart beyond it
}

// levelID is the number of a level text and how many nodes use it.
type levelID struct {
	id   uint32
	refs int
}

// node is one level. Most nodes have one literal child: it is held in place, which saves a map and two cache misses per step.
type node[K comparable, V any] struct {
	plus *node[K, V]
	hash *leaf[K, V]            // filter that ends here with a further level #
	end  *leaf[K, V]            // filter that ends here
	kid  *node[K, V]            // the child for the literal kidID, if there is one
	kids map[uint32]*node[K, V] // further ones
	// kidID is 0 when there is no kid; kids may be filled then
	kidID uint32
}

// frame is a node that agrees with the first `level` levels of the name.
type frame[K comparable, V any] struct {
	n     *node[K, V]
	level int
}

func (n *node[K, V]) empty() bool {
	return n.kid == nil && len(n.kids) == 0 && n.plus == nil && n.hash == nil && n.end == nil
}

// child is the node of a literal level, nil if there is none.
func (n *node[K, V]) child(id uint32) *node[K, V] {
	if n.kidID == id {
		return n.kid
	}
	if n.kids == nil {
		return nil
	}
	return n.kids[id]
}

func (n *node[K, V]) add(id uint32, k *node[K, V]) {
	if n.kid == nil {
		n.kid, n.kidID = k, id
		return
	}
	if n.kids == nil {
		n.kids = make(map[uint32]*node[K, V])
	}
	n.kids[id] = k
}

func (n *node[K, V]) remove(id uint32) {
	if n.kidID == id {
		n.kid, n.kidID = nil, 0
		return
	}
	if delete(n.kids, id); len(n.kids) == 0 {
		n.kids = nil
	}
}

// match collects all leaves whose filter matches name.
func (t *trie[K, V]) match(name string, sc *matchScratch[K, V]) {
	if t.root.empty() || name == "" {
		return
	}
	levels, deeper := t.levels(name, sc.levels)
	sc.levels = levels
	stack := append(sc.stack, frame[K, V]{&t.root, 0})
	noWild := name[0] == '$'
	for len(stack) > 0 {
		f := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		n, i := f.n, f.level
		wild := i > 0 || !noWild
		if n.hash != nil && wild {
			sc.add(n.hash)
		}
		if i == len(levels) {
			if n.end != nil && !deeper {
				sc.add(n.end)
			}
			continue
		}
		if n.plus != nil && wild {
			stack = append(stack, frame[K, V]{n.plus, i + 1})
		}
		if id := levels[i]; id != 0 {
			if k := n.child(id); k != nil {
				stack = append(stack, frame[K, V]{k, i + 1})
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
		if l := t.intern[name[i:end]]; l != nil {
			id = l.id
		}
		dst = append(dst, id)
		if end == len(name) {
			return dst, false
		}
		i = end + 1
	}
}

// leaf finds the leaf of a filter or makes it.
func (t *trie[K, V]) leaf(filter string) (l *leaf[K, V], isNew bool) {
	filter = strings.Clone(filter)
	n, depth := &t.root, 0
	for level := range strings.SplitSeq(filter, "/") {
		depth++
		switch level {
		case "#":
			if n.hash == nil {
				n.hash, isNew = &leaf[K, V]{filter: filter}, true
			}
			t.depth = max(t.depth, depth)
			return n.hash, isNew
		case "+":
			if n.plus == nil {
				n.plus = new(node[K, V])
			}
			n = n.plus
		default:
			n = t.kid(n, level)
		}
	}
	t.depth = max(t.depth, depth)
	if n.end == nil {
		n.end, isNew = &leaf[K, V]{filter: filter}, true
	}
	return n.end, isNew
}

// kid finds the child for a literal level or makes it.
func (t *trie[K, V]) kid(n *node[K, V], level string) *node[K, V] {
	l := t.intern[level]
	if l != nil {
		if k := n.child(l.id); k != nil {
			return k
		}
	} else {
		l = &levelID{id: t.number()}
		if t.intern == nil {
			t.intern = make(map[string]*levelID)
		}
		t.intern[strings.Clone(level)] = l
	}
	l.refs++
	k := new(node[K, V])
	n.add(l.id, k)
	return k
}

func (t *trie[K, V]) number() uint32 {
	if n := len(t.free); n > 0 {
		id := t.free[n-1]
		t.free = t.free[:n-1]
		return id
	}
	t.last++
	return t.last
}

// step goes down one level of a filter other than #.
func (t *trie[K, V]) step(n *node[K, V], level string) *node[K, V] {
	if level == "+" {
		return n.plus
	}
	if l := t.intern[level]; l != nil {
		return n.child(l.id)
	}
	return nil
}

// find is the leaf of a filter, or nil.
func (t *trie[K, V]) find(filter string) *leaf[K, V] {
	n := &t.root
	for level := range strings.SplitSeq(filter, "/") {
		if level == "#" {
			return n.hash
		}
		if n = t.step(n, level); n == nil {
			return nil
		}
	}
	return n.end
}

// prune takes the leaf of a filter out, with the nodes that nothing else needs.
func (t *trie[K, V]) prune(filter string) {
	path := []*node[K, V]{&t.root}
	levels := strings.Split(filter, "/")
	for _, level := range levels {
		if level == "#" {
			break
		}
		n := t.step(path[len(path)-1], level)
		if n == nil {
			return
		}
		path = append(path, n)
	}
	last := path[len(path)-1]
	if levels[len(levels)-1] == "#" {
		last.hash = nil
	} else {
		last.end = nil
	}
	for i := len(path) - 1; i > 0 && path[i].empty(); i-- {
		t.unlink(path[i-1], levels[i-1])
	}
}

// unlink removes a child and gives its level text back.
func (t *trie[K, V]) unlink(n *node[K, V], level string) {
	if level == "+" {
		n.plus = nil
		return
	}
	l := t.intern[level]
	n.remove(l.id)
	if l.refs--; l.refs == 0 {
		delete(t.intern, level)
		t.free = append(t.free, l.id)
	}
}

// each visits every leaf in no particular order.
func (t *trie[K, V]) each(fn func(*leaf[K, V])) {
	stack := []*node[K, V]{&t.root}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if n.end != nil {
			fn(n.end)
		}
		if n.hash != nil {
			fn(n.hash)
		}
		if n.plus != nil {
			stack = append(stack, n.plus)
		}
		if n.kid != nil {
			stack = append(stack, n.kid)
		}
		for _, k := range n.kids {
			stack = append(stack, k)
		}
	}
}
