package sessionstore_test

import (
	"fmt"
	"testing"
	"time"

	sessionstore "github.com/pando-mq/pando/session-store"

	"github.com/pando-mq/pando/services/broker"
)

// Rule N8: SUBACK waits for the record and for the routers, also when the filter is there already, and for repeats to a new owner.
func TestN8SubscribeWaitsForRouters(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		sub := d.request(broker.OpSubscribe)
		sub.Subs = []broker.Subscription{{Filter: "a/+", QoS: 1}, {Filter: "a/b", QoS: 1}}
		w.router.set(func(r *router) { r.refuse = true })
		sub.ID = g.send(sub)
		settleLong()
		if r := g.reply(sub.ID); r != nil {
			t.Fatalf("answered %+v while the router refuses", r)
		}
		w.fail()
		g.open()
		d.announce()
		g.repeat(sub)
		settleLong()
		if r := g.reply(sub.ID); r != nil {
			t.Fatalf("the repeat is answered %+v while the router refuses", r)
		}
		w.router.set(func(r *router) { r.refuse = false })
		settleLong()
		r := g.reply(sub.ID)
		if r == nil || len(r.Subs) != 2 || r.Subs[0].Err != nil || !r.Subs[0].Existed {
			t.Fatalf("answer %+v", r)
		}
		w.router.set(func(r *router) { r.refuse = true })
		id := g.send(sub)
		settleLong()
		if r := g.reply(id); r != nil {
			t.Fatalf("answered %+v from the state alone", r)
		}
		w.router.set(func(r *router) { r.refuse = false })
	})
}

func TestSubscribeIsDurableBeforeItIsRouted(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		held, release := w.faults.Hold(logOf("c"))
		sub := d.request(broker.OpSubscribe)
		sub.Subs = []broker.Subscription{{Filter: "a/+", QoS: 1}}
		id := g.send(sub)
		settle()
		<-held
		if got := w.router.route("a/+", ""); got.Members != 0 || g.reply(id) != nil {
			t.Fatal("announced or answered before the record is durable")
		}
		release()
		if g.reply(id) == nil || w.router.route("a/+", "").Members != 1 {
			t.Fatalf("route %+v", w.router.route("a/+", ""))
		}
	})
}

func TestRoutesFollowSessions(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		ids := names(3)
		var all []*device
		for _, id := range ids {
			d := g.connect(id, persistent)
			d.subscribe("$share/g/x", 1)
			d.subscribe("y/#", 1)
			all = append(all, d)
		}
		routes := func(what string, members, online, plain int) {
			t.Helper()
			settle()
			if r := w.router.route("x", "g"); r.Members != members || r.Online != online {
				t.Fatalf("%s: shared route %+v, want %d members, %d connected", what, r, members, online)
			}
			if r := w.router.route("y/#", ""); min(r.Members, 1) != plain {
				t.Fatalf("%s: route %+v", what, r)
			}
		}
		routes("three subscribed", 3, 3, 1)
		all[0].leave()
		routes("one left", 3, 2, 1)
		all[0] = g.connect(ids[0], persistent)
		routes("and came back", 3, 3, 1)
		w.router.set(func(r *router) { r.deltas = nil })
		w.fail()
		var got []broker.RouteDelta
		info, err := w.store.SnapshotRoutes(w.t.Context(), broker.SnapshotQuery{
			Router: broker.NodeRef{ID: "r1", Incarnation: 1}, Partition: 0, Wildcards: true, Revision: 1,
		}, func(d []broker.RouteDelta) error { got = append(got, d...); return nil })
		if err != nil || len(got) != 2 || info.Origin.Partition != 0 || info.Origin.Epoch == 0 {
			t.Fatalf("snapshot of the next owner %+v %+v: %v", got, info, err)
		}
		g.open()
		for _, d := range all {
			d.announce()
			d.detach(broker.Detach{HasExpiry: true})
		}
		routes("all ended", 0, 0, 0)
	})
}

// Rule N6: a snapshot of routes needs a certain lease.
func TestN6SnapshotNeedsALease(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.pause()
		_, err := w.store.SnapshotRoutes(w.t.Context(), broker.SnapshotQuery{}, func([]broker.RouteDelta) error { return nil })
		w.wantKind("snapshot", err, broker.KindUnavailable)
		w.resume()
		_, err = w.store.SnapshotRoutes(w.t.Context(), broker.SnapshotQuery{Partition: 99}, func([]broker.RouteDelta) error { return nil })
		w.wantKind("snapshot of a partition that is not here", err, broker.KindNotOwner)
	})
}

func TestSubscribeErrors(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		sub := d.request(broker.OpSubscribe)
		sub.Subs = []broker.Subscription{{Filter: "a"}, {Filter: "a/#/b"}, {Filter: "b"}, {Filter: "a", QoS: 1}}
		r := d.must(sub)
		w.wantKind("malformed filter", r.Subs[1].Err, broker.KindInvalid)
		w.wantKind("one too many", r.Subs[2].Err, broker.KindQuota)
		if r.Subs[0].Err != nil || r.Subs[3].Err != nil || !r.Subs[3].Existed {
			t.Fatalf("answers %+v", r.Subs)
		}
		w.fail()
	}, func(c *sessionstore.Config) { c.Session.MaxSubscriptions = 1 })
}

func retained(n int) (all []*broker.Message) {
	for i := range n {
		m := message(fmt.Sprintf("r/%02d", i), fmt.Sprint(i), 1)
		m.Retain = true
		all = append(all, m)
	}
	return all
}

func TestRetainedMessages(t *testing.T) {
	cases := map[string]struct {
		sub     broker.Subscription
		existed bool
		want    []string
	}{
		"new":                       {sub: broker.Subscription{Filter: "#", QoS: 1}, want: []string{"publish r/00=0 qos1 id2 retain", "publish r/01=1 qos1 id3 retain"}},
		"again":                     {sub: broker.Subscription{Filter: "#", QoS: 1}, existed: true, want: []string{"publish r/00=0 qos1 id2 retain", "publish r/01=1 qos1 id3 retain"}},
		"QoS 0":                     {sub: broker.Subscription{Filter: "r/01"}, want: []string{"publish r/01=1 qos0 retain"}},
		"only if new, new":          {sub: broker.Subscription{Filter: "r/01", QoS: 1, RetainHandling: 1}, want: []string{"publish r/01=1 qos1 id2 retain"}},
		"only if new, there":        {sub: broker.Subscription{Filter: "r/01", QoS: 1, RetainHandling: 1}, existed: true},
		"never":                     {sub: broker.Subscription{Filter: "#", QoS: 1, RetainHandling: 2}},
		"never for shared":          {sub: broker.Subscription{Filter: "$share/g/#", QoS: 1}},
		"prefixes are not the name": {sub: broker.Subscription{Filter: "$local/r/0", QoS: 1}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				g := w.gateway("g1")
				d := g.connect("c", persistent)
				r := d.request(broker.OpSubscribe)
				r.Subs = []broker.Subscription{c.sub}
				if c.existed {
					d.must(r)
				}
				w.router.set(func(r *router) { r.retained = retained(2) })
				d.must(r)
				w.want("pushes", g.take(), c.want...)
			})
		})
	}
}

// Retained messages come as fast as the client takes them, leave half of the queue to others, and a read that breaks off repeats nothing.
func TestRetainedMessagesArePaced(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", options{expiry: persistent.expiry, window: 1})
		w.router.set(func(r *router) { r.retained, r.broken = retained(100), 1 })
		sub := d.request(broker.OpSubscribe)
		sub.Subs = []broker.Subscription{{Filter: "#", QoS: 1}}
		d.must(sub)
		settle()
		time.Sleep(time.Second)
		if info, _ := w.store.Sessions(w.t.Context(), broker.ClientQuery{}); info[0].Queued > 10 || info[0].Dropped != 0 {
			t.Fatalf("%d messages queued, %d dropped", info[0].Queued, info[0].Dropped)
		}
		for i := range 100 {
			if i > 0 {
				d.ack(uint64(i), broker.AckPuback)
			}
			w.want("push", g.take(), fmt.Sprintf("publish r/%02d=%d qos1 id%d retain", i, i, i+2))
		}
	}, func(c *sessionstore.Config) { c.Session.Queue.MaxLength = 20 })
}

// A reader whose client never makes room gives up, and an unsubscribe or the end of the session stops it.
func TestRetainedReadersEnd(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", options{expiry: persistent.expiry, window: 1})
		w.router.set(func(r *router) { r.retained = retained(100) })
		sub := d.request(broker.OpSubscribe)
		sub.Subs = []broker.Subscription{{Filter: "#", QoS: 1}}
		d.must(sub)
		time.Sleep(time.Minute)
		settle()
		info, _ := w.store.Sessions(w.t.Context(), broker.ClientQuery{})
		if info[0].Queued+info[0].Inflight != 11 {
			t.Fatalf("session %+v", info[0])
		}
	}, func(c *sessionstore.Config) { c.Session.Queue.MaxLength = 20 })
}
