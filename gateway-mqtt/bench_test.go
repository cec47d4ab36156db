package gatewaymqtt

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/transport"
)

// sink is a transport connection that forgets what it is given, so that only the gateway's own work is measured.
type sink struct {
	buf  []byte
	info transport.Info
}

func (s *sink) Append(b []byte)                           { s.buf = append(s.buf[:0], b...) }
func (s *sink) AppendFrom(encode func(dst []byte) []byte) { s.buf = encode(s.buf[:0]) }
func (s *sink) Flush()                                    {}
func (s *sink) Pending() int                              { return 0 }
func (s *sink) Writable() bool                            { return true }
func (s *sink) Post(fn func()) bool                       { fn(); return true }
func (s *sink) PauseRead()                                {}
func (s *sink) ResumeRead()                               {}
func (s *sink) SetReadLimit(int)                          {}
func (s *sink) SetDeadline(time.Time)                     {}
func (s *sink) Close(error)                               {}
func (s *sink) Abort(error)                               {}
func (s *sink) Info() *transport.Info                     { return &s.info }

// delivering makes an open connection without an edge.
func delivering(tb testing.TB, v packet.Version) *conn {
	tb.Helper()
	g := &Gateway{cfg: DefaultConfig(), count: new(edge.Counters)}
	g.encoders.New = func() any { return newEncoder() }
	var err error
	if g.metrics, err = newMetrics(g, prometheus.NewRegistry()); err != nil {
		tb.Fatal(err)
	}
	c := &conn{gw: g, tc: new(sink), state: open, version: v}
	if v == packet.V5 {
		c.five = &five{outMax: 16}
	}
	return c
}

func delivery() *edge.Delivery {
	return &edge.Delivery{
		Msg: &broker.Message{
			Topic: "plant/7/line/3/temperature", Payload: make([]byte, 256), Expires: time.Now().Add(time.Hour),
			Props: &broker.Properties{ContentType: "application/json", CorrelationData: []byte{1}, User: []broker.UserProperty{{Key: "k", Value: "v"}}},
		},
		Topic: "plant/7/line/3/temperature", QoS: 1, PacketID: 77, SubIDs: []uint32{1, 2},
	}
}

// TestDeliverAllocatesNothing: a delivery costs no garbage, whatever it carries.
func TestDeliverAllocatesNothing(t *testing.T) {
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		c, d := delivering(t, v), delivery()
		allocs := testing.AllocsPerRun(1000, func() {
			if c.Deliver(d) != edge.Sent {
				t.Fatal("refused")
			}
			c.Release(77)
		})
		if allocs >= 1 { // the pool may be emptied by the collector meanwhile
			t.Errorf("%s: %v allocations per delivery", v, allocs)
		}
	}
}

func BenchmarkDeliver(b *testing.B) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		b.Run(v.String(), func(b *testing.B) {
			c, d := delivering(b, v), delivery()
			b.ReportAllocs()
			for b.Loop() {
				c.Deliver(d)
			}
		})
	}
}

// BenchmarkDeliverParallel is many connections at once, which share the counters and the pool.
func BenchmarkDeliverParallel(b *testing.B) {
	shared := delivering(b, packet.V311)
	var sum atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		c := &conn{gw: shared.gw, tc: new(sink), state: open, version: packet.V311}
		d := delivery()
		n := int64(0)
		for pb.Next() {
			n += int64(c.Deliver(d))
		}
		sum.Add(n)
	})
	if sum.Load() != 0 {
		b.Fatal("a delivery was not sent")
	}
}
