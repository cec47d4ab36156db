package brokertest

import (
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// pushSentences are about what a persistent session is given, and what its client answers.
func pushSentences() []sentence[*sessioned] {
	return []sentence[*sessioned]{
		{"QoS 1: at least once for persistent subscribers that matched when the message was first routed.", func(t T, h *sessioned) {
			need(t, h.MovePartition != nil, "MovePartition")
			d := h.connect("c")
			d.subscribe("a")
			d.detach(broker.Detach{DropWill: true})
			h.router("c").deliver("a", 5, 1)
			h.MovePartition(d.partition)
			again := h.linkOf(d.ref, "c").connect("c", persistent())
			if !again.answer.Present {
				t.Fatalf("the session is gone")
			}
			wantTexts(t, texts(again.receives(5)), "0", "1", "2", "3", "4")
		}},
		{"Order: per publisher connection, topic and QoS.", func(t T, h *sessioned) {
			d := h.link("c").connect("c", broker.Attach{Expiry: time.Hour, Window: 100})
			d.subscribe("a")
			h.router("c").deliver("a", 40, 1)
			got := d.receives(40)
			if !slices.IsSortedFunc(got, func(a, b broker.Push) int { return int(a.Index) - int(b.Index) }) {
				t.Errorf("indexes do not rise")
			}
			for i, x := range got {
				if want := string(rune('0' + i%10)); x.Msg.Topic != "a" || texts(got)[i][len(texts(got)[i])-1:] != want {
					t.Fatalf("messages %q", texts(got))
				}
			}
		}},
		{"Window: how many QoS 1/2 pushes may be unacknowledged (receive maximum and max_inflight), >= 1", func(t T, h *sessioned) {
			d := h.link("c").connect("c", broker.Attach{Expiry: time.Hour, Window: 2})
			d.subscribe("a")
			h.router("c").deliver("a", 5, 1)
			got := d.receives(2)
			never(t, func() bool { return len(d.publishes()) > 2 }, "more pushes than the window allows")
			d.ack(got[0].Index, broker.AckPuback)
			d.receives(3)
			never(t, func() bool { return len(d.publishes()) > 3 }, "one answer opens the window by more than one")
			d.ack(got[0].Index, broker.AckPuback) // a repeat
			never(t, func() bool { return len(d.publishes()) > 3 }, "a repeated answer opens the window")
		}},
		{"Index: queue index, 0 for QoS 0; PacketID: 1 + index mod 65535 (rule R4), 0 for QoS 0", func(t T, h *sessioned) {
			d := h.connect("c")
			d.subscribe("a")
			r := h.router("c")
			r.deliver("a", 1, 1)
			r.deliver("a", 1, 2)
			r.deliver("a", 1, 0)
			got := d.receives(3)
			slices.SortFunc(got, func(a, b broker.Push) int { return int(a.Msg.QoS) - int(b.Msg.QoS) })
			if x := got[0]; x.Index != 0 || x.PacketID != 0 || x.QoS != 0 {
				t.Errorf("QoS 0: %+v", x)
			}
			for _, x := range got[1:] {
				if x.Index == 0 || x.PacketID != uint16(1+x.Index%65535) || x.QoS != x.Msg.QoS || x.Dup || x.ClientID != "c" || x.Epoch != d.epoch {
					t.Errorf("push %+v", x)
				}
			}
		}},
		{"QoS: granted", func(t T, h *sessioned) {
			d := h.connect("c")
			d.do(broker.SessionRequest{Op: broker.OpSubscribe, Subs: []broker.Subscription{{Filter: "a", QoS: 1, RetainHandling: 2}}})
			r := h.router("c")
			r.deliver("a", 1, 2)
			r.deliver("a", 1, 1)
			if got := d.receives(2); got[0].QoS != 1 || got[1].QoS != 1 {
				t.Errorf("QoS %d and %d, granted was 1", got[0].QoS, got[1].QoS)
			}
		}},
		{"SubIDs: all subscription identifiers that matched", func(t T, h *sessioned) {
			d := h.connect("c")
			d.do(broker.SessionRequest{Op: broker.OpSubscribe, Subs: []broker.Subscription{
				{Filter: "a/b", QoS: 1, ID: 3, RetainHandling: 2}, {Filter: "a/+", QoS: 2, ID: 9, RetainHandling: 2}, {Filter: "x", QoS: 1, ID: 1, RetainHandling: 2},
			}})
			h.router("c").deliver("a/b", 1, 2)
			x := d.receives(1)[0]
			ids := slices.Sorted(slices.Values(x.SubIDs))
			if !slices.Equal(ids, []uint32{3, 9}) || x.QoS != 2 {
				t.Errorf("push %+v", x)
			}
			if x.Filters != nil && len(x.Filters) != 2 {
				t.Errorf("filters %q", x.Filters)
			}
			never(t, func() bool { return len(d.publishes()) > 1 }, "one copy per filter")
		}},
		{"Dup: what was under way is sent again on the next connection", func(t T, h *sessioned) {
			d := h.link("c").connect("c", broker.Attach{Expiry: time.Hour, Window: 2})
			d.subscribe("a")
			h.router("c").deliver("a", 3, 1)
			first := d.receives(2)
			d.detach(broker.Detach{Reason: "closed"})
			again := d.connect("c", persistent())
			got := again.receives(3)
			wantTexts(t, texts(got), "0", "1", "2")
			if !got[0].Dup || !got[1].Dup || got[2].Dup || got[0].PacketID != first[0].PacketID || got[1].Index != first[1].Index {
				t.Errorf("pushed %+v and then %+v", first, got)
			}
		}},
		{"ClientAck is what the client answered to a push. Index names the queue entry, not the packet id.", func(t T, h *sessioned) {
			d := h.connect("c")
			d.subscribe("a")
			h.router("c").deliver("a", 2, 1)
			got := d.receives(2)
			d.ack(got[1].Index, broker.AckPuback)
			d.ack(got[1].Index+1000, broker.AckPuback)
			d.detach(broker.Detach{Reason: "closed"})
			again := d.connect("c", persistent())
			wantTexts(t, texts(again.receives(1)), "0")
			never(t, func() bool { return len(again.publishes()) > 1 }, "a message that was answered comes again")
		}},
		{"AckPubrec: must be durable before PUBREL is sent: the reply is a Push with Op PushRelease", func(t T, h *sessioned) {
			need(t, h.HoldLog != nil, "HoldLog")
			d := h.connect("c")
			d.subscribe("a")
			h.router("c").deliver("a", 1, 2)
			x := d.receives(1)[0]
			release := h.HoldLog(d.partition)
			t.Cleanup(release)
			d.send(d.request(broker.SessionRequest{Op: broker.OpAck, Ack: &broker.ClientAck{Index: x.Index, Kind: broker.AckPubrec}}))
			never(t, func() bool { return len(d.pushed(broker.PushRelease, d.conn)) > 0 }, "PUBREL before PUBREC is durable")
			release()
			eventually(t, func() bool { return len(d.pushed(broker.PushRelease, d.conn)) == 1 }, "PUBREL is pushed")
			if p := d.pushed(broker.PushRelease, d.conn)[0]; p.PacketID != x.PacketID || p.Index != x.Index {
				t.Errorf("PUBREL %+v for %+v", p, x)
			}
			d.detach(broker.Detach{Reason: "closed"})
			again := d.connect("c", persistent()) // from PUBREC on only PUBREL is repeated
			eventually(t, func() bool { return len(again.pushed(broker.PushRelease, again.conn)) == 1 }, "PUBREL is pushed again")
			again.ack(x.Index, broker.AckPubcomp)
			if len(again.publishes()) != 0 {
				t.Errorf("a message that was received is pushed again: %+v", again.publishes())
			}
		}},
		{"AckDropped: the gateway did not send it (refused at delivery, too large, expired); it counts as done", func(t T, h *sessioned) {
			d := h.link("c").connect("c", broker.Attach{Expiry: time.Hour, Window: 1})
			d.subscribe("a")
			h.router("c").deliver("a", 2, 2)
			d.ack(d.receives(1)[0].Index, broker.AckDropped)
			wantTexts(t, texts(d.receives(2)), "0", "1")
		}},
		{"Failed: reason code >= 0x80", func(t T, h *sessioned) {
			d := h.link("c").connect("c", broker.Attach{Expiry: time.Hour, Window: 1})
			d.subscribe("a")
			h.router("c").deliver("a", 2, 2)
			x := d.receives(1)[0]
			d.do(broker.SessionRequest{Op: broker.OpAck, Ack: &broker.ClientAck{Index: x.Index, Kind: broker.AckPubrec, Failed: true}})
			d.receives(2) // a refused PUBREC ends the exchange (MQTT 5.0 §4.3.3)
			if len(d.pushed(broker.PushRelease, d.conn)) != 0 {
				t.Errorf("PUBREL after a PUBREC that refused")
			}
		}},
		{"QoS 0: at most once. Dropped under pressure; never logged.", func(t T, h *sessioned) {
			d := h.connect("c")
			d.subscribe("a")
			h.router("c").deliver("a", 3, 0)
			wantTexts(t, texts(d.receives(3)), "0", "1", "2")
		}},
		{"Shares are the groups whose copy this destination gets: a session partition is the group's home (rule R7)", func(t T, h *sessioned) {
			on := h.connect("c")
			off := h.link("c").connect(h.neighbour("c"), persistent())
			on.subscribe("$share/g/a")
			off.subscribe("$share/g/a")
			off.detach(broker.Detach{DropWill: true})
			r := h.router("c")
			s := broker.Share{Group: "g", Filter: "a"}
			for i := range 6 {
				wantNil(t, r.stream.Send([]broker.Delivery{{
					Source: r.source, Seq: uint64(i + 1), Msg: &broker.Message{Topic: "a", Payload: []byte{byte('0' + i)}, QoS: 1, Published: time.Now()},
					Shares: []broker.ShareCopy{{Share: s, Candidates: []broker.Candidate{{Session: r.partition(h), Members: 2, Online: 1}}}},
				}}))
			}
			r.wait(6)
			wantTexts(t, texts(on.receives(6)), "0", "1", "2", "3", "4", "5") // each once, and to the connected member first
			again := off.connect(off.id, persistent())
			never(t, func() bool { return len(again.publishes()) > 0 }, "a second copy for a group")
		}},
	}
}

// partition is where the router of a client id delivers to.
func (r *router) partition(h *sessioned) int { return h.Partition("", "c") }
