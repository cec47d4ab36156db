package session_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/topic"
	"pgregory.net/rapid"
)

func TestMatchTopic(t *testing.T) {
	t.Parallel()
	own := func(m *broker.Message) { m.From = "c" }
	retain := func(m *broker.Message) { m.Retain = true }
	here := func(m *broker.Message) { m.Node = "n1" }
	for _, c := range []struct {
		name   string
		subs   []broker.Subscription
		config func(*session.Config)
		qos    broker.QoS
		change func(*broker.Message)
		want   string // "q<qos> retain <bool> ids filters", "" for no match
	}{
		{"lower of publish and subscription (MQTT 5.0 §3.8.4)", []broker.Subscription{{Filter: "a/+", QoS: 1}}, nil, 2, nil, "q1 false [] [a/+]"},
		{"publish is lower", []broker.Subscription{{Filter: "a/+", QoS: 2}}, nil, 1, nil, "q1 false [] [a/+]"},
		{"upgrade_qos takes the higher", []broker.Subscription{{Filter: "a/+", QoS: 2}}, func(c *session.Config) { c.UpgradeQoS = true }, 0, nil, "q2 false [] [a/+]"},
		{"overlapping: once, highest QoS, all identifiers (§3.3.4)", []broker.Subscription{{Filter: "a/#", QoS: 1, ID: 7}, {Filter: "a/b", QoS: 2, ID: 7}, {Filter: "+/b", ID: 3}, {Filter: "#"}}, nil, 2, nil, "q2 false [3 7 7] [# +/b a/# a/b]"},
		{"others do not match", []broker.Subscription{{Filter: "b/#", QoS: 1}}, nil, 1, nil, ""},
		{"No Local (§3.8.3.1)", []broker.Subscription{{Filter: "a/b", QoS: 1, NoLocal: true}}, nil, 1, own, ""},
		{"No Local on one of two", []broker.Subscription{{Filter: "a/b", QoS: 1, NoLocal: true, ID: 1}, {Filter: "a/+", ID: 2}}, nil, 1, own, "q0 false [2] [a/+]"},
		{"ignore_loop_deliver", []broker.Subscription{{Filter: "a/b", QoS: 1}}, func(c *session.Config) { c.IgnoreLoopDeliver = true }, 1, own, ""},
		{"retain flag is cleared (§3.3.1.3)", []broker.Subscription{{Filter: "a/b", QoS: 1}}, nil, 1, retain, "q1 false [] [a/b]"},
		{"Retain As Published", []broker.Subscription{{Filter: "a/b", QoS: 1, RetainAsPublished: true}, {Filter: "a/#"}}, nil, 1, retain, "q1 true [] [a/# a/b]"},
		{"$local at the same node", []broker.Subscription{{Filter: "$local/a/b", QoS: 1}}, nil, 1, here, "q1 false [] [$local/a/b]"},
		{"$local from elsewhere", []broker.Subscription{{Filter: "$local/a/b", QoS: 1}}, nil, 1, nil, ""},
		{"shared ones are addressed apart (§4.8.2)", []broker.Subscription{{Filter: "$share/g/a/b", QoS: 1}, {Filter: "$queue/a/b"}}, nil, 1, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// the same with few subscriptions and with so many that the index is in use
			for _, more := range []int{0, 40} {
				s := session.New(settings(t, c.config), "c", t0)
				subscribe(t, s, c.subs...)
				for i := range more {
					subscribe(t, s, broker.Subscription{Filter: fmt.Sprintf("other/%d", i)})
				}
				m := message("a/b", c.qos)
				if c.change != nil {
					c.change(m)
				}
				got := ""
				if g, ok := s.MatchTopic(m, "n1"); ok {
					got = fmt.Sprintf("q%d %v %v %v", g.QoS, g.Retain, g.By.SubIDs, g.By.Filters)
				}
				if got != c.want {
					t.Errorf("with %d more: got %q, want %q", more, got, c.want)
				}
			}
		})
	}
}

func TestMatchTopicManyFilters(t *testing.T) {
	t.Parallel()
	s := session.New(settings(t, nil), "c", t0)
	for i := range 17 {
		f := []byte("a/a/a/a/a")
		for l := range 5 {
			if i>>l&1 == 1 {
				f[2*l] = '+'
			}
		}
		subscribe(t, s, broker.Subscription{Filter: string(f), QoS: 1, ID: uint32(i + 1)})
	}
	g, ok := s.MatchTopic(message("a/a/a/a/a", 1), "")
	if !ok || g.By.Filters != nil || len(g.By.SubIDs) != 17 {
		t.Fatalf("%d filters, %d ids; want none (ask by topic) and all 17", len(g.By.Filters), len(g.By.SubIDs))
	}
}

// TestMatchByIsMatchTopic: what a host's index finds leads to the same decision as a look at every subscription.
func TestMatchByIsMatchTopic(t *testing.T) {
	t.Parallel()
	set := settings(t, nil)
	levels := []string{"a", "b", "+", "$x"}
	prefixes := []string{"", "", "$local/", "$share/g/"}
	rapid.Check(t, func(t *rapid.T) {
		s := session.New(set, "c", t0)
		inner := map[string]bool{}
		for i := range rapid.IntRange(0, 40).Draw(t, "subscriptions") {
			f := strings.Join(rapid.SliceOfN(rapid.SampledFrom(levels), 1, 3).Draw(t, "levels"), "/")
			full := rapid.SampledFrom(prefixes).Draw(t, "prefix") + f
			if !topic.HasWildcard(f) && rapid.IntRange(0, 4).Draw(t, "exclusive") == 0 {
				full = "$exclusive/" + f
			}
			inner[f] = true
			if _, err := s.Subscribe(broker.Subscription{Filter: full, QoS: broker.QoS(i % 3), ID: uint32(i % 5)}, 0); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "granted") {
				s.Grant(full, 7)
			}
			if rapid.IntRange(0, 5).Draw(t, "unsubscribe") == 0 {
				s.Unsubscribe(full)
			}
		}
		m := message(strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "$x"}), 1, 3).Draw(t, "topic"), "/"), 2)
		m.Node = "n1"
		var found []string
		for f := range inner {
			if topic.Match(f, m.Topic) {
				found = append(found, f)
			}
		}
		node := rapid.SampledFrom([]string{"", "n1"}).Draw(t, "node")
		want, ok := s.MatchTopic(m, node)
		got, same := s.MatchBy(m, node, found...)
		if ok != same || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q by %q: %+v, %v; want %+v, %v", m.Topic, found, got, same, want, ok)
		}
	})
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	s := session.New(settings(t, nil), "c", t0)
	for _, c := range []struct {
		sub     broker.Subscription
		max     int
		existed bool
		kind    broker.Kind
		fails   bool
	}{
		{sub: broker.Subscription{Filter: "a", QoS: 1}, max: 2},
		{sub: broker.Subscription{Filter: "a", QoS: 2}, max: 2, existed: true},
		{sub: broker.Subscription{Filter: "$share/g/a"}, max: 2}, // the full text is the key
		{sub: broker.Subscription{Filter: "b"}, max: 2, fails: true, kind: broker.KindQuota},
		{sub: broker.Subscription{Filter: "a"}, max: 2, existed: true}, // replacing is no growth
		{sub: broker.Subscription{Filter: "b"}, max: 0},
		{sub: broker.Subscription{Filter: "$share/x"}, fails: true, kind: broker.KindInvalid},
		{sub: broker.Subscription{Filter: "a/#/b"}, fails: true, kind: broker.KindInvalid},
		{sub: broker.Subscription{Filter: "x", QoS: 3}, fails: true, kind: broker.KindInvalid},
		{sub: broker.Subscription{Filter: "$share/g/x", NoLocal: true}, fails: true, kind: broker.KindInvalid}, // MQTT-3.8.3-4
	} {
		existed, err := s.Subscribe(c.sub, c.max)
		if existed != c.existed || (err != nil) != c.fails || err != nil && broker.KindOf(err) != c.kind {
			t.Errorf("%+v: existed %v, error %v", c.sub, existed, err)
		}
	}
	if got, ok := s.Subscription("a"); !ok || got.QoS != 0 {
		t.Errorf("the last SUBSCRIBE decides (§3.8.4): %+v, %v", got, ok)
	}
	if !s.Unsubscribe("a") || s.Unsubscribe("a") {
		t.Error("Unsubscribe reports whether there was a subscription")
	}
}

func TestSubscriptionsManyAndBack(t *testing.T) {
	t.Parallel()
	s := session.New(settings(t, nil), "c", t0)
	var want []string
	for i := range 60 {
		f := fmt.Sprintf("t/%02d/+", i)
		want = append(want, f)
		subscribe(t, s, broker.Subscription{Filter: f, QoS: 1}, broker.Subscription{Filter: f, QoS: 2})
	}
	for len(want) > 0 {
		var got []string
		for _, sub := range s.Subscriptions() {
			got = append(got, sub.Filter)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
		for i := range 60 {
			_, ok := s.MatchTopic(message(fmt.Sprintf("t/%02d/x", i), 1), "")
			if ok != (i >= 60-len(want)) {
				t.Fatalf("with %d left, number %d matches: %v", len(want), i, ok)
			}
		}
		if !s.Unsubscribe(want[0]) {
			t.Fatalf("%q was not there", want[0])
		}
		want = want[1:]
	}
}

func TestGrantForSharedCopies(t *testing.T) {
	t.Parallel()
	s := session.New(settings(t, nil), "c", t0)
	subscribe(t, s, broker.Subscription{Filter: "$share/g/a/+", QoS: 1, ID: 5}, broker.Subscription{Filter: "$queue/$local/a", QoS: 1})
	m := message("a/b", 2)
	full, ok := s.ShareFilter(broker.Share{Group: "g", Filter: "a/+"}, m, "n1")
	if !ok || full != "$share/g/a/+" {
		t.Fatalf("found %q, %v", full, ok)
	}
	g, ok := s.GrantFor(full, m, "n1")
	if !ok || g.QoS != 1 || *g.By.Share != (broker.Share{Group: "g", Filter: "a/+"}) || !slices.Equal(g.By.SubIDs, []uint32{5}) {
		t.Fatalf("grant %+v, %v", g, ok)
	}
	queue := broker.Share{Group: "$queue", Filter: "a"}
	if _, ok := s.ShareFilter(queue, m, "n1"); ok {
		t.Fatal("a $local member takes a message of another node")
	}
	m.Node = "n1"
	if full, ok := s.ShareFilter(queue, m, "n1"); !ok || full != "$queue/$local/a" {
		t.Fatalf("found %q, %v", full, ok)
	}
	if _, ok := s.GrantFor("$share/h/a/+", m, "n1"); ok {
		t.Fatal("a grant without a subscription")
	}
}
