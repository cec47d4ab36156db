package topic

import (
	"strings"
	"sync"
)

// Retained is the index in reverse: names are stored, each with one value, and asked for by filter. A query walks only that part of the tree of levels
// that can match. Every method may be called from any goroutine: one read-write lock guards the tree. Queries take it for a bounded number of steps at
// a time and never while the caller's function runs. Names come in order of their levels, compared one after the other byte by byte.
type Retained[V any] struct {
	mu   sync.RWMutex
	root nameNode[V] // guarded by mu
	n    int         // guarded by mu
}

// nameNode is one level of stored names.
type nameNode[V any] struct {
	level  string
	name   string // the whole name, when has
	parent *nameNode[V]
	kids   nodeList[V]
	has    bool
	value  V
}

// Item is one stored name with its value.
type Item[V any] struct {
	Name  string
	Value V
}

const (
	queryItems = 256  // items a query gathers per lock
	queryNodes = 4096 // nodes a query looks at per lock
)

// NewRetained makes an empty index.
func NewRetained[V any]() *Retained[V] { return new(Retained[V]) }

// Put stores value under a valid name, in place of an older one, which it returns.
func (r *Retained[V]) Put(name string, value V) (old V, replaced bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := &r.root
	for level := range strings.SplitSeq(name, "/") {
		k := n.kids.find(level)
		if k == nil {
			k = &nameNode[V]{level: strings.Clone(level), parent: n}
			n.kids.insert(k)
		}
		n = k
	}
	old, replaced = n.value, n.has
	n.value, n.has = value, true
	if !replaced {
		n.name = strings.Clone(name)
		r.n++
	}
	return old, replaced
}

// Delete takes a name out and returns what was stored under it.
func (r *Retained[V]) Delete(name string) (old V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.lookup(name)
	if n == nil {
		return old, false
	}
	old = n.value
	var zero V
	n.has, n.value, n.name = false, zero, ""
	r.n--
	for n.parent != nil && !n.has && n.kids.empty() {
		n.parent.kids.remove(n.level)
		n = n.parent
	}
	return old, true
}

// Get returns what is stored under a name.
func (r *Retained[V]) Get(name string) (value V, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if n := r.lookup(name); n != nil {
		return n.value, true
	}
	return value, false
}

// lookup is the node of a stored name, or nil.
func (r *Retained[V]) lookup(name string) *nameNode[V] {
	n := &r.root
	for level := range strings.SplitSeq(name, "/") {
		if n = n.kids.find(level); n == nil {
			return nil
		}
	}
	if !n.has {
		return nil
	}
	return n
}

// Len counts the stored names.
func (r *Retained[V]) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.n
}

// Query calls fn for every stored name that a valid inner filter matches, in order, until fn returns false. A name that is stored during the whole call is
// seen once; one that is put or deleted meanwhile may be seen or not.
func (r *Retained[V]) Query(filter string, fn func(name string, value V) bool) {
	c := newCursor(filter, nil)
	var items []Item[V]
	for !c.done {
		items = r.page(c, items[:0], queryItems)
		for _, it := range items {
			if !fn(it.Name, it.Value) {
				return
			}
		}
	}
}

// Page returns at most limit matches (0: 256) that come after the given name, "" for the first. more says that there may be further ones:
// ask again after the last name returned. A page with more is never empty.
func (r *Retained[V]) Page(filter, after string, limit int) (items []Item[V], more bool) {
	if limit <= 0 {
		limit = queryItems
	}
	var from []string
	if after != "" {
		from = strings.Split(after, "/")
	}
	c := newCursor(filter, from)
	for !c.done && len(items) < limit {
		items = r.page(c, items, limit)
	}
	return items, !c.done
}

// cursor is how far a query came: the levels of the last node it looked at.
type cursor struct {
	filter []string
	at     []string // nil: at the beginning
	done   bool
}

func newCursor(filter string, at []string) *cursor {
	return &cursor{filter: strings.Split(filter, "/"), at: at}
}

// page appends matches to items until there are limit of them, the lock has been held for long enough or nothing is left (c.done).
func (r *Retained[V]) page(c *cursor, items []Item[V], limit int) []Item[V] {
	r.mu.RLock()
	defer r.mu.RUnlock()
	w := walk[V]{filter: c.filter}
	w.seek(&r.root, c.at)
	for range queryNodes {
		n, matched := w.next()
		if n == nil {
			c.done = true
			return items
		}
		if !matched {
			continue
		}
		items = append(items, Item[V]{n.name, n.value})
		if len(items) == limit {
			break
		}
	}
	c.at = w.path()
	return items
}
