package sessionstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// ClaimExclusive implements broker.Router by what the routes say, under the epoch that the test sets.
func (r *router) ClaimExclusive(_ context.Context, c broker.ExclusiveClaim) (uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse {
		return 0, broker.E(broker.KindUnavailable, "refused by the test", nil)
	}
	if r.held != "" && r.held != c.ClientID {
		return 0, broker.E(broker.KindConflict, "held by another", nil)
	}
	epoch := r.epoch
	if r.move {
		r.epoch, r.move = r.epoch+1, false
	}
	return epoch, nil
}

func (d *device) exclusive(filter string) error {
	d.g.w.t.Helper()
	r := d.request(broker.OpSubscribe)
	r.Subs = []broker.Subscription{{Filter: filter, QoS: 1}}
	return d.must(r).Subs[0].Err
}

// An exclusive subscription is found only when it is granted, and is there again with its grant after the store died.
func TestExclusiveSubscription(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.router.set(func(r *router) { r.epoch = 7 })
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		if err := d.exclusive("$exclusive/a"); err != nil {
			t.Fatal(err)
		}
		hold := w.router.route("$exclusive/a", "")
		if hold.Holder != "c" || hold.Grant != 7 || hold.Members != 1 || w.router.route("a", "").Members != 1 {
			t.Fatalf("routes %+v, %+v", hold, w.router.route("a", ""))
		}
		s := w.sourceTo("c")
		s.must(message("a", "1", 1))
		w.router.set(func(r *router) { r.deltas = nil })
		w.fail()
		g.open()
		d.announce()
		settleLong()
		w.sourceTo("c").must(message("a", "2", 1))
		d.subscribe("other", 0) // has routes announced
		r := d.request(broker.OpUnsubscribe)
		r.Subs = []broker.Subscription{{Filter: "$exclusive/a"}}
		d.must(r)
		settleLong()
		if hold = w.router.route("$exclusive/a", ""); hold.Members != 0 || hold.Holder != "c" || hold.Grant != 7 || w.router.route("a", "").Members != 0 {
			t.Fatalf("after its end: %+v, %+v", hold, w.router.route("a", ""))
		}
	})
}

// A refused one leaves nothing behind; the other filters of the packet are not concerned.
func TestExclusiveSubscriptionIsRefused(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.router.set(func(r *router) { r.held = "somebody" })
		d := w.gateway("g1").connect("c", persistent)
		r := d.request(broker.OpSubscribe)
		r.Subs = []broker.Subscription{{Filter: "$exclusive/a", QoS: 1}, {Filter: "b", QoS: 1}}
		reply := d.must(r)
		if broker.KindOf(reply.Subs[0].Err) != broker.KindQuota || reply.Subs[1].Err != nil {
			t.Fatalf("answered %+v", reply.Subs)
		}
		settleLong()
		if w.router.route("$exclusive/a", "").Members+w.router.route("a", "").Members != 0 || w.router.route("b", "").Members != 1 {
			t.Fatal("routes of a refused subscription")
		}
		subs, err := w.store.SessionSubscriptions(t.Context(), broker.ClientQuery{ClientID: "c"})
		if err != nil || len(subs) != 1 {
			t.Fatalf("%+v, %v", subs, err)
		}
	})
}

// An owner of the topic partition that comes between the two claims gives a new epoch, with which the store goes round again.
func TestExclusiveGoesRoundWithANewOwner(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.router.set(func(r *router) { r.epoch, r.refuse = 7, true })
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		r := d.request(broker.OpSubscribe)
		r.Subs = []broker.Subscription{{Filter: "$exclusive/a", QoS: 1}}
		id := g.send(r)
		settleLong()
		if g.reply(id) != nil {
			t.Fatal("answered without an owner of the topic partition")
		}
		w.router.set(func(r *router) { r.refuse = false; r.move = true })
		time.Sleep(5 * time.Second)
		settle()
		if reply := g.reply(id); reply == nil || reply.Subs[0].Err != nil {
			t.Fatalf("answered %+v", reply)
		}
		if hold := w.router.route("$exclusive/a", ""); hold.Grant != 8 {
			t.Fatalf("the route says %+v", hold)
		}
	})
}
