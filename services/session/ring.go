package session

import "sync"

// ring is a queue of messages in a circular slice. The zero value is empty and holds no memory.
type ring struct {
	buf  []entry // length is 0 or a power of two
	head int
	n    int
}

// ringMin is the first room. An empty ring keeps none: a session that says nothing holds no memory for messages, and the next message finds a room that
// another session left.
const ringMin = 4

// at is the i-th element from the front; the pointer holds until the next push or pop.
func (r *ring) at(i int) *entry { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

// push appends v.
func (r *ring) push(v entry) {
	if r.n == len(r.buf) {
		r.resize(grown(r.n))
	}
	r.n++
	*r.at(r.n - 1) = v
}

// pop removes the front.
func (r *ring) pop() entry {
	p := r.at(0)
	v := *p
	var zero entry
	*p = zero
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	r.shrink()
	return v
}

// remove takes the i-th element out and closes the gap.
func (r *ring) remove(i int) entry {
	v := *r.at(i)
	for ; i > 0; i-- {
		*r.at(i) = *r.at(i - 1)
	}
	r.pop()
	return v
}

// filter keeps the elements for which keep says so, in order.
func (r *ring) filter(keep func(*entry) bool) {
	kept := 0
	for i := range r.n {
		if v := r.at(i); keep(v) {
			if kept != i {
				*r.at(kept) = *v
			}
			kept++
		}
	}
	var zero entry
	for i := kept; i < r.n; i++ {
		*r.at(i) = zero
	}
	r.n = kept
	r.shrink()
}

// grown is the size after n.
func grown(n int) int {
	switch {
	case n < ringMin:
		return ringMin
	case n < ringLarge:
		return 4 * n
	}
	return 2 * n
}

// shrink gives memory back once a ring is nearly empty.
func (r *ring) shrink() {
	switch {
	case r.n == 0:
		give(r.buf)
		r.buf, r.head = nil, 0
	case len(r.buf) >= 64 && r.n <= len(r.buf)/8:
		r.resize(len(r.buf) / 4)
	}
}

func (r *ring) resize(size int) {
	buf := room(size)
	for i := range r.n {
		buf[i] = *r.at(i)
	}
	clear(r.buf)
	give(r.buf)
	r.buf, r.head = buf, 0
}

// ringLarge is the largest room that is used again: sessions that fill and drain their queues all the time do not allocate for it.
const ringLarge = 256

var rooms4, rooms16, rooms64, roomsLarge sync.Pool // of *[ringMin]entry, *[16]entry, *[64]entry, *[ringLarge]entry

// room is empty memory for so many messages.
func room(size int) []entry {
	switch size {
	case ringMin:
		if b, ok := rooms4.Get().(*[ringMin]entry); ok {
			return b[:]
		}
	case 16:
		if b, ok := rooms16.Get().(*[16]entry); ok {
			return b[:]
		}
	case 64:
		if b, ok := rooms64.Get().(*[64]entry); ok {
			return b[:]
		}
	case ringLarge:
		if b, ok := roomsLarge.Get().(*[ringLarge]entry); ok {
			return b[:]
		}
	}
	return make([]entry, size)
}

// give takes memory back that nothing refers to and that is clear.
func give(buf []entry) {
	switch len(buf) {
	case ringMin:
		rooms4.Put((*[ringMin]entry)(buf))
	case 16:
		rooms16.Put((*[16]entry)(buf))
	case 64:
		rooms64.Put((*[64]entry)(buf))
	case ringLarge:
		roomsLarge.Put((*[ringLarge]entry)(buf))
	}
}
