package session_test

import (
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// A message whose memory is that of others is copied when it stays: at QoS 1, in a queue that is not taken from, and when that becomes known.
func TestSlabMessagesThatStayAreCopied(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	var slab broker.Slab
	next := func() *broker.Message {
		m := slab.New([]byte("x"))
		m.Topic = "a"
		return m
	}
	take := func(s *session.Session) *broker.Message {
		t.Helper()
		out, ok := s.Next(now, session.Volatile)
		if !ok {
			t.Fatal("nothing is queued")
		}
		return out.Msg
	}
	set, err := session.Prepare(session.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	s := session.New(set, "c", now)
	s.Attach(10, now)
	s.Enqueue(next(), session.Grant{}, now)
	if take(s).Slab {
		t.Error("a new session keeps a slab")
	}
	s.Pass(true)
	s.Enqueue(next(), session.Grant{}, now)
	if !take(s).Slab {
		t.Error("a session that passes copies")
	}
	s.Enqueue(next(), session.Grant{}, now)
	s.Pass(false)
	if m := take(s); m.Slab || string(m.Payload) != "x" {
		t.Errorf("a session that stopped to pass keeps %+v", m)
	}
	s.Pass(true)
	s.Enqueue(next(), session.Grant{QoS: 1}, now)
	if take(s).Slab {
		t.Error("a message of QoS 1 keeps a slab")
	}
}
