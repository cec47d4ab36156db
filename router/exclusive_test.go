package router_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

// claim asks for a topic as a client of a session partition.
func (w *world) claim(topic, client string) (uint64, error) {
	return w.router.ClaimExclusive(w.t.Context(), broker.ExclusiveClaim{Topic: topic, ClientID: client})
}

func (w *world) mustClaim(topic, client string) uint64 {
	w.t.Helper()
	grant, err := w.claim(topic, client)
	if err != nil {
		w.t.Fatal(err)
	}
	return grant
}

// announce tells the router who holds a topic; members 0 takes it away.
func (w *world) announce(partition int, topic, client string, grant, version uint64, members int) {
	w.t.Helper()
	o, _ := w.cluster.View().Owner(cluster.SessionSpace, partition)
	d := broker.RouteDelta{Filter: broker.ExclusivePrefix + topic, Version: version, Members: members, Holder: client, Grant: grant}
	err := w.router.UpdateRoutes(w.t.Context(), broker.RouteUpdate{
		Origin: broker.Origin{Kind: broker.FromSession, Partition: partition, Epoch: o.Epoch}, Deltas: []broker.RouteDelta{d},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.sessions.mu.Lock()
	defer w.sessions.mu.Unlock()
	w.sessions.routes[partition] = nil
	if members > 0 {
		w.sessions.routes[partition] = []broker.RouteDelta{d}
	}
}

func TestExclusiveTopicHasOneHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		grant := w.mustClaim("a", "c1")
		if _, err := w.claim("a", "c2"); broker.KindOf(err) != broker.KindConflict {
			t.Fatalf("a reserved topic: %v", err)
		}
		w.announce(4, "a", "c1", grant, 1, 1)
		if again := w.mustClaim("a", "c1"); again != grant {
			t.Fatalf("claimed once more: %d, first %d", again, grant)
		}
		elapse(time.Minute)
		if _, err := w.claim("a", "c2"); broker.KindOf(err) != broker.KindConflict {
			t.Fatalf("a held topic: %v", err)
		}
		w.mustClaim("b", "c2")
		w.announce(4, "a", "c1", grant, 2, 0)
		w.mustClaim("a", "c2")
	})
}

// A claim whose route never comes keeps others away for half a minute.
func TestExclusiveReservationLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.mustClaim("a", "c1")
		elapse(29 * time.Second)
		if _, err := w.claim("a", "c2"); broker.KindOf(err) != broker.KindConflict {
			t.Fatal(err)
		}
		elapse(time.Second)
		w.mustClaim("a", "c2")
	})
}

// The next owner knows the holder from the routes, and where two grants meet, the later one: the other was never confirmed.
func TestExclusiveSurvivesTheRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		first := w.mustClaim("a", "c1")
		w.announce(4, "a", "c1", first, 1, 1)
		w.restart("r2")
		if _, err := w.claim("a", "c2"); broker.KindOf(err) != broker.KindConflict {
			t.Fatalf("after a change of the owner: %v", err)
		}
		second := w.mustClaim("a", "c1")
		if second <= first {
			t.Fatalf("epochs %d, %d", first, second)
		}
		w.announce(5, "a", "c3", second, 1, 1)
		w.restart("r3")
		if _, err := w.claim("a", "c1"); broker.KindOf(err) != broker.KindConflict {
			t.Fatalf("a grant that a later one followed: %v", err)
		}
		w.mustClaim("a", "c3")
	})
}

// The route of a holder brings no messages, and is not among the routes.
func TestExclusiveRouteCarriesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.announce(4, "a", "c1", w.mustClaim("a", "c1"), 1, 1)
		p := w.publisher(w.gateway("g1"), "$exclusive/a")
		p.mustSend(1, 1)
		if p.acks[0].Matched || len(w.sessions.part(4).payloads()) != 0 {
			t.Fatal("a publish to the name of the route was delivered")
		}
		list, err := w.router.Routes(t.Context(), broker.RouteQuery{})
		if err != nil || len(list) != 0 || w.stat("routes/count") != 0 || w.stat("topics/count") != 0 {
			t.Fatalf("%v, %v", list, err)
		}
	})
}
