package brokertest

import (
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// attachSentences are about attachments and sessions that begin and end.
func attachSentences() []sentence[*sessioned] {
	return []sentence[*sessioned]{
		{"ConnEpoch orders the connections of one client id: partition epoch first, then the counter (rule N12).", func(t T, h *sessioned) {
			a := h.connect("c")
			b := h.connect("c")
			if !a.epoch.Less(b.epoch) || b.epoch.Less(a.epoch) || !(broker.ConnEpoch{}).Less(a.epoch) {
				t.Errorf("epochs %+v and then %+v", a.epoch, b.epoch)
			}
		}},
		{"For a persistent or will-carrying client it is sent when the record is durable, for others under a valid lease (rule N12).", func(t T, h *sessioned) {
			need(t, h.HoldLog != nil, "HoldLog")
			l := h.link("c")
			release := h.HoldLog(l.partition)
			t.Cleanup(release)
			clean := l.connect("c", broker.Attach{CleanStart: true, Window: 1}) // answered although nothing is durable
			if clean.answer.Present {
				t.Errorf("a clean session was there before")
			}
			d := &device{link: h.linkOf(h.StartGateway("two"), "c"), id: "c", conn: h.conns.Add(1), attach: persistent()}
			id := d.send(d.request(broker.SessionRequest{Op: broker.OpAttach}))
			d.unanswered(id, "before the attachment is durable")
			release()
			wantNil(t, d.reply(id).Err)
		}},
		{"CleanStart: drop an existing session first", func(t T, h *sessioned) {
			d := h.connect("c")
			d.subscribe("a")
			d.detach(broker.Detach{DropWill: true})
			a := persistent()
			a.CleanStart = true
			again := d.connect("c", a)
			if again.answer.Present || len(again.answer.Subs) != 0 {
				t.Errorf("after a clean start: %+v", again.answer)
			}
			r := h.router("c")
			r.mustSend(1, &broker.Message{Topic: "a", QoS: 1, Published: time.Now()})
			r.wait(1)
			never(t, func() bool { return len(again.publishes()) > 0 }, "a dropped subscription gets messages")
		}},
		{"Present: a session existed and goes on; Subs of that session: the gateway checks them again (promise 6)", func(t T, h *sessioned) {
			d := h.connect("c")
			if d.answer.Present {
				t.Errorf("a new session is said to be present")
			}
			d.subscribe("a", "b/+")
			d.detach(broker.Detach{DropWill: true})
			again := d.connect("c", persistent())
			var filters []string
			for _, s := range again.answer.Subs {
				filters = append(filters, s.Filter)
			}
			slices.Sort(filters)
			if !again.answer.Present || !slices.Equal(filters, []string{"a", "b/+"}) {
				t.Errorf("present %v with %q", again.answer.Present, filters)
			}
		}},
		{"how long the session outlives the connection; 0: not at all (a clean session, which the gateway hosts)", func(t T, h *sessioned) {
			d := h.link("c").connect("c", broker.Attach{Window: 1})
			r := d.ask(d.request(broker.SessionRequest{Op: broker.OpSubscribe, Subs: []broker.Subscription{{Filter: "a"}}}))
			wantKind(t, r.Err, broker.KindInvalid)
			d.detach(broker.Detach{DropWill: true})
			if again := d.connect("c", persistent()); again.answer.Present {
				t.Errorf("a session without expiry outlived its connection")
			}
		}},
		{"how long the session outlives the connection", func(t T, h *sessioned) {
			d := h.connect("c")
			d.subscribe("a")
			d.detach(broker.Detach{HasExpiry: true, Expiry: 30 * time.Millisecond, DropWill: true})
			h.gone("c")
			eventually(t, func() bool { return h.Upstream.members("a", "") == 0 }, "the routes of a session that expired are removed")
		}},
		{"Forever is the expiry of a session that never expires.", func(t T, h *sessioned) {
			a := persistent()
			a.Expiry = broker.Forever
			d := h.link("c").connect("c", a)
			d.detach(broker.Detach{DropWill: true})
			never(t, func() bool { return h.info("c") == nil }, "a session that never expires is gone")
		}},
		{"Expiry: session expiry interval changed (MQTT 5.0 §3.14.2.2.2)", func(t T, h *sessioned) {
			d := h.connect("c")
			d.do(broker.SessionRequest{Op: broker.OpSetExpiry, Expiry: 20 * time.Millisecond})
			d.detach(broker.Detach{DropWill: true})
			h.gone("c")
		}},
		{"a repeat (same incarnation and connection number) gets the same answer", func(t T, h *sessioned) {
			d := h.connect("c")
			for range 2 {
				d.link = h.linkOf(d.ref, d.id)
				r := d.ask(d.request(broker.SessionRequest{ID: d.attachID, Op: broker.OpAttach}))
				wantNil(t, r.Err)
				if r.Attach.Epoch != d.epoch || r.Attach.Present != d.answer.Present {
					t.Fatalf("first answer %+v, then %+v", d.answer, *r.Attach)
				}
			}
			never(t, func() bool { return len(d.pushed(broker.PushKick, d.conn)) > 0 }, "a connection is kicked by its own repeat")
		}},
		{"a request with an older epoch than the present attachment's changes nothing and is answered KindStale.", func(t T, h *sessioned) {
			old := h.connect("c")
			newer := h.connect("c")
			for _, r := range []broker.SessionRequest{
				{Op: broker.OpSubscribe, Subs: []broker.Subscription{{Filter: "a"}}},
				{Op: broker.OpSetExpiry, Expiry: time.Millisecond},
				{Op: broker.OpPublish2, Publish2: &broker.Publish2{PacketID: 1, Msg: &broker.Message{Topic: "q", QoS: 2, Published: time.Now()}}},
				{Op: broker.OpRelease, PacketID: 1},
				{Op: broker.OpAck, Ack: &broker.ClientAck{Index: 1, Kind: broker.AckPuback}},
				{Op: broker.OpUnsubscribe, Subs: []broker.Subscription{{Filter: "a"}}},
			} {
				wantKind(t, old.ask(old.request(r)).Err, broker.KindStale)
				late := newer.request(r) // of the present connection, as it was before
				late.Epoch.Counter--
				wantKind(t, newer.ask(late).Err, broker.KindStale)
			}
			if i := h.info("c"); i == nil || i.Subscriptions != 0 || !i.Connected || i.Node != newer.ref.ID+"@host" {
				t.Errorf("the session: %+v", i)
			}
			if n := len(h.Upstream.messages("q")); n != 0 {
				t.Errorf("%d publishes of an older connection went out", n)
			}
		}},
		{"Detach ends an attachment.", func(t T, h *sessioned) {
			d := h.connect("c")
			d.subscribe("a")
			d.detach(broker.Detach{Reason: "closed"})
			r := h.router("c")
			r.deliver("a", 3, 1)
			never(t, func() bool { return len(d.publishes()) > 0 }, "a push after the detachment")
			wantKind(t, d.ask(d.request(broker.SessionRequest{Op: broker.OpRelease, PacketID: 1})).Err, broker.KindStale)
			d.detach(broker.Detach{Reason: "closed"}) // a repeat
			again := d.connect("c", persistent())
			wantTexts(t, texts(again.receives(3)), "0", "1", "2")
		}},
		{"OpAnnounce: after a change of the owner, before anything else of that client", func(t T, h *sessioned) {
			need(t, h.MovePartition != nil, "MovePartition")
			d := h.connect("c")
			clean := d.connect(h.neighbour("c"), broker.Attach{Window: 1})
			d.subscribe("a")
			h.MovePartition(d.partition)
			d.link = h.linkOf(d.ref, d.id)
			wantNil(t, d.announce().Err)
			clean.link = d.link
			wantNil(t, clean.announce().Err)
			d.subscribe("b")
			r := h.router("c")
			r.deliver("a", 1, 1)
			r.deliver("b", 1, 1)
			wantTexts(t, texts(d.receives(2)), "0", "1")
		}},
		{"Inflight is what the gateway knows of the pushes under way on this live connection (rule R5).", func(t T, h *sessioned) {
			need(t, h.MovePartition != nil, "MovePartition")
			d := h.connect("c")
			d.subscribe("a")
			r := h.router("c")
			r.deliver("a", 3, 2)
			got := d.receives(3)
			d.ack(got[0].Index, broker.AckPubrec)
			eventually(t, func() bool { return len(d.pushed(broker.PushRelease, d.conn)) == 1 }, "PUBREL is pushed")
			h.MovePartition(d.partition)
			d.link = h.linkOf(d.ref, d.id)
			wantNil(t, d.announce(
				broker.Inflight{Index: got[0].Index, PacketID: got[0].PacketID, QoS: 2, Received: true},
				broker.Inflight{Index: got[1].Index, PacketID: got[1].PacketID, QoS: 2},
			).Err)
			third := d.receives(1)
			if third[0].Index != got[2].Index {
				t.Fatalf("pushed again: %+v", third[0])
			}
			never(t, func() bool { return len(d.publishes()) > 1 }, "what is under way on a live connection is pushed again")
			for _, x := range got[1:] {
				d.ack(x.Index, broker.AckPubrec)
			}
			for _, x := range got {
				d.ack(x.Index, broker.AckPubcomp)
			}
			eventually(t, func() bool { i := h.info("c"); return i.Inflight == 0 && i.Queued == 0 }, "everything is complete")
		}},
	}
}

// info is the listing of a session; nil if there is none.
func (h *sessioned) info(clientID string) *broker.SessionInfo {
	h.t.Helper()
	need(h.t, h.Admin != nil, "Admin")
	list, err := h.Admin.Sessions(h.t.Context(), broker.ClientQuery{ClientID: clientID})
	wantNil(h.t, err)
	if len(list) == 0 {
		return nil
	}
	return &list[0]
}

// gone waits until a session is there no more.
func (h *sessioned) gone(clientID string) {
	h.t.Helper()
	eventually(h.t, func() bool { return h.info(clientID) == nil }, "the session of %s ends", clientID)
}
