package brokertest

import (
	"strings"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// subscribeSentences are about subscriptions.
func subscribeSentences() []sentence[*sessioned] {
	return []sentence[*sessioned]{
		{"OpSubscribe: Subs; answered when routed (rule N8)", func(t T, h *sessioned) {
			d := h.connect("c")
			h.Upstream.set(func(u *Upstream) { u.refuse = true })
			ids := map[string]uint64{}
			for _, filter := range []string{"a", "w/+", "$share/g/s"} {
				ids[filter] = d.send(d.request(broker.SessionRequest{Op: broker.OpSubscribe, Subs: []broker.Subscription{{Filter: filter}}}))
				d.unanswered(ids[filter], "while the router does not have the route")
			}
			h.Upstream.set(func(u *Upstream) { u.refuse = false })
			for filter, id := range ids {
				wantNil(t, d.reply(id).Err)
				if filter, shared := strings.CutPrefix(filter, "$share/g/"); h.Upstream.members(filter, map[bool]string{true: "g"}[shared]) != 1 {
					t.Errorf("no route of %s after its answer", filter)
				}
			}
		}},
		{"SUBACK always waits, also if the filter is already in the session's or the partition's state (rule N8)", func(t T, h *sessioned) {
			d := h.connect("c")
			h.Upstream.set(func(u *Upstream) { u.refuse = true })
			other := h.link("c").connect(h.neighbour("c"), persistent())
			for _, x := range []*device{d, d, other} {
				id := x.send(x.request(broker.SessionRequest{Op: broker.OpSubscribe, Subs: []broker.Subscription{{Filter: "a"}}}))
				x.unanswered(id, "while the router does not have the route")
			}
			h.Upstream.set(func(u *Upstream) { u.refuse = false })
			d.subscribe("a")
		}},
		{"OpSubscribe, OpUnsubscribe: one per filter, in order", func(t T, h *sessioned) {
			d := h.connect("c")
			got := d.subscribe("a", "b/#/c", "$share/g/x", "a")
			if len(got) != 4 || got[0].Err != nil || got[2].Err != nil || got[3].Err != nil {
				t.Fatalf("answers %+v", got)
			}
			wantKind(t, got[1].Err, broker.KindInvalid)
			if got[0].Existed || !got[3].Existed {
				t.Errorf("answers %+v: the last replaced the first", got)
			}
			r := d.do(broker.SessionRequest{Op: broker.OpUnsubscribe, Subs: []broker.Subscription{{Filter: "none"}, {Filter: "a"}}})
			if len(r.Subs) != 2 || r.Subs[1].Err != nil {
				t.Fatalf("answers %+v", r.Subs)
			}
			wantKind(t, r.Subs[0].Err, broker.KindNotFound)
		}},
		{"Existed: the filter replaced an existing subscription", func(t T, h *sessioned) {
			d := h.connect("c")
			d.subscribe("a")
			r := d.do(broker.SessionRequest{Op: broker.OpSubscribe, Subs: []broker.Subscription{{Filter: "a", QoS: 1, ID: 5, RetainHandling: 2}}})
			if !r.Subs[0].Existed {
				t.Errorf("the filter is said to be new")
			}
			h.router("c").deliver("a", 1, 2)
			got := d.receives(1)
			if got[0].QoS != 1 || len(got[0].SubIDs) != 1 || got[0].SubIDs[0] != 5 {
				t.Errorf("the old subscription is in force: %+v", got[0])
			}
			never(t, func() bool { return len(d.publishes()) > 1 }, "both subscriptions are in force")
		}},
		{"OpUnsubscribe: Subs (filters only)", func(t T, h *sessioned) {
			d := h.connect("c")
			d.subscribe("a", "b")
			d.do(broker.SessionRequest{Op: broker.OpUnsubscribe, Subs: []broker.Subscription{{Filter: "a"}}})
			r := h.router("c")
			r.deliver("a", 1, 1)
			r.deliver("b", 1, 1)
			wantTexts(t, texts(d.receives(1)), "1")
			eventually(t, func() bool { return h.Upstream.members("a", "") == 0 }, "the route is removed")
			if h.Upstream.members("b", "") != 1 {
				t.Errorf("another route was removed")
			}
		}},
		{"NoLocal", func(t T, h *sessioned) {
			d := h.connect("c")
			d.do(broker.SessionRequest{Op: broker.OpSubscribe, Subs: []broker.Subscription{{Filter: "a", QoS: 1, NoLocal: true, RetainHandling: 2}}})
			r := h.router("c")
			for i, from := range []string{"c", "other"} {
				r.mustSend(uint64(i+1), &broker.Message{Topic: "a", Payload: []byte(from), QoS: 1, From: from, Published: time.Now()})
			}
			r.wait(2)
			wantTexts(t, texts(d.receives(1)), "other")
		}},
		{"RetainHandling: 0 send retained, 1 only if new, 2 never", func(t T, h *sessioned) {
			h.Upstream.set(func(u *Upstream) {
				u.retained = []*broker.Message{{Topic: "r/1", Payload: []byte("kept"), QoS: 1, Retain: true, Published: time.Now()}}
			})
			d := h.connect("c")
			sub := func(filter string, handling uint8) {
				d.do(broker.SessionRequest{Op: broker.OpSubscribe, Subs: []broker.Subscription{{Filter: filter, QoS: 1, RetainHandling: handling}}})
			}
			sub("r/1", 2)
			sub("$share/g/r/+", 0) // never for shared ones (MQTT 5.0 §3.8.4)
			never(t, func() bool { return len(d.publishes()) > 0 }, "a retained message that was not asked for")
			sub("r/+", 1)
			if x := d.receives(1)[0]; string(x.Msg.Payload) != "kept" || !x.Retain {
				t.Errorf("retained message: %+v", x)
			}
			sub("r/+", 1)
			never(t, func() bool { return len(d.publishes()) > 1 }, "a retained message although the subscription was there")
			sub("r/+", 0)
			d.receives(2)
		}},
		{"RetainAsPublished: the retain flag to send", func(t T, h *sessioned) {
			d := h.connect("c")
			d.do(broker.SessionRequest{Op: broker.OpSubscribe, Subs: []broker.Subscription{
				{Filter: "plain", QoS: 1, RetainHandling: 2}, {Filter: "kept", QoS: 1, RetainHandling: 2, RetainAsPublished: true},
			}})
			r := h.router("c")
			for i, topic := range []string{"plain", "kept"} {
				r.mustSend(uint64(i+1), &broker.Message{Topic: topic, Payload: []byte(topic), QoS: 1, Retain: true, Published: time.Now()})
			}
			r.wait(2)
			if got := d.receives(2); got[0].Retain || !got[1].Retain {
				t.Errorf("retain flags %v and %v", got[0].Retain, got[1].Retain)
			}
		}},
	}
}
