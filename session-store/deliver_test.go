package sessionstore_test

import (
	"fmt"
	"testing"
	"time"

	sessionstore "github.com/pando-mq/pando/session-store"

	"github.com/pando-mq/pando/services/broker"
)

func TestDeliverToAttachedSession(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a/+", 2)
		s := w.sourceTo("c")
		s.must(message("a/b", "1", 1))
		s.must(message("a/b", "2", 2))
		s.must(message("a/b", "3", 0))
		w.want("pushes", g.take(), "publish a/b=1 qos1 id2", "publish a/b=2 qos2 id3", "publish a/b=3 qos0")
		d.ack(1, broker.AckPuback)
		d.ack(2, broker.AckPubrec)
		w.want("pushes", g.take(), "release id3")
		d.ack(2, broker.AckPubrec)
		w.want("pushes after a repeated PUBREC", g.take(), "release id3")
		d.ack(2, broker.AckPubcomp)
		w.fail()
	})
}

// names gives n client ids of one partition.
func names(n int) (ids []string) {
	for i := 0; len(ids) < n; i++ {
		if id := fmt.Sprintf("c%d", i); partitionOf(id) == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// A fan-out to k sessions of one partition is one log record.
func TestFanOutIsOneRecord(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		ids := names(20)
		for i, id := range ids {
			d := g.connect(id, persistent)
			r := d.request(broker.OpSubscribe)
			r.Subs = []broker.Subscription{{Filter: "a/#", QoS: 1, ID: uint32(i % 3)}, {Filter: "a/b", QoS: 2}}
			d.must(r)
		}
		s := w.sourceTo(ids[0])
		info := func() uint64 {
			i, err := w.faults.Info(w.t.Context(), logOf(ids[0]))
			if err != nil {
				t.Fatal(err)
			}
			return i.Last
		}
		before := info()
		s.must(message("a/b", "1", 2))
		if n := info() - before; n != 1 {
			t.Fatalf("%d records", n)
		}
		got := g.take()
		if len(got) != 20 || got[0] != "publish a/b=1 qos2 id2" {
			t.Fatalf("%d pushes: %v", len(got), got)
		}
		w.fail()
	})
}

// Rule N5: a duplicate is answered OK only when the record that moved the cursor is durable.
func TestN5DuplicateWaitsForTheRecord(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", persistent).subscribe("a", 1)
		first := w.sourceTo("c")
		held, release := w.faults.Hold(logOf("c"))
		first.send(message("a", "1", 1))
		settle()
		<-held
		second := w.sourceTo("c") // the router is another one now, and sends again
		no := second.repeat(1, message("a", "1", 1))
		if a, ok := second.result(no); ok {
			t.Fatalf("the duplicate is answered %+v while the record is under way", a)
		}
		release()
		if a, ok := second.result(no); !ok || a.Result != broker.OK {
			t.Fatalf("the duplicate is answered %+v %v", a, ok)
		}
		if got := g.take(); len(got) != 1 {
			t.Fatalf("pushes %v", got)
		}
	})
}

// Rule N5, the other way: the owner dies before the record is durable, so nobody may have been told OK; the message is delivered by the next owner.
func TestN5NothingAckedIsLost(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a", 1)
		s := w.sourceTo("c")
		w.faults.SetDown(logOf("c"), true)
		no := s.send(message("a", "1", 1))
		if _, ok := s.result(no); ok {
			t.Fatal("answered without a record")
		}
		w.kill()
		w.faults.SetDown(logOf("c"), false)
		w.startStore()
		g.open()
		d.announce()
		g.take()
		s = w.sourceTo("c")
		s.must(message("a", "1", 1))
		w.want("pushes of the next owner", g.take(), "publish a=1 qos1 id2")
	})
}

// The cursor is durable: what was appended by one owner is a duplicate for the next (J1 of the model).
func TestCursorSurvivesTheOwner(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a", 2)
		w.sourceTo("c").must(message("a", "1", 2))
		g.take()
		w.fail()
		g.open()
		d.announce(broker.Inflight{Index: 1, PacketID: 2, QoS: 2})
		s := w.sourceTo("c")
		if a, ok := s.result(s.repeat(1, message("a", "1", 2))); !ok || a.Result != broker.OK {
			t.Fatalf("the repeat is answered %+v", a)
		}
		w.want("pushes", g.take())
	})
}

// Rule N6: NoSub carries epoch and route version, and needs a valid lease.
func TestN6NoSub(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a", 1)
		s := w.sourceTo("c")
		a, ok := s.result(s.send(message("b", "1", 1)))
		if !ok || a.Result != broker.NoSub || a.Epoch != g.streams[partitionOf("c")].Epoch() || a.Version == 0 {
			t.Fatalf("answer %+v %v", a, ok)
		}
		r := d.request(broker.OpUnsubscribe)
		r.Subs = []broker.Subscription{{Filter: "a"}, {Filter: "never"}}
		reply := d.must(r)
		if reply.Subs[0].Err != nil {
			t.Fatal(reply.Subs[0].Err)
		}
		w.wantKind("unsubscribe of what is not there", reply.Subs[1].Err, broker.KindNotFound)
		b, ok := s.result(s.send(message("a", "2", 1)))
		if !ok || b.Result != broker.NoSub || b.Version <= a.Version {
			t.Fatalf("answer after unsubscribe %+v %v", b, ok)
		}
		w.pause()
		if a, ok := s.result(s.send(message("a", "3", 1))); ok {
			t.Fatalf("answered %+v without certain lease", a)
		}
		w.over(s.stream.Done())
		w.wantKind("stream", s.stream.Err(), broker.KindUnavailable)
		w.resume()
	})
}

// A match that nobody wants is no reason to take the route away.
func TestN6UnwantedIsNotNoSub(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		r := d.request(broker.OpSubscribe)
		r.Subs = []broker.Subscription{{Filter: "a", QoS: 1, NoLocal: true}}
		d.must(r)
		m := message("a", "own", 1)
		m.From = "c"
		w.sourceTo("c").must(m)
		w.want("pushes", g.take())
	})
}

// Rule N10: a lower topic epoch than one seen is refused, by a new owner too; a newer stream replaces the older.
func TestN10StaleTopicEpoch(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", persistent).subscribe("a", 1)
		old, err := w.deliverOpen(partitionOf("c"), broker.DeliverOpen{Topic: 1, TopicEpoch: 5})
		if err != nil {
			t.Fatal(err)
		}
		s, err := w.deliverOpen(partitionOf("c"), broker.DeliverOpen{Topic: 1, TopicEpoch: 7})
		if err != nil {
			t.Fatal(err)
		}
		w.over(old.stream.Done())
		w.wantKind("older stream", old.stream.Err(), broker.KindStale)
		_, err = w.deliverOpen(partitionOf("c"), broker.DeliverOpen{Topic: 1, TopicEpoch: 6})
		w.wantKind("older epoch", err, broker.KindStale)
		s.must(message("a", "1", 1))
		w.fail()
		_, err = w.deliverOpen(partitionOf("c"), broker.DeliverOpen{Topic: 1, TopicEpoch: 6})
		w.wantKind("older epoch at the next owner", err, broker.KindStale)
		_, err = w.deliverOpen(partitionOf("c"), broker.DeliverOpen{Topic: topics + sessions})
		w.wantKind("no such topic partition", err, broker.KindInvalid)
	})
}

// Rule N9: a gateway incarnation without cursor must be alive; one that is over is refused for ever, one that is not in view yet later.
func TestN9Incarnations(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", persistent).subscribe("a", 1)
		from := func(inc uint64) *source {
			s := w.sourceTo("c")
			s.source = broker.Source{Kind: broker.FromGateway, Incarnation: inc}
			return s
		}
		publisher := w.gatewayMember("g2")
		s := from(publisher.ref.Incarnation)
		s.must(message("a", "1", 1))
		publisher.gone()
		s.must(message("a", "2", 1)) // its cursor is there for some minutes more
		time.Sleep(6 * time.Minute)
		settle()
		s = from(publisher.ref.Incarnation)
		s.repeat(1, message("a", "1", 1))
		w.over(s.stream.Done())
		w.wantKind("forgotten incarnation", s.stream.Err(), broker.KindStale)
		s = from(w.cluster.View().Revision + 100)
		s.send(message("a", "3", 1))
		w.over(s.stream.Done())
		w.wantKind("incarnation of the future", s.stream.Err(), broker.KindUnavailable)
		if got := g.take(); len(got) != 2 {
			t.Fatalf("pushes %v", got)
		}
		w.fail()
	})
}

// Rule N4: after a refusal nothing later is accepted on the stream.
func TestN4NothingLaterAfterARefusal(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", persistent).subscribe("a", 1)
		s := w.sourceTo("c")
		good, bad := s.source, broker.Source{Kind: broker.FromGateway, Incarnation: 1 << 40}
		batch := []broker.Delivery{
			{Source: good, Seq: 1, Msg: message("a", "1", 1), Plain: true},
			{Source: bad, Seq: 1, Msg: message("a", "2", 1), Plain: true},
			{Source: good, Seq: 2, Msg: message("a", "3", 1), Plain: true},
		}
		_ = s.stream.Send(batch)
		w.over(s.stream.Done())
		if err := s.stream.Send(batch[2:]); err == nil {
			t.Fatal("accepted after the end")
		}
		w.want("pushes", g.take(), "publish a=1 qos1 id2")
	})
}

func TestQoS0IsNotLogged(t *testing.T) {
	for _, store := range []bool{true, false} {
		t.Run(fmt.Sprint("store ", store), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				g := w.gateway("g1")
				d := g.connect("c", persistent)
				d.subscribe("a", 1)
				s := w.sourceTo("c")
				before, _ := w.faults.Info(w.t.Context(), logOf("c"))
				s.must(message("a", "1", 0))
				w.want("pushes", g.take(), "publish a=1 qos0")
				if after, _ := w.faults.Info(w.t.Context(), logOf("c")); after.Last != before.Last {
					t.Fatal("QoS 0 was logged")
				}
				d.leave()
				s.must(message("a", "2", 0))
				g.connect("c", persistent)
				want := []string{"publish a=2 qos0"}
				if !store {
					want = nil
				}
				w.want("pushes after a while away", g.take(), want...)
			}, func(c *sessionstore.Config) { c.Session.Queue.StoreQoS0 = store })
		})
	}
}

// The log being slow holds requests and deliveries back, in order, and then ends streams; nothing is lost and nothing grows without bound.
func TestBackPressure(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a", 1)
		s := w.sourceTo("c")
		held, release := w.faults.Hold(logOf("c"))
		n := 0
		for ; n < 1000; n++ {
			s.seq++
			s.no++
			if s.stream.Send([]broker.Delivery{{Source: s.source, Seq: s.seq, Msg: message("a", fmt.Sprint(n), 1), Plain: true}}) != nil {
				break
			}
		}
		settle()
		<-held
		if n == 1000 || n < 10 {
			t.Fatalf("%d deliveries of 165 bytes were taken, the bounds are 1 KiB in the log and 4 KiB before it", n)
		}
		w.over(s.stream.Done())
		w.wantKind("stream", s.stream.Err(), broker.KindBusy)
		release()
		settle()
		s = w.sourceTo("c")
		for i := range 30 {
			s.must(message("a", fmt.Sprint(i), 1))
		}
		got := g.take()
		if len(got) != 30 {
			t.Fatalf("%d messages: %v", len(got), got)
		}
		for i, p := range got {
			if p != fmt.Sprintf("publish a=%d qos1 id%d", i, i+2) {
				t.Fatalf("message %d is %q", i, p)
			}
		}
		w.fail()
	}, func(c *sessionstore.Config) { c.Store.MaxPending, c.Store.MaxWaiting = 1<<10, 4<<10 })
}

// Rule N11: an owner that is fenced steps down and acks nothing.
func TestN11FencedOwnerStepsDown(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", persistent).subscribe("a", 1)
		s := w.sourceTo("c")
		if err := w.faults.Fence(w.t.Context(), logOf("c"), 1<<40); err != nil {
			t.Fatal(err)
		}
		no := s.send(message("a", "1", 1))
		w.over(s.stream.Done())
		if _, ok := s.result(no); ok {
			t.Fatal("answered by a fenced owner")
		}
		w.wantKind("deliver stream", s.stream.Err(), broker.KindNotOwner)
		stream := g.streams[partitionOf("c")]
		w.over(stream.Done())
		w.wantKind("session stream", stream.Err(), broker.KindNotOwner)
		w.want("pushes", g.take())
		_, err := w.deliverOpen(partitionOf("c"), broker.DeliverOpen{TopicEpoch: 1})
		w.wantKind("next stream", err, broker.KindNotOwner)
	})
}

// Rule N11: a log that ended because the lease was uncertain at a bad moment is opened again under the same ownership, with nothing lost.
func TestN11LogIsOpenedAgain(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		soft := g.connect("clean"+d.id, options{clean: true})
		d.subscribe("a", 1)
		s := w.sourceTo("c")
		s.must(message("a", "1", 1))
		g.take()
		w.pause()
		w.faults.Drop(logOf("c")) // an unknown outcome asks for an epoch record, and that for a lease
		s.send(message("a", "2", 1))
		w.over(s.stream.Done())
		w.resume()
		time.Sleep(5 * time.Second)
		settle()
		g.open()
		if r := d.announce(broker.Inflight{Index: 1, PacketID: 2, QoS: 1}); r.Err != nil {
			t.Fatal(r.Err)
		}
		if r := soft.announce(); r.Err != nil && partitionOf(soft.id) == partitionOf("c") {
			t.Fatal(r.Err)
		}
		s = w.sourceTo("c")
		s.repeat(2, message("a", "2", 1))
		w.want("pushes", g.take(), "publish a=2 qos1 id3")
		e := g.connect("c", persistent)
		if !d.epoch.Less(e.epoch) {
			t.Fatalf("epoch %v after %v", e.epoch, d.epoch)
		}
		e.subscribe("b", 1)
		if got := w.router.route("b", ""); got.Members != 1 {
			t.Fatalf("route %+v", got)
		}
	})
}
