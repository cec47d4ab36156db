package emq_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/config/emq"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, key, value string }{
		{"plain", "a.b = c", "a.b", "c"},
		{"no blanks", "a.b=c\n", "a.b", "c"},
		{"many blanks and a tab", "  a.b \t=\t c d  \n", "a.b", "c d"},
		{"CRLF", "a.b = c\r\n", "a.b", "c"},
		{"byte order mark", "\ufeffa.b = c\n", "a.b", "c"},
		{"value with = and ;", "a = x=1;y=2", "a", "x=1;y=2"},
		{"empty value", "a =\n", "a", ""},
		{"comments before", "## x\n# y\n%% z\n\na = 1\n", "a", "1"},
		{"comment after", "a = 1 ## why\n", "a", "1"},
		{"comment after, one sign", "a = 1 2\t# why\n", "a", "1 2"},
		{"number sign in a word", "a = x/# ^x/y/(.+)$ z/y/$1", "a", "x/# ^x/y/(.+)$ z/y/$1"},
		{"number sign first", "a = #\n", "a", "#"},
		{"double quotes", `a = "b # c"`, "a", "b # c"},
		{"single quotes", "a = 'b'", "a", "b"},
		{"quotes inside", "a = where username = '%u'", "a", "where username = '%u'"},
		{"two quoted words", `a = "b" "c"`, "a", `"b" "c"`},
		{"one quote", `a = "`, "a", `"`},
		{"JSON", `web.hook.rule.client.connected.1 = {"action": "x", "topic": "a/#"}`, "web.hook.rule.client.connected.1", `{"action": "x", "topic": "a/#"}`},
		{"wrapped by the manual", "a = select x\n\u21aa limit 1\n", "a", "select x limit 1"},
		{"wrapped comment", "## debug, info, \u21b5\n\u21b5emergency\na = 1", "a", "1"},
		{"placeholder is kept", "a = {{ platform_etc_dir }}/x", "a", "{{ platform_etc_dir }}/x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, problems := emq.Parse("f", []byte(tt.text))
			if err := problems.ErrorOrNil(); err != nil || len(got) != 1 || got[0].Key != tt.key || got[0].Value != tt.value {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestParseRefusals(t *testing.T) {
	t.Parallel()
	_, problems := emq.Parse("emq.conf", []byte("a = 1\nnonsense\n= 1\na..b = 1\na b = 2\nx = \xff\n"))
	want := strings.Join([]string{
		`emq.conf:2: found "nonsense", expected key = value`,
		`emq.conf:3: "" is no key`,
		`emq.conf:4: "a..b" is no key`,
		`emq.conf:5: "a b" is no key`,
		`emq.conf:6: the line is not UTF-8`,
	}, "\n")
	if got := problems.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestParseLoaded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"emq_recon.\nemq_modules.\n":                {"emq_recon", "emq_modules"},
		"[emq_recon, emq_modules].":                 {"emq_recon", "emq_modules"},
		"%% comment\r\n[emq_recon,\n  'emq_sn'\n].": {"emq_recon", "emq_sn"},
		"{emq_recon, true}.\n{emq_sn, false}.":      {"emq_recon"},
		"emq_recon.\nemq_recon.":                    {"emq_recon"},
		"":                                          nil,
	} {
		got, problems := emq.ParseLoaded("f", []byte(text))
		if err := problems.ErrorOrNil(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	_, problems := emq.ParseLoaded("data/loaded_plugins", []byte("emq_recon.\n42.\n"))
	if got := problems.Error(); got != `data/loaded_plugins:2: found "42", expected the name of a plugin and a dot` {
		t.Error(got)
	}
}

// FuzzParse: the parser never panics, keeps lines in order, and what it
// accepts survives being written out and read again.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"a.b = c\n", "## c\r\n%% d\n\na=1", "a = \"x # y\" ## z", "\ufeffx = {{ platform_etc_dir }}", "a = b \u21b5\n\u21aac", "a..b = 1", "= 1", "a\\.b = 2", "[emq_recon, emq_sn].", "{a, true}.\n%", "a = '''", "\xff = \x00",
		"listener.tcp.external.access.1 = allow 192.168.0.0/24",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		settings, _ := emq.Parse("f", []byte(text))
		line := 0
		for _, s := range settings {
			if s.Key == "" || s.Origin.Line <= line {
				t.Fatalf("%q: %+v after line %d", text, s, line)
			}
			line = s.Origin.Line
			if strings.ContainsAny(s.Value, "\"'#\u21aa\u21b5\n\r") || strings.TrimSpace(s.Value) != s.Value {
				continue
			}
			again, problems := emq.Parse("f", []byte(s.Key+" = "+s.Value))
			if len(problems) > 0 || len(again) != 1 || again[0].Key != s.Key || again[0].Value != s.Value {
				t.Fatalf("%q: %+v reads back as %+v, %v", text, s, again, problems)
			}
		}
		if names, problems := emq.ParseLoaded("f", []byte(text)); len(problems) > 0 && len(names) > 0 {
			t.Fatalf("%q: names and problems", text)
		}
	})
}
