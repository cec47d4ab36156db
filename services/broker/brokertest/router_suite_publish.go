package brokertest

import (
	"context"
	"reflect"
	"slices"
	"sync"

	"github.com/pando-mq/pando/services/broker"
)

// publishSentences are about one publish stream that works.
func publishSentences() []sentence[*routed] {
	return []sentence[*routed]{
		{"A stream is FIFO.", func(t T, h *routed) {
			h.subscribe(1, "a", "")
			p := h.publisher("a")
			for range 30 {
				p.send(3, 1)
			}
			p.wait(90)
			wantRising(t, h.Sinks.session(1).seqs("a"), 90)
		}},
		{"Open binds a stream to one source, one destination partition and one ownership epoch.", func(t T, h *routed) {
			ref := h.StartGateway("g")
			p := &publisher{h: h, ref: ref, topic: "a"}
			ctx, cancel := context.WithCancel(t.Context())
			acks := &answers[broker.PublishAck]{}
			var err error
			eventually(t, func() bool {
				p.stream, err = h.Router.OpenPublish(ctx, p.request(), acks.take)
				return err == nil
			}, "a stream opens")
			t.Cleanup(p.stream.Close)
			cancel() // the context is that of the opening, not of the stream
			p.acks = acks
			p.send(1, 1)
			p.wait(1)
			q := h.publisherOf(ref, "b")
			q.send(2, 1)
			q.wait(2)
			if len(p.acked()) != 1 {
				t.Errorf("the stream of another topic was answered here: %v", p.acked())
			}
		}},
		{"Send never blocks; it passes the batch on, whose messages are immutable from then on.", func(t T, h *routed) {
			d := h.holding(1, "a")
			p := h.publisher("a")
			list := p.batch(20, 1, func(x *broker.Publish) {
				x.Msg.Props = &broker.Properties{ContentType: "text", User: []broker.UserProperty{{Key: "k", Value: "v"}}}
			})
			copies := make([]broker.Message, len(list))
			for i := range list {
				copies[i] = *list[i].Msg
				copies[i].Payload = slices.Clone(list[i].Msg.Payload)
			}
			within(t, "Send to a destination that does not answer", func() { wantNil(t, p.stream.Send(list)) })
			arrives(t, d, 20)
			for i, x := range d.deliveries() {
				if !reflect.DeepEqual(*list[i].Msg, copies[i]) || x.Msg.Topic != "a" || string(x.Msg.Payload) != string(copies[i].Payload) {
					t.Fatalf("message %d was changed: %+v arrived as %+v", i, copies[i], x.Msg)
				}
			}
			d.release()
			p.wait(20)
		}},
		{"Answers come through a callback, in order, from a goroutine of the stream or from inside Send", func(t T, h *routed) {
			h.subscribe(1, "a", "")
			p := h.publisher("a")
			for range 100 {
				p.send(1, 1)
			}
			p.wait(100)
			wantRising(t, p.acked(), 100)
		}},
		{"a callback must not block and may call Send of the same stream only through another goroutine", func(t T, h *routed) {
			p := h.publisher("a")
			var once sync.Once
			more := p.batch(1, 1)
			more[0].Seq = 2
			p.acks.mu.Lock()
			p.acks.hook = func() {
				once.Do(func() {
					done := make(chan struct{})
					go func() {
						defer close(done)
						_ = p.stream.Send(more)
					}()
					t.Cleanup(func() { <-done })
				})
			}
			p.acks.mu.Unlock()
			p.seq = 0
			p.send(1, 1)
			p.wait(2)
			wantSeqs(t, p.acked(), 1, 2)
		}},
		{"Acks come in the order of Seq.", func(t T, h *routed) {
			d := h.holding(1, "a")
			ref := h.StartGateway("g")
			p := h.publisherOf(ref, "a")
			p.send(1, 1)
			arrives(t, d, 1)
			p.send(1, 1, func(x *broker.Publish) { x.Share = &broker.Share{Group: "nobody", Filter: "a"} }) // needs no destination
			p.noAck("of the second publish while the first is not durable")
			d.release()
			p.wait(2)
			wantSeqs(t, p.acked(), 1, 2)
		}},
		{"Every QoS 1 or 2 publish gets one", func(t T, h *routed) {
			h.subscribe(1, "a", "")
			h.subscribe(2, "a", "")
			p := h.publisher("a")
			for i := range 20 {
				p.send(2, broker.QoS(1+i%2))
			}
			p.wait(40)
			wantRising(t, p.acked(), 40)
		}},
		{"a QoS 0 publish is answered by the next ack at or above its Seq, and the router acks at least the last publish of each batch", func(t T, h *routed) {
			p := h.publisher("a")
			p.send(5, 0)
			p.wait(5)
			p.send(3, 0)
			p.wait(8)
			if got := p.acked(); !slices.IsSorted(got) {
				t.Errorf("acks %v", got)
			}
		}},
		{"Seq rises with every publish of the source; there are gaps where QoS 0 publishes were given up after a broken stream.", func(t T, h *routed) {
			h.subscribe(1, "a", "")
			p := h.publisher("a")
			p.seq = 4
			p.send(1, 1)
			p.seq = 10
			p.send(2, 1)
			p.wait(12)
			wantSeqs(t, p.acked(), 5, 11, 12)
			wantSeqs(t, h.Sinks.session(1).seqs("a"), 5, 11, 12)
		}},
		{"at least one subscriber matched (MQTT 5.0 reason 0x10 otherwise)", func(t T, h *routed) {
			p := h.publisher("a")
			p.send(1, 1)
			p.wait(1)
			h.subscribe(1, "a", "")
			p.send(1, 1)
			p.wait(2)
			if got := p.acks.all(); got[0].Matched || !got[1].Matched {
				t.Errorf("acks %+v, the second message alone has a subscriber", got)
			}
		}},
		{"Epoch is the topic partition epoch this stream is bound to (rule N10). It never changes; when the partition changes hands the stream ends.", func(t T, h *routed) {
			need(t, h.MoveTopic != nil, "MoveTopic")
			h.subscribe(1, "a", "")
			p := h.publisher("a")
			p.send(1, 1)
			p.wait(1)
			first, epoch := p.stream, p.stream.Epoch()
			if at := h.Sinks.session(1).newest().open.TopicEpoch; at != epoch {
				t.Errorf("deliveries carry epoch %d, the stream has %d", at, epoch)
			}
			h.MoveTopic(h.TopicPartition("", "a"))
			ended(t, first, broker.KindNotOwner, broker.KindUnavailable, broker.KindStale)
			p.open()
			if first.Epoch() != epoch || p.stream.Epoch() <= epoch {
				t.Errorf("epochs %d and %d, was %d", first.Epoch(), p.stream.Epoch(), epoch)
			}
		}},
		{"Close ends the stream. Unanswered publishes stay unanswered.", func(t T, h *routed) {
			d := h.holding(1, "a")
			p := h.publisher("a")
			p.send(2, 1)
			arrives(t, d, 2)
			p.stream.Close()
			eventually(t, func() bool { return closed(p.stream.Done()) }, "the stream ends")
			if p.stream.Err() == nil {
				t.Errorf("a closed stream says no reason")
			}
			d.release()
			p.noAck("after Close")
		}},
	}
}

// wantRising fails the test unless got is 1, 2, ... n.
func wantRising(t T, got []uint64, n int) {
	t.Helper()
	if len(got) != n {
		t.Fatalf("%d numbers, want %d: %v", len(got), n, got)
	}
	for i, x := range got {
		if x != uint64(i+1) {
			t.Fatalf("number %d at place %d: %v", x, i, got)
		}
	}
}
