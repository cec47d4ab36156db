package session

// ring is a queue in a circular slice. The zero value is empty and holds no memory.
type ring[T any] struct {
	buf  []T // length is 0 or a power of two
	head int
	n    int
}

const (
	ringMin  = 4 // first room
	ringKeep = 8 // room an empty ring keeps, so that a session which delivers one message at a time does not allocate for each
)

// at is the i-th element from the front; the pointer holds until the next push or pop.
func (r *ring[T]) at(i int) *T { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

// push appends v.
func (r *ring[T]) push(v T) {
	if r.n == len(r.buf) {
		r.resize(max(ringMin, 2*r.n))
	}
	r.n++
	*r.at(r.n - 1) = v
}

// pop removes the front.
func (r *ring[T]) pop() T {
	p := r.at(0)
	v := *p
	var zero T
	*p = zero
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	r.shrink()
	return v
}

// remove takes the i-th element out and closes the gap.
func (r *ring[T]) remove(i int) T {
	v := *r.at(i)
	for ; i > 0; i-- {
		*r.at(i) = *r.at(i - 1)
	}
	r.pop()
	return v
}

// filter keeps the elements for which keep says so, in order.
func (r *ring[T]) filter(keep func(*T) bool) {
	kept := 0
	for i := range r.n {
		if v := r.at(i); keep(v) {
			if kept != i {
				*r.at(kept) = *v
			}
			kept++
		}
	}
	var zero T
	for i := kept; i < r.n; i++ {
		*r.at(i) = zero
	}
	r.n = kept
	r.shrink()
}

// shrink gives memory back once a ring is nearly empty.
func (r *ring[T]) shrink() {
	switch {
	case r.n == 0 && len(r.buf) > ringKeep:
		r.buf, r.head = nil, 0
	case len(r.buf) >= 64 && r.n <= len(r.buf)/8:
		r.resize(len(r.buf) / 4)
	}
}

func (r *ring[T]) resize(size int) {
	buf := make([]T, size)
	for i := range r.n {
		buf[i] = *r.at(i)
	}
	r.buf, r.head = buf, 0
}
