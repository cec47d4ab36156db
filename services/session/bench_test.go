package session_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

func BenchmarkDelivery(b *testing.B) {
	for _, qos := range []broker.QoS{0, 1, 2} {
		b.Run(fmt.Sprintf("QoS %d, match to last ack", qos), func(b *testing.B) {
			s := newSession(b, nil)
			m := message("a/b/c", qos)
			b.ReportAllocs()
			for b.Loop() {
				g, _ := s.MatchBy(m, "", "#")
				s.Enqueue(m, g, t0)
				o, ok := s.Next(t0, session.Volatile)
				if !ok {
					b.Fatal("nothing to send")
				}
				switch qos {
				case 1:
					s.Ack(broker.ClientAck{Index: o.Index, Kind: broker.AckPuback}, t0)
				case 2:
					s.Ack(broker.ClientAck{Index: o.Index, Kind: broker.AckPubrec}, t0)
					s.Ack(broker.ClientAck{Index: o.Index, Kind: broker.AckPubcomp}, t0)
				}
			}
		})
	}
	b.Run("QoS 1, offline, queue full", func(b *testing.B) {
		s := newSession(b, nil)
		s.Detach(t0)
		m := message("a/b/c", 1)
		g, _ := s.MatchBy(m, "", "#")
		b.ReportAllocs()
		for b.Loop() {
			s.Enqueue(m, g, t0)
		}
	})
	b.Run("match, two overlapping", func(b *testing.B) {
		s := newSession(b, nil)
		subscribe(b, s, broker.Subscription{Filter: "a/+/c", ID: 1})
		m := message("a/b/c", 1)
		b.ReportAllocs()
		for b.Loop() {
			s.MatchBy(m, "", "#", "a/+/c")
		}
	})
}

// BenchmarkSubscriptions tells what a subscription costs in memory beyond its text.
func BenchmarkSubscriptions(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d in each session", n), func(b *testing.B) {
			const total = 100_000
			filters := make([]string, total)
			for i := range filters {
				filters[i] = fmt.Sprintf("site/%d/dev/%d", i%50, i)
			}
			for b.Loop() {
				sessions := make([]*session.Session, total/n)
				for i := range sessions {
					sessions[i] = session.New(settings(b, nil), "c", t0)
				}
				before := heap()
				for i, f := range filters {
					subscribe(b, sessions[i/n], broker.Subscription{Filter: f, QoS: 1})
				}
				b.ReportMetric(float64(heap()-before)/total, "B/subscription")
				runtime.KeepAlive(sessions)
				runtime.KeepAlive(filters)
			}
		})
	}
}

// heap is the bytes of live objects.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkSnapshot(b *testing.B) {
	set := settings(b, nil)
	s := busy(b, set)
	s.Detach(t0)
	for range 1000 {
		offer(b, s, message("a/b/c", 1), t0)
	}
	enc := s.AppendTo(nil, nil)
	b.Run("append 1000 messages", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			enc = s.AppendTo(enc[:0], nil)
		}
	})
	b.Run("decode 1000 messages", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := session.Decode(enc, set, "c", nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkMessage(b *testing.B) {
	m := fullMessage()
	buf := session.AppendMessage(nil, m)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = session.AppendMessage(buf[:0], m)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := session.DecodeMessage(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}
