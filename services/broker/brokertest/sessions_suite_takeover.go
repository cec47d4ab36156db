package brokertest

import (
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// takeoverSentences are about a client id that connects twice.
func takeoverSentences() []sentence[*sessioned] {
	return []sentence[*sessioned]{
		{"Attach makes a connection the owner of its client id.", func(t T, h *sessioned) {
			old := h.connect("c")
			old.subscribe("a")
			newer := h.connect("c")
			if !newer.answer.Present {
				t.Errorf("the session did not go on")
			}
			r := h.router("c")
			r.deliver("a", 2, 1)
			wantTexts(t, texts(newer.receives(2)), "0", "1")
			if len(old.publishes()) != 0 {
				t.Errorf("the superseded connection gets messages")
			}
		}},
		{"PushKick: end connection Conn: superseded or kicked by management; answer with OpKicked", func(t T, h *sessioned) {
			for _, a := range []broker.Attach{persistent(), {Window: 1}} {
				id := "c"
				if a.Expiry == 0 {
					id = "clean"
				}
				old := h.link(id).connect(id, a)
				newer := h.link(id).connect(id, a)
				eventually(t, func() bool { return len(old.pushed(broker.PushKick, old.conn)) > 0 }, "the older connection is kicked")
				x := old.pushed(broker.PushKick, old.conn)[0]
				if x.ClientID != id || x.Epoch.Less(old.epoch) || x.Reason == "" {
					t.Errorf("kick %+v", x)
				}
				if len(newer.pushed(broker.PushKick, newer.conn)) != 0 {
					t.Errorf("the newer connection is kicked")
				}
				old.do(broker.SessionRequest{Op: broker.OpKicked})
			}
		}},
		{"HoldPublishes: an older connection elsewhere is being ended; hold this client's publishes until a Push with Op PushSettled", func(t T, h *sessioned) {
			old := h.connect("c")
			if old.answer.HoldPublishes {
				t.Errorf("publishes are held without an older connection")
			}
			for range 5 { // the fastest of several, because a machine may be slow
				begun := time.Now()
				newer := h.connect("c")
				if !newer.answer.HoldPublishes {
					t.Fatalf("publishes are not held")
				}
				old.do(broker.SessionRequest{Op: broker.OpKicked})
				eventually(t, func() bool { return len(newer.pushed(broker.PushSettled, newer.conn)) == 1 }, "PushSettled comes")
				if time.Since(begun) < time.Second/2 {
					return
				}
				old = newer
			}
			t.Errorf("PushSettled does not come with the answer of the older connection, but when a second is over")
		}},
		{"Delay asks for a pause before CONNACK: the client id is being taken over to and fro (flapping).", func(t T, h *sessioned) {
			h.connect("c")
			if d := h.connect("c"); d.answer.Delay != 0 {
				t.Errorf("one take-over is delayed by %v", d.answer.Delay)
			}
			eventually(t, func() bool { return h.connect("c").answer.Delay > 0 }, "one take-over after the other is delayed")
		}},
		{"hold this client's publishes until a Push with Op PushSettled, at most one second.", func(t T, h *sessioned) {
			h.connect("c")
			newer := h.connect("c")
			eventually(t, func() bool { return len(newer.pushed(broker.PushSettled, newer.conn)) == 1 }, "PushSettled comes although the old gateway is silent")
		}},
		{"a repeated Attach of a superseded connection is refused, as often as it comes: KindConflict", func(t T, h *sessioned) {
			old := h.connect("c")
			newer := h.connect("c")
			for range 2 {
				r := old.request(broker.SessionRequest{ID: old.h.ids.Add(1), Op: broker.OpAttach})
				wantKind(t, old.ask(r).Err, broker.KindConflict, broker.KindStale)
			}
			newer.subscribe("a") // and it took nothing away
		}},
		{"KindConflict: the thing exists already, or was superseded (a connection that announces itself)", func(t T, h *sessioned) {
			need(t, h.MovePartition != nil, "MovePartition")
			old := h.connect("c")
			newer := h.connect("c")
			h.MovePartition(old.partition)
			newer.link = h.linkOf(newer.ref, "c")
			wantNil(t, newer.announce().Err)
			old.link = h.linkOf(old.ref, "c")
			wantKind(t, old.announce().Err, broker.KindConflict, broker.KindStale)
			eventually(t, func() bool { return len(old.pushed(broker.PushKick, old.conn)) > 0 }, "the lower epoch is kicked")
			newer.subscribe("a")
		}},
		{"a new owner repeats the Kick", func(t T, h *sessioned) {
			need(t, h.MovePartition != nil, "MovePartition")
			old := h.connect("c")
			newer := h.connect("c")
			eventually(t, func() bool { return len(old.pushed(broker.PushKick, old.conn)) > 0 }, "the older connection is kicked")
			h.MovePartition(old.partition)
			newer.link = h.linkOf(newer.ref, "c")
			wantNil(t, newer.announce().Err)
			old.link = h.linkOf(old.ref, "c")
			eventually(t, func() bool { return len(old.pushed(broker.PushKick, old.conn)) > 0 }, "the older connection is kicked again")
		}},
	}
}
