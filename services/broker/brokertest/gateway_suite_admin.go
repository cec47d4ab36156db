package brokertest

import (
	"context"
	"fmt"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// gatewayAdminSentences are about GatewayAdmin.
func gatewayAdminSentences() []sentence[*gated] {
	message := func(topic string, qos broker.QoS) *broker.Message {
		return &broker.Message{Topic: topic, Payload: []byte("x"), QoS: qos, From: "api", Published: time.Now()}
	}
	return []sentence[*gated]{
		{"Node describes the process and its load.", func(t T, h *gated) {
			h.client("one")
			h.client("two")
			n, err := h.Gateway.Node(t.Context())
			wantNil(t, err)
			if n.Name != h.Name || n.Incarnation != h.Ref.Incarnation || n.Clients != 2 || n.Started.IsZero() {
				t.Errorf("node %+v", n)
			}
		}},
		{"Clients lists connections, ordered by client id, after q.After, at most q.Limit (default 100, at most 1000).", func(t T, h *gated) {
			for i := range 105 {
				h.client(fmt.Sprintf("c%03d", (i*37)%105))
			}
			page := func(q broker.ClientQuery) (ids []string) {
				rows, err := h.Gateway.Clients(t.Context(), q)
				wantNil(t, err)
				for _, r := range rows {
					ids = append(ids, r.ClientID)
					if r.Node != h.Name || r.Username != "user-"+r.ClientID {
						t.Fatalf("row %+v", r)
					}
				}
				return ids
			}
			all := page(broker.ClientQuery{})
			if len(all) != 100 || all[0] != "c000" || all[99] != "c099" {
				t.Errorf("the first page has %d rows: %v", len(all), all)
			}
			wantTexts(t, page(broker.ClientQuery{After: "c099", Limit: 3}), "c100", "c101", "c102")
			if n := len(page(broker.ClientQuery{Limit: 5000})); n != 105 {
				t.Errorf("%d rows of 105", n)
			}
			wantTexts(t, page(broker.ClientQuery{ClientID: "c042"}), "c042")
			wantTexts(t, page(broker.ClientQuery{Contains: "04", Limit: 2}), "c004", "c040")
			wantTexts(t, page(broker.ClientQuery{Username: "user-c007"}), "c007")
			wantTexts(t, page(broker.ClientQuery{Node: "other@host"}))
		}},
		{"ClientSubscriptions lists the subscriptions of connected clients, same paging; q.ClientID \"\" lists all.", func(t T, h *gated) {
			h.client("b", "x")
			h.client("a", "y", "$share/g/z")
			rows, err := h.Gateway.ClientSubscriptions(t.Context(), broker.ClientQuery{})
			wantNil(t, err)
			if len(rows) != 3 || rows[0].ClientID != "a" || rows[2].ClientID != "b" || rows[2].Filter != "x" || rows[2].QoS != 1 || rows[0].Node != h.Name {
				t.Errorf("subscriptions %+v", rows)
			}
			rows, err = h.Gateway.ClientSubscriptions(t.Context(), broker.ClientQuery{ClientID: "b"})
			wantNil(t, err)
			if len(rows) != 1 {
				t.Errorf("subscriptions of b: %+v", rows)
			}
			rows, err = h.Gateway.ClientSubscriptions(t.Context(), broker.ClientQuery{After: "a"})
			wantNil(t, err)
			if len(rows) != 1 || rows[0].ClientID != "b" {
				t.Errorf("subscriptions after a: %+v", rows)
			}
		}},
		{"Kick ends the connection of a client id. KindNotFound: it is not connected here.", func(t T, h *gated) {
			c := h.client("c", "a")
			other := h.client("other")
			wantNil(t, h.Gateway.Kick(t.Context(), "", "c", "kicked"))
			eventually(t, func() bool { return c.Ended() != "" }, "the connection ends")
			eventually(t, func() bool {
				return broker.KindOf(orNil(h.Gateway.Kick(t.Context(), "", "c", "kicked"))) == broker.KindNotFound
			}, "it is not connected any more")
			eventually(t, func() bool { return h.Upstream.members("a", "") == 0 }, "its routes are removed")
			if other.Ended() != "" {
				t.Errorf("another client was kicked")
			}
		}},
		{"Inject publishes as if a client of that id had", func(t T, h *gated) {
			for qos := range broker.QoS(3) {
				a, err := h.Gateway.Inject(t.Context(), broker.Identity{ClientID: "api"}, message("a", qos))
				wantNil(t, err)
				if !a.Matched {
					t.Errorf("QoS %d: the router's answer is lost", qos)
				}
			}
			got := h.Upstream.messages("a")
			if len(got) != 3 || got[0].source.Incarnation != h.Ref.Incarnation || string(got[0].Msg.Payload) != "x" {
				t.Errorf("published %+v", got)
			}
		}},
		{"it returns when acknowledged.", func(t T, h *gated) {
			h.Upstream.set(func(u *Upstream) { u.hold = true })
			done := make(chan error, 1)
			go func() {
				_, err := h.Gateway.Inject(t.Context(), broker.Identity{ClientID: "api"}, message("a", 1))
				done <- err
			}()
			eventually(t, func() bool { return len(h.Upstream.messages("a")) == 1 }, "the message goes out")
			never(t, func() bool { return len(done) > 0 }, "an answer before the router's")
			h.Upstream.release()
			eventually(t, func() bool { return len(done) > 0 }, "Inject returns")
			wantNil(t, <-done)
		}},
		{"through hooks, quotas and (unless as.Superuser) the ACL", func(t T, h *gated) {
			need(t, h.Deny != nil, "Deny")
			h.Deny("secret/#")
			_, err := h.Gateway.Inject(t.Context(), broker.Identity{ClientID: "api"}, message("secret/x", 1))
			wantKind(t, err, broker.KindDenied)
			_, err = h.Gateway.Inject(t.Context(), broker.Identity{ClientID: "api", Superuser: true}, message("secret/x", 1))
			wantNil(t, err)
			if n := len(h.Upstream.messages("secret/x")); n != 1 {
				t.Errorf("%d messages went out", n)
			}
		}},
		{"KindCanceled: the caller's context ended; the outcome is unknown", func(t T, h *gated) {
			h.Upstream.set(func(u *Upstream) { u.hold = true })
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer cancel()
			_, err := h.Gateway.Inject(ctx, broker.Identity{ClientID: "api"}, message("a", 1))
			wantKind(t, err, broker.KindCanceled)
			h.Upstream.release()
		}},
		{"SubscribeFor and UnsubscribeFor change the subscriptions of a connected client. KindNotFound: it is not connected here.", func(t T, h *gated) {
			c := h.client("c")
			subs := []broker.Subscription{{Filter: "a", QoS: 1, RetainHandling: 2}, {Filter: "b/#/c"}}
			got, err := h.Gateway.SubscribeFor(t.Context(), "", "c", subs)
			wantNil(t, err)
			if len(got) != 2 || got[0].Err != nil {
				t.Fatalf("answers %+v", got)
			}
			wantKind(t, got[1].Err, broker.KindInvalid)
			if h.Upstream.members("a", "") != 1 {
				t.Errorf("answered before it is routed")
			}
			d := h.router(baseEpoch)
			d.deliver("a", 1, 1)
			takes(t, c, 1)
			got, err = h.Gateway.UnsubscribeFor(t.Context(), "", "c", []string{"a", "none"})
			wantNil(t, err)
			if len(got) != 2 || got[0].Err != nil {
				t.Fatalf("answers %+v", got)
			}
			wantKind(t, got[1].Err, broker.KindNotFound)
			eventually(t, func() bool { return h.Upstream.members("a", "") == 0 }, "the route is removed")
			_, err = h.Gateway.SubscribeFor(t.Context(), "", "nobody", subs)
			wantKind(t, err, broker.KindNotFound)
			_, err = h.Gateway.UnsubscribeFor(t.Context(), "", "nobody", []string{"a"})
			wantKind(t, err, broker.KindNotFound)
		}},
		{"ControlListener with an unknown name is KindNotFound.", func(t T, h *gated) {
			for _, do := range []broker.ListenerAction{broker.StopListener, broker.StartListener, broker.RestartListener, broker.ReloadListener} {
				wantKind(t, h.Gateway.ControlListener(t.Context(), "nope", do), broker.KindNotFound)
			}
		}},
		{"FlushACL drops cached decisions, of one client id or (\"\") of all.", func(t T, h *gated) {
			need(t, h.Deny != nil, "Deny")
			h.client("c")
			_, err := h.Gateway.Inject(t.Context(), broker.Identity{ClientID: "c"}, message("a", 1))
			wantNil(t, err)
			h.Deny("a")
			wantNil(t, h.Gateway.FlushACL(t.Context(), "", "c"))
			wantNil(t, h.Gateway.FlushACL(t.Context(), "", ""))
			_, err = h.Gateway.Inject(t.Context(), broker.Identity{ClientID: "c"}, message("a", 1))
			wantKind(t, err, broker.KindDenied)
		}},
	}
}

// orNil makes something that KindOf can be asked about: nil has no kind.
func orNil(err error) error {
	if err == nil {
		return broker.E(broker.KindInternal, "no error", nil)
	}
	return err
}
