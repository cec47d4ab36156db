package brokertest

import (
	"slices"

	"github.com/pando-mq/pando/services/broker"
)

// promiseSentences are about what an ack promises, and what destinations get.
func promiseSentences() []sentence[*routed] {
	return []sentence[*routed]{
		{"What an ack promises: the message was matched against every subscription whose SUBACK was sent before the publish was accepted", func(t T, h *routed) {
			p := h.publisher("a/b")
			for n, filter := range []string{"a/b", "a/+", "#"} {
				h.subscribe(n, filter, "")
				p.send(1, 1)
				p.wait(uint64(n + 1))
			}
			wantSeqs(t, h.Sinks.session(0).seqs("a/b"), 1, 2, 3)
			wantSeqs(t, h.Sinks.session(1).seqs("a/b"), 2, 3)
			wantSeqs(t, h.Sinks.session(2).seqs("a/b"), 3)
		}},
		{"and every session partition with a matching persistent subscription", func(t T, h *routed) {
			d := h.holding(1, "a")
			h.subscribe(2, "a", "")
			p := h.publisher("a")
			p.send(2, 1)
			arrives(t, d, 2)
			arrives(t, h.Sinks.session(2), 2)
			p.noAck("before every session partition answered")
			d.release()
			p.wait(2)
		}},
		{"and the retained partition of a retained message, holds it durably", func(t T, h *routed) {
			need(t, h.HoldRetained != nil, "HoldRetained")
			p := h.publisher("kept")
			release := h.HoldRetained(h.RetainedPartition("", "kept"))
			t.Cleanup(release)
			p.send(1, 1, func(x *broker.Publish) { x.Msg.Retain = true })
			p.noAck("before the retained partition has it")
			release()
			p.wait(1)
		}},
		{"OK: a durable sink: the record is durable (or nothing had to be recorded); a gateway: taken over", func(t T, h *routed) {
			ref := h.StartGateway("clean")
			h.subscribeGateway(ref, "a", "")
			d := h.Sinks.gateway(ref)
			d.set(func(d *sink) { d.hold = true })
			p := h.publisher("a")
			p.send(2, 1)
			p.wait(2) // a gateway is not waited for
			arrives(t, d, 2)
			wantSeqs(t, d.seqs("a"), 1, 2)
		}},
		{"Deliveries of one source come in the order of their sequence numbers, with gaps (what did not match).", func(t T, h *routed) {
			h.subscribe(1, "a", "")
			ref := h.StartGateway("clean")
			h.subscribeGateway(ref, "#", "")
			p := h.publisher("a")
			for range 20 {
				p.send(2, 1)
			}
			p.wait(40)
			wantRising(t, h.Sinks.session(1).seqs("a"), 40)
			arrives(t, h.Sinks.gateway(ref), 40)
			wantRising(t, h.Sinks.gateway(ref).seqs("a"), 40)
			if x := h.Sinks.session(1).deliveries()[0]; x.Source != p.request().Source {
				t.Errorf("deliveries name the source %+v", x.Source)
			}
		}},
		{"An ack with Result OK answers all up to No that are still unanswered", func(t T, h *routed) {
			d := h.holding(1, "a")
			p := h.publisher("a")
			p.send(4, 1)
			arrives(t, d, 4)
			d.newest().confirm(3)
			p.wait(3)
			wantSeqs(t, p.acked(), 1, 2, 3)
			d.release()
			p.wait(4)
		}},
		{"NoSub and NoReceiver answer exactly one, and carry the origin's epoch and route version at that moment.", func(t T, h *routed) {
			d := h.holding(1, "a")
			p := h.publisher("a")
			p.send(2, 1)
			arrives(t, d, 2)
			d.mu.Lock()
			a := broker.DeliverAck{No: 2, Result: broker.NoSub, Epoch: d.origin.Epoch}
			s := d.streams[len(d.streams)-1]
			d.mu.Unlock()
			s.acks([]broker.DeliverAck{a})
			p.noAck("although the first delivery is unanswered")
			s.confirm(1)
			p.wait(2)
		}},
		{"no subscription matches any more: the route may be removed (rule N6)", func(t T, h *routed) {
			// Refused in version 0, the route has version 1: it was made after the answer and must stay.
			d := h.refusing(1, "a", 0)
			p := h.publisher("a")
			p.send(1, 1)
			p.wait(1)
			p.send(1, 1)
			p.wait(2)
			arrives(t, d, 2)
			// Refused in the version that it has: nothing more may be asked of it.
			h.refusing(2, "b", 1)
			q := h.publisher("b")
			q.send(1, 1)
			q.wait(1)
			q.send(1, 1)
			q.wait(2)
			if got := q.acks.all()[1]; got.Matched {
				t.Errorf("a refused delivery counts as matched")
			}
		}},
		{"the router treats one of an older partition epoch than it knows as RETRY (rule N6)", func(t T, h *routed) {
			d := h.Sinks.session(1)
			d.set(func(d *sink) { d.origin.Epoch += 10 })
			h.subscribe(1, "a", "")
			d.set(func(d *sink) {
				d.answer = func(broker.Delivery) (broker.DeliverAck, bool) {
					return broker.DeliverAck{Result: broker.NoSub, Epoch: d.origin.Epoch - 1, Version: 99}, true
				}
			})
			p := h.publisher("a")
			p.send(1, 1)
			ended(t, p.stream, broker.KindUnavailable, broker.KindBusy, broker.KindNotOwner, broker.KindStale)
			if p.acks.count() != 0 {
				t.Errorf("acked on the word of an old owner")
			}
		}},
		{"Which subscriptions it matches is found at the destination.", func(t T, h *routed) {
			h.subscribe(1, "a", "")
			h.subscribe(1, "#", "")
			h.subscribe(1, "+", "")
			p := h.publisher("a")
			p.send(1, 1)
			p.wait(1)
			if got := h.Sinks.session(1).deliveries(); len(got) != 1 || !got[0].Plain || len(got[0].Shares) != 0 {
				t.Errorf("one destination with three filters got %+v", got)
			}
		}},
		{"Shares are the groups whose copy this destination gets", func(t T, h *routed) {
			one, two := h.StartGateway("one"), h.StartGateway("two")
			h.subscribeGateway(one, "a", "g")
			h.subscribeGateway(two, "a", "g")
			p := h.publisher("a")
			p.send(20, 1)
			p.wait(20)
			total := func() int { return len(h.Sinks.gateway(one).deliveries()) + len(h.Sinks.gateway(two).deliveries()) }
			eventually(t, func() bool { return total() >= 20 }, "20 copies arrive")
			never(t, func() bool { return total() > 20 }, "a message reaches a group twice")
			for _, x := range append(h.Sinks.gateway(one).deliveries(), h.Sinks.gateway(two).deliveries()...) {
				if x.Plain || len(x.Shares) != 1 || x.Shares[0].Share != (broker.Share{Group: "g", Filter: "a"}) {
					t.Fatalf("copy %+v", x)
				}
			}
		}},
		{"a session partition is the group's home (rule R7)", func(t T, h *routed) {
			h.subscribe(1, "a", "g")
			clean := h.StartGateway("clean")
			h.subscribeGateway(clean, "a", "g")
			p := h.publisher("a")
			p.send(3, 1)
			p.wait(3)
			copies, homes := 0, 0
			for n := range 16 {
				if got := h.Sinks.session(n).deliveries(); len(got) > 0 {
					copies, homes = copies+len(got), homes+1
				}
			}
			if copies != 3 || homes != 1 || len(h.Sinks.gateway(clean).deliveries()) != 0 {
				t.Errorf("%d copies at %d homes, %d at the gateway", copies, homes, len(h.Sinks.gateway(clean).deliveries()))
			}
		}},
		{"Candidates are the session partitions and gateways that have members, as the router knows them, connected ones first.", func(t T, h *routed) {
			h.subscribe(1, "a", "g")
			ready := h.publisher("a")
			ready.send(1, 1)
			ready.wait(1) // the router has its snapshots, so that none of them undoes the next line
			wantNil(t, h.Node.UpdateRoutes(t.Context(), h.Sinks.session(0).changeTo("a", "g", 2, 0)))
			clean := h.StartGateway("clean")
			h.subscribeGateway(clean, "a", "g")
			p := h.publisher("a")
			p.send(1, 1)
			p.wait(1)
			var all []broker.Candidate
			for n := range 16 {
				for _, x := range h.Sinks.session(n).deliveries() {
					all = x.Shares[0].Candidates
				}
			}
			if len(all) != 3 || all[2].Session != 0 || all[2].Online != 0 || all[2].Members != 2 {
				t.Fatalf("candidates %+v", all)
			}
			if !slices.ContainsFunc(all, func(c broker.Candidate) bool { return c.Session == -1 && c.Gateway == clean }) {
				t.Errorf("candidates %+v lack the gateway", all)
			}
		}},
		{"non-nil: route to this one shared group only (redispatch by a home or a gateway)", func(t T, h *routed) {
			one, two := h.StartGateway("one"), h.StartGateway("two")
			h.subscribeGateway(one, "a", "g")
			h.subscribeGateway(two, "a", "other")
			h.subscribe(1, "a", "")
			p := h.publisher("a")
			p.send(1, 1, func(x *broker.Publish) { x.Share = &broker.Share{Group: "g", Filter: "a"} })
			p.wait(1)
			arrives(t, h.Sinks.gateway(one), 1)
			never(t, func() bool {
				return len(h.Sinks.gateway(two).deliveries())+len(h.Sinks.session(1).deliveries()) > 0
			}, "others get a message that was for one group")
		}},
		{"QoS 0: at most once. Dropped under pressure; never logged.", func(t T, h *routed) {
			d := h.holding(1, "a")
			p := h.publisher("a")
			p.send(1, 0)
			p.wait(1)
			arrives(t, d, 1)
		}},
	}
}

// refusing makes a session partition whose route has version 1 and that wants nothing: it answers NoSub in the given version.
func (h *routed) refusing(partition int, filter string, version uint64) *sink {
	h.t.Helper()
	h.subscribe(partition, filter, "")
	d := h.Sinks.session(partition)
	d.set(func(d *sink) {
		d.answer = func(broker.Delivery) (broker.DeliverAck, bool) {
			return broker.DeliverAck{Result: broker.NoSub, Epoch: d.origin.Epoch, Version: version}, true
		}
	})
	return d
}
