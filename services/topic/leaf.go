package topic

// leaf holds the values of one filter; it has one at least. Most filters have one subscriber, which lies in the leaf itself.
type leaf[K comparable, V any] struct {
	one  entry[K, V]
	more *crowd[K, V] // nil: one is all there is; else it is in here too
}

type entry[K comparable, V any] struct {
	value V // before the key: it may have no size
	key   K
}

func (l *leaf[K, V]) len() int {
	switch {
	case l == nil:
		return 0
	case l.more == nil:
		return 1
	}
	return len(l.more.entries)
}

// all is the entries. They may be overwritten by the next change.
func (l *leaf[K, V]) all(dst []entry[K, V]) []entry[K, V] {
	if l.more == nil {
		return append(dst, l.one)
	}
	return append(dst, l.more.entries...)
}

func (l *leaf[K, V]) get(key K) (value V, ok bool) {
	if l.more == nil {
		if l.one.key == key {
			return l.one.value, true
		}
		return value, false
	}
	if i := l.more.at(key); i >= 0 {
		return l.more.entries[i].value, true
	}
	return value, false
}

// put stores a value and reports whether the key was there.
func (l *leaf[K, V]) put(key K, value V) (replaced bool) {
	if l.more != nil {
		return l.more.put(key, value)
	}
	if l.one.key == key {
		l.one.value = value
		return true
	}
	l.more = &crowd[K, V]{entries: []entry[K, V]{l.one, {value, key}}}
	l.one = entry[K, V]{}
	return false
}

// drop removes a key and says how many are left; without any the leaf is to be removed. A nil leaf has none.
func (l *leaf[K, V]) drop(key K) (left int, ok bool) {
	switch {
	case l == nil:
		return 0, false
	case l.more == nil && l.one.key == key:
		return 0, true
	case l.more == nil:
		return 1, false
	}
	ok = l.more.drop(key)
	if left = len(l.more.entries); left == 1 {
		l.one, l.more = l.more.entries[0], nil
	}
	return left, ok
}
