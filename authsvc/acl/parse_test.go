package acl_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pando-mq/pando/authsvc/acl"
)

func TestParseErrors(t *testing.T) {
	t.Parallel()
	// §6.12 and hardening case 31: what is not a rule file, and where.
	deep := strings.Repeat("{'or', [", 17) + "all" + strings.Repeat("]}", 17)
	tests := []struct {
		name, src string
		at        string // line:column
		says      string
	}{
		{"empty", "", "1:1", "no rule"},
		{"blank", " \n\n", "3:1", "no rule"},
		{"only comments", "%% {allow, all}.\n", "2:1", "no rule"},
		{"BOM", "\xef\xbb\xbf{allow, all}.", "1:1", "byte order mark"},
		{"UTF-16", "\xff\xfe{\x00", "1:1", "byte order mark"},
		{"half written: no full stop", "{allow, all}.\n{deny, all}", "2:12", "expected '.', found the end of the file"},
		{"half written: inside a text", "{allow, all}.\n{deny, {user, \"bo", "2:15", "no closing"},
		{"half written: inside an escape", "{deny, {user, \"bo\\", "1:18", "inside a text"},
		{"half written: inside a list", "{deny, all, publish, [\"a\",", "1:27", "found the end"},
		{"half written: zeros at the end", "{allow, all}.\n\x00\x00", "2:1", "unexpected character"},
		{"no blank after the full stop", "{allow, all}.{deny, all}.", "1:13", "followed by a blank"},
		{"two full stops", "{allow, all}..", "1:13", "followed by a blank"},
		{"unknown effect", "{permit, all}.", "1:2", "expected allow or deny, found 'permit'"},
		{"effect in quotes", "{\"allow\", all}.", "1:2", "expected allow or deny"},
		{"unknown access", "{allow, all, read, [\"a\"]}.", "1:14", "found 'read'"},
		{"unknown who", "{allow, {group, \"x\"}, publish, [\"a\"]}.", "1:10", "found 'group'"},
		{"a plain text is no who", "{allow, \"bob\", publish, [\"a\"]}.", "1:9", "expected all or a condition"},
		{"who without access", "{allow, {user, \"bob\"}}.", "1:22", "expected ','"},
		{"no topics", "{deny, all, publish, []}.", "1:23", "at least one topic"},
		{"topic without a list", "{deny, all, publish, \"a\"}.", "1:22", "expected '['"},
		{"empty or", "{deny, {'or', []}, publish, [\"a\"]}.", "1:16", "at least one condition"},
		{"empty name", "{deny, {user, \"\"}, publish, [\"a\"]}.", "1:15", "the name is empty"},
		{"name is an atom", "{deny, {user, bob}, publish, [\"a\"]}.", "1:15", "a name in double quotes"},
		{"trailing comma", "{deny, all, publish, [\"a\",]}.", "1:27", "expected a topic"},
		{"missing comma", "{deny, all, publish, [\"a\" \"b\"]}.", "1:27", "expected ']'"},
		{"empty topic", "{deny, all, publish, [\"\"]}.", "1:23", "not a topic filter"},
		{"# inside a topic", "{deny, all, publish, [\"a\", \"a/#/b\"]}.", "1:28", "not a topic filter"},
		{"+ in a level", "{deny, all, publish, [\"a+/b\"]}.", "1:23", "not a topic filter"},
		{"eq of nothing", "{deny, all, publish, [{eq, \"\"}]}.", "1:28", "not a topic"},
		{"unknown topic form", "{deny, all, publish, [{re, \"a\"}]}.", "1:24", "expected 'eq'"},
		{"bad address", "{deny, {ipaddr, \"10.0.0.0/33\"}, publish, [\"a\"]}.", "1:17", "neither an address"},
		{"host name", "{deny, {ipaddr, \"localhost\"}, publish, [\"a\"]}.", "1:17", "neither an address"},
		{"octal address", "{deny, {ipaddr, \"010.0.0.1\"}, publish, [\"a\"]}.", "1:17", "neither an address"},
		{"zone", "{deny, {ipaddr, \"fe80::1%eth0\"}, publish, [\"a\"]}.", "1:17", "neither an address"},
		{"mapped block wider than IPv4", "{deny, {ipaddr, \"::ffff:0.0.0.0/90\"}, publish, [\"a\"]}.", "1:17", "neither an address"},
		{"column counts characters", "{deny, {user, \"Zoë\"}, publishh, [\"a\"]}.", "1:23", "found 'publishh'"},
		{"broken UTF-8", "{deny, {user, \"a\xff\"}, publish, [\"a\"]}.", "1:17", "not valid UTF-8"},
		{"control character", "{deny, {user, \"a\nb\"}, publish, [\"a\"]}.", "1:17", "control character U+000A"},
		{"escaped control character", `{deny, {user, "a\x00b"}, publish, ["a"]}.`, "1:17", "control character U+0000"},
		{"unknown escape", `{deny, {user, "a\q"}, publish, ["a"]}.`, "1:17", "unknown escape"},
		{"unclosed hexadecimal", `{deny, {user, "a\x{41"}, publish, ["a"]}.`, "1:17", "not a hexadecimal"},
		{"bad hexadecimal", `{deny, {user, "a\x{zz}"}, publish, ["a"]}.`, "1:17", "not a hexadecimal"},
		{"surrogate", `{deny, {user, "\x{d800}"}, publish, ["a"]}.`, "1:16", "not a hexadecimal"},
		{"unclosed binary", `{deny, <<"a", publish, ["a"]}.`, "1:13", "expected >>"},
		{"variable", "{deny, All}.", "1:8", "unexpected character 'A'"},
		{"nested too deep", "{deny, " + deep + ", publish, [\"a\"]}.", "1:143", "nested more than 16"},
		{"text after the rules", "{allow, all}.\n allow", "2:2", "expected '{'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rules, err := acl.Parse("acl.conf", []byte(tt.src))
			var syntax *acl.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("error %v is no SyntaxError", err)
			}
			if rules != nil {
				t.Error("rules came with the error")
			}
			if !strings.HasPrefix(err.Error(), "acl.conf:"+tt.at+": ") || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %q, want it at %s saying %q", err, tt.at, tt.says)
			}
		})
	}
}

func TestEveryTruncationOfTheDefaultIsShorterOrAnError(t *testing.T) {
	t.Parallel()
	// Hardening case 31, half-written file: a prefix is an error, or ends after
	// a whole rule. A prefix that ends so keeps the order of what it has.
	whole := parse(t, acl.Default)
	for n := range len(acl.Default) {
		rules, err := acl.Parse("acl.conf", []byte(acl.Default[:n]))
		if err != nil {
			continue
		}
		for i := range rules.Len() {
			if rules.Text(i) != whole.Text(i) {
				t.Fatalf("prefix of %d bytes: rule %d is %s, want %s", n, i, rules.Text(i), whole.Text(i))
			}
		}
		if end := strings.TrimRight(acl.Default[:n], "\n"); !strings.HasSuffix(end, "}.") {
			t.Errorf("prefix of %d bytes was accepted inside a rule: %q", n, end)
		}
	}
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, src, want string }{
		{"CRLF and tabs", "{allow,\tall}.\r\n{deny,all}.\r\n", "{allow, all}.\n{deny, all}.\n"},
		{"comment right after the full stop", "{allow, all}.% x\n", "{allow, all}.\n"},
		{"last line without a newline", "{allow, all}.", "{allow, all}.\n"},
		{"two rules on a line", "{allow, all}. {deny, all}.", "{allow, all}.\n{deny, all}.\n"},
		{"percent inside a text", `{deny, {user, "100%"}, publish, ["%u/x"]}.`, "{deny, {user, \"100%\"}, publish, [\"%u/x\"]}.\n"},
		{"escapes", `{deny, {user, "a\"b\\\x41\x{e9}\s\'"}, publish, [<<"a/b">>]}.`, "{deny, {user, \"a\\\"b\\\\Aé '\"}, publish, [\"a/b\"]}.\n"},
		{"quoted atoms", `{'allow', 'all', 'pubsub', [{'eq', "#"}]}.`, "{allow, all, pubsub, [{eq, \"#\"}]}.\n"},
		{"masked block", `{deny, {ipaddr, "10.1.2.3/8"}, publish, ["a"]}.`, "{deny, {ipaddr, \"10.0.0.0/8\"}, publish, [\"a\"]}.\n"},
		{"full block is an address", `{deny, {ipaddr, "::1/128"}, publish, ["a"]}.`, "{deny, {ipaddr, \"::1\"}, publish, [\"a\"]}.\n"},
		{"bytes that are no UTF-8 in a comment", "% \xe9\n{allow, all}.", "{allow, all}.\n"},
		{"sixteen conditions deep", "{deny, " + strings.Repeat("{'or', [", 16) + "all" + strings.Repeat("]}", 16) + ", publish, [\"a\"]}.",
			"{deny, " + strings.Repeat("{'or', [", 16) + "all" + strings.Repeat("]}", 16) + ", publish, [\"a\"]}.\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := parse(t, tt.src).String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	// §6.8: rows of mqtt_acl.
	ok := []struct {
		name string
		row  acl.Row
		want string
	}{
		{"everybody", acl.Row{Username: "$all", Access: acl.Subscribe, Topic: "$SYS/#"}, `{deny, all, subscribe, ["$SYS/#"]}.`},
		{"no condition", acl.Row{Allow: true, Access: acl.PubSub, Topic: "a/%u"}, `{allow, all, pubsub, ["a/%u"]}.`},
		{"eq", acl.Row{Username: "$all", Access: acl.Subscribe, Topic: "eq #"}, `{deny, all, subscribe, [{eq, "#"}]}.`},
		{"user", acl.Row{Allow: true, Username: "bob", Access: acl.Publish, Topic: "a"}, `{allow, {user, "bob"}, publish, ["a"]}.`},
		{"user named all", acl.Row{Username: "all", Access: acl.Publish, Topic: "a"}, `{deny, {user, "all"}, publish, ["a"]}.`},
		{"several are and", acl.Row{IPAddr: "10.0.0.0/8", Username: "bob", ClientID: "c", Access: acl.PubSub, Topic: "a"},
			`{deny, {'and', [{ipaddr, "10.0.0.0/8"}, {user, "bob"}, {client, "c"}]}, pubsub, ["a"]}.`},
		{"address and $all", acl.Row{Allow: true, IPAddr: "127.0.0.1", Username: "$all", Access: acl.PubSub, Topic: "#"},
			`{allow, {ipaddr, "127.0.0.1"}, pubsub, ["#"]}.`},
	}
	for _, tt := range ok {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rules, err := acl.FromRows([]acl.Row{tt.row})
			if err != nil {
				t.Fatal(err)
			}
			if got := rules.Text(0); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if err := tt.row.Validate(); err != nil {
				t.Errorf("Validate: %v", err)
			}
		})
	}
	good := acl.Row{Allow: true, Access: acl.PubSub, Topic: "a"}
	bad := map[string]acl.Row{
		"no access":       {Topic: "a"},
		"access 4":        {Access: 4, Topic: "a"},
		"no topic":        {Access: acl.Publish},
		"bad topic":       {Access: acl.Publish, Topic: "a/#/b"},
		"eq nothing":      {Access: acl.Publish, Topic: "eq "},
		"control":         {Access: acl.Publish, Topic: "a\nb"},
		"bad address":     {Access: acl.Publish, Topic: "a", IPAddr: "10.0.0"},
		"name no UTF-8":   {Access: acl.Publish, Topic: "a", Username: "\xff"},
		"id with control": {Access: acl.Publish, Topic: "a", ClientID: "a\x01"},
	}
	for name, row := range bad {
		t.Run("bad/"+name, func(t *testing.T) {
			t.Parallel()
			rules, err := acl.FromRows([]acl.Row{good, row})
			var re *acl.RowError
			if !errors.As(err, &re) || re.Row != 1 || rules != nil {
				t.Errorf("got rules %v, error %v; want none and a RowError for row index 1", rules, err)
			}
			if row.Validate() == nil {
				t.Error("Validate accepts it")
			}
		})
	}
	none, err := acl.FromRows(nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := none.Decide(acl.Request{Action: acl.Publish, Topic: "a"}); d.Effect != acl.Ignore {
		t.Errorf("no rows: %v, want ignore (§6.8)", d.Effect)
	}
}

// FuzzParse: nothing panics, and what parses has a canonical form that parses
// to itself and decides alike.
func FuzzParse(f *testing.F) {
	f.Add([]byte(acl.Default), "bob", "c", "a/b")
	f.Add([]byte(`{deny, {'and', [{user, all}, {ipaddr, "::1/64"}]}, pubsub, ["%u/+/#", {eq, "\x41"}]}.`), "#", "+", "a/+")
	f.Add([]byte(`{allow, <<"b">>, publish, [<<"x">>]}. % c`), "b", "", "x")
	f.Add([]byte("\xef\xbb\xbf{allow, all}."), "", "", "#")
	f.Add([]byte("{allow, all}.\n{deny, {user, \""), "", "", "$SYS/#")
	f.Fuzz(func(t *testing.T, src []byte, user, client, topic string) {
		rules, err := acl.Parse("fuzz", src)
		if err != nil {
			if rules != nil {
				t.Fatal("rules came with an error")
			}
			return
		}
		if rules.Len() == 0 {
			t.Fatal("no rules and no error")
		}
		again, err := acl.Parse("fuzz", []byte(rules.String()))
		if err != nil {
			t.Fatalf("canonical form: %v\n%s", err, rules)
		}
		if again.String() != rules.String() {
			t.Fatalf("canonical form changed:\n%s\n%s", rules, again)
		}
		for _, a := range []acl.Action{acl.Publish, acl.Subscribe} {
			r := acl.Request{Username: user, ClientID: client, Action: a, Topic: topic}
			x, y := rules.Decide(r), again.Decide(r)
			if x.Effect != y.Effect || x.Rule != y.Rule {
				t.Fatalf("%+v: %+v, canonical form %+v", r, x, y)
			}
		}
	})
}
