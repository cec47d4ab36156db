package acl_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/pando-mq/pando/authsvc/acl"
	"pgregory.net/rapid"
)

// names is the alphabet of topic levels; "z" is in no filter, so that a topic
// with it tells a wildcard from an enumeration.
var names = []string{"a", "b", "$x", "", "z"}

// universe holds every topic of one to five levels over names: for filters of
// at most three levels over names without "z" a filter covers another exactly
// if it matches every topic here that the other matches.
var universe = topics(5)

func topics(depth int) []string {
	if depth == 1 {
		return names
	}
	shorter := topics(depth - 1)
	all := append([]string{}, names...)
	for _, n := range names {
		for _, s := range shorter {
			all = append(all, n+"/"+s)
		}
	}
	return all
}

// naive is MQTT matching as the standard words it (5.0 §4.7.1, §4.7.2).
func naive(filter, topic string) bool {
	if topic == "" { // one empty level is no topic of MQTT
		return false
	}
	f, t := strings.Split(filter, "/"), strings.Split(topic, "/")
	if strings.HasPrefix(topic, "$") && (f[0] == "#" || f[0] == "+") {
		return false
	}
	for i, l := range f {
		if l == "#" {
			return true
		}
		if i >= len(t) || (l != "+" && l != t[i]) {
			return false
		}
	}
	return len(f) == len(t)
}

// genFilter draws a filter of one to three levels.
func genFilter(t *rapid.T) string {
	n := rapid.IntRange(1, 3).Draw(t, "levels")
	out := make([]string, n)
	for i := range out {
		choice := []string{"a", "b", "+", "$x", ""}
		if i == n-1 {
			choice = append(choice, "#", "#")
		}
		out[i] = rapid.SampledFrom(choice).Draw(t, "level")
	}
	if f := strings.Join(out, "/"); f != "" {
		return f
	}
	return "a"
}

// A rule covers a subscription exactly if it matches every topic that the
// subscription can receive.
func TestCoveringIsInclusion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule, sub := genFilter(t), genFilter(t)
		want := true
		for _, topic := range universe {
			if naive(sub, topic) && !naive(rule, topic) {
				want = false
				break
			}
		}
		rules := parse(t, fmt.Sprintf("{allow, all, subscribe, [%q]}.", rule))
		d := rules.Decide(acl.Request{Action: acl.Subscribe, Topic: sub})
		if got := d.Effect == acl.Allow; got != want {
			t.Fatalf("rule %q covers %q: %v, want %v", rule, sub, got, want)
		}
	})
}

func TestPublishIsMatching(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rule := genFilter(t)
		topic := rapid.SampledFrom(universe).Filter(func(s string) bool { return s != "" }).Draw(t, "topic")
		rules := parse(t, fmt.Sprintf("{allow, all, publish, [%q]}.", rule))
		d := rules.Decide(acl.Request{Action: acl.Publish, Topic: topic})
		if got, want := d.Effect == acl.Allow, naive(rule, topic); got != want {
			t.Fatalf("rule %q matches %q: %v, want %v", rule, topic, got, want)
		}
	})
}

// cond is a condition of the model: its source and its meaning.
type cond struct {
	src  string
	test func(acl.Request) bool
}

// genCond draws a condition at most depth deep.
func genCond(t *rapid.T, depth int) cond {
	kinds := 7
	if depth == 0 {
		kinds = 5
	}
	name := rapid.SampledFrom([]string{"u1", "u2", "u3"}).Draw(t, "name")
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return cond{"all", func(acl.Request) bool { return true }}
	case 1, 2:
		return cond{fmt.Sprintf("{user, %q}", name), func(r acl.Request) bool { return r.Username == name }}
	case 3:
		return cond{fmt.Sprintf("{client, %q}", name), func(r acl.Request) bool { return r.ClientID == name }}
	case 4:
		p := rapid.SampledFrom([]string{"10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32"}).Draw(t, "block")
		return cond{fmt.Sprintf("{ipaddr, %q}", p), func(r acl.Request) bool { return netip.MustParsePrefix(p).Contains(r.IP) }}
	case 5:
		return genList(t, depth, "'and'", func(some, all bool) bool { return all })
	default:
		return genList(t, depth, "'or'", func(some, all bool) bool { return some })
	}
}

func genList(t *rapid.T, depth int, op string, pick func(some, all bool) bool) cond {
	var list []cond
	var src []string
	for range rapid.IntRange(1, 3).Draw(t, "conditions") {
		c := genCond(t, depth-1)
		list, src = append(list, c), append(src, c.src)
	}
	return cond{"{" + op + ", [" + strings.Join(src, ", ") + "]}", func(r acl.Request) bool {
		some, all := false, true
		for _, c := range list {
			ok := c.test(r)
			some, all = some || ok, all && ok
		}
		return pick(some, all)
	}}
}

// The index finds the same rule as a walk over all rules in their order.
func TestIndexEqualsWalk(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "rules")
		conds, filters := make([]cond, n), make([]string, n)
		var src strings.Builder
		for i := range n {
			conds[i], filters[i] = genCond(t, 2), genFilter(t)
			fmt.Fprintf(&src, "{%s, %s, pubsub, [%q]}.\n", []string{"allow", "deny"}[i%2], conds[i].src, filters[i])
		}
		rules := parse(t, src.String())
		for range 20 {
			r := acl.Request{
				Username: rapid.SampledFrom([]string{"u1", "u2", "u3", "u4", ""}).Draw(t, "user"),
				ClientID: rapid.SampledFrom([]string{"u1", "u2", "u3", "u4"}).Draw(t, "client"),
				IP:       netip.MustParseAddr(rapid.SampledFrom([]string{"10.1.2.3", "10.2.0.1", "2001:db8::1", "192.0.2.1"}).Draw(t, "ip")),
				Action:   acl.Publish,
				Topic:    rapid.SampledFrom(universe).Filter(func(s string) bool { return s != "" }).Draw(t, "topic"),
			}
			want := -1
			for i := range n {
				if conds[i].test(r) && naive(filters[i], r.Topic) {
					want = i
					break
				}
			}
			if d := rules.Decide(r); d.Rule != want {
				t.Fatalf("%+v: rule %d, want %d in\n%s", r, d.Rule, want, src.String())
			}
		}
	})
}

// Whatever a client calls itself, a rule with placeholders never grants more
// than the one level that equals its name.
func TestPlaceholderGrantsOnlyTheOwnLevel(t *testing.T) {
	t.Parallel()
	rules := parse(t, `{allow, all, pubsub, ["u/%u/#", "%c/x"]}.`)
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.StringOf(rapid.SampledFrom([]rune("ab+#/$%uc\x00\n"))).Draw(t, "id")
		topic := rapid.StringOf(rapid.SampledFrom([]rune("abu+#/$%cx"))).Draw(t, "topic")
		a := rapid.SampledFrom([]acl.Action{acl.Publish, acl.Subscribe}).Draw(t, "action")
		if rules.Decide(acl.Request{Username: id, ClientID: id, Action: a, Topic: topic}).Effect != acl.Allow {
			return
		}
		if id == "" || strings.ContainsAny(id, "+#/\x00\n") {
			t.Fatalf("identity %q got %s %q", id, a, topic)
		}
		if topic != id+"/x" && topic != "u/"+id && !strings.HasPrefix(topic, "u/"+id+"/") {
			t.Fatalf("identity %q got %s %q", id, a, topic)
		}
	})
}
