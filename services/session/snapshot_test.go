package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// busy is a session with something of everything.
func busy(t testing.TB, set *session.Settings) *session.Session {
	t.Helper()
	s := session.New(set, "c", t0)
	s.SetExpiry(time.Hour)
	subscribe(t, s,
		broker.Subscription{Filter: "#", QoS: 2, ID: 9, RetainHandling: 2, RetainAsPublished: true, Generation: 77},
		broker.Subscription{Filter: "a/+", QoS: 1, NoLocal: true}, broker.Subscription{Filter: "$share/g/a", QoS: 2})
	s.Attach(3, t0)
	for i := range 6 {
		m := message("a/b", broker.QoS(1+i%2))
		m.Retain = i == 5
		offer(t, s, m, t0)
	}
	g, _ := s.GrantFor("$share/g/a", message("a", 2), "")
	s.Enqueue(fullMessage(), g, t0)
	drain(s, t0)
	s.Ack(broker.ClientAck{Index: 2, Kind: broker.AckPubrec}, t0)
	for id := range uint16(3) {
		if _, err := s.Receive2(id+1, t0, 0); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestSnapshotKeepsAll(t *testing.T) {
	t.Parallel()
	set := settings(t, nil)
	s := busy(t, set)
	r := restore(t, set, s)
	if !reflect.DeepEqual(r.Subscriptions(), s.Subscriptions()) {
		t.Errorf("subscriptions %+v", r.Subscriptions())
	}
	got, want := r.Info(), s.Info()
	got.Delivered, want.Delivered = 0, 0
	if got != want {
		t.Errorf("info %+v, want %+v", got, want)
	}
	if r.Bytes() != s.Bytes() || r.Tail() != s.Tail() || r.Expiry() != s.Expiry() || !r.Held(3) {
		t.Errorf("bytes %d, tail %d", r.Bytes(), r.Tail())
	}
	if !reflect.DeepEqual(r.Leftover(), s.Leftover()) {
		t.Errorf("leftover %+v, want %+v", r.Leftover(), s.Leftover())
	}
	for i := range 40 {
		s.Attach(32, t0)
		r.Attach(32, t0)
		if a, b := fmt.Sprint(drain(s, t0)), fmt.Sprint(drain(r, t0)); a != b {
			t.Fatalf("step %d: %s, restored %s", i, a, b)
		}
	}
}

func TestSnapshotCorrupt(t *testing.T) {
	t.Parallel()
	set := settings(t, nil)
	good := busy(t, set).AppendTo(nil, nil)
	for n := range good {
		if _, err := session.Decode(good[:n], set, "c", nil); !errors.Is(err, session.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := session.Decode(append(bytes.Clone(good), 0), set, "c", nil); !errors.Is(err, session.ErrCorrupt) {
		t.Fatalf("a byte too many: %v", err)
	}
	apart := busy(t, set).AppendTo(nil, func(*broker.Message) uint64 { return 5 })
	if _, err := session.Decode(apart, set, "c", nil); !errors.Is(err, session.ErrCorrupt) {
		t.Fatalf("messages apart and no way to find them: %v", err)
	}
	missing := errors.New("missing")
	if _, err := session.Decode(apart, set, "c", func(uint64) (*broker.Message, error) { return nil, missing }); !errors.Is(err, missing) {
		t.Fatalf("message not found: %v", err)
	}
}

func TestMatchedRoundTrip(t *testing.T) {
	t.Parallel()
	for _, m := range []*session.Matched{
		{}, {SubIDs: []uint32{1, 1<<32 - 1}, Filters: []string{"a", "$share/g/b"}}, {Filters: []string{"x"}, Share: &broker.Share{Group: "g", Filter: "b"}},
	} {
		b := session.AppendMatched(nil, m)
		got, rest, err := session.DecodeMatched(append(b, 1))
		if err != nil || len(rest) != 1 || !reflect.DeepEqual(got, m) {
			t.Errorf("got %+v, rest %v, error %v", got, rest, err)
		}
		for n := range b {
			if _, _, err := session.DecodeMatched(b[:n]); !errors.Is(err, session.ErrCorrupt) {
				t.Errorf("cut to %d: %v", n, err)
			}
		}
	}
}

// FuzzDecode: whatever decodes must work, and keep its snapshot.
func FuzzDecode(f *testing.F) {
	set := settings(f, func(c *session.Config) {
		c.Queue.Type, c.Queue.Priority = session.QueuePriority, map[string]int{"a/b": 1}
	})
	s := busy(f, set)
	f.Add(s.AppendTo(nil, nil))
	f.Add(s.AppendTo(nil, func(*broker.Message) uint64 { return 1 }))
	f.Add(session.New(set, "c", t0).AppendTo(nil, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		known := message("known", 1)
		s, err := session.Decode(b, set, "c", func(n uint64) (*broker.Message, error) {
			if n > 3 {
				return nil, session.ErrCorrupt
			}
			return known, nil
		})
		if err != nil {
			if !errors.Is(err, session.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		enc := s.AppendTo(nil, nil)
		again, err := session.Decode(enc, set, "c", nil)
		if err != nil || !bytes.Equal(again.AppendTo(nil, nil), enc) {
			t.Fatalf("encoded again: %v", err)
		}
		s.Attach(100, t0)
		for range 10_000 {
			o, ok := s.Next(t0, session.Volatile)
			if !ok {
				break
			}
			for _, k := range []broker.AckKind{broker.AckPuback, broker.AckPubrec, broker.AckPubcomp, broker.AckDropped} {
				s.Ack(broker.ClientAck{Index: o.Index, Kind: k}, t0)
			}
		}
		if s.Tail() < 1<<60 {
			s.Enqueue(known, session.Grant{QoS: 1}, t0)
		}
		s.Leftover()
	})
}
