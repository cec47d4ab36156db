package brokertest

import (
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// sessionRouteSentences are about a session partition as a source of routes.
func sessionRouteSentences() []sentence[*sessioned] {
	return []sentence[*sessioned]{
		{"SnapshotRoutes yields all routes of the origin that q selects, in batches, and then returns the origin with its version at that moment.", func(t T, h *sessioned) {
			d := h.connect("c")
			d.subscribe("a", "b/+", "$share/g/s", "z")
			read := func(q broker.SnapshotQuery) (filters []string, info broker.SnapshotInfo) {
				q.Router, q.Partition = broker.NodeRef{ID: "reader", Incarnation: 1}, d.partition
				info, err := h.Sessions.SnapshotRoutes(t.Context(), q, func(batch []broker.RouteDelta) error {
					for _, x := range batch {
						if x.Members != 1 || x.Version == 0 || x.Group != "" && x.Online != 1 {
							t.Errorf("delta %+v", x)
						}
						filters = append(filters, x.Group+":"+x.Filter)
					}
					return nil
				})
				wantNil(t, err)
				slices.Sort(filters)
				return filters, info
			}
			wild, info := read(broker.SnapshotQuery{Wildcards: true})
			wantTexts(t, wild, ":b/+", "g:s")
			if o := info.Origin; o.Kind != broker.FromSession || o.Partition != d.partition || o.Epoch != d.stream.Epoch() || info.Version == 0 {
				t.Errorf("origin %+v version %d", o, info.Version)
			}
			exact, _ := read(broker.SnapshotQuery{Topic: h.TopicPartition("", "a")})
			if !slices.Contains(exact, ":a") || slices.Contains(exact, ":b/+") || h.TopicPartition("", "z") != h.TopicPartition("", "a") && slices.Contains(exact, ":z") {
				t.Errorf("topic partition of a has %q", exact)
			}
		}},
		{"Answering registers q.Router in the same step (rule N1): from then on every subscription of the origin that q selects also waits for that router's ack of its delta", func(t T, h *sessioned) {
			need(t, h.StartRouter != nil, "StartRouter")
			late := NewUpstream()
			late.set(func(u *Upstream) { u.refuse = true })
			ref := h.StartRouter("late", late)
			d := h.connect("c")
			d.subscribe("a") // exact: the owner has it, the other router does not matter
			q := broker.SnapshotQuery{Router: ref, Partition: d.partition, Topic: h.TopicPartition("", "x"), Revision: 1 << 50}
			_, err := h.Sessions.SnapshotRoutes(t.Context(), q, func([]broker.RouteDelta) error { return nil })
			wantNil(t, err)
			id := d.send(d.request(broker.SessionRequest{Op: broker.OpSubscribe, Subs: []broker.Subscription{{Filter: "x"}}}))
			d.unanswered(id, "before the registered router has the route")
			late.set(func(u *Upstream) { u.refuse = false })
			d.reply(id)
			if late.members("x", "") != 1 {
				t.Errorf("the registered router has no route")
			}
		}},
		{"until the origin's own view of the cluster is at or past the registration's revision and shows the registration gone.", func(t T, h *sessioned) {
			need(t, h.StartRouter != nil && h.StopRouter != nil, "StartRouter and StopRouter")
			late := NewUpstream()
			late.set(func(u *Upstream) { u.refuse = true })
			ref := h.StartRouter("late", late)
			d := h.connect("c")
			q := broker.SnapshotQuery{Router: ref, Partition: d.partition, Wildcards: true, Revision: ref.Incarnation}
			_, err := h.Sessions.SnapshotRoutes(t.Context(), q, func([]broker.RouteDelta) error { return nil })
			wantNil(t, err)
			id := d.send(d.request(broker.SessionRequest{Op: broker.OpSubscribe, Subs: []broker.Subscription{{Filter: "x/+"}}}))
			d.unanswered(id, "before the registered router has the route")
			h.StopRouter(ref)
			d.reply(id)
		}},
		{"Version rises with every change of the origin (rule N7)", func(t T, h *sessioned) {
			d := h.connect("c")
			version := func() uint64 {
				q := broker.SnapshotQuery{Router: broker.NodeRef{ID: "reader", Incarnation: 1}, Partition: d.partition, Wildcards: true}
				info, err := h.Sessions.SnapshotRoutes(t.Context(), q, func([]broker.RouteDelta) error { return nil })
				wantNil(t, err)
				return info.Version
			}
			d.subscribe("a")
			first := version()
			d.subscribe("b")
			second := version()
			d.do(broker.SessionRequest{Op: broker.OpUnsubscribe, Subs: []broker.Subscription{{Filter: "a"}}})
			if third := version(); second <= first || third <= second {
				t.Errorf("versions %d, %d, %d", first, second, third)
			}
		}},
		{"Online: shared groups: how many of the members are connected", func(t T, h *sessioned) {
			d := h.connect("c")
			d.subscribe("$share/g/s")
			online := func() (n int) {
				q := broker.SnapshotQuery{Router: broker.NodeRef{ID: "reader", Incarnation: 1}, Partition: d.partition, Wildcards: true}
				_, err := h.Sessions.SnapshotRoutes(t.Context(), q, func(batch []broker.RouteDelta) error {
					n += batch[0].Online
					return nil
				})
				wantNil(t, err)
				return n
			}
			if n := online(); n != 1 {
				t.Errorf("%d members online, one is connected", n)
			}
			d.detach(broker.Detach{DropWill: true})
			if n := online(); n != 0 {
				t.Errorf("%d members online, none is connected", n)
			}
		}},
	}
}

// sessionAdminSentences are about SessionAdmin.
func sessionAdminSentences() []sentence[*sessioned] {
	return []sentence[*sessioned]{
		{"Sessions lists persistent sessions ordered by client id; q.Node \"\" lists attached and offline ones alike.", func(t T, h *sessioned) {
			need(t, h.Admin != nil, "Admin")
			for _, id := range []string{"m", "b", "z"} {
				h.connect(id)
			}
			h.link("clean").connect("clean", broker.Attach{Window: 1})
			off := h.connect("off")
			off.detach(broker.Detach{DropWill: true})
			ids := func(q broker.ClientQuery) (list []string) {
				rows, err := h.Admin.Sessions(t.Context(), q)
				wantNil(t, err)
				for _, r := range rows {
					list = append(list, r.ClientID)
					if !r.Persistent || r.Connected == (r.ClientID == "off") || r.Username != "user-"+r.ClientID {
						t.Errorf("row %+v", r)
					}
				}
				return list
			}
			wantTexts(t, ids(broker.ClientQuery{}), "b", "m", "off", "z")
			wantTexts(t, ids(broker.ClientQuery{After: "b", Limit: 2}), "m", "off")
			wantTexts(t, ids(broker.ClientQuery{Username: "user-m"}), "m")
			wantTexts(t, ids(broker.ClientQuery{Contains: "f"}), "off")
			wantTexts(t, ids(broker.ClientQuery{Node: h.info("m").Node}), "m")
		}},
		{"SessionSubscriptions lists subscriptions of persistent sessions.", func(t T, h *sessioned) {
			need(t, h.Admin != nil, "Admin")
			d := h.connect("c")
			d.do(broker.SessionRequest{Op: broker.OpSubscribe, Subs: []broker.Subscription{{Filter: "a", QoS: 1, ID: 4, NoLocal: true}}})
			rows, err := h.Admin.SessionSubscriptions(t.Context(), broker.ClientQuery{ClientID: "c"})
			wantNil(t, err)
			if len(rows) != 1 || rows[0].ClientID != "c" || rows[0].Filter != "a" || rows[0].QoS != 1 || rows[0].ID != 4 || !rows[0].NoLocal {
				t.Errorf("subscriptions %+v", rows)
			}
		}},
		{"Drop ends a session for good, connected or not. KindNotFound: there is none here.", func(t T, h *sessioned) {
			need(t, h.Admin != nil, "Admin")
			wantKind(t, h.Admin.Drop(t.Context(), "", "nobody"), broker.KindNotFound)
			on := h.connect("on")
			off := h.connect("off")
			on.subscribe("a")
			off.detach(broker.Detach{DropWill: true})
			wantNil(t, h.Admin.Drop(t.Context(), "", "on"))
			wantNil(t, h.Admin.Drop(t.Context(), "", "off"))
			h.gone("on")
			h.gone("off")
			eventually(t, func() bool { return len(on.pushed(broker.PushKick, on.conn)) > 0 }, "its connection is kicked")
			if again := h.link("off").connect("off", persistent()); again.answer.Present {
				t.Errorf("a dropped session is present")
			}
		}},
		{"KickClient ends the attachment of a client id wherever it is connected. KindNotFound: not attached.", func(t T, h *sessioned) {
			need(t, h.Admin != nil, "Admin")
			wantKind(t, h.Admin.KickClient(t.Context(), "", "nobody", "kicked"), broker.KindNotFound)
			for id, a := range map[string]broker.Attach{"c": persistent(), "clean": {Window: 1}} {
				d := h.link(id).connect(id, a)
				wantNil(t, h.Admin.KickClient(t.Context(), "", id, "kicked"))
				eventually(t, func() bool { return len(d.pushed(broker.PushKick, d.conn)) > 0 }, "the connection is kicked")
				d.do(broker.SessionRequest{Op: broker.OpKicked})
				d.detach(broker.Detach{Reason: "kicked", At: time.Now()})
				wantKind(t, h.Admin.KickClient(t.Context(), "", id, "kicked"), broker.KindNotFound)
			}
		}},
	}
}
