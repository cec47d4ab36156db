package edge

import (
	"fmt"
	"testing"

	"github.com/pando-mq/pando/services/broker"
)

// The cache answers what was put last, for its time and generation, and never holds more than its size, as a list and as a map.
func TestACLCache(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 3, aclFew, aclFew + 1, 32} {
		var a aclCache
		key := func(i int) aclKey { return aclKey{broker.ActionPublish, fmt.Sprint(i)} }
		for i := range 40 {
			a.put(key(i), aclEntry{allow: true, generation: 1, until: 100}, size, 1, 10)
			if _, ok := a.get(key(i), 1, 10); ok != (size > 0) {
				t.Fatalf("size %d: %d is found: %v", size, i, ok)
			}
			if n := len(a.few) + len(a.many); n != min(i+1, size) {
				t.Fatalf("size %d: %d entries after %d", size, n, i+1)
			}
		}
		if size == 0 {
			continue
		}
		a.put(key(39), aclEntry{generation: 2, until: 200}, size, 1, 10)
		if e, ok := a.get(key(39), 2, 150); !ok || e.allow {
			t.Errorf("size %d: the newer decision is %+v, %v", size, e, ok)
		}
		if _, ok := a.get(key(39), 3, 150); ok {
			t.Errorf("size %d: a decision of older rules holds", size)
		}
		if _, ok := a.get(key(39), 2, 200); ok {
			t.Errorf("size %d: a decision holds when its time is over", size)
		}
		if _, ok := a.get(aclKey{broker.ActionSubscribe, "39"}, 2, 150); ok {
			t.Errorf("size %d: a decision about publishing permits to subscribe", size)
		}
		for i := range min(size, 2) { // old ones make room for new ones first
			a.put(key(100+i), aclEntry{generation: 2, until: 300}, size, 2, 250)
		}
		if _, ok := a.get(key(100), 2, 250); ok != (size > 0) {
			t.Errorf("size %d: the first of two new ones is gone: %v", size, ok)
		}
	}
}

// A list that is full of decisions whose time is over stays a list.
func TestACLCacheUsesRoomAgain(t *testing.T) {
	t.Parallel()
	var a aclCache
	for i := range int64(100) {
		a.put(aclKey{broker.ActionPublish, fmt.Sprint(i)}, aclEntry{until: i + 2}, 32, 0, i)
	}
	if len(a.few) == 0 || len(a.few) > aclFew || a.many != nil {
		t.Errorf("%d in the list, %d in the map", len(a.few), len(a.many))
	}
}
