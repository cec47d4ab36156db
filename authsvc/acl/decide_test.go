package acl_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/pando-mq/pando/authsvc/acl"
)

// parse compiles rules that must be valid.
func parse(t interface {
	Helper()
	Fatalf(string, ...any)
}, src string) *acl.Rules {
	t.Helper()
	r, err := acl.Parse("test.conf", []byte(src))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return r
}

func TestDefaultFile(t *testing.T) {
	t.Parallel()
	// §6.12, the default file of the seed.
	rules := parse(t, acl.Default)
	if rules.Len() != 4 {
		t.Fatalf("default has %d rules, want 4", rules.Len())
	}
	local, far := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.7")
	tests := []struct {
		name   string
		req    acl.Request
		effect acl.Effect
		rule   int
	}{
		{"dashboard watches $SYS", acl.Request{Username: "dashboard", IP: far, Action: acl.Subscribe, Topic: "$SYS/brokers/+/stats"}, acl.Allow, 0},
		{"localhost subscribes $SYS/#", acl.Request{IP: local, Action: acl.Subscribe, Topic: "$SYS/#"}, acl.Allow, 1},
		{"localhost subscribes #", acl.Request{IP: local, Action: acl.Subscribe, Topic: "#"}, acl.Allow, 1},
		{"mapped localhost", acl.Request{IP: netip.MustParseAddr("::ffff:127.0.0.1"), Action: acl.Publish, Topic: "a"}, acl.Allow, 1},
		{"others may not subscribe #", acl.Request{IP: far, Action: acl.Subscribe, Topic: "#"}, acl.Deny, 2},
		{"others may not subscribe $SYS/#", acl.Request{IP: far, Action: acl.Subscribe, Topic: "$SYS/#"}, acl.Deny, 2},
		{"others may not subscribe below $SYS", acl.Request{IP: far, Action: acl.Subscribe, Topic: "$SYS/+/x"}, acl.Deny, 2},
		{"others may not subscribe $SYS", acl.Request{IP: far, Action: acl.Subscribe, Topic: "$SYS"}, acl.Deny, 2},
		{"eq # is literal", acl.Request{IP: far, Action: acl.Subscribe, Topic: "+/#"}, acl.Allow, 3},
		{"the rest is allowed", acl.Request{IP: far, Action: acl.Publish, Topic: "a/b"}, acl.Allow, 3},
		{"others may not publish into $SYS", acl.Request{IP: far, Action: acl.Publish, Topic: "$SYS/brokers"}, acl.Ignore, -1},
		{"nor to $SYS", acl.Request{IP: far, Action: acl.Publish, Topic: "$SYS"}, acl.Ignore, -1},
		{"what only begins like it is not it", acl.Request{IP: far, Action: acl.Publish, Topic: "$SYSTEM/x"}, acl.Allow, 3},
		{"localhost publishes into $SYS", acl.Request{IP: local, Action: acl.Publish, Topic: "$SYS/brokers"}, acl.Allow, 1},
		{"no address is not localhost", acl.Request{Action: acl.Subscribe, Topic: "#"}, acl.Deny, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := rules.Decide(tt.req)
			if d.Effect != tt.effect || d.Rule != tt.rule {
				t.Errorf("got %v by rule %d (%s), want %v by %d", d.Effect, d.Rule, d.Text, tt.effect, tt.rule)
			}
		})
	}
}

func TestTopicMatching(t *testing.T) {
	t.Parallel()
	// §6.12 and MQTT 5.0 §4.7: what a rule's topic names, for publish topics
	// and for subscription filters.
	tests := []struct {
		rule     string
		pub      string // topics it matches, separated by blanks
		notPub   string
		sub      string
		notSub   string
		wildcard bool
	}{
		{rule: `"a/b"`, pub: "a/b", notPub: "a a/b/c a/ /a/b A/b", sub: "a/b", notSub: "a/+ a/# # +/b"},
		{rule: `"a/+"`, pub: "a/b a/ a/$x", notPub: "a a/b/c b/a", sub: "a/b a/+ a/", notSub: "a/# # +/+ a/b/# a/+/c"},
		{rule: `"a/#"`, pub: "a a/ a/b a/b/c a/$x", notPub: "b aa aa/b /a", sub: "a a/b a/+ a/# a/+/# a/b/#", notSub: "# +/# +/b aa/#"},
		{rule: `"#"`, pub: "a / a/b a/$x", notPub: "$SYS $SYS/a", sub: "a # + +/# +/a /#", notSub: "$SYS/# $SYS $SYS/+"},
		{rule: `"+/#"`, pub: "a / a/b", notPub: "$SYS $SYS/a", sub: "a # + +/# +/a", notSub: "$SYS/# $SYS"},
		{rule: `"+"`, pub: "a", notPub: "$SYS a/b /", sub: "a +", notSub: "# +/# $SYS"},
		{rule: `"+/+/#"`, pub: "a/b / a/b/c", notPub: "a", sub: "+/+ a/b/#", notSub: "# +/# a/#"},
		{rule: `"a/+/#"`, pub: "a/b a/b/c", notPub: "a", sub: "a/+/# a/+", notSub: "a/# a"},
		{rule: `"$SYS/#"`, pub: "$SYS $SYS/a", notPub: "SYS/a", sub: "$SYS/# $SYS/+ $SYS", notSub: "# +/a +/#"},
		{rule: `"$SYS/+/x"`, pub: "$SYS/a/x", notPub: "$SYS/a", sub: "$SYS/+/x", notSub: "+/+/x $SYS/#"},
		{rule: `{eq, "#"}`, notPub: "a $SYS", sub: "#", notSub: "+/# a/# +"},
		{rule: `{eq, "a/+"}`, notPub: "a/b", sub: "a/+", notSub: "a/b a/#"},
		{rule: `{eq, "a/b"}`, pub: "a/b", notPub: "a", sub: "a/b", notSub: "a/+"},
		{rule: `{eq, "%u"}`, pub: "%u", notPub: "bob", sub: "%u", notSub: "bob"},
		{rule: `"x/%u"`, pub: "x/bob", notPub: "x/%u x/dev1 x/bob/y", sub: "x/bob", notSub: "x/+ x/#"},
		{rule: `"%c/#"`, pub: "dev1 dev1/y", notPub: "bob/y %c", sub: "dev1/# dev1/+", notSub: "+/# #"},
		{rule: `"x/a%u/y"`, pub: "x/a%u/y", notPub: "x/abob/y", sub: "x/a%u/y", notSub: "x/abob/y"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			rules := parse(t, "{allow, all, pubsub, ["+tt.rule+"]}.")
			check := func(list string, a acl.Action, want acl.Effect) {
				for topic := range strings.FieldsSeq(list) {
					d := rules.Decide(acl.Request{Username: "bob", ClientID: "dev1", Action: a, Topic: topic})
					if d.Effect != want {
						t.Errorf("%s %s: got %v, want %v", a, topic, d.Effect, want)
					}
				}
			}
			check(tt.pub, acl.Publish, acl.Allow)
			check(tt.notPub, acl.Publish, acl.Ignore)
			check(tt.sub, acl.Subscribe, acl.Allow)
			check(tt.notSub, acl.Subscribe, acl.Ignore)
		})
	}
}

func TestWho(t *testing.T) {
	t.Parallel()
	// §6.12: conditions on the client.
	ip := netip.MustParseAddr
	bob := acl.Request{Username: "bob", ClientID: "d1", IP: ip("10.1.2.3")}
	tests := []struct {
		who  string
		req  acl.Request
		want bool
	}{
		{`all`, acl.Request{}, true},
		{`{user, all}`, acl.Request{}, true},
		{`{client, all}`, acl.Request{}, true},
		{`{user, "bob"}`, bob, true},
		{`{user, <<"bob">>}`, bob, true},
		{`<<"bob">>`, bob, true},
		{`{user, "all"}`, bob, false},
		{`{user, "Bob"}`, bob, false},
		{`{user, "d1"}`, bob, false},
		{`{client, "d1"}`, bob, true},
		{`{client, "bob"}`, bob, false},
		{`{ipaddr, "10.1.2.3"}`, bob, true},
		{`{ipaddr, "10.0.0.0/8"}`, bob, true},
		{`{ipaddr, "10.9.9.9/8"}`, bob, true}, // host bits are masked
		{`{ipaddr, "10.1.2.4/32"}`, bob, false},
		{`{ipaddr, "0.0.0.0/0"}`, bob, true},
		{`{ipaddr, "::/0"}`, bob, false},
		{`{ipaddr, "::ffff:10.0.0.0/104"}`, bob, true},
		{`{ipaddr, "10.0.0.0/8"}`, acl.Request{IP: ip("::ffff:10.1.1.1")}, true},
		{`{ipaddr, "10.0.0.0/8"}`, acl.Request{}, false},
		{`{ipaddr, "2001:db8::/32"}`, acl.Request{IP: ip("2001:db8:1::1")}, true},
		{`{ipaddr, "2001:db8::/32"}`, acl.Request{IP: ip("2001:db9::1")}, false},
		{`{ipaddr, "fe80::/10"}`, acl.Request{IP: ip("fe80::1%eth0")}, true},
		{`{'and', [{user, "bob"}, {ipaddr, "10.0.0.0/8"}]}`, bob, true},
		{`{'and', [{user, "bob"}, {ipaddr, "11.0.0.0/8"}]}`, bob, false},
		{`{and, [all, {client, "d1"}]}`, bob, true},
		{`{'or', [{user, "eve"}, {client, "d1"}]}`, bob, true},
		{`{'or', [{user, "eve"}, {client, "d2"}]}`, bob, false},
		{`{'or', [{user, "eve"}, {'and', [{client, "d1"}, {user, "bob"}]}]}`, bob, true},
		{`{'and', [{'or', [{user, "bob"}, all]}, {'or', [{client, "d1"}, {client, "d2"}]}]}`, bob, true},
	}
	for _, tt := range tests {
		t.Run(tt.who, func(t *testing.T) {
			t.Parallel()
			rules := parse(t, "{allow, "+tt.who+`, publish, ["t"]}.`)
			tt.req.Action, tt.req.Topic = acl.Publish, "t"
			if got := rules.Decide(tt.req).Effect == acl.Allow; got != tt.want {
				t.Errorf("matched = %v, want %v", got, tt.want)
			}
			tt.req.Action = acl.Subscribe
			if got := rules.Decide(tt.req).Effect; got != acl.Ignore {
				t.Errorf("a publish rule answered %v to subscribe", got)
			}
		})
	}
}

// Hardening case 25: no identity widens a rule, and none is in danger of being
// a pattern.
func TestHostileIdentities(t *testing.T) {
	t.Parallel()
	rules := parse(t, `{allow, all, pubsub, ["users/%u/#", "clients/%c", "%u/home"]}.`)
	bad := []string{
		"", "#", "+", "/", "a/b", "a/#", "+/+", "bob/#", "a+b", "x\x00y", "a\r\nb", "a\tb", "a\x7fb", "a\u0085b",
		"\xff\xfe", "../../etc/x", "bob/../eve", strings.Repeat("a", 65536),
	}
	probes := []string{
		"users/bob/x", "users/#", "users/+/#", "users/+", "users/a/b", "users/a+b", "users//x", "users/", "clients/#",
		"clients/+", "clients/a/b", "clients/", "clients/eve", "+/home", "#", "/home", "users/bob/../eve/x",
	}
	for _, id := range bad {
		t.Run(fmt.Sprintf("%.20q", id), func(t *testing.T) {
			t.Parallel()
			for _, topic := range probes {
				for _, a := range []acl.Action{acl.Publish, acl.Subscribe} {
					d := rules.Decide(acl.Request{Username: id, ClientID: id, Action: a, Topic: topic})
					if d.Effect == acl.Allow {
						t.Errorf("identity %.20q got %s %q", id, a, topic)
					}
				}
			}
			d := rules.Decide(acl.Request{Username: id, ClientID: id, Action: acl.Publish, Topic: "users/x/y"})
			if d.Skipped != 0 {
				t.Errorf("Skipped = %d, want 0: explain has to say that the placeholder was not filled", d.Skipped)
			}
		})
	}
	odd := []string{"%u", "%c", "${clientid}", ".*", "(a+)", "Ω\u202e", "😀", "CON", "-x", "*", "$x", "a b", "'; drop"}
	for _, id := range odd {
		t.Run("own "+id, func(t *testing.T) {
			t.Parallel()
			for topic, want := range map[string]acl.Effect{
				"clients/" + id: acl.Allow, "clients/bob": acl.Ignore, "clients/%c": acl.Ignore, "clients/" + id + "x": acl.Ignore,
			} {
				if topic == "clients/%c" && id == "%c" {
					want = acl.Allow // its very own level
				}
				if strings.Contains(topic, "+") {
					continue // no topic name
				}
				d := rules.Decide(acl.Request{Username: "u", ClientID: id, Action: acl.Publish, Topic: topic})
				if d.Effect != want {
					t.Errorf("publish %q: %v, want %v", topic, d.Effect, want)
				}
			}
		})
	}
	// A user may not become the $SYS tree by its name, but has its own level elsewhere.
	sys := acl.Request{Username: "$SYS", ClientID: "c", Action: acl.Subscribe, Topic: "$SYS/home"}
	if d := rules.Decide(sys); d.Effect != acl.Ignore || d.Skipped != 0 {
		t.Errorf("user $SYS: %v, skipped %d; want ignore, skipped 0", d.Effect, d.Skipped)
	}
	sys.Topic = "users/$SYS/x"
	if d := rules.Decide(sys); d.Effect != acl.Allow {
		t.Errorf("user $SYS below users/: %v, want allow", d.Effect)
	}
}

func TestRefusedBeforeAnyRule(t *testing.T) {
	t.Parallel()
	all := parse(t, "{allow, all}.")
	tests := []struct {
		name string
		req  acl.Request
	}{
		{"no action", acl.Request{Topic: "a"}},
		{"both actions", acl.Request{Action: acl.PubSub, Topic: "a"}},
		{"empty topic", acl.Request{Action: acl.Publish}},
		{"empty filter", acl.Request{Action: acl.Subscribe}},
		{"wildcard in a topic name", acl.Request{Action: acl.Publish, Topic: "a/+"}},
		{"NUL", acl.Request{Action: acl.Publish, Topic: "a\x00"}},
		{"NUL in a filter", acl.Request{Action: acl.Subscribe, Topic: "a\x00/#"}},
		{"# inside", acl.Request{Action: acl.Subscribe, Topic: "#/a"}},
		{"# in a level", acl.Request{Action: acl.Subscribe, Topic: "a#"}},
		{"+ in a level", acl.Request{Action: acl.Subscribe, Topic: "a/b+/c"}},
		{"+ before text", acl.Request{Action: acl.Subscribe, Topic: "a/+b"}},
		{"too long", acl.Request{Action: acl.Publish, Topic: strings.Repeat("x", 65536)}},
		{"shared subscription with its prefix (§10.4)", acl.Request{Action: acl.Subscribe, Topic: "$share/g/secret"}},
		{"$queue with its prefix", acl.Request{Action: acl.Subscribe, Topic: "$queue/secret"}},
		{"$local with its prefix", acl.Request{Action: acl.Subscribe, Topic: "$local/secret"}},
		{"$exclusive with its prefix", acl.Request{Action: acl.Subscribe, Topic: "$exclusive/secret"}},
		{"$delayed with its prefix", acl.Request{Action: acl.Publish, Topic: "$delayed/5/secret"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := all.Decide(tt.req)
			if d.Effect != acl.Deny || d.Rule != -1 || d.Text == "" {
				t.Errorf("got %+v, want a denial without a rule and with a reason", d)
			}
		})
	}
	var none *acl.Rules
	if d := none.Decide(acl.Request{Action: acl.Publish, Topic: "a"}); d.Effect != acl.Deny {
		t.Errorf("no rules: %v, want deny", d.Effect)
	}
	if (acl.Decision{}).Effect != acl.Deny {
		t.Error("the zero decision does not deny")
	}
}

func TestFirstMatchAndExplain(t *testing.T) {
	t.Parallel()
	rules := parse(t, `%% comment with "quotes" and %u
{deny, {user, "bob"}, publish, ["a/b"]}.
{allow, {'or', [{user, "bob"}, {client, "c"}]},
   pubsub, [ "a/#",  % inner comment
             {eq , "z"} ]}.
{deny, all}.
`)
	tests := []struct {
		user, client, topic string
		effect              acl.Effect
		line                int
		text                string
	}{
		{"bob", "c", "a/b", acl.Deny, 2, `{deny, {user, "bob"}, publish, ["a/b"]}.`},
		{"bob", "x", "a/c", acl.Allow, 3, `{allow, {'or', [{user, "bob"}, {client, "c"}]}, pubsub, ["a/#", {eq, "z"}]}.`},
		{"eve", "c", "z", acl.Allow, 3, `{allow, {'or', [{user, "bob"}, {client, "c"}]}, pubsub, ["a/#", {eq, "z"}]}.`},
		{"eve", "x", "z", acl.Deny, 6, `{deny, all}.`},
	}
	for _, tt := range tests {
		d := rules.Decide(acl.Request{Username: tt.user, ClientID: tt.client, Action: acl.Publish, Topic: tt.topic})
		if d.Effect != tt.effect || d.Line != tt.line || d.Text != tt.text || d.Skipped != -1 {
			t.Errorf("%s/%s %s: %+v", tt.user, tt.client, tt.topic, d)
		}
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	rules := parse(t, acl.Default+`{allow, {user, "bob"}, publish, ["x/%u/%c/#"]}.`)
	for _, req := range []acl.Request{
		{Username: "bob", ClientID: "c", IP: netip.MustParseAddr("::ffff:10.0.0.1"), Action: acl.Publish, Topic: "x/bob/c/d"},
		{Username: "b/b", ClientID: "c", IP: netip.MustParseAddr("fe80::1"), Action: acl.Subscribe, Topic: "$SYS/#"},
	} {
		if n := testing.AllocsPerRun(100, func() { rules.Decide(req) }); n != 0 {
			t.Errorf("%+v: %v allocations", req, n)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	var names, addrs strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&names, "{allow, {user, \"u%d\"}, pubsub, [\"x/%d/#\"]}.\n", i, i)
		fmt.Fprintf(&addrs, "{allow, {ipaddr, \"10.%d.%d.0/24\"}, pubsub, [\"x/%d/#\"]}.\n", i/256, i%256, i)
	}
	req := acl.Request{Username: "u9999", IP: netip.MustParseAddr("10.39.15.1"), Action: acl.Publish, Topic: "x/9999/t"}
	for name, src := range map[string]string{"by_user_10000": names.String(), "general_10000": addrs.String(), "default": acl.Default} {
		rules := parse(b, src)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if rules.Decide(req).Effect != acl.Allow {
					b.Fatal("not allowed")
				}
			}
		})
	}
}
