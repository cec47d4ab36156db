package topic

// crowdScan is up to how many entries a crowd is searched by looking at each: a map costs 48 bytes and more.
const crowdScan = 8

// crowd holds the values of a filter that has several.
type crowd[K comparable, V any] struct {
	entries []entry[K, V]
	pos     map[K]int // index into entries; nil up to crowdScan entries
}

// at is the place of a key, or -1.
func (c *crowd[K, V]) at(key K) int {
	if c.pos != nil {
		if i, ok := c.pos[key]; ok {
			return i
		}
		return -1
	}
	for i := range c.entries {
		if c.entries[i].key == key {
			return i
		}
	}
	return -1
}

// put stores a value and reports whether the key was there.
func (c *crowd[K, V]) put(key K, value V) (replaced bool) {
	if i := c.at(key); i >= 0 {
		c.entries[i].value = value
		return true
	}
	c.entries = append(c.entries, entry[K, V]{value, key})
	switch {
	case c.pos != nil:
		c.pos[key] = len(c.entries) - 1
	case len(c.entries) > crowdScan:
		c.pos = make(map[K]int, 2*crowdScan)
		for i := range c.entries {
			c.pos[c.entries[i].key] = i
		}
	}
	return false
}

// drop removes a key: the last entry takes its place.
func (c *crowd[K, V]) drop(key K) bool {
	i := c.at(key)
	if i < 0 {
		return false
	}
	last := len(c.entries) - 1
	c.entries[i] = c.entries[last]
	c.entries[last] = entry[K, V]{}
	c.entries = c.entries[:last]
	if c.pos != nil {
		if i < last {
			c.pos[c.entries[i].key] = i
		}
		delete(c.pos, key)
	}
	switch {
	case last <= crowdScan/2:
		c.pos = nil
	case cap(c.entries) > 4*crowdScan && last < cap(c.entries)/4:
		c.entries = append(make([]entry[K, V], 0, cap(c.entries)/2), c.entries...)
	}
	return true
}
