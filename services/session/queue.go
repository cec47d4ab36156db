package session

import (
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// maxIDs is how many packet ids there are; maxWindow how many messages can be under way with different ones.
const (
	maxIDs    = 65535
	maxWindow = 65535
)

// packetID is the id that a queue index stands for (rule R4).
func packetID(index uint64) uint16 { return uint16(1 + index%maxIDs) }

// entryState is how far an exchange came.
type entryState uint8

const (
	stateSent     entryState = iota // released: PUBLISH may have been sent
	stateReceived                   // PUBREC came in: PUBREL is due, the message itself is forgotten
	stateDone                       // complete; the place is taken out later
)

// entryFlags are what happened on the present connection (soft state).
type entryFlags uint8

const (
	flagOut     entryFlags = 1 << iota // handed out, or known to the gateway
	flagCounted                        // its PUBLISH takes a place of the client's receive maximum
	flagDup                            // may have been sent on an earlier connection
	flagGated                          // wait until the release is durable (see Next)
)

// entry is one queued or released message.
type entry struct {
	index   uint64 // QoS 0: the index that the next QoS 1/2 message had when this one came, which keeps them in order
	msg     *broker.Message
	by      *Matched
	version uint64 // session version of the release (soft)
	at      int64  // Unix milliseconds when it was handed out last (soft)
	size    uint32
	lane    uint8
	qos     broker.QoS
	state   entryState
	flags   entryFlags
	retain  bool
}

// entryOverhead is what an entry costs besides its message.
const entryOverhead = 64

// lane is the queue of one priority.
type lane struct {
	kept  ring  // QoS 1 and 2, rising index
	zero  ring  // QoS 0
	bytes int64 // of kept
}

// queue holds what was not released yet. Only soft decisions look at zeroBytes and zeroLen.
type queue struct {
	lanes     []lane // highest priority first; nil until the first message
	n         int    // QoS 1 and 2
	bytes     int64
	zeroLen   int
	zeroBytes int64
}

func (q *queue) push(e entry, lanes int) {
	if q.lanes == nil {
		q.lanes = laneRoom(lanes)
	}
	l := &q.lanes[e.lane]
	if e.qos == 0 {
		l.zero.push(e)
		q.zeroLen++
		q.zeroBytes += int64(e.size)
		return
	}
	l.kept.push(e)
	l.bytes += int64(e.size)
	q.n++
	q.bytes += int64(e.size)
}

// front is the next to release, nil if there is none.
func (q *queue) front() *entry {
	if q.n == 0 {
		return nil
	}
	for i := range q.lanes {
		if l := &q.lanes[i]; l.kept.n > 0 {
			return l.kept.at(0)
		}
	}
	return nil
}

// popKept takes the front of a lane out.
func (q *queue) popKept(lane int) entry {
	l := &q.lanes[lane]
	e := l.kept.pop()
	q.left(l, &e)
	return e
}

func (q *queue) left(l *lane, e *entry) {
	l.bytes -= int64(e.size)
	q.n--
	q.bytes -= int64(e.size)
	q.leave()
}

// singleLanes are those of queues without priorities that became empty: *[1]lane.
var singleLanes = sync.Pool{New: func() any { return new([1]lane) }}

func laneRoom(lanes int) []lane {
	if lanes == 1 {
		return singleLanes.Get().(*[1]lane)[:]
	}
	return make([]lane, lanes)
}

// leave gives the memory of an empty queue back. Its lanes hold none then, see [ring]. With priorities it stays, rather than be made for every message.
func (q *queue) leave() {
	if q.n == 0 && q.zeroLen == 0 && len(q.lanes) == 1 {
		singleLanes.Put((*[1]lane)(q.lanes))
		q.lanes = nil
	}
}

// frontZero is the next QoS 0 message, nil if there is none.
func (q *queue) frontZero() *entry {
	if q.zeroLen == 0 {
		return nil
	}
	for i := range q.lanes {
		if l := &q.lanes[i]; l.zero.n > 0 {
			return l.zero.at(0)
		}
	}
	return nil
}

func (q *queue) popZero(lane int) entry {
	e := q.lanes[lane].zero.pop()
	q.zeroLen--
	q.zeroBytes -= int64(e.size)
	q.leave()
	return e
}

// lowestKept and lowestZero are the last lane, not above `from`, with something in it; -1 if there is none.
func (q *queue) lowestKept(from uint8) int {
	for i := len(q.lanes) - 1; i >= int(from); i-- {
		if q.lanes[i].kept.n > 0 {
			return i
		}
	}
	return -1
}

func (q *queue) lowestZero(from uint8) int {
	for i := len(q.lanes) - 1; i >= int(from); i-- {
		if q.lanes[i].zero.n > 0 {
			return i
		}
	}
	return -1
}

// bytesAbove is what the lanes of higher priority hold.
func (q *queue) bytesAbove(lane uint8) (n int64) {
	for i := range min(int(lane), len(q.lanes)) {
		n += q.lanes[i].bytes
	}
	return n
}

// locate finds the message with this index, wherever it waits; lane is -1 if it does not.
func (q *queue) locate(index uint64) (lane, i int) {
	for n := range q.lanes {
		l := &q.lanes[n]
		lo, hi := 0, l.kept.n
		for lo < hi {
			if mid := (lo + hi) / 2; l.kept.at(mid).index < index {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		if lo < l.kept.n && l.kept.at(lo).index == index {
			return n, lo
		}
	}
	return -1, 0
}

// take removes the message at a place that locate found.
func (q *queue) take(lane, i int) entry {
	l := &q.lanes[lane]
	e := l.kept.remove(i)
	q.left(l, &e)
	return e
}

// Enqueue queues a message and releases it at once if the client is attached and the window has room. index is 0 for QoS 0, and for a message that was
// dropped at once; otherwise it names the message from now on. drops is what had to go, valid until the next call. now decides about expiry.
func (s *Session) Enqueue(m *broker.Message, g Grant, now time.Time) (index uint64, drops []Drop) {
	s.begin()
	e := entry{msg: m, by: g.By, qos: g.QoS, retain: g.Retain, lane: s.set.lane(m.Topic), size: uint32(entryOverhead + m.Size() + g.By.size())}
	if g.QoS == 0 {
		s.enqueueZero(e, now)
		return 0, s.drops
	}
	s.version++
	s.enqueued++
	if m.Expired(now) {
		s.drop(&e, DropExpired)
		return 0, s.drops
	}
	if !s.makeRoom(&e) {
		s.drop(&e, DropQueueFull)
		return 0, s.drops
	}
	e.index, e.msg = s.tail, m.Own()
	s.tail++
	s.queue.push(e, len(s.set.lanes))
	s.release(now)
	s.trim()
	s.watch()
	if n := len(s.drops); n > 0 && s.drops[n-1].Index == e.index {
		return 0, s.drops
	}
	return e.index, s.drops
}

// makeRoom drops until the bytes of a QoS 1/2 message fit, or reports that they cannot: what is released and what has a higher priority stays.
func (s *Session) makeRoom(e *entry) bool {
	limit := int64(s.set.Queue.MaxBytes)
	if s.window.bytes+s.queue.bytesAbove(e.lane)+int64(e.size) > limit {
		return false
	}
	for s.Bytes()+int64(e.size) > limit {
		if i := s.queue.lowestZero(0); i >= 0 {
			s.dropZero(i)
		} else {
			s.dropKept(s.queue.lowestKept(e.lane))
		}
	}
	return true
}

// trim drops until the queue is short enough.
func (s *Session) trim() {
	limit := s.set.Queue.MaxLength
	if limit == 0 {
		return
	}
	for s.queue.n+s.queue.zeroLen > limit {
		if i := s.queue.lowestZero(0); i >= 0 {
			s.dropZero(i)
		} else {
			s.dropKept(s.queue.lowestKept(0))
		}
	}
}

func (s *Session) dropZero(lane int) {
	e := s.queue.popZero(lane)
	s.drop(&e, DropQueueFull)
}

func (s *Session) dropKept(lane int) {
	e := s.queue.popKept(lane)
	s.drop(&e, DropQueueFull)
}

// Pass says that what is queued at QoS 0 is taken out at once (true), so that messages of a [broker.Slab] may be queued as they are, or that it stays: then they,
// and those queued already, are copied. A new session keeps.
func (s *Session) Pass(on bool) {
	if s.passing == on {
		return
	}
	if s.passing = on; on {
		return
	}
	for i := range s.queue.lanes {
		zero := &s.queue.lanes[i].zero
		for n := range zero.n {
			e := zero.at(n)
			e.msg = e.msg.Own()
		}
	}
}

// enqueueZero queues a QoS 0 message. It makes room among its like only, of no higher priority.
func (s *Session) enqueueZero(e entry, now time.Time) {
	s.enqueuedZero++
	q := &s.set.Queue
	switch {
	case e.msg.Expired(now):
		s.drop(&e, DropExpired)
		return
	case !s.live && !q.StoreQoS0:
		s.drop(&e, DropOffline)
		return
	}
	full := func() bool {
		return q.MaxLength > 0 && s.queue.n+s.queue.zeroLen >= q.MaxLength || s.Bytes()+int64(e.size) > int64(q.MaxBytes)
	}
	for full() {
		i := s.queue.lowestZero(e.lane)
		if i < 0 {
			s.drop(&e, DropQueueFull)
			return
		}
		s.dropZero(i)
	}
	if e.index = s.tail; !s.passing {
		e.msg = e.msg.Own()
	}
	s.queue.push(e, len(s.set.lanes))
	s.watch()
}

// release moves messages from the queue into the window while it has room, and drops those that expired waiting.
func (s *Session) release(now time.Time) {
	for s.attached && s.window.live < int(s.size) {
		e := s.queue.front()
		if e == nil {
			return
		}
		if e.msg.Expired(now) {
			gone := s.queue.popKept(int(e.lane))
			s.drop(&gone, DropExpired)
			continue
		}
		if !s.window.free(e.index) {
			// rule R4: the client may still know an older message by this id
			s.reuse = true
			return
		}
		out := s.queue.popKept(int(e.lane))
		out.version = s.version
		if out.qos == 2 || s.reuse {
			out.flags |= flagGated
		}
		s.reuse = false
		s.window.push(out)
	}
}
