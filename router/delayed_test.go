package router_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/journal"
)

// delayTo makes a message wait before it is published to a topic.
func delayTo(seconds int, topic, text string) func(*broker.Message) {
	return func(m *broker.Message) {
		m.Topic, m.Payload = fmt.Sprintf("$delayed/%d/%s", seconds, topic), []byte(text)
	}
}

// later publishes one delayed message, as its topic partition gets it.
func (w *world) later(g *gateway, seconds int, topic, text string, change ...func(*broker.Message)) *publisher {
	w.t.Helper()
	p := w.publisher(g, fmt.Sprintf("$delayed/%d/%s", seconds, topic))
	w.streams++
	p.seq = 1000 * w.streams
	p.mustSend(1, 1, append(change, delayTo(seconds, topic, text))...)
	elapse(10 * time.Millisecond)
	return p
}

func (w *world) restart(id string) {
	w.t.Helper()
	if err := errors.Join(w.router.Stop(w.t.Context()), w.member.Leave(w.t.Context())); err != nil {
		w.t.Fatal(err)
	}
	w.startRouter(id)
}

func (w *world) stat(name string) int64 {
	w.t.Helper()
	synctest.Wait()
	stats, err := w.router.RouterStats(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return stats[name]
}

// A delayed message is acknowledged as one that will have a reader, is kept, and goes out at its millisecond.
func TestDelayedPublishIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.mustSubscribe(4, "a/b", "")
		w.mustSubscribe(5, "#", "")
		g := w.gateway("g1")
		began := time.Now()
		p := w.later(g, 60, "a/b", "later")
		if acks := p.acks; len(acks) != 1 || !acks[0].Matched || acks[0].Refused {
			t.Fatalf("answered %+v", acks)
		}
		w.later(g, 30, "a/b", "sooner")
		if n := w.stat("delayed/count"); n != 2 || w.stat("delayed/bytes") == 0 {
			t.Fatalf("%d are kept", n)
		}
		elapse(time.Until(began.Add(60*time.Second - time.Millisecond)))
		if got := w.sessions.part(4).payloads(); !slices.Equal(got, []string{"sooner"}) {
			t.Fatalf("a millisecond too early: %v", got)
		}
		elapse(10 * time.Millisecond) // the log gathers records for up to 2 ms
		if got := w.sessions.part(4).payloads(); !slices.Equal(got, []string{"sooner", "later"}) {
			t.Fatalf("at its time: %v", got)
		}
		d := w.sessions.part(5).got[1]
		if d.Msg.Topic != "a/b" || d.Source.Kind != broker.FromRetained || !d.Msg.Published.Equal(began.Add(60*time.Second)) {
			t.Fatalf("%+v of %+v", d.Msg, d.Source)
		}
		if n := w.stat("delayed/count"); n != 0 || w.stat("delayed/bytes") != 0 {
			t.Fatalf("%d are kept after their time", n)
		}
	})
}

// What waits, and what is in the outbox and not acknowledged, is there again after the router died; numbers go on, so nothing comes twice.
func TestDelayedSurvivesTheRouter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) { w.retained.Storage = "ram" })
		w.mustSubscribe(4, "a/b", "")
		g := w.gateway("g1")
		w.later(g, 60, "a/b", "one")
		w.later(g, 60, "a/b", "two")
		w.sessions.set(w.sessions.hold, 4, true)
		w.later(g, 1, "a/b", "unanswered")
		elapse(2 * time.Second)
		w.restart("r2")
		if n := w.stat("delayed/count"); n != 2 {
			t.Fatalf("%d of 2 came through", n)
		}
		w.sessions.set(w.sessions.hold, 4, false)
		w.mustSubscribe(4, "a/b", "")
		settle()
		w.restart("r3") // what was sent, but not acknowledged, goes out under its old number
		w.mustSubscribe(4, "a/b", "")
		elapse(time.Minute)
		var seqs []uint64
		texts := map[uint64]string{}
		for _, d := range w.sessions.part(4).got {
			seqs = append(seqs, d.Seq)
			if old, ok := texts[d.Seq]; ok && old != string(d.Msg.Payload) {
				t.Fatalf("number %d is %q and %q", d.Seq, old, d.Msg.Payload)
			}
			texts[d.Seq] = string(d.Msg.Payload)
		}
		if len(texts) != 3 || texts[1] != "unanswered" || texts[2] != "one" || texts[3] != "two" {
			t.Fatalf("numbers %v: %v", seqs, texts)
		}
		if last := seqs[len(seqs)-2:]; !slices.Equal(last, []uint64{2, 3}) {
			t.Fatalf("numbers %v", seqs)
		}
	})
}

// The retain flag counts when the time has come.
func TestDelayedRetain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.later(w.gateway("g1"), 60, "r/x", "kept", retain)
		elapse(59 * time.Second)
		if got := append(w.read("#"), w.read("$delayed/#")...); len(got) != 0 {
			t.Fatalf("found %v before its time", got)
		}
		settle()
		if got := w.read("r/x"); !slices.Equal(got, []string{"r/x=kept"}) {
			t.Fatalf("found %v", got)
		}
	})
}

// The expiry of a delayed message runs from the day it was accepted.
func TestDelayedExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		w.mustSubscribe(4, "a", "")
		g := w.gateway("g1")
		w.later(g, 60, "a", "dead", func(m *broker.Message) { m.Expires = time.Now().Add(59 * time.Second) })
		w.later(g, 60, "a", "alive", func(m *broker.Message) { m.Expires = time.Now().Add(61 * time.Second) })
		elapse(time.Minute)
		if got := w.sessions.part(4).payloads(); !slices.Equal(got, []string{"alive"}) {
			t.Fatalf("delivered %v", got)
		}
	})
}

// A full store says so to the publisher, and goes on when there is room.
func TestDelayedLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) { w.retained.Delayed.MaxMessages = 2 })
		g := w.gateway("g1")
		w.later(g, 10, "a", "1")
		w.later(g, 60, "b", "2")
		p := w.later(g, 60, "c", "3")
		if len(p.acks) != 1 || !p.acks[0].Refused {
			t.Fatalf("answered %+v", p.acks)
		}
		elapse(10 * time.Second)
		if p = w.later(g, 60, "c", "4"); len(p.acks) != 1 || p.acks[0].Refused {
			t.Fatalf("with room again: %+v", p.acks)
		}
		w = start(t, func(w *world) { w.retained.Delayed.MaxBytes = 1000 })
		g = w.gateway("g1")
		p = w.later(g, 60, "c", string(make([]byte, 1000)))
		if len(p.acks) != 1 || !p.acks[0].Refused || w.stat("delayed/count") != 0 {
			t.Fatalf("answered %+v", p.acks)
		}
	})
}

// Of one batch to the same retained partition each message has its own answer.
func TestDelayedLimitIsAnsweredOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) { w.retained.Delayed.MaxMessages = 3 })
		p := w.publisher(w.gateway("g1"), "$delayed/60/a")
		p.mustSend(5, 1)
		elapse(10 * time.Millisecond)
		p.acked()
		for i, a := range p.acks {
			if a.Refused != (i >= 3) || a.Matched == a.Refused {
				t.Fatalf("answered %+v", p.acks)
			}
		}
		if len(p.acks) != 5 {
			t.Fatalf("answered %+v", p.acks)
		}
	})
}

// A snapshot reflects the event that made it due: without it the last message before a snapshot was lost with the router.
func TestRetainedSnapshotHoldsItsLastEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, func(w *world) {
			w.journal = journal.New(journal.NewMemoryStreams(), journal.Options{Level: journal.Memory, SnapshotAfter: 1}, journal.Deps{})
		})
		g := w.gateway("g1")
		w.mustSubscribe(4, "d", "")
		for i := range 20 {
			w.put(g, "r", fmt.Sprint(i))
			w.later(g, 600, "d", fmt.Sprint(i))
			settle()
		}
		w.restart("r2")
		w.mustSubscribe(4, "d", "")
		if got := w.read("r"); !slices.Equal(got, []string{"r=19"}) {
			t.Fatalf("found %v", got)
		}
		if n := w.stat("delayed/count"); n != 20 {
			t.Fatalf("%d of 20 wait", n)
		}
		elapse(11 * time.Minute)
		if got := w.sessions.part(4).payloads(); len(got) != 20 {
			t.Fatalf("%d of 20 came", len(got))
		}
	})
}
