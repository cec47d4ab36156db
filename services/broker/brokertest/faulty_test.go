package brokertest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pando-mq/pando/services/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// everyFault is a schedule in which nothing is rare.
func everyFault(seed uint64) Faults {
	return Faults{Seed: seed, Refuse: 0.4, Delay: 0.2, Drop: 0.15, Duplicate: 0.2, MaxDelay: time.Millisecond}
}

func TestScheduleRepeatsItself(t *testing.T) {
	t.Parallel()
	decide := func(seed uint64) (list []string) {
		x := newFaulty(everyFault(seed))
		defer x.Close()
		for range 200 {
			what, wait := x.next()
			list = append(list, fmt.Sprint(what, wait, x.refuse("") != nil))
		}
		return list
	}
	if !slices.Equal(decide(1), decide(1)) {
		t.Error("one seed, two schedules")
	}
	if slices.Equal(decide(1), decide(2)) {
		t.Error("two seeds, one schedule")
	}
}

// underFaults runs a test under several schedules, one after the other. Every kind of fault must come, so that what passes means something.
func underFaults(t *testing.T, test func(t *testing.T, f Faults) *faulty) {
	t.Helper()
	all := map[string]int{}
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			for kind, n := range test(t, everyFault(seed)).Counts() {
				all[kind] += n
			}
		})
	}
	if kinds := slices.Sorted(maps.Keys(all)); !slices.Equal(kinds, []string{"delay", "drop", "duplicate", "refuse"}) {
		t.Errorf("faults that came: %v", all)
	}
}

// A source that sends again from its first unanswered publish loses nothing and repeats nothing past a cursor, whatever the router's streams do.
func TestPublishesSurviveAFaultyRouter(t *testing.T) {
	t.Parallel()
	underFaults(t, func(t *testing.T, f Faults) *faulty {
		sinks := NewSinks()
		r := NewRouter(RouterConfig{Sinks: sinks.Sessions(), Topics: 1})
		defer r.Close()
		x := NewFaultyRouter(r, f)
		defer x.Close()
		n, ref := x.Node(r), r.StartGateway("g")
		u := sinks.session(1).change("a", "", 1)
		eventually(tested{t}, func() bool { return n.UpdateRoutes(t.Context(), u) == nil }, "the route is taken")
		o := newFakeOutbox(x, 1, func() broker.NodeRef { return ref }, func(t int) broker.Source { return broker.Source{Incarnation: ref.Incarnation, Topic: t} })
		defer o.close()
		const total = 300
		var acked atomic.Int64
		for i := range total {
			o.publish(&broker.Message{Topic: "a", Payload: fmt.Appendf(nil, "%d", i), QoS: 1, Published: time.Now()}, nil, func(broker.PublishAck) { acked.Add(1) })
			eventually(tested{t}, func() bool { return acked.Load() >= int64(i-5) }, "all but the last five publishes are acked")
		}
		x.Heal()
		eventually(tested{t}, func() bool { return acked.Load() == total }, "every publish is acked")
		next := uint64(1)
		for _, seq := range sinks.session(1).seqs("a") {
			switch {
			case seq == next:
				next++
			case seq > next:
				t.Fatalf("%d came before %d", seq, next)
			}
		}
		if next != total+1 {
			t.Errorf("%d publishes arrived of %d", next-1, total)
		}
		return x.faulty
	})
}

// The numbers of a deliver stream stay right when batches go down twice.
func TestDeliveriesThroughAFaultySink(t *testing.T) {
	t.Parallel()
	u := NewUpstream()
	inner := NewSessions(SessionsConfig{Router: u, Node: u})
	defer inner.Close()
	h := &sessioned{t: tested{t}, SessionsHarness: SessionsHarness{Sessions: inner, Partition: inner.Partition, StartGateway: inner.StartGateway}}
	d := h.link("c").connect("c", broker.Attach{Expiry: time.Hour, Window: 1000})
	d.subscribe("a")
	x := NewFaultySessions(inner, Faults{Seed: 3, Duplicate: 0.5, Delay: 0.3, MaxDelay: time.Millisecond})
	defer x.Close()
	h.Sessions = x
	r := h.router("c")
	for i := range 200 {
		m := &broker.Message{Topic: "a", Payload: fmt.Appendf(nil, "%d", i), QoS: 1, Published: time.Now()}
		if i%5 == 4 {
			m.Topic = "nobody"
		}
		r.mustSend(uint64(i+1), m)
	}
	r.wait(200)
	refused := 0
	for _, a := range r.acks.all() {
		if a.Result != broker.NoSub {
			continue
		}
		if refused++; a.No%5 != 0 {
			t.Errorf("number %d is said to be unwanted", a.No)
		}
	}
	if refused != 40 || len(d.receives(160)) != 160 {
		t.Errorf("%d refused, %d delivered", refused, len(d.publishes()))
	}
}

// A gateway that repeats its unanswered requests after announcing its client publishes each message once, in order.
func TestRequestsSurviveFaultySessions(t *testing.T) {
	t.Parallel()
	underFaults(t, func(t *testing.T, f Faults) *faulty {
		u := NewUpstream()
		inner := NewSessions(SessionsConfig{Router: u, Node: u})
		defer inner.Close()
		h := &sessioned{t: tested{t}, SessionsHarness: SessionsHarness{Sessions: inner, Partition: inner.Partition, StartGateway: inner.StartGateway}}
		d := h.connect("c")
		x := NewFaultySessions(inner, f)
		defer x.Close()
		h.Sessions = x
		d.stream.Close()
		var want []string
		for i := range 60 {
			want = append(want, fmt.Sprint(i))
			request := d.publish2(uint16(i+1), want[i])
			eventually(tested{t}, func() bool { return d.tryOnce(request) }, "publish %d is answered", i)
		}
		x.Heal()
		eventually(tested{t}, func() bool { return len(u.payloads("q")) >= 60 }, "everything is published")
		wantTexts(tested{t}, u.payloads("q"), want...)
		return x.faulty
	})
}

// tryOnce sends a request on the present stream, on a new one if it broke, and waits for the answer or the stream's end.
func (d *device) tryOnce(r broker.SessionRequest) bool {
	if closed(d.stream.Done()) {
		d.link = d.h.linkOf(d.ref, d.id)
		announce := d.request(broker.SessionRequest{ID: d.h.ids.Add(1), Op: broker.OpAnnounce, Announce: &broker.Announce{Attach: d.attach}})
		if d.stream.Send([]broker.SessionRequest{announce}) != nil {
			return false
		}
	}
	if d.stream.Send([]broker.SessionRequest{r}) != nil {
		return false
	}
	answered := func() bool { _, ok := d.find(r.ID); return ok }
	poll(patience, func() bool { return answered() || closed(d.stream.Done()) })
	return answered()
}

func TestFaultyAuthNeverAdmitsByAccident(t *testing.T) {
	t.Parallel()
	a := NewAuth()
	if err := a.PutUser(t.Context(), broker.User{Name: "ann", Password: broker.Secret("one")}); err != nil {
		t.Fatal(err)
	}
	x := NewFaultyAuth(a, everyFault(4))
	defer x.Close()
	admitted := 0
	for range 200 {
		if id, err := x.Authenticate(t.Context(), credentials("ann", "wrong")); err == nil || id != nil {
			t.Fatalf("admitted %+v: %v", id, err)
		}
		id, err := x.Authenticate(t.Context(), credentials("ann", "one"))
		if (id == nil) == (err == nil) {
			t.Fatalf("%+v with %v", id, err)
		}
		if err == nil {
			admitted++
		}
		got, err := x.Authorize(t.Context(), identity("ann"), broker.ActionPublish, []string{"a"})
		if (len(got) == 1) != (err == nil) {
			t.Fatalf("%+v with %v", got, err)
		}
	}
	if len(x.Counts()) != 4 {
		t.Errorf("faults that came: %v", x.Counts())
	}
	if admitted < 50 || admitted == 200 {
		t.Errorf("admitted %d times of 200", admitted)
	}
}

// Who watches the rules again after each loss sees every rise sooner or later.
func TestRulesAreWatchedThroughFaults(t *testing.T) {
	t.Parallel()
	a := NewAuth()
	x := NewFaultyAuth(a, everyFault(5))
	defer x.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var seen atomic.Uint64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_ = x.WatchRules(ctx, func(generation uint64) { seen.Store(generation) })
		}
	}()
	for i := range 30 {
		if _, err := a.PutRule(t.Context(), broker.Rule{Index: -1, Topic: "a", Access: 3}); err != nil {
			t.Fatal(err)
		}
		eventually(tested{t}, func() bool { return seen.Load() == uint64(i+2) }, "generation %d is seen", i+2)
	}
	cancel()
	<-done
}
