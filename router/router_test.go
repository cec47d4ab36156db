package router_test

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

func numbers(from, to int) (list []string) {
	for i := from; i <= to; i++ {
		list = append(list, strconv.Itoa(i))
	}
	return list
}

func seqs(from, to uint64) (list []uint64) {
	for i := from; i <= to; i++ {
		list = append(list, i)
	}
	return list
}

func TestAckComesWhenEveryDurableDestinationAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		g := w.gateway("g1")
		w.mustSubscribe(3, "a/b", "")
		w.mustSubscribe(5, "w/+", "")
		w.mustSubscribe(7, "a/b", "")
		w.sessions.set(w.sessions.hold, 7, true)
		p := w.publisher(g, "a/b")
		p.mustSend(3, 1)
		if got := p.acked(); len(got) != 0 {
			t.Fatalf("acked %v before session partition 7 answered", got)
		}
		w.sessions.part(7).stream(0).acks([]broker.DeliverAck{{No: 2}})
		if got := p.acked(); !slices.Equal(got, seqs(1, 2)) {
			t.Fatalf("acked %v, want 1 2", got)
		}
		w.sessions.part(7).stream(0).acks([]broker.DeliverAck{{No: 3}})
		if got := p.acked(); !slices.Equal(got, seqs(1, 3)) {
			t.Fatalf("acked %v, want 1 2 3", got)
		}
		if got := w.sessions.part(5).payloads(); len(got) != 0 {
			t.Fatalf("partition 5 got %v without a matching route", got)
		}
	})
}

func TestOrderIsKeptPerDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		g := w.gateway("g1")
		w.mustSubscribe(0, "#", "")
		g.subscribe(w, "a/b", "")
		p := w.publisher(g, "a/b")
		for range 50 {
			p.mustSend(4, 1)
		}
		want := numbers(1, 200)
		if got := w.sessions.part(0).payloads(); !slices.Equal(got, want) {
			t.Fatalf("session partition got %v", got)
		}
		if got := g.payloads(); !slices.Equal(got, want) {
			t.Fatalf("gateway got %v", got)
		}
		if got := p.acked(); !slices.Equal(got, seqs(1, 200)) {
			t.Fatalf("acked %v", got)
		}
	})
}

func TestMatchedTellsWhetherAnybodySubscribed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		g := w.gateway("g1")
		p := w.publisher(g, "x")
		p.mustSend(1, 1)
		w.mustSubscribe(1, "x", "")
		p.mustSend(1, 1)
		p.acked()
		if p.acks[0].Matched || !p.acks[1].Matched {
			t.Fatalf("%+v", p.acks)
		}
	})
}

func TestGatewayIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		g := w.gateway("g1")
		g.hold = true
		g.subscribe(w, "a/b", "")
		p := w.publisher(g, "a/b")
		p.mustSend(2, 1)
		if got := p.acked(); !slices.Equal(got, seqs(1, 2)) {
			t.Fatalf("acked %v", got)
		}
	})
}

// Rule N4: the failure of a durable destination ends every publish stream that has something unanswered there, and no other.
func TestDurableFailureClosesUpward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		g, h := w.gateway("g1"), w.gateway("g2")
		w.mustSubscribe(4, "a/b", "")
		done := w.publisher(h, "a/b")
		done.mustSend(1, 1)
		w.sessions.set(w.sessions.hold, 4, true)
		p := w.publisher(g, "a/b")
		p.mustSend(3, 1)
		w.sessions.part(4).stream(0).Close()
		synctest.Wait()
		select {
		case <-p.stream.Done():
		default:
			t.Fatal("the publish stream goes on")
		}
		if k := broker.KindOf(p.stream.Err()); !k.Retryable() {
			t.Fatalf("ended with %v", p.stream.Err())
		}
		if err := p.send(1, 1); err == nil {
			t.Fatal("a publish is accepted after the failure")
		}
		select {
		case <-done.stream.Done():
			t.Fatal("a stream with nothing unanswered ended")
		default:
		}
		w.sessions.set(w.sessions.hold, 4, false)
		p.seq = 0
		p.open()
		p.mustSend(4, 1)
		settle()
		if got := p.acked(); !slices.Equal(got, seqs(1, 4)) {
			t.Fatalf("acked %v after the resend", got)
		}
	})
}

func TestWhatWaitsForAnUnreachablePartitionIsSentLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		g := w.gateway("g1")
		w.mustSubscribe(4, "a/b", "")
		w.sessions.set(w.sessions.refuse, 4, true)
		p := w.publisher(g, "a/b")
		p.mustSend(3, 1)
		settle()
		if got := p.acked(); len(got) != 0 {
			t.Fatalf("acked %v", got)
		}
		w.sessions.set(w.sessions.refuse, 4, false)
		settle()
		if got := p.acked(); !slices.Equal(got, seqs(1, 3)) {
			t.Fatalf("acked %v", got)
		}
	})
}

func TestNewestStreamOfASourceWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		p := w.publisher(w.gateway("g1"), "a")
		old := p.stream
		p.open()
		select {
		case <-old.Done():
		default:
			t.Fatal("the older stream goes on")
		}
		if broker.KindOf(old.Err()) != broker.KindStale {
			t.Fatal(old.Err())
		}
		p.opens, w.streams = 0, 0
		if err := p.tryOpen(); broker.KindOf(err) != broker.KindStale {
			t.Fatalf("an older stream number opened: %v", err)
		}
	})
}

// Rules N9, R6: a source whose key is gone is refused for ever.
func TestDeadSourceIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		g := w.gateway("g1")
		if err := g.member.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		p := &publisher{w: w, g: g, topic: "a"}
		if err := p.tryOpen(); broker.KindOf(err) != broker.KindStale {
			t.Fatalf("a dead incarnation opened a stream: %v", err)
		}
	})
}

// Rule N3: a session partition without a snapshot is waited for; what was published meanwhile is routed then, with the routes of the snapshot.
func TestSyncWaitsForEverySessionPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) {
			w.sessions.parked[9] = true
			w.sessions.routes[9] = []broker.RouteDelta{{Filter: "a/b", Version: 5, Members: 1}, {Filter: "w/+", Version: 6, Members: 1}}
		})
		p := w.publisher(w.gateway("g1"), "a/b")
		p.mustSend(2, 1)
		q := w.publisher(w.gateways["g1"], "w/1")
		q.mustSend(1, 1)
		if len(p.acked())+len(q.acked()) != 0 {
			t.Fatal("acked while synchronising")
		}
		if _, serving := w.router.Serving(); serving != 0 {
			t.Fatalf("%d partitions serve", serving)
		}
		w.sessions.set(w.sessions.parked, 9, false)
		settle()
		if got := p.acked(); !slices.Equal(got, seqs(1, 2)) {
			t.Fatalf("acked %v", got)
		}
		if got := w.sessions.part(9).payloads(); len(got) != 3 {
			t.Fatalf("partition 9 got %v", got)
		}
	})
}

func TestSyncQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) { w.sessions.parked[9] = true; w.limits.SyncQueueBytes = 1000 })
		p := w.publisher(w.gateway("g1"), "a/b")
		for range 100 {
			if err := p.send(1, 1); err != nil {
				if broker.KindOf(err) != broker.KindBusy {
					t.Fatal(err)
				}
				return
			}
		}
		t.Fatal("never held back")
	})
}

// Rules N2 and N1: snapshots are asked for with the revision of the own key, for wildcards and for exact filters.
func TestSnapshotsNameTheKeyTheyLiveBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		self := w.member.Node().Incarnation
		v := w.cluster.View()
		wild, exact := 0, 0
		for _, q := range w.sessions.asked {
			if q.Router.Incarnation != self {
				t.Fatalf("asked as %+v", q.Router)
			}
			if q.Wildcards {
				wild++
				if q.Revision != self {
					t.Fatalf("wildcards with revision %d, key %d", q.Revision, self)
				}
				continue
			}
			exact++
			if o, ok := v.Owner(cluster.TopicSpace, q.Topic); !ok || o.Epoch != q.Revision {
				t.Fatalf("topic partition %d with revision %d, key %d", q.Topic, q.Revision, o.Epoch)
			}
		}
		if wild < 16 || exact < 64*16 {
			t.Fatalf("%d wildcard and %d exact snapshots", wild, exact)
		}
	})
}

// Rule N7: an older delta does not undo a newer one, nor does a delta of an older epoch.
func TestOlderDeltasAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		p := w.publisher(w.gateway("g1"), "a/b")
		if err := w.subscribe(2, "a/b", "", 9); err != nil {
			t.Fatal(err)
		}
		o, _ := w.cluster.View().Owner(cluster.SessionSpace, 2)
		old := broker.RouteUpdate{Origin: broker.Origin{Kind: broker.FromSession, Partition: 2, Epoch: o.Epoch},
			Deltas: []broker.RouteDelta{{Filter: "a/b", Version: 8}}}
		if err := w.router.UpdateRoutes(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		p.mustSend(1, 1)
		if len(w.sessions.part(2).payloads()) != 1 {
			t.Fatal("an older removal took the route away")
		}
		old.Origin.Epoch--
		if err := w.router.UpdateRoutes(t.Context(), old); broker.KindOf(err) != broker.KindStale {
			t.Fatalf("a delta of an older epoch: %v", err)
		}
	})
}

// Rule N6: NO_SUB removes a route that has not changed since, and only that.
func TestNoSubRemovesTheRouteOfThatVersion(t *testing.T) {
	for _, c := range []struct {
		name    string
		filter  string
		version uint64
		want    int
	}{
		{"exact, same version", "a/b", 1, 1},
		{"exact, newer subscription", "a/b", 0, 2},
		{"wildcard, same version", "#", 1, 1},
		{"wildcard, newer subscription", "#", 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t)
				o, _ := w.cluster.View().Owner(cluster.SessionSpace, 2)
				w.sessions.unsub = func(broker.Delivery) (broker.DeliverAck, bool) {
					return broker.DeliverAck{Result: broker.NoSub, Epoch: o.Epoch, Version: c.version}, true
				}
				w.mustSubscribe(2, c.filter, "")
				p := w.publisher(w.gateway("g1"), "a/b")
				p.mustSend(1, 1)
				p.mustSend(1, 1)
				if got := w.sessions.part(2).payloads(); len(got) != c.want {
					t.Fatalf("partition got %v", got)
				}
				if got := p.acked(); len(got) != 2 {
					t.Fatalf("acked %v: NO_SUB is an answer", got)
				}
			})
		})
	}
}

// Rule N6: an answer of an older partition epoch is a RETRY.
func TestNoSubOfAnOlderEpochIsARetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.sessions.unsub = func(broker.Delivery) (broker.DeliverAck, bool) {
			return broker.DeliverAck{Result: broker.NoSub, Epoch: 1, Version: 99}, true
		}
		w.mustSubscribe(2, "a/b", "")
		p := w.publisher(w.gateway("g1"), "a/b")
		p.mustSend(1, 1)
		if len(p.acked()) != 0 {
			t.Fatal("acked on the word of an old owner")
		}
		select {
		case <-p.stream.Done():
		default:
			t.Fatal("the stream goes on")
		}
	})
}

func TestGatewayRoutesGoWithTheGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		g, h := w.gateway("g1"), w.gateway("g2")
		h.subscribe(w, "a/b", "")
		h.subscribe(w, "#", "")
		if err := h.member.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle()
		p := w.publisher(g, "a/b")
		p.mustSend(1, 1)
		if p.acked(); p.acks[0].Matched {
			t.Fatal("matched a gateway that is gone")
		}
	})
}

func TestReleasedPartitionEndsItsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		p := w.publisher(w.gateway("g1"), "a/b")
		if err := w.router.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		select {
		case <-p.stream.Done():
		default:
			t.Fatal("the stream goes on")
		}
		if err := p.tryOpen(); broker.KindOf(err) != broker.KindNotOwner {
			t.Fatal(err)
		}
	})
}

func TestExactRouteOfAForeignPartitionIsNotOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		if err := w.router.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.subscribe(2, "a/b", "", 1); broker.KindOf(err) != broker.KindNotOwner {
			t.Fatal(err)
		}
		if err := w.subscribe(2, "w/+", "", 1); err != nil {
			t.Fatalf("wildcards belong to every router: %v", err)
		}
	})
}

func TestTooManyPendingBytesHoldPublishersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) { w.limits.MaxPendingBytes = 1 << 20 })
		w.mustSubscribe(4, "a/b", "")
		w.sessions.set(w.sessions.refuse, 4, true)
		p := w.publisher(w.gateway("g1"), "a/b")
		big := func(m *broker.Message) { m.Payload = make([]byte, 64<<10) }
		for i := range 100 {
			if err := p.send(1, 1, big); err != nil {
				if i < 10 {
					t.Fatalf("held back after %d", i)
				}
				break
			}
			synctest.Wait()
		}
		if k := broker.KindOf(p.stream.Err()); k != broker.KindBusy {
			t.Fatal(p.stream.Err())
		}
		stats, _ := w.router.RouterStats(t.Context())
		if stats["pending/bytes"] > 2<<20 {
			t.Fatalf("%d bytes pending", stats["pending/bytes"])
		}
	})
}

func TestSharedGroupOfCleanMembersGetsOneCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		g, h := w.gateway("g1"), w.gateway("g2")
		g.subscribe(w, "a/b", "grp")
		h.subscribe(w, "a/b", "grp")
		p := w.publisher(g, "a/b")
		p.mustSend(100, 1)
		elapse(time.Second)
		a, b := len(g.payloads()), len(h.payloads())
		if a+b != 100 || a == 0 || b == 0 {
			t.Fatalf("%d and %d copies", a, b)
		}
	})
}

// Rule R7: with a persistent member the copy goes to the group's home, with the candidates.
func TestSharedGroupWithPersistentMembersGoesHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		g := w.gateway("g1")
		g.subscribe(w, "a/b", "grp")
		w.mustSubscribe(6, "a/b", "grp")
		p := w.publisher(g, "a/b")
		p.mustSend(5, 1)
		got := 0
		for n := range 16 {
			for _, d := range w.sessions.part(n).got {
				got++
				if len(d.Shares) != 1 || len(d.Shares[0].Candidates) != 2 || d.Plain {
					t.Fatalf("copy %+v", d.Shares)
				}
			}
		}
		if got != 5 || len(g.payloads()) != 0 {
			t.Fatalf("%d copies at homes, %d at the gateway", got, len(g.payloads()))
		}
	})
}

func TestRoutesAreListedByFilter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		g := w.gateway("g1")
		g.subscribe(w, "b", "")
		w.mustSubscribe(1, "a", "")
		w.mustSubscribe(1, "c/#", "grp")
		list, err := w.router.Routes(t.Context(), broker.RouteQuery{Limit: 2})
		if err != nil || len(list) != 2 || list[0].Filter != "a" || list[1].Filter != "b" || !slices.Equal(list[1].Nodes, []string{"g1"}) {
			t.Fatalf("%+v %v", list, err)
		}
		list, _ = w.router.Routes(t.Context(), broker.RouteQuery{After: "b"})
		if len(list) != 1 || list[0].Group != "grp" || !slices.Equal(list[0].Nodes, []string{"s1"}) {
			t.Fatalf("%+v", list)
		}
	})
}

// A destination that answers slowly is sent no more than a window, and all of it in the end.
func TestDestinationGetsAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.mustSubscribe(4, "a/b", "")
		w.sessions.set(w.sessions.hold, 4, true)
		p := w.publisher(w.gateway("g1"), "a/b")
		for range 12 {
			p.mustSend(1, 1, func(m *broker.Message) { m.Payload = make([]byte, 1<<20) })
		}
		got := func() uint64 { return uint64(len(w.sessions.part(4).payloads())) }
		if n := got(); n < 3 || n > 5 {
			t.Fatalf("%d of 1 MiB each under way, the window is 4 MiB", n)
		}
		for got() < 12 {
			w.sessions.part(4).stream(0).acks([]broker.DeliverAck{{No: got()}})
			synctest.Wait()
		}
		w.sessions.part(4).stream(0).acks([]broker.DeliverAck{{No: 12}})
		if got := p.acked(); !slices.Equal(got, seqs(1, 12)) {
			t.Fatalf("acked %v", got)
		}
	})
}

// Routes that lost their members are not counted, and forgotten in the end: filters that nobody uses again do not fill the memory.
func TestRoutesWithoutMembersAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		o, _ := w.cluster.View().Owner(cluster.SessionSpace, 1)
		change := func(version uint64, members int) {
			t.Helper()
			err := w.router.UpdateRoutes(t.Context(), broker.RouteUpdate{
				Origin: broker.Origin{Kind: broker.FromSession, Partition: 1, Epoch: o.Epoch},
				Deltas: []broker.RouteDelta{
					{Filter: "a/b", Version: version, Members: members}, {Filter: "w/+", Version: version, Members: members},
				},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		count := func() int64 {
			s, _ := w.router.RouterStats(t.Context())
			return s["routes/count"]
		}
		change(5, 1)
		if n := count(); n != 2 {
			t.Fatalf("%d routes", n)
		}
		change(6, 0)
		if n := count(); n != 0 {
			t.Fatalf("%d routes without members are counted", n)
		}
		change(5, 1) // an older delta that was late
		if n := count(); n != 0 {
			t.Fatal("an older delta brought routes back")
		}
		elapse(2 * time.Minute)
		change(4, 1) // nobody remembers them: as good as new
		if n := count(); n != 2 {
			t.Fatalf("%d routes: they are remembered for ever", n)
		}
	})
}

// What stays until its record is durable has memory of its own; what only passes through is not copied.
func TestDurableDestinationsGetNoSlabs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		g := w.gateway("g1")
		w.mustSubscribe(4, "stays", "")
		g.subscribe(w, "passes", "")
		for _, topic := range []string{"stays", "passes"} {
			w.publisher(g, topic).mustSend(1, 0, func(m *broker.Message) { m.Slab, m.Payload = true, []byte(topic) })
		}
		settle()
		for topic, got := range map[string][]broker.Delivery{"stays": w.sessions.part(4).got, "passes": g.got} {
			if len(got) != 1 || got[0].Msg.Slab != (topic == "passes") || string(got[0].Msg.Payload) != topic {
				t.Errorf("%s: %d, first %+v", topic, len(got), got[0].Msg)
			}
		}
	})
}

// What waits for the routes of a topic partition does not keep a slab either.
func TestWhatWaitsForRoutesIsNoSlab(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) { w.sessions.parked[9] = true })
		g := w.gateway("g1")
		g.subscribe(w, "a/b", "")
		w.publisher(g, "a/b").mustSend(1, 0, func(m *broker.Message) { m.Slab = true })
		w.sessions.set(w.sessions.parked, 9, false)
		settle()
		if len(g.got) != 1 || g.got[0].Msg.Slab {
			t.Errorf("got %+v", g.got)
		}
	})
}
