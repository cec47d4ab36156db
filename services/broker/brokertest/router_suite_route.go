package brokertest

import (
	"slices"

	"github.com/pando-mq/pando/services/broker"
)

// routeSentences are about RouterNode.UpdateRoutes, snapshots and RouterAdmin.
func routeSentences() []sentence[*routed] {
	return []sentence[*routed]{
		{"UpdateRoutes applies deltas of one origin, in order. nil: all of them, or newer versions of them, are in force at this router (rules N7, N8).", func(t T, h *routed) {
			u := h.Sinks.session(1).change("a", "", 1)
			u.Deltas = append(u.Deltas,
				broker.RouteDelta{Filter: "b", Version: 2, Members: 1}, broker.RouteDelta{Filter: "b", Version: 3, Members: 0},
				broker.RouteDelta{Filter: "c/+", Version: 4, Members: 1})
			wantNil(t, h.Node.UpdateRoutes(t.Context(), u))
			for topic, want := range map[string]bool{"a": true, "b": false, "c/1": true, "d": false} {
				p := h.publisher(topic)
				p.send(1, 1)
				p.wait(1)
				if got := p.acks.all()[0].Matched; got != want {
					t.Errorf("%s: matched %v", topic, got)
				}
			}
		}},
		{"a later version of the same (filter, group) replaces an earlier one", func(t T, h *routed) {
			for _, filter := range []string{"a", "w/+"} {
				d := h.Sinks.session(1)
				d.set(func(d *sink) { d.version = 8 })
				newer := d.change(filter, "", 1)
				older := newer
				older.Deltas = []broker.RouteDelta{{Filter: filter, Version: 5, Members: 0}}
				wantNil(t, h.Node.UpdateRoutes(t.Context(), newer))
				wantNil(t, h.Node.UpdateRoutes(t.Context(), older))
				h.routed(filter, "an older removal took a route away", true)
				wantNil(t, h.Node.UpdateRoutes(t.Context(), d.change(filter, "", 0)))
				wantNil(t, h.Node.UpdateRoutes(t.Context(), newer))
				h.routed(filter, "an older addition brought a route back", false)
			}
		}},
		{"0 removes the route; for shared groups the number of members, otherwise 1", func(t T, h *routed) {
			h.subscribe(1, "a", "")
			h.subscribe(2, "a", "")
			wantNil(t, h.Node.UpdateRoutes(t.Context(), h.Sinks.session(1).change("a", "", 0)))
			p := h.publisher("a")
			p.send(1, 1)
			p.wait(1)
			if n := len(h.Sinks.session(1).deliveries()); n != 0 || len(h.Sinks.session(2).deliveries()) != 1 {
				t.Errorf("%d deliveries where the route was removed", n)
			}
		}},
		{"Exact filters (without wildcard) need ownership of their topic partition: KindNotOwner names none applied of those that are foreign, the rest is applied.", func(t T, h *routed) {
			need(t, h.ReleaseTopic != nil, "ReleaseTopic")
			h.ReleaseTopic(h.TopicPartition("", "a"))
			u := h.Sinks.session(1).change("a", "", 1)
			u.Deltas = append(u.Deltas, broker.RouteDelta{Filter: "w/+", Version: 2, Members: 1})
			wantKind(t, h.Node.UpdateRoutes(t.Context(), u), broker.KindNotOwner)
			h.listed("w/+", true)
		}},
		{"A router that is still syncing applies and answers too.", func(t T, h *routed) {
			need(t, h.MoveTopic != nil, "MoveTopic")
			h.Sinks.session(2).set(func(d *sink) { d.parked = true })
			h.MoveTopic(h.TopicPartition("", "a"))
			h.subscribe(1, "a", "")
			h.Sinks.session(2).set(func(d *sink) { d.parked = false })
			h.routed("a", "a delta that came while syncing is lost", true)
		}},
		{"KindConflict: another client has the topic.", func(t T, h *routed) {
			name := broker.ExclusivePrefix + "x"
			h.publisher(name) // the topic partition serves
			claim := func(client string) (grant uint64, err error) {
				poll(patienceOf(t), func() bool { // a partition that serves a stream may collect routes once more
					grant, err = h.Router.ClaimExclusive(t.Context(), broker.ExclusiveClaim{Topic: "x", ClientID: client, Origin: h.Sinks.session(1).origin})
					return broker.KindOf(err) != broker.KindUnavailable
				})
				return grant, err
			}
			route := func(members int, grant uint64) {
				u := h.Sinks.session(1).change(name, "", members)
				u.Deltas[0].Holder, u.Deltas[0].Grant = "a", grant
				wantNil(t, h.Node.UpdateRoutes(t.Context(), u))
			}
			grant, err := claim("a")
			wantNil(t, err)
			_, err = claim("b")
			wantKind(t, err, broker.KindConflict)
			route(1, grant)
			again, err := claim("a")
			wantNil(t, err)
			if again != grant || grant == 0 {
				t.Errorf("granted under epoch %d, then %d", grant, again)
			}
			_, err = claim("b")
			wantKind(t, err, broker.KindConflict)
			route(0, grant)
			_, err = claim("b")
			wantNil(t, err)
		}},
		{"KindStale: the origin's epoch is older than one seen.", func(t T, h *routed) {
			d := h.Sinks.session(1)
			old := broker.RouteUpdate{Deltas: []broker.RouteDelta{{Filter: "old", Version: 1, Members: 1}}}
			d.set(func(d *sink) { old.Origin = d.origin; d.origin.Epoch += 10 })
			h.subscribe(1, "new", "")
			wantKind(t, h.Node.UpdateRoutes(t.Context(), old), broker.KindStale)
			h.routed("old", "a route of an older epoch is in force", false)
			need(t, h.StopGateway != nil, "StopGateway")
			ref := h.StartGateway("g")
			h.StopGateway(ref)
			wantKind(t, h.Node.UpdateRoutes(t.Context(), h.Sinks.gateway(ref).change("a", "", 1)), broker.KindStale)
		}},
		{"SnapshotRoutes yields all routes of the origin that q selects, in batches, and then returns the origin with its version at that moment.", func(t T, h *routed) {
			need(t, h.MoveTopic != nil, "MoveTopic")
			h.Sinks.session(1).change("a", "", 1)
			h.Sinks.session(2).change("+/x", "", 1)
			clean := h.StartGateway("clean")
			h.Sinks.gateway(clean).change("a", "", 1)
			h.MoveTopic(h.TopicPartition("", "a"))
			h.MoveTopic(h.TopicPartition("", "b/x"))
			h.routed("a", "a route of a snapshot is missing", true)
			p := h.publisher("b/x")
			p.send(1, 1)
			p.wait(1)
			if !p.acks.all()[0].Matched || len(h.Sinks.gateway(clean).deliveries()) == 0 {
				t.Errorf("a route of a snapshot is missing")
			}
		}},
		{"Revision: revision of the key the registration lives by: the topic partition's key, or the router's node key", func(t T, h *routed) {
			need(t, h.MoveTopic != nil, "MoveTopic")
			h.MoveTopic(h.TopicPartition("", "a"))
			p := h.publisher("a")
			p.send(1, 1)
			p.wait(1)
			d := h.Sinks.session(1)
			d.mu.Lock()
			asked := slices.Clone(d.asked)
			d.mu.Unlock()
			exact := slices.ContainsFunc(asked, func(q broker.SnapshotQuery) bool {
				return !q.Wildcards && q.Topic == h.TopicPartition("", "a") && q.Revision == p.stream.Epoch() && q.Partition == 1
			})
			wild := slices.ContainsFunc(asked, func(q broker.SnapshotQuery) bool { return q.Wildcards && q.Revision > 0 })
			if !exact || !wild {
				t.Errorf("epoch %d, snapshots asked for: %+v", p.stream.Epoch(), asked[max(0, len(asked)-10):])
			}
		}},
		{"Routes lists routes ordered by filter, with the destination nodes as names.", func(t T, h *routed) {
			clean := h.StartGateway("clean")
			h.subscribe(1, "c/#", "")
			h.subscribeGateway(clean, "a", "")
			h.subscribeGateway(clean, "b", "")
			h.subscribe(1, "b", "g")
			list, err := h.Admin.Routes(t.Context(), broker.RouteQuery{})
			wantNil(t, err)
			var filters []string
			for _, x := range list {
				filters = append(filters, x.Filter)
			}
			if !slices.Equal(filters, []string{"a", "b", "b", "c/#"}) || !slices.Equal(list[0].Nodes, []string{clean.ID}) || list[3].Nodes == nil {
				t.Errorf("routes %+v", list)
			}
			page, err := h.Admin.Routes(t.Context(), broker.RouteQuery{After: "a", Limit: 2})
			wantNil(t, err)
			if len(page) != 2 || page[0].Filter != "b" || page[1].Filter != "b" {
				t.Errorf("page %+v", page)
			}
			h.listed("zzz", false)
		}},
	}
}

// routed checks whether a topic that filter matches reaches a subscriber.
func (h *routed) routed(filter, wrong string, want bool) {
	h.t.Helper()
	topic := filter
	if topic == "w/+" {
		topic = "w/1"
	}
	p := h.publisher(topic)
	p.send(1, 1)
	p.wait(1)
	if p.acks.all()[0].Matched != want {
		h.t.Errorf("%s: %s", filter, wrong)
	}
}

// listed checks whether a filter is among the routes.
func (h *routed) listed(filter string, want bool) {
	h.t.Helper()
	list, err := h.Admin.Routes(h.t.Context(), broker.RouteQuery{Filter: filter})
	wantNil(h.t, err)
	if (len(list) > 0) != want {
		h.t.Errorf("routes of %s: %+v", filter, list)
	}
}
