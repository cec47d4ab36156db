package sessionstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	sessionstore "github.com/pando-mq/pando/session-store"

	"github.com/pando-mq/pando/services/broker"
)

func TestSessionGoesOn(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		if d.reply.Present {
			t.Fatal("a new session is present")
		}
		d.subscribe("a", 1)
		d.leave()
		d = g.connect("c", persistent)
		if !d.reply.Present || len(d.reply.Subs) != 1 || d.reply.Subs[0].Filter != "a" {
			t.Fatalf("answer %+v", d.reply)
		}
		d.leave()
		d = g.connect("c", options{clean: true, expiry: time.Hour})
		if d.reply.Present || len(d.reply.Subs) != 0 {
			t.Fatalf("answer to a clean start %+v", d.reply)
		}
	})
}

func TestSessionEndsWithItsConnection(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a", 1)
		d.detach(broker.Detach{HasExpiry: true, Expiry: 0})
		if d = g.connect("c", persistent); d.reply.Present {
			t.Fatal("the session outlived a DISCONNECT with expiry 0")
		}
	})
}

// A session without an expiry interval ends with its connection (MQTT 5.0 §3.1.2.11.2), also when that ends by a take-over.
func TestTakeOverEndsASessionWithoutExpiry(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", persistent).subscribe("a", 1)
		d := g.connect("c", options{expiry: 0})
		if !d.reply.Present || len(d.reply.Subs) != 1 {
			t.Fatalf("answer %+v", d.reply)
		}
		if d = g.connect("c", persistent); d.reply.Present || len(d.reply.Subs) != 0 {
			t.Fatalf("answer to the next connection %+v", d.reply)
		}
	})
}

// Rule N12: epochs rise, and a request with an older one changes nothing.
func TestN12OldConnectionChangesNothing(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g1, g2 := w.gateway("g1"), w.gateway("g2")
		old := g1.connect("c", persistent)
		old.subscribe("a", 1)
		w.sourceTo("c").must(message("a", "1", 1))
		g1.take()
		d := g2.connect("c", persistent)
		if !old.epoch.Less(d.epoch) {
			t.Fatalf("epoch %v after %v", d.epoch, old.epoch)
		}
		w.want("pushes", g2.take(), "publish a=1 qos1 id2 dup")
		ack := old.request(broker.OpAck)
		ack.Ack = &broker.ClientAck{Index: 1, Kind: broker.AckPuback}
		w.wantKind("ack of the old connection", g1.do(ack).Err, broker.KindStale)
		sub := old.request(broker.OpSubscribe)
		sub.Subs = []broker.Subscription{{Filter: "b"}}
		w.wantKind("subscribe of the old connection", g1.do(sub).Err, broker.KindStale)
		w.wantKind("publish of the old connection", g1.do(old.publish2(1, "t", "x")).Err, broker.KindStale)
		release := old.request(broker.OpRelease)
		release.PacketID = 1
		w.wantKind("release of the old connection", g1.do(release).Err, broker.KindStale)
		old.detach(broker.Detach{Reason: "closed"})
		d.ack(1, broker.AckPuback)
		if d = g2.connect("c", persistent); len(d.reply.Subs) != 1 {
			t.Fatalf("subscriptions %v", d.reply.Subs)
		}
		w.want("pushes", g2.take(), "kick c/1 conflict")
	})
}

// Rule N12: a new owner's epochs are above the old owner's, for clean attachments too.
func TestN12EpochsRiseAcrossOwners(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		a, b := g.connect("c", persistent), g.connect("clean", options{clean: true})
		w.fail()
		g.open()
		c, d := g.connect("c", persistent), g.connect("clean", options{clean: true})
		if !a.epoch.Less(c.epoch) || !b.epoch.Less(d.epoch) {
			t.Fatalf("epochs %v %v, then %v %v", a.epoch, b.epoch, c.epoch, d.epoch)
		}
	})
}

// Rule N12: the answer to the Attach of a persistent session waits for its record; a clean one needs none, but a valid lease.
func TestN12AttachIsDurableOrUnderAValidLease(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", persistent)
		held, release := w.faults.Hold(logOf("c"))
		p := g.connecting("c", persistent)
		settle()
		<-held
		if g.reply(p.attach.ID) != nil {
			t.Fatal("answered before the record is durable")
		}
		release()
		p.connected()
		w.pause()
		soft := g.connecting("clean", options{clean: true})
		w.wantKind("clean attach without certain lease", g.reply(soft.attach.ID).Err, broker.KindUnavailable)
		g.connect("c", persistent)
		w.resume()
		g.connect("clean", options{clean: true})
	})
}

// Rule R6: an Attach comes from a gateway that the view shows.
func TestR6GatewayMustBeInView(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", persistent)
		open := broker.SessionOpen{Gateway: broker.NodeRef{ID: "g9", Incarnation: g.ref.Incarnation - 1}}
		_, err := w.store.OpenSession(w.t.Context(), open, g)
		w.wantKind("stream of an incarnation that is not there", err, broker.KindStale)
		stream := g.streams[0]
		g.gone()
		w.over(stream.Done())
		w.wantKind("stream of a gateway that is gone", stream.Err(), broker.KindStale)
		_, err = w.store.OpenSession(w.t.Context(), broker.SessionOpen{Gateway: g.ref}, g)
		w.wantKind("next stream of a gateway that is gone", err, broker.KindStale)
	})
}

// Rule R6 holds for a gateway that came and went between two views that a partition looked at, which show the same gateways.
func TestR6GatewayThatComesAndGoesIsOver(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for n := range 40 {
			g := w.gateway(fmt.Sprintf("g%d", n))
			g.gone()
			for _, s := range g.streams {
				w.over(s.Done())
			}
		}
	})
}

// Rules R3 and R6: a repeated Attach gets the same answer, also from the next owner, and takes nothing over.
func TestR6RepeatedAttachGetsTheSameAnswer(t *testing.T) {
	for _, fail := range []bool{false, true} {
		run := func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				g := w.gateway("g1")
				d := g.connect("c", persistent)
				w.sourceTo("c")
				d.subscribe("a", 1)
				d.leave()
				w.sourceTo("c").must(message("a", "1", 1))
				d = g.connect("c", persistent)
				g.take()
				if fail {
					w.fail()
				}
				g.open()
				r := g.again(d.attach)
				if r.Err != nil || r.Attach.Epoch != d.epoch || !r.Attach.Present || len(r.Attach.Subs) != 1 || r.Attach.HoldPublishes {
					t.Fatalf("the repeat is answered %v %+v, the first was %+v", r.Err, r.Attach, d.reply)
				}
				w.want("pushes after a lost answer", g.take(), "publish a=1 qos1 id2 dup")
				g.repeat(d.attach) // on the same stream: nothing is pushed twice on a live connection
				w.want("pushes after a second repeat", g.take())
			})
		}
		t.Run(map[bool]string{false: "same owner", true: "next owner"}[fail], run)
	}
}

// Rule R6: the Attach of a superseded connection is refused, as often as it comes.
func TestR6SupersededAttachIsRefused(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g1, g2 := w.gateway("g1"), w.gateway("g2")
		old := g1.connect("c", persistent)
		d := g2.connect("c", persistent)
		w.wantKind("repeat before the kick is answered", g1.again(old.attach).Err, broker.KindConflict)
		old.kicked()
		w.wantKind("repeat after the kick was answered", g1.again(old.attach).Err, broker.KindConflict)
		w.fail()
		g1.open()
		g2.open()
		w.wantKind("repeat to the next owner", g1.again(old.attach).Err, broker.KindConflict)
		if r := g2.again(d.attach); r.Err != nil || r.Attach.Epoch != d.epoch {
			t.Fatalf("the present connection's repeat: %+v", r)
		}
	})
}

// Rule R6: the kick goes out when the take-over is durable, is repeated until it is answered, by a new owner too, and publishes are held meanwhile.
func TestR6KickIsRepeatedUntilAnswered(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g1, g2 := w.gateway("g1"), w.gateway("g2")
		old := g1.connect("c", persistent)
		d := g2.connect("c", persistent)
		if !d.reply.HoldPublishes {
			t.Fatal("publishes are not held")
		}
		w.want("old gateway", g1.take(), "kick c/1 conflict")
		g1.open()
		w.want("old gateway's next stream", g1.take(), "kick c/1 conflict")
		w.fail()
		g1.open()
		g2.open()
		w.want("new owner", g1.take(), "kick c/1 conflict")
		old.kicked()
		g1.open()
		w.want("after the answer", g1.take())
	})
}

func TestTakeOverSettlesWithTheKicksAnswer(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g1, g2 := w.gateway("g1"), w.gateway("g2")
		for _, o := range []options{persistent, {clean: true}} {
			old := g1.connect("c", o)
			d := g2.connect("c", o)
			if !d.reply.HoldPublishes {
				t.Fatal("publishes are not held")
			}
			w.want("before the answer", g2.take())
			old.kicked()
			w.want("after the answer", g2.take(), "settled c/"+itoa(d.conn))
			time.Sleep(2 * time.Second)
			w.want("a second later", g2.take())
			d.detach(broker.Detach{HasExpiry: true, DropWill: true})
			g1.take()
		}
	})
}

func TestTakeOverSettlesAfterASecond(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g1, g2 := w.gateway("g1"), w.gateway("g2")
		g1.connect("c", persistent)
		g2.connect("c", persistent)
		time.Sleep(800 * time.Millisecond)
		w.want("within the second", g2.take())
		time.Sleep(200 * time.Millisecond)
		w.want("after it", g2.take(), "settled c/1")
	})
}

func TestTakeOverSettlesWhenTheOldGatewayIsGone(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g1, g2 := w.gateway("g1"), w.gateway("g2")
		g1.connect("c", persistent)
		g1.connect("clean", options{clean: true})
		g2.connect("c", persistent)
		g2.connect("clean", options{clean: true})
		g1.gone()
		if got := g2.take(); len(got) != 2 {
			t.Fatalf("pushes %v, want two settled", got)
		}
	})
}

func TestTakeOverOnTheSameGateway(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		g.connect("c", persistent)
		d := g.connect("c", persistent)
		g.mu.Lock()
		kick := g.pushes[0]
		g.mu.Unlock()
		if kick.Op != broker.PushKick || kick.Conn != 1 || kick.Epoch != d.epoch {
			t.Fatalf("kick %+v, want the old connection and the present epoch %v", kick, d.epoch)
		}
	})
}

func TestFlappingIsDelayed(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		want := []time.Duration{0, 0, time.Second, 0}
		for i, o := range []options{{clean: true}, {clean: true}, {clean: true}, {clean: true}} {
			if i == 3 {
				time.Sleep(2 * time.Second)
			}
			if d := g.connect("c", o); d.reply.Delay != want[i] {
				t.Fatalf("connection %d waits %v, want %v", i, d.reply.Delay, want[i])
			}
		}
	})
}

// Rule N12: of two connections of a client id the one with the lower epoch is kicked, in whichever order they are announced.
func TestN12LowerAnnouncementIsKicked(t *testing.T) {
	for name, lowFirst := range map[string]bool{"lower first": true, "higher first": false} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				g1, g2 := w.gateway("g1"), w.gateway("g2")
				low := g1.connect("clean", options{clean: true})
				high := g2.connect("clean", options{clean: true})
				w.fail()
				g1.open()
				g2.open()
				g1.take()
				var first broker.SessionReply
				if lowFirst {
					first = low.announce()
				}
				if r := high.announce(); r.Err != nil {
					t.Fatal(r.Err)
				}
				if lowFirst {
					if first.Err != nil {
						t.Fatal(first.Err)
					}
				} else {
					w.wantKind("lower announcement", low.announce().Err, broker.KindConflict)
				}
				w.want("lower connection", g1.take(), "kick clean/1 conflict")
				low.kicked()
				if _, err := w.store.Sessions(w.t.Context(), broker.ClientQuery{}); err != nil {
					t.Fatal(err)
				}
				if err := w.store.KickClient(w.t.Context(), "", "clean", "test"); err != nil {
					t.Fatal(err)
				}
				w.want("the present connection is the higher one", onlyKicks(g2.take()), "kick clean/1 test")
			})
		})
	}
}

func onlyKicks(pushes []string) (kicks []string) {
	for _, p := range pushes {
		if len(p) > 4 && p[:4] == "kick" {
			kicks = append(kicks, p)
		}
	}
	return kicks
}

func TestDurableConnectionThatIsNotKnownIsKicked(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.detach(broker.Detach{HasExpiry: true})
		w.wantKind("announcement after the end", d.announce().Err, broker.KindConflict)
		w.want("pushes", g.take(), "kick c/1 conflict")
	})
}

func TestCleanSessionHasNoSessionHere(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("clean", options{clean: true})
		w.wantKind("publish of a clean session", g.do(d.publish2(1, "t", "x")).Err, broker.KindInvalid)
		will := g.connect("will", options{clean: true, will: &broker.Will{Msg: message("w", "x", 1)}})
		w.wantKind("publish of a clean session with a will", g.do(will.publish2(1, "t", "x")).Err, broker.KindInvalid)
	})
}

func TestNewerStreamReplacesTheOlder(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		old := g.streams[0]
		g.open()
		w.over(old.Done())
		w.wantKind("older stream", old.Err(), broker.KindStale)
		w.wantKind("request on it", old.Send([]broker.SessionRequest{{Op: broker.OpAttach}}), broker.KindStale)
		g.streams[0].Close()
		w.over(g.streams[0].Done())
	})
}

func TestRequestForAnotherPartitionIsInvalid(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		wrong := g.streams[1-partitionOf("c")]
		if err := wrong.Send([]broker.SessionRequest{{ID: 7, Op: broker.OpAttach, ClientID: "c", Attach: &broker.Attach{}}}); err != nil {
			t.Fatal(err)
		}
		w.wantKind("attach at the wrong partition", g.reply(7).Err, broker.KindInvalid)
	})
}

func TestStopHandsOver(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		g := w.gateway("g1")
		d := g.connect("c", persistent)
		d.subscribe("a", 1)
		streams := g.streams
		w.stopStore()
		w.over(streams[0].Done())
		w.wantKind("stream after a hand-over", streams[0].Err(), broker.KindNotOwner)
		_, err := w.store.OpenSession(context.Background(), broker.SessionOpen{Gateway: g.ref}, g)
		w.wantKind("stream to the old owner", err, broker.KindNotOwner)
		w.startStore()
		g.open()
		if r := d.announce(); r.Err != nil {
			t.Fatal(r.Err)
		}
		w.sourceTo("c").must(message("a", "1", 1))
		w.want("pushes of the new owner", g.take(), "publish a=1 qos1 id2")
	})
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	c := sessionstore.DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	c.Store.SharedStrategy, c.Store.MaxPending = "best", 0
	if err := c.Validate(); err == nil {
		t.Fatal("nonsense accepted")
	}
}
