package packet_test

import (
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// benchPublish is the message of the benchmarks: 256 bytes to a topic of 30.
func benchPublish(v packet.Version) *packet.Publish {
	p := &packet.Publish{
		QoS: 1, ID: 7, Topic: []byte("plant/7/line/3/sensor/42/state"), Payload: make([]byte, 256),
	}
	if v == v5 {
		p.Properties.MessageExpiry = packet.Some(uint32(60))
		p.Properties.TopicAlias = packet.Some(uint16(3))
		p.Properties.CorrelationData = packet.Some([]byte("0123456789abcdef"))
	}
	return p
}

// hotPaths are the operations per message, each of which must not allocate.
func hotPaths(tb testing.TB, v packet.Version) map[string]func() {
	p := benchPublish(v)
	wire, err := p.AppendTo(nil, v)
	if err != nil {
		tb.Fatal(err)
	}
	a := &packet.Ack{Type: packet.TypePuback, ID: 7}
	wireAck, err := a.AppendTo(nil, v)
	if err != nil {
		tb.Fatal(err)
	}
	var (
		pub packet.Publish
		ack packet.Ack
		f   packet.Frame
		dst = make([]byte, 0, 2*len(wire))
		sub = packet.Delivery{QoS: 1, ID: 9, SubscriptionIDs: []uint32{1}}
	)
	if err := f.Reset(v, "plant/7/line/3/sensor/42/state", nil, p.Payload); err != nil {
		tb.Fatal(err)
	}
	check := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	return map[string]func(){
		"DecodePublish": func() {
			h, n, err := packet.ReadHeader(wire)
			check(err)
			check(packet.DecodePublish(h, wire[n:], v, nil, &pub))
		},
		"EncodePublish": func() {
			_, err := p.AppendTo(dst, v)
			check(err)
		},
		"FrameReset": func() {
			check(f.Reset(v, "plant/7/line/3/sensor/42/state", nil, p.Payload))
		},
		"FrameAppend": func() {
			_, err := f.AppendTo(dst, &sub)
			check(err)
		},
		"DecodeAck": func() {
			h, n, err := packet.ReadHeader(wireAck)
			check(err)
			check(packet.DecodeAck(h, wireAck[n:], v, nil, &ack))
		},
		"EncodeAck": func() {
			ack := packet.Ack{Type: packet.TypePuback, ID: 7}
			_, err := ack.AppendTo(dst, v)
			check(err)
		},
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	for _, v := range []packet.Version{v311, v5} {
		for name, run := range hotPaths(t, v) {
			if n := testing.AllocsPerRun(100, run); n != 0 {
				t.Errorf("%s in %v: %v allocations", name, v, n)
			}
		}
	}
}

func BenchmarkPacket(b *testing.B) {
	for _, v := range []packet.Version{v311, v5} {
		paths := hotPaths(b, v)
		for _, name := range []string{"DecodePublish", "EncodePublish", "FrameReset", "FrameAppend", "DecodeAck", "EncodeAck"} {
			b.Run(name+"/"+v.String(), func(b *testing.B) {
				run := paths[name]
				b.ReportAllocs()
				for b.Loop() {
					run()
				}
			})
		}
	}
}
