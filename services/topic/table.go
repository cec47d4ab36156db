package topic

import (
	"hash/maphash"
	"iter"
	"math/bits"
)

// Table maps filters to values in little memory: about 24 bytes per filter beyond the value and the text, which it shares with whoever gave it.
//
// The records lie densely in chunks; an open hash of a tag and a number each finds them, and a look-up in vain rarely touches a record:
//
//	tags   │ 0 │17│ 0 │204│ ...      one byte of the hash, 0: free
//	places │   │ 1│   │  0│ ...      number of the record
//	chunks │ filter, value │ filter, value │ ... up to tableChunk of them
//
// The zero value is empty. Not safe for concurrent use. A *V is valid until the next Put or Delete.
type Table[V any] struct {
	seed   maphash.Seed
	tags   []uint8
	places []uint32
	chunks [][]record[V]
	n      int
}

type record[V any] struct {
	value  V // before the filter: it may have no size
	filter string
}

const (
	tableChunk = 64 // records of a chunk; only the first one grows by and by
	tableFloor = 8  // slots of the smallest hash
)

// Len counts the filters.
func (t *Table[V]) Len() int { return t.n }

// Get is the value of a filter, nil if it is not there.
func (t *Table[V]) Get(filter string) *V {
	if r := t.find(filter); r != nil {
		return &r.value
	}
	return nil
}

func (t *Table[V]) find(filter string) *record[V] {
	if i := t.slot(filter); i >= 0 {
		return t.record(t.places[i])
	}
	return nil
}

// Put is the value of a filter, zero if the filter is new. The table keeps the text of a new filter as it is, and so whatever that is a part of.
func (t *Table[V]) Put(filter string) (value *V, isNew bool) {
	if v := t.Get(filter); v != nil {
		return v, false
	}
	if 4*(t.n+1) > 3*len(t.tags) {
		t.resize(max(tableFloor, len(t.tags)+len(t.tags)/2))
	}
	if last := len(t.chunks) - 1; last < 0 {
		t.chunks = append(t.chunks, make([]record[V], 0, tableFloor))
	} else if len(t.chunks[last]) == tableChunk {
		t.chunks = append(t.chunks, make([]record[V], 0, tableChunk))
	}
	c := &t.chunks[len(t.chunks)-1]
	*c = append(*c, record[V]{filter: filter})
	t.place(uint32(t.n))
	t.n++
	return &(*c)[len(*c)-1].value, true
}

// Delete takes a filter out and reports whether it was there.
func (t *Table[V]) Delete(filter string) bool {
	i := t.slot(filter)
	if i < 0 {
		return false
	}
	number, last := t.places[i], uint32(t.n-1)
	t.free(i)
	if number != last { // the last record takes its place
		moved := t.record(last)
		t.places[t.slotOf(moved.filter, last)] = number
		*t.record(number) = *moved
	}
	*t.record(last) = record[V]{}
	c := len(t.chunks) - 1
	if t.chunks[c] = t.chunks[c][:len(t.chunks[c])-1]; len(t.chunks[c]) == 0 {
		t.chunks[c] = nil
		t.chunks = t.chunks[:c]
	}
	if t.n--; len(t.tags) > 4*tableFloor && 4*t.n < len(t.tags) {
		t.resize(len(t.tags) / 2)
	}
	return true
}

// All visits every filter, in no particular order. The filter that was visited last may be deleted meanwhile, nothing else may change.
func (t *Table[V]) All() iter.Seq2[string, *V] {
	return func(yield func(string, *V) bool) {
		for i := t.n - 1; i >= 0; i-- {
			r := t.record(uint32(i))
			if !yield(r.filter, &r.value) {
				return
			}
		}
	}
}

func (t *Table[V]) record(number uint32) *record[V] {
	return &t.chunks[number/tableChunk][number%tableChunk]
}

// home is where a filter's slot is looked for first, and its tag.
func (t *Table[V]) home(filter string) (slot int, tag uint8) {
	h := maphash.String(t.seed, filter)
	hi, _ := bits.Mul64(h, uint64(len(t.tags)))
	return int(hi), uint8(h)%255 + 1
}

// next is the slot behind i.
func (t *Table[V]) next(i int) int {
	if i++; i == len(t.tags) {
		return 0
	}
	return i
}

// slot is the slot of a filter, -1 if it is not there.
func (t *Table[V]) slot(filter string) int {
	if t.n == 0 {
		return -1
	}
	for i, tag := t.home(filter); t.tags[i] != 0; i = t.next(i) {
		if t.tags[i] == tag && t.record(t.places[i]).filter == filter {
			return i
		}
	}
	return -1
}

// slotOf is the slot of a record that is there.
func (t *Table[V]) slotOf(filter string, number uint32) int {
	i, _ := t.home(filter)
	for t.tags[i] == 0 || t.places[i] != number {
		i = t.next(i)
	}
	return i
}

// place gives a record the first free slot from its home on.
func (t *Table[V]) place(number uint32) {
	i, tag := t.home(t.record(number).filter)
	for t.tags[i] != 0 {
		i = t.next(i)
	}
	t.tags[i], t.places[i] = tag, number
}

// free empties a slot, and moves up what would not be found any more behind the gap.
func (t *Table[V]) free(gap int) {
	for i := t.next(gap); t.tags[i] != 0; i = t.next(i) {
		home, _ := t.home(t.record(t.places[i]).filter)
		if between := home > gap && home <= i || i < gap && (home > gap || home <= i); between {
			continue
		}
		t.tags[gap], t.places[gap] = t.tags[i], t.places[i]
		gap = i
	}
	t.tags[gap] = 0
}

// resize makes a hash of so many slots.
func (t *Table[V]) resize(slots int) {
	if t.tags == nil {
		t.seed = maphash.MakeSeed()
	}
	t.tags, t.places = make([]uint8, slots), make([]uint32, slots)
	for i := range t.n {
		t.place(uint32(i))
	}
}
