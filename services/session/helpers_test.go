package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// t0 is when the tests begin.
var t0 = time.UnixMilli(1_700_000_000_000)

func at(d time.Duration) time.Time { return t0.Add(d) }

// settings is the default configuration with changes.
func settings(t testing.TB, change func(*session.Config)) *session.Settings {
	t.Helper()
	c := session.DefaultConfig()
	if change != nil {
		change(&c)
	}
	set, err := session.Prepare(c)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// newSession is an attached session of client "c" that wants everything at QoS 2.
func newSession(t testing.TB, change func(*session.Config)) *session.Session {
	t.Helper()
	s := session.New(settings(t, change), "c", t0)
	subscribe(t, s, broker.Subscription{Filter: "#", QoS: 2})
	s.Attach(32, t0)
	return s
}

func subscribe(t testing.TB, s *session.Session, subs ...broker.Subscription) {
	t.Helper()
	for _, sub := range subs {
		if _, err := s.Subscribe(sub, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func message(topic string, qos broker.QoS) *broker.Message {
	return &broker.Message{Topic: topic, QoS: qos, Payload: []byte("0123456789"), Published: t0}
}

// offer matches a message and queues it.
func offer(t testing.TB, s *session.Session, m *broker.Message, now time.Time) uint64 {
	t.Helper()
	g, ok := s.MatchTopic(m, "")
	if !ok {
		t.Fatalf("nothing matches %q", m.Topic)
	}
	index, _ := s.Enqueue(m, g, now)
	return index
}

// drain takes all that can be sent, as texts: "publish 1 q2 dup a", "release 1", "expired 1", "publish 0 q0 a".
func drain(s *session.Session, now time.Time) []string {
	return drainTo(s, now, session.Volatile)
}

func drainTo(s *session.Session, now time.Time, durable uint64) (got []string) {
	for {
		o, ok := s.Next(now, durable)
		if !ok {
			return got
		}
		got = append(got, text(o))
	}
}

func text(o session.Out) string {
	dup := ""
	if o.Dup {
		dup = " dup"
	}
	switch {
	case o.Expired:
		return fmt.Sprintf("expired %d", o.Index)
	case o.Op == broker.PushRelease:
		return fmt.Sprintf("release %d", o.Index)
	}
	return fmt.Sprintf("publish %d q%d%s %s", o.Index, o.QoS, dup, o.Msg.Topic)
}

func ack(s *session.Session, kind broker.AckKind, index uint64) session.AckResult {
	return s.Ack(broker.ClientAck{Index: index, Kind: kind}, t0)
}

// snapshot restores a session from its snapshot.
func restore(t testing.TB, set *session.Settings, s *session.Session) *session.Session {
	t.Helper()
	r, err := session.Decode(s.AppendTo(nil, nil), set, s.ClientID(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
