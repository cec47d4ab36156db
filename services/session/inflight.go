package session

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// window holds the released messages in the order of their release. Completed ones in the middle stay as empty places until the front passes them.
type window struct {
	ring  ring
	live  int   // without completed ones
	bytes int64 // of live ones
	// mixed: the indexes do not rise from front to back (priorities)
	mixed bool
	// next is the first place that was not handed out yet, if any is (soft)
	next int
	// out counts the PUBLISH packets of this connection without a final answer (soft)
	out int
}

func (w *window) push(e entry) {
	if w.ring.n > 0 && w.ring.at(w.ring.n-1).index > e.index {
		w.mixed = true
	}
	w.ring.push(e)
	w.live++
	w.bytes += int64(e.size)
}

// find is the place of an index that is not complete, -1 if there is none.
func (w *window) find(index uint64) int {
	if w.mixed {
		for i := range w.ring.n {
			if e := w.ring.at(i); e.index == index && e.state != stateDone {
				return i
			}
		}
		return -1
	}
	lo, hi := 0, w.ring.n
	for lo < hi {
		if mid := (lo + hi) / 2; w.ring.at(mid).index < index {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < w.ring.n && w.ring.at(lo).index == index && w.ring.at(lo).state != stateDone {
		return lo
	}
	return -1
}

// free reports whether the packet id of an index is not in use.
func (w *window) free(index uint64) bool {
	if w.live == 0 || !w.mixed && index-w.ring.at(0).index < maxIDs {
		return true // so few indexes in between have different ids
	}
	id := packetID(index)
	for i := range w.ring.n {
		if e := w.ring.at(i); e.state != stateDone && packetID(e.index) == id {
			return false
		}
	}
	return true
}

// forget lets go of the message of a place: only its id is needed from here on. Its PUBREL has the highest priority.
func (w *window) forget(e *entry) {
	w.bytes -= int64(e.size) - entryOverhead
	e.size, e.lane, e.msg, e.by = entryOverhead, 0, nil, nil
}

// complete ends the exchange at a place.
func (w *window) complete(i int) {
	e := w.ring.at(i)
	if e.flags&flagCounted != 0 {
		w.out--
	}
	w.live--
	w.bytes -= int64(e.size)
	*e = entry{index: e.index, state: stateDone}
	for w.ring.n > 0 && w.ring.at(0).state == stateDone {
		w.ring.pop()
		w.next = max(0, w.next-1)
	}
	if w.ring.n > 2*w.live+32 {
		w.ring.filter(func(e *entry) bool { return e.state != stateDone })
		w.next = 0
	}
	if w.ring.n == 0 {
		w.mixed, w.next = false, 0
	}
}

// pending is the first entry that was not handed out on this connection.
func (w *window) pending() *entry {
	for ; w.next < w.ring.n; w.next++ {
		if e := w.ring.at(w.next); e.state != stateDone && e.flags&flagOut == 0 {
			return e
		}
	}
	return nil
}

// restart forgets what the connection got: everything is to be handed out again.
func (w *window) restart() {
	w.next, w.out = 0, 0
	for i := range w.ring.n {
		if e := w.ring.at(i); e.state != stateDone {
			e.flags = flagDup | e.flags&flagGated
		}
	}
}

// mark notes that the connection has an entry already.
func (w *window) mark(e *entry) {
	if e.flags&flagOut == 0 {
		e.flags |= flagOut | flagCounted
		w.out++
	}
}

// AckResult says what an answer of the client did.
type AckResult struct {
	Known    bool // the message waits for an answer of this kind; otherwise nothing changed
	Changed  bool // the state moved: a host with a log writes it down
	Release  bool // send PUBREL for PacketID, once this is durable
	Done     bool // the exchange is complete
	PacketID uint16
	QoS      broker.QoS
	Msg      *broker.Message // with PUBACK, PUBREC and AckDropped: the message; nil afterwards
	By       *Matched
}

// Ack takes the client's answer to a message, and releases further messages into the place it frees. An answer that does not fit (unknown index, PUBACK to
// QoS 2, PUBCOMP before PUBREC) changes nothing. A repeated PUBREC asks for PUBREL again.
func (s *Session) Ack(a broker.ClientAck, now time.Time) AckResult {
	s.begin()
	i := s.window.find(a.Index)
	if i < 0 {
		if i = s.pull(a.Index); i < 0 {
			return AckResult{}
		}
	}
	e := s.window.ring.at(i)
	done, ok := e.answer(a)
	if !ok {
		return AckResult{}
	}
	r := AckResult{Known: true, Changed: true, Done: done, Release: !done, PacketID: packetID(e.index), QoS: e.qos, Msg: e.msg, By: e.by}
	if e.state == stateReceived && !done {
		r.Changed = false
		return r
	}
	if a.Kind == broker.AckDropped {
		s.refused(e, now)
	}
	s.version++
	if done {
		s.window.complete(i)
	} else {
		e.state = stateReceived
		e.flags |= flagOut
		s.window.forget(e)
	}
	s.release(now)
	s.watch()
	return r
}

// answer says whether an answer fits the state of an exchange, and completes it. One that fits and does not is PUBREC: PUBREL is due.
func (e *entry) answer(a broker.ClientAck) (done, ok bool) {
	switch a.Kind {
	case broker.AckPuback:
		return true, e.qos == 1
	case broker.AckPubrec:
		if e.state == stateReceived {
			return false, !a.Failed
		}
		return a.Failed, e.qos == 2
	case broker.AckPubcomp:
		return true, e.state == stateReceived
	case broker.AckDropped:
		return true, e.state == stateSent
	}
	return false, false
}

// refused counts a message that the gateway did not send.
func (s *Session) refused(e *entry, now time.Time) {
	why := DropRefused
	if e.msg.Expired(now) {
		why = DropExpired
	}
	s.drop(e, why)
}

// pull moves a message that is still queued here into the window, because the client has it: only after a replay under other settings than those it was
// released under. It returns its place there, -1 if the index names nothing.
func (s *Session) pull(index uint64) int {
	lane, i := s.queue.locate(index)
	if lane < 0 {
		return -1
	}
	s.window.push(s.queue.take(lane, i))
	return s.window.ring.n - 1
}

// Resume goes on with a live connection after a change of the partition's owner (rule R5): table is what the gateway knows to be under way on it. What is
// not in the table is handed out by Next, nothing of the table is sent again. The gateway must keep an entry in its table until the answer it passed on
// was itself answered. fits is false, and nothing changed, if the table names an index that was never given out here, or the session is not attached: an early
// QoS 1 message went down with the old owner, and the connection must be closed.
func (s *Session) Resume(table []broker.Inflight, now time.Time) (fits bool) {
	s.begin()
	if !s.attached {
		return false
	}
	for _, t := range table {
		if t.Index >= s.tail {
			return false
		}
	}
	s.live = true
	s.window.restart()
	for _, t := range table {
		i := s.window.find(t.Index)
		if i < 0 {
			i = s.pull(t.Index)
		}
		if i < 0 {
			continue // complete here already
		}
		e := s.window.ring.at(i)
		if e.state == stateReceived && !t.Received {
			continue // its PUBREL is due
		}
		e.at = now.UnixMilli()
		s.window.mark(e)
	}
	return true
}

// Inflight appends the table of what is under way on this connection (rule R5).
func (s *Session) Inflight(dst []broker.Inflight) []broker.Inflight {
	for i := range s.window.ring.n {
		if e := s.window.ring.at(i); e.state != stateDone && e.flags&flagOut != 0 {
			dst = append(dst, broker.Inflight{Index: e.index, PacketID: packetID(e.index), QoS: e.qos, Received: e.state == stateReceived})
		}
	}
	return dst
}
