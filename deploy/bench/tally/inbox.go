package tally

import "math/bits"

// Inbox is what one receiver got of one stream.
type Inbox struct {
	Received   uint64 // different messages
	Repeated   uint64 // messages that were there already
	Disordered uint64 // messages below one that came earlier; repeated ones do not count

	base, next uint32   // sequence number of the first bit; 1 + the highest received
	seen       []uint64 // one bit per message from base
}

// maxGap is how far a sequence number may be ahead: more is not a gap but rubbish, and would take the memory of its bits.
const maxGap = 1 << 28

// Add notes a message and says whether it is the first of its number.
func (b *Inbox) Add(seq uint32) bool {
	if b.seen == nil {
		b.base = seq &^ 63
		b.next = b.base
	}
	if seq < b.base { // sent before the first that came: there is no bit for it
		b.rebase(seq &^ 63)
	}
	word := int(seq-b.base) / 64
	if word >= maxGap/64 {
		b.Disordered++
		return false
	}
	for word >= len(b.seen) {
		b.seen = append(b.seen, 0)
	}
	bit := uint64(1) << (seq % 64)
	if b.seen[word]&bit != 0 {
		b.Repeated++
		return false
	}
	b.seen[word] |= bit
	b.Received++
	if seq < b.next {
		b.Disordered++
	} else {
		b.next = seq + 1
	}
	return true
}

// rebase makes room for lower numbers.
func (b *Inbox) rebase(base uint32) {
	more := int(b.base-base) / 64
	if more >= maxGap/64 {
		return
	}
	b.seen = append(make([]uint64, more, more+len(b.seen)), b.seen...)
	b.base = base
}

// Gaps counts the messages missing between the lowest and the highest received: all that a receiver can say that does not know what was sent.
func (b *Inbox) Gaps() uint64 {
	if b.Received == 0 {
		return 0
	}
	first := 0
	for b.seen[first] == 0 {
		first++
	}
	low := uint64(b.base) + uint64(first*64+bits.TrailingZeros64(b.seen[first]))
	return uint64(b.next) - low - b.Received
}

// Shared judges the members of one shared subscription by one stream of which the numbers below sent were sent: what none of them got is lost, and what more
// than one got is repeated.
func Shared(members []*Inbox, sent uint32) (lost, repeated uint64) {
	var union Inbox
	union.seen = make([]uint64, (int(sent)+63)/64)
	for _, m := range members {
		for i, word := range m.seen {
			for ; word != 0; word &= word - 1 {
				seq := m.base + uint32(i*64+bits.TrailingZeros64(word))
				union.Add(seq)
			}
		}
		repeated += m.Repeated
	}
	lost = uint64(sent)
	for seq := range sent {
		if union.seen[seq/64]&(1<<(seq%64)) != 0 {
			lost--
		}
	}
	return lost, repeated + union.Repeated
}

// Lost counts the messages below sent that did not come.
func (b *Inbox) Lost(sent uint32) uint64 {
	lost, _ := Shared([]*Inbox{b}, sent)
	return lost
}
