//go:build unix

package rpc_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// BenchmarkPublishRoundTrip sends batches of 256-byte publishes and waits for the ack of the last one, over TCP on loopback: client and server together.
// us_cpu/msg is what the whole process spent. "spread" scatters each batch over 64 channels, as topics do.
func BenchmarkPublishRoundTrip(b *testing.B) {
	for _, batch := range []int{1, 64} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			r := newRig(b, nil)
			r.startRouter("r1", &fakeRouter{})
			acked := make(chan uint64, 1024)
			s := r.open(0, func(acks []broker.PublishAck) { acked <- acks[len(acks)-1].Seq })
			seq := uint64(0)
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				if err := s.Send(publishes(seq+1, batch, 256)); err != nil {
					b.Fatal(err)
				}
				seq += uint64(batch)
				for await(b, acked) < seq {
				}
			}
			reportCPU(b, before, int(seq))
		})
	}
	b.Run("spread=64", func(b *testing.B) {
		r := newRig(b, nil)
		r.startRouter("r1", &fakeRouter{})
		var acked atomic.Int64
		turn := make(chan struct{}, 1)
		var streams []broker.PublishStream
		for i := range 64 {
			streams = append(streams, r.open(i%4, func([]broker.PublishAck) {
				if acked.Add(1)%64 == 0 {
					turn <- struct{}{}
				}
			}))
		}
		b.ReportAllocs()
		before, n := cpuTime(b), 0
		for b.Loop() {
			n++
			for _, s := range streams {
				if err := s.Send(publishes(uint64(n), 1, 256)); err != nil {
					b.Fatal(err)
				}
			}
			await(b, turn)
		}
		reportCPU(b, before, n*64)
	})
}

// BenchmarkPublishPipelined keeps 4096 publishes under way on 64 channels.
func BenchmarkPublishPipelined(b *testing.B) {
	r := newRig(b, nil)
	r.startRouter("r1", &fakeRouter{open: ackAll})
	const window = 4096
	room := make(chan struct{}, window)
	var streams []broker.PublishStream
	for i := range 64 {
		streams = append(streams, r.open(i%4, func(acks []broker.PublishAck) {
			for range acks {
				<-room
			}
		}))
	}
	b.ReportAllocs()
	before, n := cpuTime(b), 0
	for b.Loop() {
		room <- struct{}{}
		if err := streams[n%64].Send(publishes(uint64(n/64+1), 1, 256)); err != nil {
			b.Fatal(err)
		}
		n++
	}
	eventually(b, func() bool { return len(room) == 0 })
	reportCPU(b, before, n)
}

// ackAll opens a stream that answers each publish.
func ackAll(_ context.Context, _ broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	s := newFakeStream(acks)
	s.send = func(batch []broker.Publish) error {
		out := make([]broker.PublishAck, len(batch))
		for i := range batch {
			out[i].Seq = batch[i].Seq
		}
		acks(out)
		return nil
	}
	return s, nil
}

func reportCPU(b *testing.B, before time.Duration, messages int) {
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(messages), "us_cpu/msg")
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(messages), "us/msg")
}
