package session

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// DropReason says why a message was not delivered.
type DropReason uint8

// The reasons.
const (
	DropQueueFull DropReason = iota // a limit of the queue
	DropExpired                     // message expiry interval (MQTT 5.0 §3.3.2.3.3)
	DropOffline                     // QoS 0 for a client that is away, not kept
	DropRefused                     // the gateway did not send it: refused at delivery, too large, expired there
	dropReasons
)

var dropNames = [dropReasons]string{"queue_full", "expired", "offline_qos0", "refused"}

// String is the reason as metrics and hooks write it.
func (r DropReason) String() string {
	if r < dropReasons {
		return dropNames[r]
	}
	return "unknown"
}

// Drop is one message that will not be delivered.
type Drop struct {
	Reason DropReason
	Index  uint64 // 0: it was never queued, or QoS 0
	QoS    broker.QoS
	Msg    *broker.Message
	By     *Matched
}

// drop counts and notes a message that is out of all queues.
func (s *Session) drop(e *entry, why DropReason) {
	d := Drop{Reason: why, QoS: e.qos, Msg: e.msg, By: e.by}
	if e.qos == 0 {
		s.droppedZero[why]++
	} else {
		d.Index = e.index
		s.dropped[why]++
	}
	s.drops = append(s.drops, d)
}

// Dropped is what the last call on this session dropped, whichever it was; valid until the next one.
func (s *Session) Dropped() []Drop { return s.drops }

// Mark is a crossing of a watermark of the queue.
type Mark uint8

// The crossings.
const (
	MarkNone Mark = iota
	MarkHigh      // length or bytes reached the high watermark: raise the alarm
	MarkLow       // both are down at the low watermark: clear it
)

// Mark returns the crossing since the last call of Mark, if there was one; the later of several.
func (s *Session) Mark() Mark {
	m := s.crossed
	s.crossed = MarkNone
	return m
}

// watch notices crossings.
func (s *Session) watch() {
	q := &s.set.Queue
	if q.HighWatermark == 0 {
		return
	}
	n, bytes := int64(s.queue.n+s.queue.zeroLen), s.queue.bytes+s.queue.zeroBytes
	reached := func(p Percent) bool {
		return q.MaxLength > 0 && n > p.of(int64(q.MaxLength)) || bytes > p.of(int64(q.MaxBytes))
	}
	switch {
	case !s.alarm && reached(q.HighWatermark):
		s.alarm, s.crossed = true, MarkHigh
	case s.alarm && !reached(q.LowWatermark):
		s.alarm, s.crossed = false, MarkLow
	}
}

// Bytes is what the messages of the session count against max_bytes: waiting and in flight.
func (s *Session) Bytes() int64 { return s.window.bytes + s.queue.bytes + s.queue.zeroBytes }

// Queued counts the waiting messages, Window those in flight.
func (s *Session) Queued() int { return s.queue.n + s.queue.zeroLen }

// Window is how full the in-flight window is, and its size.
func (s *Session) Window() (live, size int) { return s.window.live, int(s.size) }

// Size estimates the memory of the session in bytes: messages, subscriptions and itself.
func (s *Session) Size() int64 {
	const self, perSub, perID = 384, 192, 24
	n := self + s.Bytes() + int64(perID*len(s.waiting)) + int64(perSub*s.subs.len())
	s.subs.each(func(full string, _ *subscription) bool {
		n += int64(len(full))
		return true
	})
	return n
}

// Trim gives the room of empty queues back. For hosts with very many idle sessions.
func (s *Session) Trim() {
	s.drops = nil
	if s.queue.n+s.queue.zeroLen == 0 {
		s.queue.lanes = nil
	}
	if s.window.ring.n == 0 {
		s.window.ring = ring{}
	}
}

// Stats is what a session counted. What is said of QoS 0, and Delivered, is lost with the process.
type Stats struct {
	Enqueued  uint64              // messages offered to the queue
	Delivered uint64              // messages handed out for the first time
	Dropped   [dropReasons]uint64 // by DropReason
}

// Stats returns the counters.
func (s *Session) Stats() Stats {
	st := Stats{Enqueued: s.enqueued + s.enqueuedZero, Delivered: s.delivered, Dropped: s.dropped}
	for i, n := range s.droppedZero {
		st.Dropped[i] += n
	}
	return st
}

// Info describes the session for listings; the host adds user name and node.
func (s *Session) Info() broker.SessionInfo {
	st := s.Stats()
	var dropped uint64
	for _, n := range st.Dropped {
		dropped += n
	}
	expires, _ := s.Expires()
	return broker.SessionInfo{
		ClientID: s.clientID, Connected: s.attached, Persistent: s.expiry > 0,
		Subscriptions: s.subs.len(), Window: int(s.size), Inflight: s.window.live, Queued: s.Queued(), QueuedBytes: int(s.queue.bytes + s.queue.zeroBytes),
		Dropped: dropped, AwaitingRel: len(s.waiting), Delivered: st.Delivered, Enqueued: st.Enqueued,
		Created: time.UnixMilli(s.created), Expires: expires,
	}
}
