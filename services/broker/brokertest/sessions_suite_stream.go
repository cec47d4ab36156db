package brokertest

import (
	"context"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// sessionStreamSentences are about session streams.
func sessionStreamSentences() []sentence[*sessioned] {
	return []sentence[*sessioned]{
		{"A newer stream of the same pair replaces the older one.", func(t T, h *sessioned) {
			old := h.link("c")
			newer := h.linkOf(old.ref, "c")
			ended(t, old.stream, broker.KindStale)
			if old.stream.Send([]broker.SessionRequest{{ID: 1, Op: broker.OpDetach, ClientID: "c", Detach: &broker.Detach{}}}) == nil {
				t.Errorf("the older stream takes requests")
			}
			newer.connect("c", persistent())
			other := h.link("c") // another gateway: both go on
			other.connect("c", persistent())
			if closed(newer.stream.Done()) {
				t.Errorf("a stream of another gateway replaced this one")
			}
		}},
		{"Errors: KindNotOwner", func(t T, h *sessioned) {
			l := h.link("c")
			o := l.open()
			o.Partition = nowhere
			_, err := h.Sessions.OpenSession(t.Context(), o, l)
			wantKind(t, err, broker.KindNotOwner, broker.KindUnavailable)
		}},
		{"KindStale (the gateway's incarnation is not alive in the owner's view, rule R6: wait and retry, or come back as a new one).", func(t T, h *sessioned) {
			need(t, h.StopGateway != nil, "StopGateway")
			l := h.link("c")
			h.StopGateway(l.ref)
			ended(t, l.stream, broker.KindStale, broker.KindUnavailable)
			_, err := h.Sessions.OpenSession(t.Context(), l.open(), l)
			wantKind(t, err, broker.KindStale)
		}},
		{"Open binds a stream to one source, one destination partition and one ownership epoch: its context is that of the opening", func(t T, h *sessioned) {
			l := &link{h: h, ref: h.StartGateway("g"), partition: h.Partition("", "c")}
			ctx, cancel := context.WithCancel(t.Context())
			eventually(t, func() bool {
				var err error
				l.stream, err = h.Sessions.OpenSession(ctx, l.open(), l)
				return err == nil
			}, "a stream opens")
			t.Cleanup(l.stream.Close)
			cancel()
			l.connect("c", persistent())
		}},
		{"Requests are handled in order; each is answered exactly once, or the stream ends.", func(t T, h *sessioned) {
			d := h.connect("c")
			var batch []broker.SessionRequest
			for i := range 50 {
				op := broker.OpPublish2
				if i%2 == 1 {
					op = broker.OpRelease
				}
				batch = append(batch, d.request(broker.SessionRequest{
					ID: h.ids.Add(1), Op: op, PacketID: 7, Publish2: &broker.Publish2{PacketID: 7, Msg: &broker.Message{Topic: "t", QoS: 2, Published: time.Now()}},
				}))
				if op == broker.OpPublish2 {
					batch[i].PacketID = 0
				} else {
					batch[i].Publish2 = nil
				}
			}
			wantNil(t, d.stream.Send(batch[:30]))
			wantNil(t, d.stream.Send(batch[30:]))
			for i, r := range batch { // handled in order: each publish finds the id free, each release finds it held
				if got := d.reply(r.ID); got.Err != nil || got.Known != (i%2 == 1) {
					t.Fatalf("request %d: %+v", i, got)
				}
			}
			d.do(broker.SessionRequest{Op: broker.OpSetExpiry, Expiry: time.Hour})
			d.mu.Lock()
			defer d.mu.Unlock()
			if len(d.replies) != 52 { // 50, the Attach, the last one
				t.Errorf("%d answers to 52 requests", len(d.replies))
			}
		}},
		{"It fails as a whole (rule N4): a session stream that was closed takes nothing and answers nothing", func(t T, h *sessioned) {
			need(t, h.HoldLog != nil, "HoldLog")
			d := h.connect("c")
			release := h.HoldLog(d.partition)
			t.Cleanup(release)
			id := d.send(d.publish2(1, "x"))
			d.stream.Close()
			eventually(t, func() bool { return closed(d.stream.Done()) }, "Close ends the stream")
			if d.stream.Err() == nil {
				t.Errorf("a closed stream says no reason")
			}
			if d.stream.Send([]broker.SessionRequest{d.publish2(2, "y")}) == nil {
				t.Errorf("a closed stream takes requests")
			}
			release()
			d.unanswered(id, "after the stream ended")
			d.sane()
		}},
		{"The gateway keeps every request until its answer and repeats the unanswered ones, in order and with the same ID, on the next stream, after one OpAnnounce per attached client (rule R3).", func(t T, h *sessioned) {
			need(t, h.HoldLog != nil, "HoldLog")
			d := h.connect("c")
			release := h.HoldLog(d.partition)
			t.Cleanup(release)
			one, two := d.publish2(1, "one"), d.publish2(2, "two")
			d.send(one)
			d.send(two)
			d.stream.Close()
			release()
			d.link = h.linkOf(d.ref, d.id)
			wantNil(t, d.announce().Err)
			for _, r := range []broker.SessionRequest{one, two} {
				wantNil(t, d.ask(r).Err)
			}
			eventually(t, func() bool { return len(h.Upstream.payloads("q")) >= 2 }, "both are published")
			never(t, func() bool { return len(h.Upstream.payloads("q")) > 2 }, "a repeat is published again")
			wantTexts(t, h.Upstream.payloads("q"), "one", "two")
		}},
		{"Epoch: the session partition's epoch", func(t T, h *sessioned) {
			need(t, h.MovePartition != nil, "MovePartition")
			d := h.connect("c")
			first := d.stream
			if d.epoch.Partition != first.Epoch() {
				t.Errorf("connection epoch %+v on a stream of epoch %d", d.epoch, first.Epoch())
			}
			epoch := first.Epoch()
			h.MovePartition(d.partition)
			ended(t, first, broker.KindNotOwner, broker.KindUnavailable)
			d.link = h.linkOf(d.ref, d.id)
			if d.stream.Epoch() <= epoch || first.Epoch() != epoch {
				t.Errorf("epoch %d after %d", d.stream.Epoch(), epoch)
			}
		}},
		{"SessionHandler: Calls come in order, one at a time, and must not block.", func(t T, h *sessioned) {
			d := h.connect("c")
			d.subscribe("a")
			r := h.router("c")
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 20 {
					d.send(d.request(broker.SessionRequest{Op: broker.OpSetExpiry, Expiry: time.Hour}))
				}
			}()
			r.deliver("a", 10, 1)
			<-done
			wantTexts(t, texts(d.receives(10)), "0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
			d.do(broker.SessionRequest{Op: broker.OpSetExpiry, Expiry: time.Hour})
		}},
	}
}

// publish2 is a request to publish with QoS 2 to topic q.
func (d *device) publish2(packet uint16, text string) broker.SessionRequest {
	m := &broker.Message{Topic: "q", Payload: []byte(text), QoS: 2, From: d.id, Published: time.Now()}
	return d.request(broker.SessionRequest{ID: d.h.ids.Add(1), Op: broker.OpPublish2, Publish2: &broker.Publish2{PacketID: packet, Msg: m}})
}
