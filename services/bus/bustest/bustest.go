// Package bustest is the conformance suite of bus.Bus.
package bustest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/services/bus"
)

// patience is how long the suite waits for what must happen.
const patience = 20 * time.Second

// New makes two ends of one new, empty bus; for a bus inside one process they
// may be the same. It cleans up after the test.
type New func(t *testing.T, o bus.Options) (publisher, subscriber bus.Bus)

// Run checks each sentence of the contract.
func Run(t *testing.T, n New) {
	tests := []struct {
		name string
		run  func(*testing.T, New)
	}{
		{"an event arrives as it was published", testArrives},
		{"fn is called for each event whose subject matches the pattern", testPatterns},
		{"the events of one publisher come in the order of their publishing", testOrder},
		{"fn is called one at a time", testOneAtATime},
		{"every subscriber gets the event", testFanOut},
		{"once stop returned fn is not running and is not called again", testStop},
		{"a full queue is no error and the drop is counted", testDrop},
		{"a slow subscriber slows nobody else", testSlow},
		{"publish refuses what is no event", testRefusedEvents},
		{"publish refuses an ended context", testContext},
		{"subscribe refuses what is no pattern", testRefusedPatterns},
		{"close ends all subscriptions", testClose},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) { t.Parallel(); tc.run(t, n) })
	}
}

// inbox collects events.
type inbox struct {
	c chan bus.Event
}

func subscribe(t *testing.T, b bus.Bus, pattern string) inbox {
	t.Helper()
	in := inbox{make(chan bus.Event, 10_000)}
	stop, err := b.Subscribe(pattern, func(e bus.Event) { in.c <- e })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return in
}

func (in inbox) next(t *testing.T) bus.Event {
	t.Helper()
	select {
	case e := <-in.c:
		return e
	case <-time.After(patience):
		t.Fatal("no event came")
		return bus.Event{}
	}
}

func publish(t *testing.T, b bus.Bus, s bus.Subject, data string) {
	t.Helper()
	e := bus.Event{Subject: s, Node: "pando@test", Data: json.RawMessage(data)}
	if err := b.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

func testArrives(t *testing.T, n New) {
	pub, sub := n(t, bus.Options{})
	in := subscribe(t, sub, bus.All)
	want := bus.Event{
		Subject: bus.ClientConnected, Time: time.Date(2025, 2, 3, 4, 5, 6, 789, time.UTC),
		Node: "pando@10.0.0.1", Tenant: "acme", ClientID: "a.*.>\x00/ü", Data: json.RawMessage(`{"code":0}`),
	}
	if err := pub.Publish(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got := in.next(t)
	if !got.Time.Equal(want.Time) || !bytes.Equal(got.Data, want.Data) || got.Subject != want.Subject ||
		got.Node != want.Node || got.Tenant != want.Tenant || got.ClientID != want.ClientID {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func testPatterns(t *testing.T, n New) {
	pub, sub := n(t, bus.Options{})
	subjects := []bus.Subject{bus.ClientConnected, bus.ClientDisconnected, bus.SessionCreated, bus.Trace("t1")}
	want := map[string]string{
		">":                "client.connected client.disconnected session.created trace.t1",
		"client.*":         "client.connected client.disconnected",
		"client.>":         "client.connected client.disconnected",
		"*.created":        "session.created",
		"client.connected": "client.connected",
		"trace.t1":         "trace.t1",
		"*":                "",
		"client":           "",
		"client.*.>":       "",
	}
	const last = "node.up" // comes after everything; each inbox ends with it or with nothing
	ins := map[string]inbox{}
	for pattern := range want {
		ins[pattern] = subscribe(t, sub, pattern)
	}
	end := subscribe(t, sub, last)
	for _, s := range subjects {
		publish(t, pub, s, "1")
	}
	publish(t, pub, last, "1")
	end.next(t)
	for pattern, text := range want {
		var got []string
		for range strings.Fields(text) {
			got = append(got, string(ins[pattern].next(t).Subject))
		}
		if strings.Join(got, " ") != text {
			t.Errorf("%s got %q, want %q", pattern, got, text)
		}
		if pattern == bus.All {
			ins[pattern].next(t) // the last one
		}
		select {
		case e := <-ins[pattern].c:
			t.Errorf("%s also got %s", pattern, e.Subject)
		default:
		}
	}
}

func testOrder(t *testing.T, n New) {
	pub, sub := n(t, bus.Options{})
	in := subscribe(t, sub, "message.*")
	const count = 1000
	for i := range count {
		publish(t, pub, []bus.Subject{bus.MessagePublish, bus.MessageAcked}[i%2], fmt.Sprint(i))
	}
	for i := range count {
		if got := string(in.next(t).Data); got != fmt.Sprint(i) {
			t.Fatalf("event %d is %s", i, got)
		}
	}
}

func testOneAtATime(t *testing.T, n New) {
	pub, sub := n(t, bus.Options{})
	var running sync.Mutex
	overlap, got := make(chan struct{}, 1), make(chan struct{}, 200)
	stop, err := sub.Subscribe(bus.All, func(bus.Event) {
		if !running.TryLock() {
			overlap <- struct{}{}
			return
		}
		running.Unlock()
		got <- struct{}{}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				if err := pub.Publish(t.Context(), bus.Event{Subject: bus.NodeUp}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for range 200 {
		select {
		case <-got:
		case <-overlap:
			t.Fatal("two calls ran at the same time")
		case <-time.After(patience):
			t.Fatal("events are missing")
		}
	}
}

func testFanOut(t *testing.T, n New) {
	pub, sub := n(t, bus.Options{})
	ins := []inbox{subscribe(t, sub, "node.*"), subscribe(t, sub, "node.*"), subscribe(t, pub, "node.up")}
	publish(t, pub, bus.NodeUp, `"x"`)
	for _, in := range ins {
		if got := in.next(t); string(got.Data) != `"x"` {
			t.Errorf("got %s", got.Data)
		}
	}
}

func testStop(t *testing.T, n New) {
	pub, sub := n(t, bus.Options{})
	var calls, running atomic.Int64
	entered, release := make(chan struct{}, 1), make(chan struct{})
	stop, err := sub.Subscribe(bus.All, func(bus.Event) {
		running.Add(1)
		defer running.Add(-1)
		if calls.Add(1) == 1 {
			close(entered)
		}
		<-release
	})
	if err != nil {
		t.Fatal(err)
	}
	other := subscribe(t, sub, bus.All)
	publish(t, pub, bus.NodeUp, "1")
	<-entered
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop(); stop() }()
	for range 20 {
		publish(t, pub, bus.NodeDown, "2")
		other.next(t)
	}
	other.next(t)
	select {
	case <-stopped:
		t.Error("stop returned while fn was running")
	default:
	}
	close(release)
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Fatal("stop did not return")
	}
	before := calls.Load()
	if running.Load() != 0 {
		t.Error("fn is running after stop returned")
	}
	for range 20 {
		publish(t, pub, bus.NodeDown, "3")
		other.next(t)
	}
	if got := calls.Load(); got != before {
		t.Errorf("fn was called %d times after stop returned", got-before)
	}
}

func testDrop(t *testing.T, n New) {
	registry := prometheus.NewRegistry()
	pub, sub := n(t, bus.Options{QueueBytes: 8 << 10, Metrics: bus.NewMetrics(registry)})
	entered, release := make(chan string, 10_000), make(chan struct{})
	stop, err := sub.Subscribe("message.*", func(e bus.Event) { entered <- string(e.Data); <-release })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	publish(t, pub, bus.MessagePublish, `"first"`)
	if got := <-entered; got != `"first"` {
		t.Fatalf("got %s", got)
	}
	const burst = 100
	blob := strings.Repeat("x", 1000)
	for i := range burst {
		publish(t, pub, bus.MessagePublish, fmt.Sprintf(`"%d %s"`, i, blob))
	}
	dropped := func() int { return counter(t, registry, "pando_bus_events_dropped_total") }
	eventually(t, func() bool { return dropped() >= burst-8 })
	close(release)
	const oldest = 4 // fit into 8 KiB for certain
	for i := range oldest {
		select {
		case got := <-entered:
			if want := fmt.Sprintf(`"%d `, i); !strings.HasPrefix(got, want) {
				t.Errorf("event %.10s, want %s: the oldest are kept", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("event %d of %d did not come", i, oldest)
		}
	}
	// The last of the burst may arrive when there is room again.
	eventually(t, func() bool { return len(entered)+oldest+dropped() == burst })
}

func testSlow(t *testing.T, n New) {
	pub, sub := n(t, bus.Options{QueueBytes: 8 << 10})
	release := make(chan struct{})
	stop, err := sub.Subscribe(bus.All, func(bus.Event) { <-release })
	if err != nil {
		t.Fatal(err)
	}
	in := subscribe(t, sub, bus.All)
	for i := range 500 {
		publish(t, pub, bus.NodeUp, fmt.Sprint(i))
		if got := string(in.next(t).Data); got != fmt.Sprint(i) {
			t.Fatalf("event %d is %s", i, got)
		}
	}
	close(release)
	stop()
}

func testRefusedEvents(t *testing.T, n New) {
	pub, sub := n(t, bus.Options{})
	in := subscribe(t, sub, bus.All)
	huge := json.RawMessage(`"` + strings.Repeat("x", bus.MaxEvent) + `"`)
	if err := pub.Publish(t.Context(), bus.Event{Subject: bus.NodeUp, Data: huge}); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("huge event: %v, want ErrTooLarge", err)
	}
	for _, e := range []bus.Event{
		{Subject: ""},
		{Subject: "a..b"},
		{Subject: "client.*"},
		{Subject: ">"},
		{Subject: "client connected"},
		{Subject: bus.NodeUp, Data: json.RawMessage(`{"half":`)},
	} {
		if err := pub.Publish(t.Context(), e); err == nil {
			t.Errorf("%q with data %s was taken", e.Subject, e.Data)
		}
	}
	publish(t, pub, bus.NodeDown, "1")
	if got := in.next(t); got.Subject != bus.NodeDown {
		t.Errorf("a refused event arrived: %+v", got)
	}
}

func testContext(t *testing.T, n New) {
	pub, _ := n(t, bus.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pub.Publish(ctx, bus.Event{Subject: bus.NodeUp}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want Canceled", err)
	}
}

func testRefusedPatterns(t *testing.T, n New) {
	_, sub := n(t, bus.Options{})
	for _, pattern := range []string{"", ".", "a.", ">.a", "a.>.b", "a b", "a*", "ä", strings.Repeat("a", 300)} {
		if stop, err := sub.Subscribe(pattern, func(bus.Event) {}); err == nil {
			stop()
			t.Errorf("pattern %.20q was taken", pattern)
		}
	}
}

func testClose(t *testing.T, n New) {
	pub, sub := n(t, bus.Options{})
	in := subscribe(t, sub, bus.All)
	publish(t, pub, bus.NodeUp, "1")
	in.next(t)
	for _, b := range []bus.Bus{sub, pub} {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if err := b.Publish(t.Context(), bus.Event{Subject: bus.NodeUp}); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("publish after close: %v, want ErrClosed", err)
		}
		if _, err := b.Subscribe(bus.All, func(bus.Event) {}); !errors.Is(err, bus.ErrClosed) {
			t.Errorf("subscribe after close: %v, want ErrClosed", err)
		}
	}
}

// counter sums a counter over its labels.
func counter(t *testing.T, g prometheus.Gatherer, name string) int {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return int(sum)
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("it never became true")
		}
	}
}
