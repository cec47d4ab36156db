package topic

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// Index finds, for a name, the values stored under every filter that matches it. A filter holds any number of values, told apart by a key.
//
// Filters without wildcards live in sharded hashes, those with wildcards in one flat trie of levels. The cost of a match is one map look-up plus the trie nodes that
// agree with a beginning of the name, and at most all nodes of the trie. Every method may be called from any goroutine: each shard of the exact filters
// and the trie have a read-write lock. A Match that begins after an Add or Remove returned sees it.
type Index[K comparable, V any] struct {
	seed    maphash.Seed
	shards  []indexShard[K, V]
	filters atomic.Int64
	values  atomic.Int64
	scratch sync.Pool // of *matchScratch[K, V]

	trieMu sync.RWMutex
	trie   trie[K, V] // guarded by trieMu
}

type indexShard[K comparable, V any] struct {
	mu    sync.RWMutex
	exact Table[leaf[K, V]]
	_     [16]byte // cache lines of its own
}

// matchScratch is what one Match needs besides the index itself; kept for the next one.
type matchScratch[K comparable, V any] struct {
	hits   []hit[K, V]
	levels []uint32
	stack  []frame
}

type hit[K comparable, V any] struct {
	filter string
	entry[K, V]
}

// scratchKeep is how many hits a scratch may have room for to be kept: a rare huge fan-out must not hold memory for ever.
const scratchKeep = 1 << 14

// NewIndex makes an empty index with so many shards, rounded up to a power of two; 0 means 64. One shard suits an index of one goroutine.
func NewIndex[K comparable, V any](shards int) *Index[K, V] {
	if shards <= 0 {
		shards = 64
	}
	n := 1
	for n < shards {
		n <<= 1
	}
	x := &Index[K, V]{seed: maphash.MakeSeed(), shards: make([]indexShard[K, V], n)}
	x.scratch.New = func() any { return new(matchScratch[K, V]) }
	return x
}

// shard is where an exact filter lives.
func (x *Index[K, V]) shard(s string) *indexShard[K, V] {
	if len(x.shards) == 1 {
		return &x.shards[0]
	}
	return &x.shards[maphash.String(x.seed, s)&uint64(len(x.shards)-1)]
}

// Add stores value under (filter, key), in place of an older value of the same key. filter must be valid (see [ValidateFilter]); prefixes mean nothing
// here. A new filter's text is kept as it is, and so whatever that is a part of. It returns how many keys the filter has now, and whether the key was there already.
func (x *Index[K, V]) Add(filter string, key K, value V) (keys int, replaced bool) {
	var l *leaf[K, V]
	var isNew bool
	if HasWildcard(filter) {
		x.trieMu.Lock()
		defer x.trieMu.Unlock()
		l, isNew = x.trie.leaf(filter)
	} else {
		s := x.shard(filter)
		s.mu.Lock()
		defer s.mu.Unlock()
		l, isNew = s.exact.Put(filter)
	}
	if isNew {
		l.one = entry[K, V]{value, key}
		x.filters.Add(1)
	} else {
		replaced = l.put(key, value)
	}
	if !replaced {
		x.values.Add(1)
	}
	return l.len(), replaced
}

// Remove takes the value of (filter, key) out. It returns how many keys the filter still has, and whether there was such a value.
func (x *Index[K, V]) Remove(filter string, key K) (keys int, removed bool) {
	if HasWildcard(filter) {
		x.trieMu.Lock()
		defer x.trieMu.Unlock()
		l := x.trie.find(filter)
		if keys, removed = l.drop(key); removed && keys == 0 {
			x.trie.prune(filter)
		}
	} else {
		s := x.shard(filter)
		s.mu.Lock()
		defer s.mu.Unlock()
		if keys, removed = s.exact.Get(filter).drop(key); removed && keys == 0 {
			s.exact.Delete(filter)
		}
	}
	if removed {
		x.values.Add(-1)
		if keys == 0 {
			x.filters.Add(-1)
		}
	}
	return keys, removed
}

// Get returns the value stored under (filter, key).
func (x *Index[K, V]) Get(filter string, key K) (value V, ok bool) {
	x.view(filter, func(l *leaf[K, V]) { value, ok = l.get(key) })
	return value, ok
}

// Keys counts the keys of one filter.
func (x *Index[K, V]) Keys(filter string) (n int) {
	x.view(filter, func(l *leaf[K, V]) { n = l.len() })
	return n
}

// Each calls fn for every value of one filter, as they were at one moment, in no particular order.
func (x *Index[K, V]) Each(filter string, fn func(key K, value V)) {
	var all []entry[K, V]
	x.view(filter, func(l *leaf[K, V]) { all = l.all(nil) })
	for i := range all {
		fn(all[i].key, all[i].value)
	}
}

// view runs fn on the leaf of a filter, if there is one, under the lock that guards it.
func (x *Index[K, V]) view(filter string, fn func(*leaf[K, V])) {
	if HasWildcard(filter) {
		x.trieMu.RLock()
		defer x.trieMu.RUnlock()
		if l := x.trie.find(filter); l != nil {
			fn(l)
		}
		return
	}
	s := x.shard(filter)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if l := s.exact.Get(filter); l != nil {
		fn(l)
	}
}

// Match calls fn once for every value under every filter that matches name, in no particular order. fn runs without any lock: it may call any method.
// The filters and values are those of one moment for the exact filter, and of one moment for all wildcard filters.
func (x *Index[K, V]) Match(name string, fn func(filter string, key K, value V)) {
	sc := x.scratch.Get().(*matchScratch[K, V])
	defer x.release(sc)
	s := x.shard(name)
	s.mu.RLock()
	if r := s.exact.find(name); r != nil {
		sc.add(r.filter, &r.value)
	}
	s.mu.RUnlock()
	x.trieMu.RLock()
	x.trie.match(name, sc)
	x.trieMu.RUnlock()
	for i := range sc.hits {
		h := &sc.hits[i]
		fn(h.filter, h.key, h.value)
	}
}

func (x *Index[K, V]) release(sc *matchScratch[K, V]) {
	if cap(sc.hits) > scratchKeep {
		return
	}
	clear(sc.hits)
	sc.hits, sc.levels, sc.stack = sc.hits[:0], sc.levels[:0], sc.stack[:0]
	x.scratch.Put(sc)
}

func (sc *matchScratch[K, V]) addWild(l *wildLeaf[K, V]) { sc.add(l.filter, &l.leaf) }

func (sc *matchScratch[K, V]) add(filter string, l *leaf[K, V]) {
	if l.more == nil {
		sc.hits = append(sc.hits, hit[K, V]{filter, l.one})
		return
	}
	for _, e := range l.more.entries {
		sc.hits = append(sc.hits, hit[K, V]{filter, e})
	}
}

// Len counts filters and values.
func (x *Index[K, V]) Len() (filters, values int) {
	return int(x.filters.Load()), int(x.values.Load())
}

// Filters lists filters in byte order, those after the given one, at most limit (0: all). Filters that are added or removed meanwhile may or may not be in it.
func (x *Index[K, V]) Filters(after string, limit int) []string {
	var p pager
	p.after, p.limit = after, limit
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.RLock()
		for f := range s.exact.All() {
			p.add(f)
		}
		s.mu.RUnlock()
	}
	x.trieMu.RLock()
	x.trie.each(p.add)
	x.trieMu.RUnlock()
	return p.sorted()
}

// Walk calls fn for every value of every filter after the given one, filters in byte order, until fn returns false. No lock is held while fn runs;
// the list of filters is that of the beginning, the values of each are those of the moment it is reached.
func (x *Index[K, V]) Walk(after string, fn func(filter string, key K, value V) bool) {
	for _, f := range x.Filters(after, 0) {
		var all []entry[K, V]
		x.view(f, func(l *leaf[K, V]) { all = l.all(nil) })
		for i := range all {
			if !fn(f, all[i].key, all[i].value) {
				return
			}
		}
	}
}
