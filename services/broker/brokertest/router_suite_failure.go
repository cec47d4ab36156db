package brokertest

import (
	"context"

	"github.com/pando-mq/pando/services/broker"
)

// failureSentences are about how a publish stream ends, and what the next one does.
func failureSentences() []sentence[*routed] {
	return []sentence[*routed]{
		{"It fails as a whole (rule N4): after a refusal nothing later is accepted on it", func(t T, h *routed) {
			d := h.holding(1, "a")
			p := h.publisher("a")
			p.send(3, 1)
			arrives(t, d, 3)
			d.newest().Close()
			ended(t, p.stream, broker.KindUnavailable, broker.KindBusy, broker.KindStale, broker.KindNotOwner)
			if err := p.stream.Send(p.batch(1, 1)); err == nil {
				t.Errorf("a publish was accepted after the failure")
			}
			d.release()
			p.noAck("on a stream that failed")
		}},
		{"the opener opens the next one and sends again from its first unanswered item", func(t T, h *routed) {
			d := h.holding(1, "a")
			p := h.publisher("a")
			p.send(2, 1)
			arrives(t, d, 2)
			d.newest().confirm(1)
			p.wait(1)
			d.newest().Close()
			ended(t, p.stream, broker.KindUnavailable)
			d.set(func(d *sink) { d.hold = false })
			p.seq = 1
			p.open()
			p.send(2, 1)
			p.wait(3)
			wantSeqs(t, p.acked(), 2, 3)
			if got := d.newest().got; len(got) < 2 || got[len(got)-2].Seq != 2 {
				t.Errorf("the next stream carries %d deliveries", len(got))
			}
		}},
		{"An error means nothing of this batch will be answered and the stream is dead.", func(t T, h *routed) {
			p := h.publisher("a")
			p.stream.Close()
			if err := p.stream.Send(p.batch(2, 1)); err == nil {
				t.Fatalf("a closed stream took a batch")
			}
			eventually(t, func() bool { return closed(p.stream.Done()) }, "the stream is dead")
			p.noAck("of a batch that was refused")
		}},
		{"Done is closed when the stream has ended; no ack comes after it.", func(t T, h *routed) {
			h.subscribe(1, "a", "")
			ref := h.StartGateway("g")
			for range 40 {
				p := h.publisherOf(ref, "a")
				p.send(5, 1)
				go p.stream.Close()
				_ = p.stream.Send(p.batch(5, 1))
				eventually(t, func() bool { return closed(p.stream.Done()) }, "Done is closed")
				before := p.acks.count()
				p.acks.sane(t)
				if n := p.acks.count(); n != before {
					t.Fatalf("%d acks after Done", n-before)
				}
			}
		}},
		{"Err then says why: KindBusy, KindStale, KindNotOwner and KindUnavailable ask for a new stream, which sends again from the first unanswered publish.", func(t T, h *routed) {
			need(t, h.MoveTopic != nil, "MoveTopic")
			d := h.holding(1, "a")
			p := h.publisher("a")
			p.send(2, 1)
			arrives(t, d, 2)
			h.MoveTopic(h.TopicPartition("", "a"))
			ended(t, p.stream, broker.KindBusy, broker.KindStale, broker.KindNotOwner, broker.KindUnavailable)
			if !broker.KindOf(p.stream.Err()).Retryable() {
				t.Errorf("%v does not ask for a new stream", p.stream.Err())
			}
			d.release()
			p.seq = 0
			p.open()
			p.send(2, 1)
			p.wait(2)
		}},
		{"The newest stream of a source replaces older ones, which end with KindStale.", func(t T, h *routed) {
			p := h.publisher("a")
			old := p.stream
			p.open()
			ended(t, old, broker.KindStale)
			if err := old.Send(p.batch(1, 1)); err == nil {
				t.Errorf("the older stream takes publishes")
			}
			p.send(1, 1)
			p.wait(2)
		}},
		{"number of this stream within the source, rising with every open (rule N4)", func(t T, h *routed) {
			p := h.publisher("a")
			p.open()
			newest, o := p.stream, p.request()
			o.Stream = 1
			wantKind(t, p.tryOpen(o), broker.KindStale)
			p.stream = newest
			p.send(1, 1)
			p.wait(1)
		}},
		{"KindNotOwner, KindUnavailable (no owner yet", func(t T, h *routed) {
			need(t, h.ReleaseTopic != nil && h.MoveTopic != nil, "ReleaseTopic and MoveTopic")
			p := h.publisher("a")
			h.ReleaseTopic(h.TopicPartition("", "a"))
			ctx, cancel := context.WithTimeout(t.Context(), shortly)
			defer cancel()
			_, err := h.Router.OpenPublish(ctx, p.request(), p.acks.take)
			wantKind(t, err, broker.KindNotOwner, broker.KindUnavailable, broker.KindCanceled)
		}},
		{"still syncing beyond the queue limit", func(t T, h *routed) {
			need(t, h.MoveTopic != nil, "MoveTopic")
			h.Sinks.session(2).set(func(d *sink) { d.parked = true })
			p := h.publisher("a")
			h.MoveTopic(h.TopicPartition("", "a"))
			ended(t, p.stream, broker.KindNotOwner, broker.KindUnavailable, broker.KindStale)
			p.open()
			p.send(1, 1)
			p.noAck("while routes are collected")
			big := func(x *broker.Publish) { x.Msg.Payload = make([]byte, 256<<10) }
			refused := poll(patienceOf(t), func() bool { return p.stream.Send(p.batch(1, 1, big)) != nil || closed(p.stream.Done()) })
			if !refused {
				t.Fatalf("it takes publishes without bound")
			}
			ended(t, p.stream, broker.KindBusy, broker.KindUnavailable)
			h.Sinks.session(2).set(func(d *sink) { d.parked = false })
			p.persist()
		}},
		{"KindStale (source incarnation is dead)", func(t T, h *routed) {
			need(t, h.StopGateway != nil, "StopGateway")
			ref := h.StartGateway("g")
			h.StopGateway(ref)
			p := &publisher{h: h, ref: ref, topic: "a"}
			wantKind(t, p.tryOpen(p.request()), broker.KindStale)
			wantKind(t, p.tryOpen(p.request()), broker.KindStale)
		}},
		{"KindUnavailable: the service or what it stands on cannot be reached: retry later (a source that is not in view yet)", func(t T, h *routed) {
			need(t, h.UnseenGateway != nil, "UnseenGateway")
			p := &publisher{h: h, ref: h.UnseenGateway(), topic: "a"}
			wantKind(t, p.tryOpen(p.request()), broker.KindUnavailable)
		}},
		{"KindCanceled: the caller's context ended; the outcome is unknown", func(t T, h *routed) {
			p := h.publisher("a")
			_, err := h.Router.OpenPublish(overContext(t), p.request(), p.acks.take)
			wantKind(t, err, broker.KindCanceled)
			err = h.Router.ReadRetained(overContext(t), broker.RetainedQuery{Filter: "#"}, func([]*broker.Message) error { return nil })
			if err != nil {
				wantKind(t, err, broker.KindCanceled)
			}
			p.send(1, 1)
			p.wait(1)
		}},
	}
}
