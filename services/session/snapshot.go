package session

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/pando-mq/pando/services/broker"
)

// snapshotVersion is the first byte of a snapshot.
const snapshotVersion = 1

// Bits of the second byte.
const (
	snapshotAttached = 1 << iota
	snapshotRefs     // messages stand elsewhere, see AppendTo
	snapshotBits     = snapshotAttached | snapshotRefs
)

// Bits of an entry, a subscription and a Matched; the two lowest of the first two are the QoS.
const (
	entryRetain   = 1 << 2
	entryReceived = 1 << 3
	entryBits     = 3 | entryRetain | entryReceived

	subNoLocal = 1 << 2
	subRetain  = 1 << 3
	subGrant   = 1 << 6
	subBits    = 0x7f // and two for the retain handling
	subShift   = 4

	matchedFilters = 1 << 0 // the list of filters is there (it may be left out, see Matched)
	matchedShare   = 1 << 1
	matchedBits    = matchedFilters | matchedShare
)

// AppendTo appends the durable state. Equal states give equal bytes. ref, if it is not nil, takes each message and returns the number that the caller writes
// it down under, so that a partition stores a message of a large fan-out once; with nil they are part of the snapshot. Numbers are varints:
//
//	version 1 | bits 1 | tail | window size | created | detached | expiry | enqueued | count {dropped}
//	count {subscription} | count {id, time} | count {released entry} | count {queued entry}
//	subscription: bits 1 | retain in bits | id | generation | n(filter) | [grant]
//	entry:        bits 1 | index | [matched | message or number]      without the brackets once PUBREC came in
//	matched:      bits 1 | count {id} | [count {n(filter)}] | [n(group) n(filter)]
//
// Released entries stand in order of release, queued ones in order of the index.
func (s *Session) AppendTo(dst []byte, ref func(*broker.Message) uint64) []byte {
	bits := byte(0)
	if s.attached {
		bits |= snapshotAttached
	}
	if ref != nil {
		bits |= snapshotRefs
	}
	dst = append(dst, snapshotVersion, bits)
	dst = binary.AppendUvarint(dst, s.tail)
	dst = binary.AppendUvarint(dst, uint64(s.size))
	dst = binary.AppendVarint(dst, s.created)
	dst = binary.AppendVarint(dst, s.detached)
	dst = binary.AppendVarint(dst, int64(s.expiry))
	dst = binary.AppendUvarint(dst, s.enqueued)
	dst = binary.AppendUvarint(dst, uint64(dropReasons))
	for _, n := range s.dropped {
		dst = binary.AppendUvarint(dst, n)
	}
	dst = s.appendSubscriptions(dst)
	dst = s.appendWaiting(dst)
	dst = binary.AppendUvarint(dst, uint64(s.window.live))
	for i := range s.window.ring.n {
		if e := s.window.ring.at(i); e.state != stateDone {
			dst = appendEntry(dst, e, ref)
		}
	}
	dst = binary.AppendUvarint(dst, uint64(s.queue.n))
	for _, e := range s.queue.kept() {
		dst = appendEntry(dst, e, ref)
	}
	return dst
}

func (s *Session) appendSubscriptions(dst []byte) []byte {
	list := s.subs.sorted()
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, u := range list {
		bits, grant := byte(u.qos&3)|u.handling&3<<subShift, u.grant()
		if u.noLocal {
			bits |= subNoLocal
		}
		if u.retain {
			bits |= subRetain
		}
		if grant != 0 {
			bits |= subGrant
		}
		dst = append(dst, bits)
		dst = binary.AppendUvarint(dst, uint64(u.id))
		dst = binary.AppendUvarint(dst, u.generation)
		dst = appendText(dst, u.full)
		if grant != 0 {
			dst = binary.AppendUvarint(dst, grant)
		}
	}
	return dst
}

func (s *Session) appendWaiting(dst []byte) []byte {
	ids := make([]uint16, 0, len(s.waiting))
	for id := range s.waiting {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	for _, id := range ids {
		dst = binary.AppendUvarint(dst, uint64(id))
		dst = binary.AppendVarint(dst, s.waiting[id])
	}
	return dst
}

// kept lists the waiting QoS 1/2 messages in order of the index.
func (q *queue) kept() []*entry {
	list := make([]*entry, 0, q.n)
	for n := range q.lanes {
		for i := range q.lanes[n].kept.n {
			list = append(list, q.lanes[n].kept.at(i))
		}
	}
	if len(q.lanes) > 1 {
		slices.SortFunc(list, func(a, b *entry) int { return cmp.Compare(a.index, b.index) })
	}
	return list
}

func appendEntry(dst []byte, e *entry, ref func(*broker.Message) uint64) []byte {
	bits := byte(e.qos & 3)
	if e.retain {
		bits |= entryRetain
	}
	if e.state == stateReceived {
		bits |= entryReceived
	}
	dst = append(dst, bits)
	dst = binary.AppendUvarint(dst, e.index)
	if e.state == stateReceived {
		return dst
	}
	dst = AppendMatched(dst, e.by)
	if ref != nil {
		return binary.AppendUvarint(dst, ref(e.msg))
	}
	return AppendMessage(dst, e.msg)
}

// AppendMatched appends m, nil being the same as empty, in the form that AppendTo shows.
func AppendMatched(dst []byte, m *Matched) []byte {
	if m == nil {
		m = &Matched{}
	}
	bits := byte(0)
	if m.Filters != nil {
		bits |= matchedFilters
	}
	if m.Share != nil {
		bits |= matchedShare
	}
	dst = append(dst, bits)
	dst = binary.AppendUvarint(dst, uint64(len(m.SubIDs)))
	for _, id := range m.SubIDs {
		dst = binary.AppendUvarint(dst, uint64(id))
	}
	if m.Filters != nil {
		dst = binary.AppendUvarint(dst, uint64(len(m.Filters)))
		for _, f := range m.Filters {
			dst = appendText(dst, f)
		}
	}
	if m.Share != nil {
		dst = appendText(appendText(dst, m.Share.Group), m.Share.Filter)
	}
	return dst
}

// DecodeMatched reads what AppendMatched wrote from the front of b, and returns what follows. Errors wrap [ErrCorrupt].
func DecodeMatched(b []byte) (*Matched, []byte, error) {
	r := reader{b: b}
	m := r.matched()
	return m, r.b, r.err
}

func (r *reader) matched() *Matched {
	bits := r.byte()
	if bits&^matchedBits != 0 {
		r.fail()
	}
	m := &Matched{}
	if n := r.length(); n > 0 {
		m.SubIDs = make([]uint32, n)
		for i := range m.SubIDs {
			m.SubIDs[i] = r.uint32()
		}
	}
	if bits&matchedFilters != 0 {
		n := r.length()
		if n > maxFilters {
			r.fail()
			return m
		}
		m.Filters = make([]string, n)
		for i := range m.Filters {
			m.Filters[i] = r.text()
		}
	}
	if bits&matchedShare != 0 {
		m.Share = &broker.Share{Group: r.text(), Filter: r.text()}
	}
	return m
}

func (r *reader) uint32() uint32 {
	v := r.uvarint()
	if v > 1<<32-1 {
		r.fail()
	}
	return uint32(v)
}
