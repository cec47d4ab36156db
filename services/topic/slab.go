package topic

// slab holds values that have numbers from 1 on; 0 stands for none. They lie in chunks that never move. The zero value is empty.
type slab[T any] struct {
	chunks [][]T
	free   []uint32 // numbers of values that are gone
	last   uint32   // highest number in use so far
}

// slabChunk is how many values a chunk holds; the first one grows by and by.
const slabChunk = 256

// add makes room for a value, which is zero.
func (s *slab[T]) add() (number uint32, value *T) {
	if n := len(s.free); n > 0 {
		number = s.free[n-1]
		s.free = s.free[:n-1]
		return number, s.at(number)
	}
	if int(s.last)%slabChunk == 0 {
		room := slabChunk
		if s.last == 0 {
			room = 1
		}
		s.chunks = append(s.chunks, make([]T, 0, room))
	}
	c := &s.chunks[len(s.chunks)-1]
	var none T
	*c = append(*c, none)
	s.last++
	return s.last, &(*c)[len(*c)-1]
}

// at is the value of a number that is in use. The pointer is valid until the next add.
func (s *slab[T]) at(number uint32) *T {
	return &s.chunks[(number-1)/slabChunk][(number-1)%slabChunk]
}

// remove gives a number back; when it was the last one in use, all memory with it.
func (s *slab[T]) remove(number uint32) {
	var none T
	*s.at(number) = none
	if s.free = append(s.free, number); len(s.free) == int(s.last) {
		*s = slab[T]{}
	}
}
