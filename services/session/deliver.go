package session

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// Out is what to do next for the client.
type Out struct {
	// Push is complete but for tenant, client id and connection.
	broker.Push
	// By is what the message came by, as in its Grant.
	By *Matched
	// Expired: the message expired before it was ever sent. Do not send it; call Ack with AckDropped.
	Expired bool
}

// Next is the next thing to send to the attached client: first, after Attach, what was under way before, in its order (PUBLISH with DUP, or PUBREL once PUBREC
// was in), then new messages, QoS 0 among them in order of arrival. ok is false when nothing can be sent now: nothing is there, the window is full of
// unanswered messages, or durability must catch up.
//
// durable is the newest [Session.Version] whose log record is durable; [Volatile] for hosts without a log. QoS 2 messages are held back until their
// release is durable, QoS 1 messages are not, unless they take over a packet id that was waited for (rule R4).
func (s *Session) Next(now time.Time, durable uint64) (out Out, ok bool) {
	s.begin()
	if !s.live {
		return Out{}, false
	}
	e := s.window.pending()
	ready := e != nil && s.sendable(e, durable)
	if z := s.nextZero(now); z != nil && (!ready || z.lane < e.lane || z.lane == e.lane && z.index <= e.index) {
		s.delivered++
		taken := s.queue.popZero(int(z.lane))
		s.watch()
		return publish(&taken), true
	}
	if !ready {
		return Out{}, false
	}
	return s.handOut(e, now), true
}

func (s *Session) sendable(e *entry, durable uint64) bool {
	if e.flags&flagGated != 0 && e.version > durable {
		return false
	}
	return e.state == stateReceived || s.window.out < int(s.size)
}

// nextZero is the first QoS 0 message that has not expired.
func (s *Session) nextZero(now time.Time) *entry {
	for {
		z := s.queue.frontZero()
		if z == nil || !z.msg.Expired(now) {
			return z
		}
		gone := s.queue.popZero(int(z.lane))
		s.drop(&gone, DropExpired)
	}
}

// handOut gives out a released entry.
func (s *Session) handOut(e *entry, now time.Time) Out {
	e.at = now.UnixMilli()
	if e.state == stateReceived {
		e.flags |= flagOut
		return pubrel(e)
	}
	o := publish(e)
	if e.flags&flagDup == 0 {
		if e.msg.Expired(now) {
			e.flags |= flagOut
			o.Expired = true
			return o
		}
		s.delivered++
	}
	s.window.mark(e)
	return o
}

func publish(e *entry) Out {
	o := Out{By: e.by, Push: broker.Push{Op: broker.PushPublish, QoS: e.qos, Retain: e.retain, Msg: e.msg}}
	if e.by != nil {
		o.SubIDs, o.Filters = e.by.SubIDs, e.by.Filters
	}
	if e.qos > 0 {
		o.Index, o.PacketID, o.Dup = e.index, packetID(e.index), e.flags&flagDup != 0
	}
	return o
}

func pubrel(e *entry) Out {
	return Out{Push: broker.Push{Op: broker.PushRelease, QoS: e.qos, Index: e.index, PacketID: packetID(e.index)}}
}

// Retry appends what was handed out on this connection at least the retry interval ago and has no answer, to be sent again: PUBLISH with DUP, or PUBREL.
// For protocols that repeat on a live connection only (MQTT 3.1, MQTT-SN); MQTT 3.1.1 and 5.0 forbid it (MQTT 5.0 §4.4). A zero interval repeats nothing.
func (s *Session) Retry(now time.Time, dst []Out) []Out {
	s.begin()
	if !s.live || s.set.RetryInterval <= 0 {
		return dst
	}
	at := now.UnixMilli()
	due := at - s.set.RetryInterval.Milliseconds()
	for i := range s.window.ring.n {
		e := s.window.ring.at(i)
		if e.state == stateDone || e.flags&flagOut == 0 || e.at > due {
			continue
		}
		e.at = at
		if e.state == stateReceived {
			dst = append(dst, pubrel(e))
			continue
		}
		o := publish(e)
		o.Dup = true
		dst = append(dst, o)
	}
	return dst
}
