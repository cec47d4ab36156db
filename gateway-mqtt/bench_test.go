package gatewaymqtt

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
)

func delivery() *edge.Delivery {
	return &edge.Delivery{
		Msg: &broker.Message{
			Topic: "plant/7/line/3/temperature", Payload: make([]byte, 256), Expires: time.Now().Add(time.Hour),
			Props: &broker.Properties{ContentType: "application/json", CorrelationData: []byte{1}, User: []broker.UserProperty{{Key: "k", Value: "v"}}},
		},
		Topic: "plant/7/line/3/temperature", QoS: 1, PacketID: 77, SubIDs: []uint32{1, 2},
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
