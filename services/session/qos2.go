package session

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// Receive2 takes the packet id of an incoming QoS 2 PUBLISH (MQTT 5.0 §4.3.3, method B). known: it is held already, so this is a repeat, to be answered and
// not published again. Otherwise it is held until Release2. limit is how many ids may be held, 0 for no limit: an argument, because a replay must accept
// what was accepted once; pass the value in force when it happened. With it reached, ids older than the await-rel timeout give way, which
// only a client that never releases them can notice. Errors: KindQuota, and nothing changed.
func (s *Session) Receive2(id uint16, now time.Time, limit int) (known bool, err error) {
	s.begin()
	if _, held := s.waiting[id]; held {
		return true, nil
	}
	if limit > 0 && len(s.waiting) >= limit {
		s.giveWay(now)
		if len(s.waiting) >= limit {
			return false, broker.Errorf(broker.KindQuota, "%d QoS 2 messages wait for PUBREL already", len(s.waiting))
		}
	}
	if s.waiting == nil {
		s.waiting = make(map[uint16]int64)
	}
	s.waiting[id] = now.UnixMilli()
	s.waitingSince = min(s.waitingSince, now.UnixMilli())
	s.version++
	return false, nil
}

// giveWay lets go of the ids that are over the timeout. It looks at all of them only when one may be, so that a client with a full window that goes on sending
// costs no more than others.
func (s *Session) giveWay(now time.Time) {
	if s.set.AwaitRelTimeout <= 0 {
		return
	}
	oldest := now.Add(-s.set.AwaitRelTimeout).UnixMilli()
	if s.waitingSince >= oldest {
		return
	}
	s.waitingSince = now.UnixMilli()
	for id, at := range s.waiting {
		if at < oldest {
			delete(s.waiting, id)
		} else {
			s.waitingSince = min(s.waitingSince, at)
		}
	}
}

// Held reports whether an incoming QoS 2 id is held.
func (s *Session) Held(id uint16) bool {
	_, ok := s.waiting[id]
	return ok
}

// Release2 lets an incoming QoS 2 id go, with PUBREL. PUBCOMP is the answer whether it was known or not (rule R1).
func (s *Session) Release2(id uint16) (known bool) {
	s.begin()
	if _, known = s.waiting[id]; !known {
		return false
	}
	delete(s.waiting, id)
	if len(s.waiting) == 0 {
		s.waiting = nil
	}
	s.version++
	return true
}
