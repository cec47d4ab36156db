package hash

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

// cacheKey identifies a (stored hash, password) pair that matched.
type cacheKey [sha256.Size]byte

// cacheEntry is one place of the ring; since is measured from the cache's start.
type cacheEntry struct {
	key   cacheKey
	until time.Duration
}

// cache remembers which pairs matched, for a fixed time each, so the ring is
// ordered by expiry as well as by insertion. When full the oldest goes.
type cache struct {
	secret [sha256.Size]byte
	start  time.Time
	ttl    time.Duration
	size   int

	mu    sync.Mutex // guards what follows
	until map[cacheKey]time.Duration
	ring  []cacheEntry // allocated at the first insertion
	head  int          // oldest entry; len(until) entries follow it
}

// newCache returns an empty cache; nil (which caches nothing) if ttl < 0.
func newCache(size int, ttl time.Duration) *cache {
	if ttl < 0 {
		return nil
	}
	c := &cache{start: time.Now(), ttl: ttl, size: size, until: map[cacheKey]time.Duration{}}
	rand.Read(c.secret[:]) // never fails: it ends the process instead
	return c
}

// key computes the pair's key; each field is preceded by its length.
func (c *cache) key(s Stored, password []byte) cacheKey {
	m := hmac.New(sha256.New, c.secret[:])
	for _, field := range [][]byte{[]byte(s.Scheme.String()), []byte(s.Hash), s.Salt, password} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(field)))
		m.Write(n[:])
		m.Write(field)
	}
	return cacheKey(m.Sum(nil))
}

// has reports whether the pair matched less than the TTL ago.
func (c *cache) has(k cacheKey) bool {
	now := time.Since(c.start)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(now)
	_, ok := c.until[k]
	return ok
}

// add remembers a pair. One that is there keeps its time.
func (c *cache) add(k cacheKey) {
	now := time.Since(c.start)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire(now)
	if _, ok := c.until[k]; ok {
		return
	}
	if c.ring == nil {
		c.ring = make([]cacheEntry, c.size)
	}
	if len(c.until) == c.size {
		c.drop()
	}
	c.ring[(c.head+len(c.until))%c.size] = cacheEntry{k, now + c.ttl}
	c.until[k] = now + c.ttl
}

// expire drops what has expired at now; the caller holds mu.
func (c *cache) expire(now time.Duration) {
	for len(c.until) > 0 && c.ring[c.head].until <= now {
		c.drop()
	}
}

// drop forgets the oldest entry; the caller holds mu.
func (c *cache) drop() {
	delete(c.until, c.ring[c.head].key)
	c.ring[c.head] = cacheEntry{}
	c.head = (c.head + 1) % c.size
}

// clear forgets everything.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.until) > 0 {
		c.drop()
	}
}

// len returns the number of entries, expired ones included.
func (c *cache) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.until)
}
