package topic

// leafScan is up to how many entries a leaf is searched by looking at each: most filters have one subscriber, and a map costs 48 bytes and more.
const leafScan = 8

// leaf holds the values of one filter.
type leaf[K comparable, V any] struct {
	filter  string
	entries []entry[K, V]
	pos     map[K]int // index into entries; nil up to leafScan entries
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func (l *leaf[K, V]) len() int {
	if l == nil {
		return 0
	}
	return len(l.entries)
}

// at is the place of a key, or -1.
func (l *leaf[K, V]) at(key K) int {
	if l.pos != nil {
		if i, ok := l.pos[key]; ok {
			return i
		}
		return -1
	}
	for i := range l.entries {
		if l.entries[i].key == key {
			return i
		}
	}
	return -1
}

func (l *leaf[K, V]) get(key K) (value V, ok bool) {
	if i := l.at(key); i >= 0 {
		return l.entries[i].value, true
	}
	return value, false
}

// put stores a value and reports whether the key was there.
func (l *leaf[K, V]) put(key K, value V) (replaced bool) {
	if i := l.at(key); i >= 0 {
		l.entries[i].value = value
		return true
	}
	l.entries = append(l.entries, entry[K, V]{key, value})
	switch {
	case l.pos != nil:
		l.pos[key] = len(l.entries) - 1
	case len(l.entries) > leafScan:
		l.pos = make(map[K]int, 2*leafScan)
		for i := range l.entries {
			l.pos[l.entries[i].key] = i
		}
	}
	return false
}

// drop removes a key: the last entry takes its place.
func (l *leaf[K, V]) drop(key K) bool {
	i := l.at(key)
	if i < 0 {
		return false
	}
	last := len(l.entries) - 1
	l.entries[i] = l.entries[last]
	l.entries[last] = entry[K, V]{}
	l.entries = l.entries[:last]
	if l.pos != nil {
		if i < last {
			l.pos[l.entries[i].key] = i
		}
		delete(l.pos, key)
	}
	switch {
	case last <= leafScan/2:
		l.pos = nil
	case cap(l.entries) > 4*leafScan && last < cap(l.entries)/4:
		l.entries = append(make([]entry[K, V], 0, cap(l.entries)/2), l.entries...)
	}
	return true
}
