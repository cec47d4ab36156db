package router_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/router"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

func retain(m *broker.Message) { m.Retain = true }

func payload(text string) func(*broker.Message) {
	return func(m *broker.Message) { m.Retain, m.Payload = true, []byte(text) }
}

// read collects "topic=payload" of what a filter finds.
func (w *world) read(filter string) []string {
	w.t.Helper()
	var got []string
	err := w.router.ReadRetained(w.t.Context(), broker.RetainedQuery{Filter: filter}, func(batch []*broker.Message) error {
		for _, m := range batch {
			got = append(got, m.Topic+"="+string(m.Payload))
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(got)
	return got
}

func (w *world) put(g *gateway, topic, text string) {
	w.t.Helper()
	p := w.publisher(g, topic)
	w.streams++
	p.seq = 1000 * w.streams // above every cursor of the source
	p.mustSend(1, 1, payload(text))
	elapse(10 * time.Millisecond) // the log gathers appends that follow one another closely
	if len(p.acked()) != 1 {
		w.t.Fatalf("retained publish to %s is not acked", topic)
	}
}

func TestRetainedPutReplaceDelete(t *testing.T) {
	eachStorage(t, func(t *testing.T, in func(*world)) {
		w := start(t, in)
		g := w.gateway("g1")
		for _, topic := range []string{"r/1", "r/2", "s/1", "$SYS/x"} {
			w.put(g, topic, "one")
		}
		w.put(g, "r/1", "two")
		w.put(g, "r/2", "")
		for filter, want := range map[string][]string{
			"r/1": {"r/1=two"}, "r/2": nil, "r/+": {"r/1=two"}, "#": {"r/1=two", "s/1=one"}, "$SYS/#": {"$SYS/x=one"}, "+/x": nil,
		} {
			if got := w.read(filter); !slices.Equal(got, want) {
				t.Errorf("%s finds %v, want %v", filter, got, want)
			}
		}
	})
}

func TestRetainedSurvivesTheRouter(t *testing.T) {
	eachStorage(t, func(t *testing.T, in func(*world)) {
		w := start(t, in)
		g := w.gateway("g1")
		w.put(g, "r/1", "kept")
		p := w.publisher(g, "r/2")
		p.mustSend(1, 1, payload("first"))
		if err := errors.Join(w.router.Stop(t.Context()), w.member.Leave(t.Context())); err != nil {
			t.Fatal(err)
		}
		w.startRouter("r2")
		p.seq = 0 // the gateway sends again what it thinks unanswered
		p.open()
		p.mustSend(1, 1, payload("again, and dropped by the cursor"))
		p.mustSend(1, 1, payload("second"))
		settle()
		if got := w.read("#"); !slices.Equal(got, []string{"r/1=kept", "r/2=second"}) {
			t.Fatalf("found %v", got)
		}
		if got := p.acked(); !slices.Equal(got, []uint64{1, 1, 2}) {
			t.Fatalf("acked %v", got)
		}
	})
}

// A duplicate does not bring an older value back.
func TestRetainedDuplicateIsDropped(t *testing.T) {
	eachStorage(t, func(t *testing.T, in func(*world)) {
		w := start(t, in)
		p := w.publisher(w.gateway("g1"), "r")
		p.mustSend(1, 1, payload("one"))
		p.mustSend(1, 1, payload("two"))
		p.seq = 0
		p.open()
		p.mustSend(1, 1, payload("one"))
		if got := w.read("r"); !slices.Equal(got, []string{"r=two"}) {
			t.Fatalf("found %v", got)
		}
	})
}

func TestRetainedExpiry(t *testing.T) {
	eachStorage(t, func(t *testing.T, in func(*world)) {
		w := start(t, in, func(w *world) { w.retained.Expiry = time.Hour })
		g := w.gateway("g1")
		w.put(g, "a", "default")
		w.put(g, "$SYS/v", "for ever")
		p := w.publisher(g, "b")
		p.mustSend(1, 1, retain, func(m *broker.Message) { m.Expires = time.Now().Add(10 * time.Millisecond) })
		if got := w.read("b"); len(got) != 1 {
			t.Fatalf("found %v before its time", got)
		}
		elapse(10 * time.Millisecond)
		if got := w.read("b"); len(got) != 0 {
			t.Fatalf("found %v at its time", got)
		}
		elapse(time.Hour)
		if got := append(w.read("#"), w.read("$SYS/#")...); !slices.Equal(got, []string{"$SYS/v=for ever"}) {
			t.Fatalf("found %v", got)
		}
		stats, _ := w.router.RouterStats(t.Context())
		if stats["retained/count"] != 1 {
			t.Fatalf("%d counted", stats["retained/count"])
		}
	})
}

func TestRetainedLimits(t *testing.T) {
	eachStorage(t, func(t *testing.T, in func(*world)) {
		w := start(t, in, func(w *world) { w.retained.MaxMessages, w.retained.MaxPayload = 2, 8 })
		g := w.gateway("g1")
		w.put(g, "a", "1")
		w.put(g, "b", "1")
		w.put(g, "c", "full")
		w.put(g, "d", "much too large")
		w.put(g, "a", "replaced")
		if got := w.read("#"); !slices.Equal(got, []string{"a=replaced", "b=1"}) {
			t.Fatalf("found %v", got)
		}
	})
}

func TestRetainedIsReadInBatchesWithoutALock(t *testing.T) {
	eachStorage(t, func(t *testing.T, in func(*world)) {
		w := start(t, in)
		g := w.gateway("g1")
		p := w.publisher(g, "x")
		for i := range 40 {
			p.topic = "big/" + string(rune('a'+i%26)) + string(rune('a'+i/26))
			p.seq = uint64(i)
			p.open()
			p.mustSend(1, 1, retain, func(m *broker.Message) { m.Payload = make([]byte, 30<<10) })
		}
		n := 0
		err := w.router.ReadRetained(t.Context(), broker.RetainedQuery{Filter: "big/+"}, func(batch []*broker.Message) error {
			size := 0
			for _, m := range batch {
				size += m.Size()
			}
			if size > 64<<10 && len(batch) > 1 {
				t.Errorf("a batch of %d bytes", size)
			}
			n += len(batch)
			w.put(g, "other", "written while somebody reads")
			return nil
		})
		if err != nil || n != 40 {
			t.Fatalf("%d of 40: %v", n, err)
		}
		stop := errors.New("enough")
		err = w.router.ReadRetained(t.Context(), broker.RetainedQuery{Filter: "#"}, func([]*broker.Message) error { return stop })
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.router.ReadRetained(ctx, broker.RetainedQuery{Filter: "#"}, nil); broker.KindOf(err) != broker.KindCanceled {
			t.Fatal(err)
		}
		n = 0
		err = w.router.ReadRetained(t.Context(), broker.RetainedQuery{Filter: "#", Limit: 7}, func(b []*broker.Message) error { n += len(b); return nil })
		if err != nil || n != 7 {
			t.Fatalf("%d with a limit of 7: %v", n, err)
		}
	})
}

// Rule N10 at a retained partition: a topic epoch below one seen is refused, on new and on open streams.
func TestRetainedRefusesOlderTopicEpochs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		n := cluster.Partition("", "r", 16)
		open := func(epoch uint64) (broker.DeliverStream, error) {
			return w.router.OpenDeliver(t.Context(), broker.DeliverOpen{Topic: 5, TopicEpoch: epoch, Partition: n}, func([]broker.DeliverAck) {})
		}
		old, err := open(1000)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = open(1001); err != nil {
			t.Fatal(err)
		}
		if _, err = open(1000); broker.KindOf(err) != broker.KindStale {
			t.Fatal(err)
		}
		_ = old.Send([]broker.Delivery{{Source: broker.Source{Kind: broker.FromSession, Topic: 5}, Seq: 1, Msg: &broker.Message{Topic: "r", Payload: []byte("late")}}})
		if broker.KindOf(old.Err()) != broker.KindStale || len(w.read("r")) != 0 {
			t.Fatalf("the old owner wrote: %v", old.Err())
		}
	})
}

func TestRetainedPartitionElsewhereIsNotOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t)
		if err := w.router.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := w.router.OpenDeliver(t.Context(), broker.DeliverOpen{}, nil)
		if broker.KindOf(err) != broker.KindNotOwner {
			t.Fatal(err)
		}
		err = w.router.ReadRetained(t.Context(), broker.RetainedQuery{Filter: "a"}, nil)
		if broker.KindOf(err) != broker.KindNotOwner {
			t.Fatal(err)
		}
	})
}

func TestConfigIsValidated(t *testing.T) {
	t.Parallel()
	cfg, ret := router.Default()
	ret.Storage = "cloud"
	if _, err := router.New(cfg, ret, router.Deps{}); err == nil {
		t.Fatal("an unknown storage is accepted")
	}
}
