package sessionstore_test

import (
	"fmt"
	"testing"

	sessionstore "github.com/pando-mq/pando/session-store"

	"github.com/pando-mq/pando/services/broker"
)

// topicsOf gives n topics of different topic partitions.
func topicOf(partition int) string {
	for i := 0; ; i++ {
		if name := fmt.Sprintf("t%d", i); clusterTopic(name) == partition {
			return name
		}
	}
}

// Rule R1: a QoS 2 publish is held and in the outbox by one record; it is routed at once, not at PUBREL; repeats are answered only.
func TestR1PublishIsRoutedOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		if r := d.must(d.publish2(7, "t", "x")); r.Known {
			t.Fatal("the first is known")
		}
		w.want("routed before PUBREL", w.router.published(), "t=x")
		if r := d.must(d.publish2(7, "t", "x")); !r.Known {
			t.Fatal("the repeat is not known")
		}
		release := d.request(broker.OpRelease)
		release.PacketID = 7
		if r := d.must(release); !r.Known {
			t.Fatal("the released id is not known")
		}
		if r := d.must(release); r.Known {
			t.Fatal("PUBREL of an unknown id is known")
		}
		d.must(d.publish2(7, "t", "y"))
		w.want("routed", w.router.published(), "t=x", "t=y")
	})
}

// Rule R1: the reply waits for the record, and nothing is routed before it.
func TestR1PublishIsDurableFirst(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		held, release := w.faults.Hold(logOf("c"))
		id := g.send(d.publish2(1, "t", "x"))
		again := g.send(d.publish2(1, "t", "x"))
		settle()
		<-held
		if g.reply(id) != nil || g.reply(again) != nil || len(w.router.published()) != 0 {
			t.Fatal("answered or routed before the record is durable")
		}
		release()
		if r := g.reply(again); g.reply(id) == nil || r == nil || !r.Known {
			t.Fatalf("answers %+v %+v", g.reply(id), r)
		}
	})
}

// Rules R1 and R3: the owner dies at each step between PUBLISH and PUBCOMP; the message is routed exactly once, in order, and the ids are free again.
func TestR1OwnerDiesAtEachStep(t *testing.T) {
	release := func(d *device) broker.SessionRequest {
		r := d.request(broker.OpRelease)
		r.PacketID = 1
		return r
	}
	for step := range 5 {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				g := w.gateway("g1")
				d := g.connect("c", persistent)
				d.must(d.publish2(9, "t", "before"))
				die := func(n int) bool {
					if n == step {
						w.fail()
						g.open()
						d.announce()
					}
					return n == step
				}
				die(0)
				r := d.publish2(1, "t", "x")
				switch step {
				case 1: // the record is not durable
					w.faults.SetDown(logOf("c"), true)
					id := g.send(r)
					settle()
					w.kill()
					w.faults.SetDown(logOf("c"), false)
					w.startStore()
					g.open()
					d.announce()
					r.ID = id
					if x := g.again(r); x.Err != nil || x.Known {
						t.Fatalf("repeat answered %+v", x)
					}
				case 2: // it is, and the answer is lost; the router has not acked
					w.router.set(func(r *router) { r.silent = true })
					r.ID = g.send(r)
					settle()
					w.router.set(func(r *router) { r.silent = false })
					die(2)
					if x := g.again(r); x.Err != nil || !x.Known {
						t.Fatalf("repeat answered %+v", x)
					}
				default:
					d.must(r)
				}
				die(3)
				p := release(d)
				p.ID = g.send(p)
				settle()
				die(4)
				if x := g.again(p); x.Err != nil {
					t.Fatal(x.Err)
				}
				d.must(d.publish2(1, "t", "y"))
				settle()
				w.want("routed", w.router.published(), "t=before", "t=x", "t=y")
			})
		})
	}
}

// Rule R1: each topic partition has its own numbers, in order; what the router has not acked is sent again by the next owner from the first unacked.
func TestR1OutboxPerTopicPartition(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		w.router.set(func(r *router) { r.refuse = true })
		a, b := topicOf(0), topicOf(1)
		for i, topic := range []string{a, b, a, b} {
			d.must(d.publish2(uint16(i+1), topic, fmt.Sprint(i)))
		}
		w.fail()
		g.open()
		d.announce()
		d.must(d.publish2(5, a, "4"))
		w.router.set(func(r *router) { r.refuse = false })
		settleLong()
		got := map[int][]string{}
		w.router.set(func(r *router) {
			for _, s := range r.got {
				if want := (broker.Source{Kind: broker.FromSession, Partition: partitionOf("c"), Topic: clusterTopic(s.Msg.Topic)}); s.source != want {
					t.Fatalf("source %+v, want %+v", s.source, want)
				}
				got[s.source.Topic] = append(got[s.source.Topic], fmt.Sprintf("%d:%s", s.Seq, s.Msg.Payload))
			}
		})
		w.want("topic partition 0", got[0], "1:0", "2:2", "3:4")
		w.want("topic partition 1", got[1], "1:1", "2:3")
		stats, _ := w.store.SessionStats(w.t.Context())
		if stats["outbox/messages"] != 0 || stats["outbox/bytes"] != 0 {
			t.Fatalf("outbox after the acks: %v", stats)
		}
		w.fail()
		g.open()
		d.announce()
		d.must(d.publish2(6, a, "5"))
		settleLong()
		w.router.set(func(r *router) {
			if r.stale != 0 {
				t.Fatalf("%d streams with a number of an older owner (rule N4)", r.stale)
			}
			if len(r.got) != 6 {
				t.Fatalf("%d publishes after the next fail-over, want nothing sent again", len(r.got))
			}
		})
	})
}

// Rule R1: outbox entries outlive their session.
func TestR1OutboxOutlivesTheSession(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		w.router.set(func(r *router) { r.refuse = true })
		d.must(d.publish2(1, "t", "x"))
		d.detach(broker.Detach{HasExpiry: true})
		w.router.set(func(r *router) { r.refuse = false })
		w.fail()
		settleLong()
		w.want("routed", w.router.published(), "t=x")
	})
}

func TestOutboxIsBounded(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		w.router.set(func(r *router) { r.refuse = true })
		d.must(d.publish2(1, "t", "x"))
		w.wantKind("second publish", g.do(d.publish2(2, "t", "y")).Err, broker.KindBusy)
		w.router.set(func(r *router) { r.refuse = false })
		settleLong()
		d.must(d.publish2(2, "t", "y"))
		w.want("routed", w.router.published(), "t=x", "t=y")
	}, func(c *sessionstore.Config) { c.Store.MaxOutbox = 200 })
}

func TestAwaitingRelIsBounded(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.must(d.publish2(1, "t", "x"))
		w.wantKind("second publish", g.do(d.publish2(2, "t", "y")).Err, broker.KindQuota)
		settle()
		w.want("routed", w.router.published(), "t=x")
		w.fail()
	}, func(c *sessionstore.Config) { c.Session.MaxAwaitingRel = 1 })
}

// Rule R4: packet ids follow from queue indexes, so a replay gives the same, and an id is used again only when the end of its last use is durable.
func TestR4PacketIDs(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", options{expiry: persistent.expiry, window: 2})
		d.subscribe("a", 1)
		s := w.sourceTo("c")
		for i := range 3 {
			s.must(message("a", fmt.Sprint(i), 1))
		}
		w.want("a window of two", g.take(), "publish a=0 qos1 id2", "publish a=1 qos1 id3")
		d.ack(1, broker.AckPuback)
		w.want("after the first answer", g.take(), "publish a=2 qos1 id4")
		w.fail()
		g.open()
		g.connect("c", options{expiry: persistent.expiry, window: 2})
		w.want("the next owner, the next connection", onlyPublishes(g.take()), "publish a=1 qos1 id3 dup", "publish a=2 qos1 id4 dup")
	})
}

func onlyPublishes(pushes []string) (all []string) {
	for _, p := range pushes {
		if len(p) > 7 && p[:7] == "publish" {
			all = append(all, p)
		}
	}
	return all
}

// Rule R5: a new owner pushes only what the gateway's table does not hold, and never repeats a PUBLISH on a live connection.
func TestR5ResumeOnALiveConnection(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a", 2)
		s := w.sourceTo("c")
		for i := range 4 {
			s.must(message("a", fmt.Sprint(i), 2))
		}
		d.ack(2, broker.AckPubrec)
		d.ack(3, broker.AckPubrec)
		g.take()
		w.fail()
		g.open()
		w.want("before the announcement", g.take())
		// index 1 went to the client, index 2 has PUBREL out, PUBREL of index 3 was lost on the way to the gateway, index 4 too
		d.announce(broker.Inflight{Index: 1, PacketID: 2, QoS: 2}, broker.Inflight{Index: 2, PacketID: 3, QoS: 2, Received: true}, broker.Inflight{Index: 3, PacketID: 4, QoS: 2})
		w.want("after it", g.take(), "release id4", "publish a=3 qos2 id5 dup")
		d.ack(2, broker.AckPubcomp)
		d.ack(1, broker.AckPubrec)
		w.want("the exchange goes on", g.take(), "release id2")
	})
}

// Rule R5: a table with an index above the replayed tail costs the connection.
func TestR5TableAboveTheTail(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a", 1)
		w.fail()
		g.open()
		if r := d.announce(broker.Inflight{Index: 1, PacketID: 2, QoS: 1}); r.Err != nil {
			t.Fatal(r.Err)
		}
		w.want("pushes", g.take(), "kick c/1 resync")
		w.sourceTo("c").must(message("a", "1", 1))
		w.want("nothing goes to that connection any more", g.take())
		d.detach(broker.Detach{Reason: "kicked"})
		g.connect("c", persistent)
		w.want("the next connection", g.take(), "publish a=1 qos1 id2 dup")
	})
}

// PUBREC must be durable before PUBREL goes out.
func TestReleaseWaitsForTheRecord(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a", 2)
		w.sourceTo("c").must(message("a", "1", 2))
		g.take()
		held, release := w.faults.Hold(logOf("c"))
		r := d.request(broker.OpAck)
		r.Ack = &broker.ClientAck{Index: 1, Kind: broker.AckPubrec}
		id := g.send(r)
		settle()
		<-held
		if g.reply(id) != nil || len(g.take()) != 0 {
			t.Fatal("PUBREL before the PUBREC is durable")
		}
		release()
		w.want("pushes", g.take(), "release id2")
	})
}
