package sessionstore_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	sessionstore "github.com/pando-mq/pando/session-store"

	"github.com/pando-mq/pando/services/broker"
)

// in gives a client id of a partition.
func in(partition, n int) string {
	for i := 0; ; i++ {
		if id := fmt.Sprintf("m%d", i); partitionOf(id) == partition {
			if n--; n < 0 {
				return id
			}
		}
	}
}

// copyFor is the copy of group g, filter "s", with candidates.
func copyFor(candidates ...broker.Candidate) broker.ShareCopy {
	return broker.ShareCopy{Share: broker.Share{Group: "g", Filter: "s"}, Candidates: candidates}
}

func at(partition, members, online int) broker.Candidate {
	return broker.Candidate{Session: partition, Members: members, Online: online}
}

func (g *gateway) candidate() broker.Candidate {
	return broker.Candidate{Session: -1, Gateway: g.ref, Members: 1, Online: 1}
}

// home opens a stream to partition 0, which plays the home.
func (w *world) home() *source { return w.sourceTo(in(0, 0)) }

func (g *gateway) copies() []string {
	settle()
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.shares)
}

// Rule R7: the home hands a copy to one of its own members, connected first, in one record with the cursor.
func TestR7HomePicksConnectedFirst(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		away := g.connect(in(0, 0), persistent)
		away.subscribe("$share/g/s", 1)
		here := g.connect(in(0, 1), persistent)
		here.subscribe("$share/g/s", 1)
		away.leave()
		s := w.home()
		for i := range 5 {
			s.must(message("s", fmt.Sprint(i), 1), copyFor(at(0, 2, 1)))
		}
		if got := g.take(); len(got) != 5 {
			t.Fatalf("pushes %v", got)
		}
		here.leave()
		s.must(message("s", "5", 1), copyFor(at(0, 2, 0)))
		if info, _ := w.store.Sessions(w.t.Context(), broker.ClientQuery{}); info[0].Queued+info[1].Queued != 1 {
			t.Fatalf("sessions %+v, want one message queued at one of them", info)
		}
		w.fail()
	})
}

// Rule R7: a member in another partition is reached from the home, exactly once, whoever fails over.
func TestR7MemberInAnotherPartition(t *testing.T) {
	for _, fail := range []bool{false, true} {
		t.Run(fmt.Sprint("fail ", fail), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				g := w.gateway("g1")
				d := g.connect(in(1, 0), persistent)
				d.subscribe("$share/g/s", 2)
				s := w.home()
				s.must(message("s", "1", 2), copyFor(at(1, 1, 1)))
				w.want("pushes", g.take(), "publish s=1 qos2 id2")
				if fail {
					w.fail()
					g.open()
					d.announce(broker.Inflight{Index: 1, PacketID: 2, QoS: 2})
					settleLong()
					w.want("pushes after the fail-over", g.take())
					s = w.home()
					s.seq = 1
				}
				s.repeat(1, message("s", "1", 2), copyFor(at(1, 1, 1)))
				s.must(message("s", "2", 2), copyFor(at(1, 1, 1)))
				settleLong()
				w.want("pushes of the second", g.take(), "publish s=2 qos2 id3")
				stats, _ := w.store.SessionStats(w.t.Context())
				if stats["shared/waiting"] != 0 {
					t.Fatalf("%d copies wait", stats["shared/waiting"])
				}
			})
		})
	}
}

// Rule R7 and C16: the ack of the home covers the copy; if the home dies before the member has it, the next owner sends it on.
func TestR7CopyIsDurableAtHome(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect(in(1, 0), persistent)
		d.subscribe("$share/g/s", 1)
		w.faults.SetDown("SS_1", true) // the member's partition cannot write
		w.home().must(message("s", "1", 1), copyFor(at(1, 1, 1)))
		w.kill()
		w.faults.SetDown("SS_1", false)
		w.startStore()
		g.open()
		d.announce()
		settleLong()
		w.want("pushes", g.take(), "publish s=1 qos1 id2 dup")
	})
}

// Rule R7: NoReceiver comes back to the home, the next candidate is tried; when nobody is left the copy is routed to the group again after a pause.
func TestR7NoReceiver(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		s := w.home()
		s.must(message("s", "1", 1), copyFor(at(1, 1, 1), g.candidate()))
		settleLong()
		w.want("the other candidate", g.copies(), "1")
		s.must(message("s", "2", 1), copyFor(at(1, 1, 1)))
		settle()
		w.want("routed", w.router.published())
		w.fail()
		time.Sleep(2 * time.Second)
		settle()
		w.want("routed after the pause", w.router.published(), "$share/g/s s=2")
		g.open()
		s = w.home()
		s.seq = 2
		if a, ok := s.result(s.send(message("s", "3", 1), copyFor())); !ok || a.Result != broker.NoReceiver {
			t.Fatalf("a group without candidates: %+v %v", a, ok)
		}
		g.mu.Lock()
		g.noGroup = true
		g.mu.Unlock()
		d := g.connect(in(0, 0), persistent)
		s.must(message("s", "4", 1), copyFor(g.candidate()))
		d.subscribe("$share/g/s", 1)
		settleLong()
		w.fail()
	})
}

// A copy that came back goes to a member of the home itself, if there is one by then.
func TestR7NoReceiverFindsAMemberAtHome(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		w.tier.setRefuse(true)
		s := w.home()
		s.must(message("s", "1", 1), copyFor(at(1, 1, 1)))
		d := g.connect(in(0, 0), persistent)
		d.subscribe("$share/g/s", 1)
		w.tier.setRefuse(false)
		settleLong()
		w.want("pushes", g.take(), "publish s=1 qos1 id2")
		w.fail()
	})
}

// Rule R7: a gateway that dies gives QoS 1 copies back; QoS 2 ones may have reached the member and are not given to another.
func TestR7GatewayWithCopiesDies(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		w.silent = &silent{gateway: g}
		s := w.home()
		s.must(message("s", "1", 1), copyFor(g.candidate()))
		s.must(message("s", "2", 2), copyFor(g.candidate()))
		g.gone()
		time.Sleep(2 * time.Second)
		settle()
		w.want("routed", w.router.published(), "$share/g/s s=1")
		w.fail()
		time.Sleep(10 * time.Minute)
		settle()
		w.fail()
	})
}

// Rule R7: a session that ends gives back, in the record of its end, what it had not sent and QoS 1 without answer, never QoS 2 that was sent.
func TestR7SessionThatEnds(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect(in(0, 0), options{expiry: time.Hour, window: 3})
		d.subscribe("$share/g/s", 2)
		d.subscribe("own", 1)
		s := w.home()
		s.must(message("s", "sent1", 1), copyFor(at(0, 1, 1)))
		s.must(message("s", "sent2", 2), copyFor(at(0, 1, 1)))
		s.must(message("s", "acked1", 1), copyFor(at(0, 1, 1)))
		s.must(message("s", "unsent1", 1), copyFor(at(0, 1, 1)))
		s.must(message("s", "unsent2", 2), copyFor(at(0, 1, 1)))
		s.must(message("own", "mine", 1))
		d.ack(3, broker.AckPuback)
		d.leave()
		w.want("routed", w.router.published())
		w.router.set(func(r *router) { r.refuse = true })
		time.Sleep(2 * time.Hour)
		settle()
		w.fail()
		w.router.set(func(r *router) { r.refuse = false })
		settleLong()
		// unsent1 took the place of acked1 in the window, so it may have been sent
		w.want("routed", w.router.published(), "$share/g/s s=sent1", "$share/g/s s=unsent1", "$share/g/s s=unsent2")
	})
}

// MQTT 5.0 §4.8.2: a QoS 2 delivery that began goes on with the same member when it comes back, and others get nothing of it meanwhile.
func TestSharedQoS2StaysWithItsMember(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect(in(0, 0), persistent)
		d.subscribe("$share/g/s", 2)
		w.home().must(message("s", "1", 2), copyFor(at(0, 1, 1)))
		w.want("pushes", g.take(), "publish s=1 qos2 id2")
		g.connect(in(0, 1), persistent).subscribe("$share/g/s", 2)
		d.leave()
		time.Sleep(time.Minute)
		settle()
		w.want("pushes while it is away", g.take())
		d = g.connect(in(0, 0), persistent)
		w.want("pushes when it is back", g.take(), "publish s=1 qos2 id2 dup")
		d.ack(1, broker.AckPubrec)
		w.want("pushes after PUBREC", g.take(), "release id2")
		d.leave()
		w.failOver(g)
		d = g.connect(in(0, 0), persistent)
		w.want("pushes when it is back again", g.take(), "release id2")
		d.ack(1, broker.AckPubcomp)
		w.want("routed to others", w.router.published())
	})
}

// Copies for members that cannot be reached are bounded: the router is held back, and nothing is lost.
func TestCopiesElsewhereAreBounded(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect(in(1, 0), persistent)
		d.subscribe("$share/g/s", 1)
		w.tier.setRefuse(true)
		s := w.home()
		n := 0
		for ; n < 100 && s.stream.Err() == nil; n++ {
			s.send(message("s", fmt.Sprint(n), 1), copyFor(at(1, 1, 1)))
			settle()
		}
		w.wantKind("stream", s.stream.Err(), broker.KindBusy)
		w.tier.setRefuse(false)
		settleLong()
		s = w.home()
		s.seq = uint64(n) - 1
		s.must(message("s", fmt.Sprint(n-1), 1), copyFor(at(1, 1, 1)))
		if got := g.take(); len(got) != n || n > 10 {
			t.Fatalf("%d copies, %d pushes: %v", n, len(got), got)
		}
	}, func(c *sessionstore.Config) { c.Store.MaxOutbox = 1000 })
}

func TestQoS0CopyReachesAMember(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect(in(1, 0), persistent)
		d.subscribe("$share/g/s", 1)
		w.home().must(message("s", "1", 0), copyFor(at(1, 1, 1)))
		settleLong()
		w.want("pushes", g.take(), "publish s=1 qos0")
		own := g.connect(in(0, 0), persistent)
		own.subscribe("$share/h/s", 0)
		x := copyFor(at(0, 1, 1))
		x.Group = "h"
		s := w.home()
		s.seq = 1
		s.must(message("s", "2", 1), x)
		w.want("pushes", g.take(), "publish s=2 qos0")
	})
}

// Whatever the strategy, each message goes to one member; round robin is fair, sticky and the hashes stay with theirs.
func TestSharedStrategies(t *testing.T) {
	for _, strategy := range sessionstore.Strategies() {
		t.Run(strategy, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				g := w.gateway("g1")
				counts := map[string]int{}
				for n := range 3 {
					g.connect(in(0, n), persistent).subscribe("$share/g/s", 1)
				}
				g2 := w.gateway("g2")
				s := w.home()
				for i := range 30 {
					m := message("s", fmt.Sprint(i), 1)
					m.From, m.Node = "publisher", "g1@test"
					s.must(m, copyFor(at(0, 3, 3), g2.candidate()))
				}
				settle()
				g.mu.Lock()
				for _, p := range g.pushes {
					counts[p.ClientID]++
				}
				g.mu.Unlock()
				elsewhere := len(g2.copies())
				total, most := elsewhere, elsewhere
				for _, n := range counts {
					total += n
					most = max(most, n)
				}
				switch {
				case total != 30:
					t.Fatalf("%d of 30 arrived: %v and %d", total, counts, elsewhere)
				case strategy == sessionstore.StrategyRoundRobin && (elsewhere < 6 || most > 9):
					t.Fatalf("unfair: %v and %d", counts, elsewhere)
				case (strategy == sessionstore.StrategySticky || strategy[:4] == "hash") && most != 30:
					t.Fatalf("not with one member: %v and %d", counts, elsewhere)
				}
			}, func(c *sessionstore.Config) { c.Store.SharedStrategy = strategy })
		})
	}
}

// Rule R7, C16 to C18 of the model: owners die at random while copies go to members in two partitions; each message is with one member, once.
func TestR7EachMessageIsWithOneMember(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				rnd := rand.New(rand.NewPCG(seed, 2))
				g := w.gateway("g1")
				ids := []string{in(0, 0), in(0, 1), in(1, 0), in(1, 1)}
				for _, id := range ids {
					d := g.connect(id, persistent)
					d.subscribe("$share/g/s", 2)
					d.leave()
				}
				s := w.home()
				const total = 60
				answered, first := 0, 1
				for n := range total {
					s.send(message("s", fmt.Sprint(n), 2), copyFor(at(0, 2, 0), at(1, 2, 0)))
					time.Sleep(time.Duration(rnd.IntN(3)) * time.Millisecond)
					switch rnd.IntN(12) {
					case 0:
						w.faults.Drop(fmt.Sprint("SS_", rnd.IntN(2)))
					case 1:
						w.faults.LoseAnswer(fmt.Sprint("SS_", rnd.IntN(2)))
					case 2:
						w.kill()
						s.mu.Lock()
						for _, a := range s.acks {
							answered = max(answered, first-1+int(a.No))
						}
						s.mu.Unlock()
						w.startStore()
						s, first = w.home(), answered+1
						for i := first; i <= n+1; i++ {
							s.repeat(uint64(i), message("s", fmt.Sprint(i-1), 2), copyFor(at(0, 2, 0), at(1, 2, 0)))
						}
						s.seq = uint64(n + 1)
					}
				}
				time.Sleep(time.Minute)
				settle()
				g.open()
				for _, id := range ids {
					g.connect(id, persistent)
				}
				settle()
				owner := map[string]string{}
				g.mu.Lock()
				defer g.mu.Unlock()
				for _, p := range g.pushes {
					if p.Op == broker.PushPublish {
						if other, ok := owner[string(p.Msg.Payload)]; ok {
							t.Errorf("message %s is with %s and %s", p.Msg.Payload, other, p.ClientID)
						}
						owner[string(p.Msg.Payload)] = p.ClientID
					}
				}
				if len(owner) != total {
					t.Errorf("%d of %d messages are with somebody", len(owner), total)
				}
			})
		})
	}
}
