package edge_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

// queued is a device whose executor is whoever calls drain. It acknowledges what it gets.
type queued struct {
	mu    sync.Mutex
	posts []func()
	spare []func()
	conn  *edge.Conn
	got   int
}

func (d *queued) Release(uint16) {}
func (d *queued) Hold(bool)      {}
func (d *queued) Kick(edge.Kick) {}
func (d *queued) Pending() int   { return 0 }

func (d *queued) Deliver(v *edge.Delivery) edge.Outcome {
	d.got++
	if id := v.PacketID; id != 0 {
		d.Post(func() { d.conn.Ack(id, broker.AckPuback, false) })
	}
	return edge.Sent
}

func (d *queued) Post(fn func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.posts = append(d.posts, fn)
	return true
}

// drain runs what is posted and reports whether there was something.
func (d *queued) drain() (ran bool) {
	for {
		d.mu.Lock()
		fns := d.posts
		d.posts = d.spare[:0]
		d.mu.Unlock()
		if d.spare = fns; len(fns) == 0 {
			return ran
		}
		for _, fn := range fns {
			fn()
		}
		clear(fns)
		ran = true
	}
}

// until drains until done.
func (d *queued) until(done *bool) {
	for !*done {
		if !d.drain() {
			runtime.Gosched()
		}
	}
}

// connectQueued connects a device, and subscribes if filter is not empty.
func connectQueued(b *testing.B, e *edge.Edge, id, filter string, qos broker.QoS) *queued {
	b.Helper()
	d := &queued{}
	req := edgetest.Clean(id)
	done := false
	d.conn = e.Connect(d, &req, func(r edge.ConnectResult) { done = r.Err == nil })
	d.until(&done)
	if filter != "" {
		done = false
		d.conn.Subscribe([]broker.Subscription{{Filter: filter, QoS: qos, RetainHandling: 2}}, func([]edge.SubscribeResult) { done = true })
		d.until(&done)
	}
	b.Cleanup(func() { d.conn.Closed("closed") })
	return d
}

// BenchmarkFanOut is what a message costs from the router's Send to the Devices, acknowledgement included.
func BenchmarkFanOut(b *testing.B) {
	for _, qos := range []broker.QoS{0, 1} {
		b.Run(fmt.Sprint("QoS", qos), func(b *testing.B) {
			e := edgetest.New(b).Edge(b, nil)
			devices := make([]*queued, 200)
			for i := range devices {
				devices[i] = connectQueued(b, e, fmt.Sprint("s", i), "a/+", qos)
			}
			s, err := e.OpenDeliver(b.Context(), broker.DeliverOpen{Topic: 1, TopicEpoch: 1}, func([]broker.DeliverAck) {})
			if err != nil {
				b.Fatal(err)
			}
			m := &broker.Message{Topic: "a/b", Payload: make([]byte, 256), QoS: qos}
			seq := uint64(0)
			b.ReportAllocs()
			for b.Loop() {
				seq++
				if err := s.Send([]broker.Delivery{{Source: broker.Source{Incarnation: 1, Topic: 1}, Seq: seq, Msg: m, Plain: true}}); err != nil {
					b.Fatal(err)
				}
				for _, d := range devices {
					d.drain()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(devices)), "ns/delivery")
			for _, d := range devices {
				if d.got != int(seq) {
					b.Fatalf("got %d of %d", d.got, seq)
				}
			}
		})
	}
}

// BenchmarkPublish is what a publish costs from Conn.Publish to its answer, with a router that answers inside Send and nobody who subscribes.
func BenchmarkPublish(b *testing.B) {
	for _, qos := range []broker.QoS{0, 1, 2} {
		b.Run(fmt.Sprint("QoS", qos), func(b *testing.B) {
			e := edgetest.New(b).Edge(b, func(_ *edge.Config, d *edge.Deps) { d.Router = idleRouter{d.Router} })
			d := connectQueued(b, e, "pub", "", 0)
			answered := false
			done := func(edge.PublishResult) { answered = true }
			released := func(uint16, bool, error) {}
			payload := make([]byte, 256)
			b.ReportAllocs()
			for b.Loop() {
				p := edge.Publish{Msg: &broker.Message{Topic: "a/b", Payload: payload, QoS: qos}, PacketID: uint16(qos)}
				if qos > 0 {
					answered, p.Done = false, done
				}
				d.conn.Publish(p)
				if qos > 0 {
					d.until(&answered)
				}
				if qos == 2 {
					d.conn.Release(p.PacketID, released)
				}
			}
			d.drain()
		})
	}
}
