package brokertest

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// qos2Sentences are about QoS 2 publishes of persistent sessions.
func qos2Sentences() []sentence[*sessioned] {
	return []sentence[*sessioned]{
		{"OpPublish2: QoS 2 publish of a persistent session; answered when durable, the gateway sends PUBREC then (rule R1)", func(t T, h *sessioned) {
			need(t, h.HoldLog != nil, "HoldLog")
			d := h.connect("c")
			release := h.HoldLog(d.partition)
			t.Cleanup(release)
			id := d.send(d.publish2(1, "x"))
			d.unanswered(id, "before the publish is durable")
			if n := len(h.Upstream.messages("q")); n != 0 {
				t.Errorf("%d publishes went out before they were durable", n)
			}
			release()
			if r := d.reply(id); r.Err != nil || r.Known {
				t.Errorf("answer %+v", r)
			}
			eventually(t, func() bool { return len(h.Upstream.messages("q")) > 0 }, "the publish goes out")
		}},
		{"kept until PUBREL under its packet id and routed by the partition's outbox at once.", func(t T, h *sessioned) {
			h.Upstream.set(func(u *Upstream) { u.hold = true })
			d := h.connect("c")
			for i, text := range []string{"one", "two", "three"} {
				wantNil(t, d.ask(d.publish2(uint16(i+1), text)).Err) // PUBREC does not wait for the router
			}
			eventually(t, func() bool { return len(h.Upstream.payloads("q")) == 3 }, "three publishes go out, without PUBREL")
			wantTexts(t, h.Upstream.payloads("q"), "one", "two", "three")
			m := h.Upstream.messages("q")[0]
			if m.source.Kind != broker.FromSession || m.source.Partition != d.partition || m.Msg.From != "c" {
				t.Errorf("published as %+v %+v", m.source, m.Msg)
			}
			h.Upstream.release()
		}},
		{"OpPublish2: the id was already held (a repeat: nothing was published again)", func(t T, h *sessioned) {
			d := h.connect("c")
			wantNil(t, d.ask(d.publish2(1, "first")).Err)
			if r := d.ask(d.publish2(1, "again")); r.Err != nil || !r.Known {
				t.Errorf("answer to a repeat: %+v", r)
			}
			eventually(t, func() bool { return len(h.Upstream.payloads("q")) > 0 }, "the publish goes out")
			never(t, func() bool { return len(h.Upstream.payloads("q")) > 1 }, "a repeat is published")
			wantTexts(t, h.Upstream.payloads("q"), "first")
		}},
		{"OpRelease: PacketID: PUBREL; answered when durable, the gateway sends PUBCOMP then", func(t T, h *sessioned) {
			d := h.connect("c")
			if r := d.do(broker.SessionRequest{Op: broker.OpRelease, PacketID: 9}); r.Known {
				t.Errorf("an id that was never held is known")
			}
			wantNil(t, d.ask(d.publish2(9, "x")).Err)
			if r := d.do(broker.SessionRequest{Op: broker.OpRelease, PacketID: 9}); !r.Known {
				t.Errorf("a held id is not known")
			}
			if r := d.ask(d.publish2(9, "y")); r.Err != nil || r.Known {
				t.Errorf("a released id is still held: %+v", r)
			}
			eventually(t, func() bool { return len(h.Upstream.payloads("q")) == 2 }, "two publishes under one id go out")
		}},
		{"QoS 2: exactly once, also across the death of any one process between two packets.", func(t T, h *sessioned) {
			need(t, h.MovePartition != nil, "MovePartition")
			d := h.connect("c")
			wantNil(t, d.ask(d.publish2(1, "x")).Err)
			h.MovePartition(d.partition)
			d.link = h.linkOf(d.ref, d.id)
			wantNil(t, d.announce().Err)
			if r := d.ask(d.publish2(1, "x")); r.Err != nil || !r.Known {
				t.Errorf("the new owner does not hold the id: %+v", r)
			}
			d.do(broker.SessionRequest{Op: broker.OpRelease, PacketID: 1})
			eventually(t, func() bool { return len(h.Upstream.payloads("q")) > 0 }, "the publish goes out")
			never(t, func() bool { return len(h.Upstream.payloads("q")) > 1 }, "the publish goes out under two numbers")
		}},
		{"the opener opens the next one and sends again from its first unanswered item (the outbox)", func(t T, h *sessioned) {
			h.Upstream.set(func(u *Upstream) { u.hold = true })
			d := h.connect("c")
			wantNil(t, d.ask(d.publish2(1, "one")).Err)
			wantNil(t, d.ask(d.publish2(2, "two")).Err)
			eventually(t, func() bool { return len(h.Upstream.messages("q")) == 2 }, "two publishes go out")
			h.Upstream.breakStreams()
			eventually(t, func() bool { return len(h.Upstream.messages("q")) >= 4 }, "both are sent again")
			got := h.Upstream.messages("q")
			if got[2].Seq != got[0].Seq || got[3].Seq != got[1].Seq || got[2].source != got[0].source {
				t.Errorf("numbers %d %d, then %d %d", got[0].Seq, got[1].Seq, got[2].Seq, got[3].Seq)
			}
			h.Upstream.release()
		}},
	}
}

// willSentences are about wills.
func willSentences() []sentence[*sessioned] {
	will := func(delay time.Duration) *broker.Will {
		return &broker.Will{Msg: &broker.Message{Topic: "will", Payload: []byte("gone"), QoS: 1, From: "c"}, Delay: delay, Expiry: time.Hour}
	}
	with := func(w *broker.Will, expiry time.Duration) broker.Attach {
		return broker.Attach{Expiry: expiry, Window: 1, Will: w}
	}
	published := func(h *sessioned) bool { return len(h.Upstream.payloads("will")) > 0 }
	return []sentence[*sessioned]{
		{"Will is the message to publish when the connection ends without DISCONNECT (MQTT 5.0 §3.1.2.5). Its id and times are set when it is published.", func(t T, h *sessioned) {
			for _, expiry := range []time.Duration{time.Hour, 0} {
				before := len(h.Upstream.payloads("will"))
				d := h.link("c").connect("c", with(will(0), expiry))
				d.detach(broker.Detach{Reason: "keepalive_timeout"})
				eventually(t, func() bool { return len(h.Upstream.payloads("will")) == before+1 }, "the will is published")
			}
			m := h.Upstream.messages("will")[0]
			if m.Msg.Published.IsZero() || m.Msg.Expires.IsZero() || m.Msg.Expires.Before(m.Msg.Published) || m.source.Kind != broker.FromSession {
				t.Errorf("published %+v", m.Msg)
			}
		}},
		{"DropWill: DISCONNECT with reason 0x00 was read, or CONNACK was never sent", func(t T, h *sessioned) {
			d := h.link("c").connect("c", with(will(0), time.Hour))
			d.detach(broker.Detach{Reason: "normal", DropWill: true})
			never(t, func() bool { return published(h) }, "a will after a normal disconnect")
		}},
		{"Delay: will delay interval", func(t T, h *sessioned) {
			d := h.link("c").connect("c", with(will(50*time.Millisecond), time.Hour))
			d.detach(broker.Detach{Reason: "closed"})
			eventually(t, func() bool { return published(h) }, "the will is published after its delay")
			e := h.link("d").connect("d", with(will(time.Hour), time.Hour))
			e.detach(broker.Detach{Reason: "closed"})
			e.connect("d", persistent()) // back before the delay is over: no will
			never(t, func() bool { return len(h.Upstream.payloads("will")) > 1 }, "a will whose delay is not over")
		}},
		{"HasExpiry: Expiry replaces the session's expiry interval (a delayed will is published when the session ends, MQTT 5.0 §3.1.3.2.2)", func(t T, h *sessioned) {
			d := h.link("c").connect("c", with(will(time.Hour), time.Hour))
			d.detach(broker.Detach{Reason: "closed", HasExpiry: true, Expiry: 20 * time.Millisecond})
			eventually(t, func() bool { return published(h) }, "the will is published with the session's end")
			h.gone("c")
		}},
		{"closed, kicked, ...: a gateway whose key is gone detaches its connections (rule R6)", func(t T, h *sessioned) {
			need(t, h.StopGateway != nil, "StopGateway")
			d := h.link("c").connect("c", with(will(0), time.Hour))
			h.StopGateway(d.ref)
			eventually(t, func() bool { return published(h) }, "the will is published")
			eventually(t, func() bool { i := h.info("c"); return i != nil && !i.Connected }, "the session is offline")
		}},
		{"a will is parked: the Kick's answer decides (rule R6)", func(t T, h *sessioned) {
			old := h.link("c").connect("c", with(will(0), time.Hour))
			h.connect("c")
			never(t, func() bool { return published(h) }, "a will is published before the kick is answered")
			old.do(broker.SessionRequest{Op: broker.OpKicked})
			eventually(t, func() bool { return published(h) }, "the will is published")
		}},
	}
}
