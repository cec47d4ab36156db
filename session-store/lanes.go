package sessionstore

import (
	"cmp"
	"slices"

	"github.com/pando-mq/pando/services/broker"
)

// laneKey names where copies for shared groups go from this home: a session partition, or a gateway incarnation.
type laneKey struct {
	session     int    // session partition, -1 for a gateway
	incarnation uint64 // of the gateway, 0 for a session partition
}

func compareLanes(a, b laneKey) int {
	return cmp.Or(cmp.Compare(a.session, b.session), cmp.Compare(a.incarnation, b.incarnation))
}

// laneQueue is the first-in-first-out queue of one lane; the numbers are never used again, because the destination keeps a cursor.
type laneQueue struct {
	last    uint64
	entries []laneEntry
}

// laneEntry is one copy that was assigned to the lane and is not answered.
type laneEntry struct {
	seq   uint64
	share broker.Share
	msg   *broker.Message
}

// limboCopy is a copy that no member took: it goes out through the outbox after a pause, as long as the routers know the group.
type limboCopy struct {
	share broker.Share
	msg   *broker.Message
}

// assign puts a copy into a lane and returns its number.
func (st *state) assign(k laneKey, share broker.Share, m *broker.Message) uint64 {
	q := st.lanes[k]
	if q == nil {
		q = &laneQueue{}
		st.lanes[k] = q
	}
	q.last++
	st.laneBytes += m.Size()
	q.entries = append(q.entries, laneEntry{seq: q.last, share: share, msg: m})
	if st.to != nil {
		st.to.lanes = append(st.to.lanes, k)
	}
	return q.last
}

// unassign takes one copy out of its lane.
func (st *state) unassign(k laneKey, seq uint64) (laneEntry, bool) {
	q := st.lanes[k]
	if q == nil {
		return laneEntry{}, false
	}
	i, ok := q.find(seq)
	if !ok {
		return laneEntry{}, false
	}
	e := q.entries[i]
	st.laneBytes -= e.msg.Size()
	q.entries = slices.Delete(q.entries, i, i+1)
	return e, true
}

// find is the place of a number, or of the next higher one.
func (q *laneQueue) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(q.entries, seq, func(e laneEntry, s uint64) int { return cmp.Compare(e.seq, s) })
}

// taken removes what the destination answered with OK.
func (st *state) taken(k laneKey, upTo uint64) {
	q := st.lanes[k]
	if q == nil {
		return
	}
	n, ok := q.find(upTo)
	if ok {
		n++
	}
	for i := range q.entries[:n] {
		st.laneBytes -= q.entries[i].msg.Size()
	}
	clear(q.entries[:n])
	if q.entries = q.entries[n:]; len(q.entries) == 0 {
		q.entries = nil
	}
}

// wait puts a copy into limbo.
func (st *state) wait(share broker.Share, m *broker.Message) {
	st.limboID++
	st.laneBytes += m.Size()
	st.limbo[st.limboID] = limboCopy{share: share, msg: m}
	if st.to != nil {
		st.to.limbo = append(st.to.limbo, st.limboID)
	}
}
