package fleet_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pando-mq/pando/mgmt-api/fleet"
	"github.com/pando-mq/pando/mgmt-api/fleet/fleettest"
	"github.com/pando-mq/pando/services/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) (*fleettest.Suite, *fleet.Fleet) {
	s := fleettest.New(t)
	return s, fleet.New(s.Deps(5 * time.Second))
}

// all reads a list to its end in pages of size, and fails when keys of neighbouring pages meet.
func all[R any](t *testing.T, size int, key func(R) string, fetch func(after string, limit int) (fleet.Page[R], error)) []R {
	t.Helper()
	var rows []R
	for after, n := "", 0; ; n++ {
		if n > 10_000 {
			t.Fatal("the list has no end")
		}
		p, err := fetch(after, size)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Missing) > 0 {
			t.Fatalf("missing: %v", p.Missing)
		}
		if len(rows) > 0 && len(p.Rows) > 0 && key(rows[len(rows)-1]) >= key(p.Rows[0]) {
			t.Fatalf("a page ends with %q and the next begins with %q", key(rows[len(rows)-1]), key(p.Rows[0]))
		}
		rows = append(rows, p.Rows...)
		if p.Next == "" {
			return rows
		}
		after = p.Next
	}
}

func TestClientsOfAllGatewaysInOrder(t *testing.T) {
	t.Parallel()
	s, f := open(t)
	var want []string
	for g := range 3 {
		gw := s.Gateway(fmt.Sprintf("gw-%d", g))
		for i := range 20 * g { // uneven, the first has none
			id := fmt.Sprintf("c%03d", i*7%100*10+g)
			gw.Add(fleettest.Client(id))
			want = append(want, id)
		}
	}
	slices.Sort(want)
	for _, size := range []int{1, 2, 7, 19, 20, 21, 60, 1000} {
		t.Run(fmt.Sprint("pages of ", size), func(t *testing.T) {
			rows := all(t, size, func(c broker.ClientInfo) string { return c.ClientID }, func(after string, limit int) (fleet.Page[broker.ClientInfo], error) {
				return f.Clients(t.Context(), broker.ClientQuery{After: after, Limit: limit})
			})
			var got []string
			for _, c := range rows {
				got = append(got, c.ClientID)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClientsDuringTakeOverStayOnOnePage(t *testing.T) {
	t.Parallel()
	s, f := open(t)
	for _, id := range []string{"gw-a", "gw-b"} {
		g := s.Gateway(id)
		g.Add(fleettest.Client("twice"))
		g.Add(fleettest.Client("x-" + id))
	}
	p, err := f.Clients(t.Context(), broker.ClientQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Rows) != 2 || p.Rows[0].ClientID != "twice" || p.Rows[1].ClientID != "twice" || p.Next != "twice" {
		t.Errorf("got %v, next %q", p.Rows, p.Next)
	}
}

func TestSilentServiceMakesAPartialAnswer(t *testing.T) {
	t.Parallel()
	s := fleettest.New(t)
	f := fleet.New(s.Deps(50 * time.Millisecond))
	s.Gateway("alive").Add(fleettest.Client("c1"))
	s.Gateway("dead").Silence()
	s.Gateway("ill").Fail(broker.E(broker.KindUnavailable, "draining", nil))
	p, err := f.Clients(t.Context(), broker.ClientQuery{})
	if err != nil {
		t.Fatal(err)
	}
	want := []fleet.Missing{{Service: "gateway dead", Reason: "did not answer in time"}, {Service: "gateway ill", Reason: "draining: unavailable"}}
	if diff := cmp.Diff(want, p.Missing); diff != "" || len(p.Rows) != 1 {
		t.Errorf("%d rows, missing %s", len(p.Rows), diff)
	}
	nodes := f.Nodes(t.Context(), "")
	if len(nodes.Up) != 1 || !slices.Equal(nodes.Down, []string{"dead@test", "ill@test"}) {
		t.Errorf("up %v, down %v", nodes.Up, nodes.Down)
	}
}

func TestWrongQuestionIsRefused(t *testing.T) {
	t.Parallel()
	s, f := open(t)
	s.Gateway("a").Fail(broker.E(broker.KindInvalid, "no such tenant", nil))
	s.Gateway("b")
	if _, err := f.Clients(t.Context(), broker.ClientQuery{}); broker.KindOf(err) != broker.KindInvalid {
		t.Errorf("got %v, want invalid", err)
	}
}

func TestSessionsOfStoresAndGateways(t *testing.T) {
	t.Parallel()
	s, f := open(t)
	g, st := s.Gateway("gw"), s.Store("st")
	clean, attached := fleettest.Client("b-clean"), fleettest.Client("c-attached")
	clean.Session.Queued = 3
	attached.Persistent = true
	g.Add(clean)
	g.Add(attached)
	st.Add(broker.SessionInfo{ClientID: "c-attached", Node: "gw@test", Connected: true})
	st.Add(broker.SessionInfo{ClientID: "a-offline", Queued: 7})

	type row struct {
		ID, Node              string
		Connected, Persistent bool
		Queued                int
	}
	offline, held, stored := row{"a-offline", "st@test", false, true, 7}, row{"b-clean", "gw@test", true, false, 3}, row{"c-attached", "gw@test", true, true, 0}
	for _, c := range []struct {
		name string
		node string
		kind fleet.Kind
		want []row
	}{
		{"all", "", fleet.Every, []row{offline, held, stored}},
		{"persistent", "", fleet.Persistent, []row{offline, stored}},
		{"clean", "", fleet.Clean, []row{held}},
		{"of the gateway's node", "gw@test", fleet.Every, []row{held, stored}},
		{"of the session-store", "st@test", fleet.Every, []row{offline}},
	} {
		for _, size := range []int{1, 2, 100} {
			t.Run(fmt.Sprintf("%s in pages of %d", c.name, size), func(t *testing.T) {
				rows := all(t, size, func(s broker.SessionInfo) string { return s.ClientID }, func(after string, limit int) (fleet.Page[broker.SessionInfo], error) {
					return f.Sessions(t.Context(), broker.ClientQuery{Node: c.node, After: after, Limit: limit}, c.kind)
				})
				var got []row
				for _, r := range rows {
					got = append(got, row{r.ClientID, r.Node, r.Connected, r.Persistent, r.Queued})
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestPartitionWithoutOwnerIsNamed(t *testing.T) {
	t.Parallel()
	s, f := open(t)
	s.Gateway("gw")
	p, err := f.Sessions(t.Context(), broker.ClientQuery{}, fleet.Every)
	if err != nil {
		t.Fatal(err)
	}
	if want := []fleet.Missing{{Service: "session partitions", Reason: "1 of 1 have no owner at present"}}; !slices.Equal(p.Missing, want) {
		t.Errorf("got %v", p.Missing)
	}
	if _, err := f.Session(t.Context(), "", "nobody"); broker.KindOf(err) != broker.KindUnavailable {
		t.Errorf("a session that may exist: got %v, want unavailable", err)
	}
}

func TestSubscriptionsAreCountedByClient(t *testing.T) {
	t.Parallel()
	s, f := open(t)
	g, st := s.Gateway("gw"), s.Store("st")
	var want []string
	for i := range 120 { // two of three have no subscription; some have many
		id := fmt.Sprintf("c%03d", i)
		var subs []broker.Subscription
		if i%3 == 0 {
			for n := range 1 + i%7 {
				subs = append(subs, broker.Subscription{Filter: fmt.Sprintf("t/%d", n)})
				want = append(want, fmt.Sprintf("%s t/%d", id, n))
			}
		}
		if i%2 == 0 {
			g.Add(fleettest.Client(id), subs...)
			continue
		}
		st.Add(broker.SessionInfo{ClientID: id, Node: "gw@test"}, subs...)
		if i%5 == 0 { // attached: listed twice
			g.Add(fleettest.Client(id), subs...)
		}
	}
	for _, size := range []int{1, 2, 10, 119, 1000} {
		t.Run(fmt.Sprint("pages of ", size), func(t *testing.T) {
			rows := all(t, size, func(s broker.SubscriptionInfo) string { return s.ClientID }, func(after string, limit int) (fleet.Page[broker.SubscriptionInfo], error) {
				return f.Subscriptions(t.Context(), broker.ClientQuery{After: after, Limit: limit})
			})
			var got []string
			for _, r := range rows {
				got = append(got, r.ClientID+" "+r.Filter)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRoutesOfSeveralRoutersAreOne(t *testing.T) {
	t.Parallel()
	s, f := open(t)
	a, b := s.Router("a"), s.Router("b")
	a.Add(broker.RouteInfo{Filter: "w/#", Nodes: []string{"n1", "n2"}}, broker.RouteInfo{Filter: "w/#", Group: "g", Nodes: []string{"n3"}}, broker.RouteInfo{Filter: "exact/a", Nodes: []string{"n1"}})
	b.Add(broker.RouteInfo{Filter: "w/#", Nodes: []string{"n2", "n4"}}, broker.RouteInfo{Filter: "w/#", Group: "g", Nodes: []string{"n3"}}, broker.RouteInfo{Filter: "exact/b", Nodes: []string{"n2"}})
	want := []string{"exact/a  n1", "exact/b  n2", "w/#  n1,n2,n4", "w/# g n3"}
	for _, size := range []int{1, 2, 3, 100} {
		rows := all(t, size, func(r broker.RouteInfo) string { return r.Filter }, func(after string, limit int) (fleet.Page[broker.RouteInfo], error) {
			return f.Routes(t.Context(), broker.RouteQuery{After: after, Limit: limit})
		})
		var got []string
		for _, r := range rows {
			got = append(got, fmt.Sprintf("%s %s %s", r.Filter, r.Group, strings.Join(r.Nodes, ",")))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d: %s", size, diff)
		}
	}
}

func TestStatsCountWildcardsOnce(t *testing.T) {
	t.Parallel()
	s, f := open(t)
	s.Gateway("g1").SetInfo(broker.NodeInfo{Stats: map[string]int64{"clients/count": 2, "clients/max": 6, "sessions/count": 1, "sessions/max": 4, "dropped/expired": 9}})
	s.Gateway("g2").SetInfo(broker.NodeInfo{Stats: map[string]int64{"clients/count": 3}})
	s.Store("st").SetStats(map[string]int64{"sessions/count": 10, "queue/bytes": 5})
	s.Store("g2").SetStats(map[string]int64{"sessions/count": 20})
	s.Router("r1").SetStats(map[string]int64{"routes/count": 7, "routes/wildcard": 5, "topics/count": 4, "topics/wildcard": 3, "retained/count": 1})
	s.Router("r2").SetStats(map[string]int64{"routes/count": 9, "routes/wildcard": 5, "topics/count": 6, "topics/wildcard": 3, "retained/count": 2})
	nodes := f.Nodes(t.Context(), "")
	got, missing := f.Stats(t.Context(), nodes)
	want := map[string]int64{"clients/count": 5, "clients/max": 6, "sessions/count": 31, "sessions/max": 31, "routes/count": 11, "topics/count": 7, "retained/count": 3}
	if diff := cmp.Diff(want, got); diff != "" || len(missing) > 0 {
		t.Errorf("sum: %s, missing %v", diff, missing)
	}
	each, _ := f.NodeStats(t.Context(), nodes)
	if g1, g2 := each["g1@test"]["sessions/count"], each["g2@test"]["sessions/count"]; g1 != 1 || g2 != 20 || each["g1@test"]["routes/count"] != 11 {
		t.Errorf("of each node: %v", each)
	}
}

func TestServicesShowWhatTheyOwn(t *testing.T) {
	t.Parallel()
	s, f := open(t)
	s.Gateway("gw")
	s.Router("r1")
	s.Router("r2")
	var got []string
	for _, x := range f.Services() {
		got = append(got, fmt.Sprintf("%s %s %s %v", x.Role, x.ID, x.Name, x.Partitions["topic"]))
	}
	want := []string{"gateway gw gw@test 0", "router r1 r1@test 1", "router r2 r2@test 0"}
	alt := []string{"gateway gw gw@test 0", "router r1 r1@test 0", "router r2 r2@test 1"} // the assigner may have moved it
	if !slices.Equal(got, want) && !slices.Equal(got, alt) {
		t.Errorf("got %v", got)
	}
}

func TestChangesFindTheOneThatHasTheClient(t *testing.T) {
	t.Parallel()
	type world struct {
		f      *fleet.Fleet
		g1, g2 *fleettest.Gateway
		st     *fleettest.Store
	}
	for _, c := range []struct {
		name string
		do   func(context.Context, world) error
		want broker.Kind // of the error; none: KindInternal stands for success
		ok   bool
		show func(world) string
	}{
		{"kick", func(ctx context.Context, w world) error { return w.f.Kick(ctx, "", "here", "why") }, 0, true,
			func(w world) string { reason, _ := w.g2.Kicked("here"); return reason }},
		{"kick through the session partition", func(ctx context.Context, w world) error { return w.f.Kick(ctx, "", "moving", "why") }, 0, true, nil},
		{"kick nobody", func(ctx context.Context, w world) error { return w.f.Kick(ctx, "", "nobody", "why") }, broker.KindNotFound, false, nil},
		{"kick when a gateway is ill", func(ctx context.Context, w world) error {
			w.g1.Fail(broker.E(broker.KindUnavailable, "gone", nil))
			return w.f.Kick(ctx, "", "nobody", "why")
		}, broker.KindUnavailable, false, nil},
		{"drop a stored session", func(ctx context.Context, w world) error { return w.f.Drop(ctx, "", "stored") }, 0, true, nil},
		{"drop a clean session", func(ctx context.Context, w world) error { return w.f.Drop(ctx, "", "here") }, 0, true,
			func(w world) string { reason, _ := w.g2.Kicked("here"); return reason }},
		{"drop nobody", func(ctx context.Context, w world) error { return w.f.Drop(ctx, "", "nobody") }, broker.KindNotFound, false, nil},
		{"subscribe", func(ctx context.Context, w world) error {
			return w.f.Subscribe(ctx, "", "here", broker.Subscription{Filter: "a"})
		}, 0, true, nil},
		{"subscribe beyond the quota", func(ctx context.Context, w world) error {
			return w.f.Subscribe(ctx, "", "here", broker.Subscription{Filter: "quota/a"})
		}, broker.KindQuota, false, nil},
		{"subscribe nobody", func(ctx context.Context, w world) error {
			return w.f.Subscribe(ctx, "", "nobody", broker.Subscription{Filter: "a"})
		}, broker.KindNotFound, false, nil},
		{"unsubscribe what is not there", func(ctx context.Context, w world) error { return w.f.Unsubscribe(ctx, "", "here", "none") }, broker.KindNotFound, false, nil},
		{"flush one", func(ctx context.Context, w world) error { _, err := w.f.FlushACL(ctx, "", "here"); return err }, 0, true,
			func(w world) string { return strings.Join(w.g2.Flushed(), ",") }},
		{"stop a listener", func(ctx context.Context, w world) error {
			nodes, _, err := w.f.ControlListener(ctx, "", "tcp", broker.StopListener)
			if err == nil && !slices.Equal(nodes, []string{"g2@test"}) {
				return fmt.Errorf("done on %v", nodes)
			}
			return err
		}, 0, true, func(w world) string { return strings.Join(w.g2.Controlled(), ",") }},
		{"stop a listener elsewhere", func(ctx context.Context, w world) error {
			_, _, err := w.f.ControlListener(ctx, "g1@test", "tcp", broker.StopListener)
			return err
		}, broker.KindNotFound, false, nil},
		{"stop no listener", func(ctx context.Context, w world) error {
			_, _, err := w.f.ControlListener(ctx, "", "nope", broker.StopListener)
			return err
		}, broker.KindNotFound, false, nil},
		{"do nothing to a listener", func(ctx context.Context, w world) error {
			_, _, err := w.f.ControlListener(ctx, "", "tcp", 0)
			return err
		}, broker.KindInvalid, false, nil},
		{"reload when a gateway is ill", func(ctx context.Context, w world) error {
			w.g1.Fail(broker.E(broker.KindUnavailable, "gone", nil))
			nodes, lost, err := w.f.ControlListener(ctx, "", "", broker.ReloadListener)
			if err == nil && (len(nodes) != 1 || len(lost) != 1) {
				return fmt.Errorf("done on %v, missing %v", nodes, lost)
			}
			return err
		}, 0, true, func(w world) string { return strings.Join(w.g2.Controlled(), ",") }},
		{"flush nobody", func(ctx context.Context, w world) error { _, err := w.f.FlushACL(ctx, "", "nobody"); return err }, broker.KindNotFound, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, f := open(t)
			w := world{f, s.Gateway("g1"), s.Gateway("g2"), s.Store("st")}
			w.g2.Add(fleettest.Client("here"))
			w.g2.SetInfo(broker.NodeInfo{Listeners: []broker.ListenerInfo{{Name: "tcp", Running: true}}})
			w.st.Add(broker.SessionInfo{ClientID: "stored"})
			w.st.Attach("moving")
			err := c.do(t.Context(), w)
			if c.ok != (err == nil) || err != nil && broker.KindOf(err) != c.want {
				t.Fatalf("got %v", err)
			}
			if c.show != nil && c.show(w) == "" {
				t.Error("nothing happened")
			}
		})
	}
}

func TestPublishGoesToAnotherGateway(t *testing.T) {
	t.Parallel()
	s, f := open(t)
	if _, err := f.Publish(t.Context(), broker.Identity{}, &broker.Message{Topic: "a"}); broker.KindOf(err) != broker.KindUnavailable {
		t.Errorf("without a gateway: %v", err)
	}
	s.Gateway("g1").Fail(broker.E(broker.KindUnavailable, "gone", nil))
	g2 := s.Gateway("g2")
	matched, err := f.Publish(t.Context(), broker.Identity{ClientID: "x"}, &broker.Message{Topic: "nobody/a"})
	if err != nil || matched || len(g2.Published()) != 1 {
		t.Errorf("matched %v, error %v, published %v", matched, err, g2.Published())
	}
	if _, err := f.Publish(t.Context(), broker.Identity{}, &broker.Message{Topic: "denied/a"}); broker.KindOf(err) != broker.KindDenied {
		t.Errorf("denied: %v", err)
	}
}

func TestWalk(t *testing.T) {
	t.Parallel()
	fetch := func(calls *int) fleet.Fetch[string] {
		return func(_ context.Context, after string, limit int) (fleet.Page[string], error) {
			*calls++
			var p fleet.Page[string]
			for i := range 2500 {
				if s := fmt.Sprintf("%04d", i); s > after && len(p.Rows) < limit {
					p.Rows = append(p.Rows, s)
				}
			}
			if n := len(p.Rows); n > 0 && p.Rows[n-1] != "2499" {
				p.Next = p.Rows[n-1]
			}
			return p, nil
		}
	}
	for _, c := range []struct {
		name                         string
		skip, take, total            int
		first, last                  string
		rows, wantTotal, calls, most int
	}{
		{"first page, counted elsewhere", 0, 20, 2500, "0000", "0019", 20, 2500, 1, 1},
		{"first page, to be counted", 0, 20, -1, "0000", "0019", 20, 2500, 3, 3},
		{"across two reads", 990, 20, -1, "0990", "1009", 20, 2500, 3, 3},
		{"the last", 2490, 20, -1, "2490", "2499", 10, 2500, 3, 3},
		{"behind the end", 5000, 20, 2500, "", "", 0, 2500, 3, 3},
		{"fewer than believed", 2490, 20, 9999, "2490", "2499", 10, 2500, 3, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := 0
			w, err := fleet.Walk(t.Context(), c.skip, c.take, c.total, fetch(&calls))
			if err != nil {
				t.Fatal(err)
			}
			if len(w.Rows) != c.rows || w.Total != c.wantTotal || calls < c.calls || calls > c.most {
				t.Fatalf("%d rows, total %d, %d calls", len(w.Rows), w.Total, calls)
			}
			if c.rows > 0 && (w.Rows[0] != c.first || w.Rows[c.rows-1] != c.last) {
				t.Errorf("%s to %s", w.Rows[0], w.Rows[c.rows-1])
			}
		})
	}
	stuck := func(context.Context, string, int) (fleet.Page[string], error) {
		return fleet.Page[string]{Rows: []string{"a"}, Next: "a"}, nil
	}
	if _, err := fleet.Walk(t.Context(), 0, 20, -1, stuck); broker.KindOf(err) != broker.KindInternal {
		t.Errorf("a list that does not go on: %v", err)
	}
}
