package session

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// Volatile is the durable argument of [Session.Next] for hosts without a log: nothing waits.
const Volatile = math.MaxUint64

// Session is the state of one client id. The zero value is not usable: see [New] and [Decode].
type Session struct {
	set      *Settings
	clientID string

	subs         subscriptions
	queue        queue
	window       window
	waiting      map[uint16]int64 // incoming QoS 2 ids -> Unix milliseconds when they came
	waitingSince int64            // no id of waiting is older, in Unix milliseconds; 0: not known (soft)

	tail     uint64 // index of the next QoS 1/2 message; the first is 1
	size     uint16 // places of the window
	attached bool   // released messages may be under way
	live     bool   // Next may hand out (soft)
	reuse    bool   // a release waits for a packet id (soft)
	passing  bool   // see Pass (soft)
	alarm    bool   // above the high watermark and not yet below the low one (soft)
	crossed  Mark   // not yet fetched by Mark (soft)

	version  uint64 // durable changes in this process (soft)
	created  int64  // Unix milliseconds
	expiry   time.Duration
	detached int64 // Unix milliseconds of the last Detach; 0 while attached and before

	enqueued     uint64
	dropped      [dropReasons]uint64
	enqueuedZero uint64 // soft, like the next two
	delivered    uint64
	droppedZero  [dropReasons]uint64

	drops []Drop // of the last call
}

// New makes an empty, detached session for a client id (which is what No Local compares with). It ends with its connection until SetExpiry says otherwise.
func New(set *Settings, clientID string, now time.Time) *Session {
	return &Session{set: set, clientID: clientID, tail: 1, size: set.Window(0), created: now.UnixMilli()}
}

// begin forgets the drops of the call before.
func (s *Session) begin() {
	if cap(s.drops) > 16 {
		s.drops = nil
		return
	}
	clear(s.drops)
	s.drops = s.drops[:0]
}

// Version counts the durable changes in this process. A host that applies a change before its log record is durable notes the version after the call, and
// passes the newest one that is durable to Next. A host that applies changes when they are durable passes Version itself.
func (s *Session) Version() uint64 { return s.version }

// Attach opens a connection with a window of so many places (see [Settings.Window]): what was under way is handed out again first (MQTT 5.0 §4.4), then the
// window fills. Messages that expired waiting are dropped. A session that is attached already is taken over by the new connection.
func (s *Session) Attach(window uint16, now time.Time) {
	s.begin()
	s.version++
	s.attached, s.live = true, true
	s.detached = 0
	s.size = max(1, window)
	s.window.restart()
	s.release(now)
	s.watch()
}

// Detach ends the connection. What is in the window stays there; expiry runs from now.
func (s *Session) Detach(now time.Time) {
	s.begin()
	s.version++
	s.attached, s.live = false, false
	s.detached = now.UnixMilli()
	if s.set.Queue.StoreQoS0 {
		return
	}
	for z := s.queue.frontZero(); z != nil; z = s.queue.frontZero() {
		gone := s.queue.popZero(int(z.lane))
		s.drop(&gone, DropOffline)
	}
}

// Suspend stops Next until Attach or Resume, without ending the attachment: after a replay, when the gateway has not announced itself yet. Soft.
func (s *Session) Suspend() {
	s.begin()
	s.live = false
}

// Attached reports whether a connection holds the session, as the durable calls tell it.
func (s *Session) Attached() bool { return s.attached }

// ClientID is whose session it is.
func (s *Session) ClientID() string { return s.clientID }

// Tail is the index that the next QoS 1/2 message gets.
func (s *Session) Tail() uint64 { return s.tail }

// SetExpiry sets how long the session outlives its connection; [broker.Forever] for ever.
func (s *Session) SetExpiry(d time.Duration) {
	s.begin()
	s.version++
	s.expiry = max(0, d)
}

// Expiry is what SetExpiry set.
func (s *Session) Expiry() time.Duration { return s.expiry }

// Expires is when the session ends unless a connection comes. ok is false while it is attached, before its first connection, and if it lasts for ever.
func (s *Session) Expires() (at time.Time, ok bool) {
	if s.attached || s.detached == 0 || s.expiry == broker.Forever {
		return time.Time{}, false
	}
	return time.UnixMilli(s.detached).Add(s.expiry), true
}

// Leftover is one message of a shared subscription that must go to another member.
type Leftover struct {
	Index uint64
	Share broker.Share
	Msg   *broker.Message
}

// Leftover lists what must be routed to its group again when the session ends, in order of the indexes (rule R7): QoS 1 and 2 messages that were not
// released, and QoS 1 ones that were and have no PUBACK. Never QoS 2 that was released: it may have been sent (MQTT 5.0 §4.8.2). It changes nothing.
func (s *Session) Leftover() []Leftover {
	var left []Leftover
	add := func(e *entry) {
		if e.by != nil && e.by.Share != nil {
			left = append(left, Leftover{Index: e.index, Share: *e.by.Share, Msg: e.msg})
		}
	}
	for i := range s.window.ring.n {
		if e := s.window.ring.at(i); e.qos == 1 && e.state == stateSent {
			add(e)
		}
	}
	for n := range s.queue.lanes {
		for i := range s.queue.lanes[n].kept.n {
			add(s.queue.lanes[n].kept.at(i))
		}
	}
	slices.SortFunc(left, func(a, b Leftover) int { return cmp.Compare(a.Index, b.Index) })
	return left
}

// Use changes the settings for what follows: limits, watermarks, priorities. Waiting messages move to the place that the new priorities give them, and nothing is
// dropped before the next message comes. In a replay it is called where the settings in force changed.
func (s *Session) Use(set *Settings) {
	s.begin()
	waiting := s.queue
	s.set, s.queue = set, queue{}
	for _, e := range waiting.kept() {
		e.lane = set.lane(e.msg.Topic)
		s.queue.push(*e, len(set.lanes))
	}
	for n := range waiting.lanes {
		for z := &waiting.lanes[n].zero; z.n > 0; {
			e := z.pop()
			e.lane = set.lane(e.msg.Topic)
			s.queue.push(e, len(set.lanes))
		}
	}
	for i := range s.window.ring.n {
		if e := s.window.ring.at(i); e.state == stateSent {
			e.lane = set.lane(e.msg.Topic)
		}
	}
	s.watch()
}
