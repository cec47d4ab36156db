package topic_test

import (
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/topic"
	"pgregory.net/rapid"
)

// matchTable is the examples of MQTT 5.0 §4.7 and what they leave open.
var matchTable = []struct {
	filter, name string
	want         bool
}{
	{"sport/tennis/player1/#", "sport/tennis/player1", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
	{"sport/tennis/player1/#", "sport/tennis/player2", false},
	{"sport/#", "sport", true},
	{"sport/#", "sports", false},
	{"#", "a", true},
	{"#", "/", true},
	{"sport/tennis/+", "sport/tennis/player1", true},
	{"sport/tennis/+", "sport/tennis/player1/ranking", false},
	{"sport/+", "sport", false},
	{"sport/+", "sport/", true},
	{"+/+", "/finance", true},
	{"/+", "/finance", true},
	{"+", "/finance", false},
	{"+/tennis/#", "sport/tennis", true},
	{"+/tennis/#", "sport/tennis/a/b", true},
	{"+", "a", true},
	{"a/+/c", "a//c", true},
	{"a//c", "a/b/c", false},
	{"a/b", "a/b/", false},
	{"a/b/", "a/b", false},
	{"ACCOUNTS", "Accounts", false},
	{"#", "$SYS/a", false},
	{"+/monitor/Clients", "$SYS/monitor/Clients", false},
	{"+/#", "$SYS", false},
	{"$SYS/#", "$SYS/a", true},
	{"$SYS/#", "$SYS", true},
	{"$SYS/monitor/+", "$SYS/monitor/Clients", true},
	{"a/#", "a/$b", true},
	{"a/+", "a/$b", true},
	{"/#", "$a", false},
	{"+/#", "a", true},
	{"a/+/#", "a", false},
	{"a/+/#", "a/b", true},
	{"ab", "a", false},
	{"a", "ab", false},
	{"ü/+", "ü/ö", true},
}

func TestMatchTable(t *testing.T) {
	t.Parallel()
	for _, c := range matchTable {
		if got := topic.Match(c.filter, c.name); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.filter, c.name, got)
		}
		x := topic.NewIndex[int, int](1)
		x.Add(c.filter, 1, 1)
		hit := false
		x.Match(c.name, func(string, int, int) { hit = true })
		if hit != c.want {
			t.Errorf("Index of %q finds %q: %v", c.filter, c.name, hit)
		}
		r := topic.NewRetained[int]()
		r.Put(c.name, 1)
		hit = false
		r.Query(c.filter, func(string, int) bool { hit = true; return true })
		if hit != c.want {
			t.Errorf("Retained with %q answers %q: %v", c.name, c.filter, hit)
		}
	}
}

// naive is the text of §4.7 as directly as it can be written.
func naive(filter, name string) bool {
	if name[0] == '$' && strings.ContainsRune("+#", rune(filter[0])) {
		return false
	}
	return naiveLevels(strings.Split(filter, "/"), strings.Split(name, "/"))
}

func naiveLevels(f, n []string) bool {
	switch {
	case len(f) == 0:
		return len(n) == 0
	case f[0] == "#":
		return true
	case len(n) == 0:
		return false
	}
	return (f[0] == "+" || f[0] == n[0]) && naiveLevels(f[1:], n[1:])
}

func genName() *rapid.Generator[string] {
	level := rapid.SampledFrom([]string{"", "a", "b", "ab", "$", "$SYS"})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(level, 1, 5).Draw(t, "levels"), "/")
	}).Filter(func(s string) bool { return s != "" })
}

func genFilter() *rapid.Generator[string] {
	level := rapid.SampledFrom([]string{"", "a", "b", "$SYS", "+", "+"})
	return rapid.Custom(func(t *rapid.T) string {
		levels := rapid.SliceOfN(level, 1, 5).Draw(t, "levels")
		if rapid.Bool().Draw(t, "hash") {
			levels = append(levels, "#")
			levels = levels[rapid.IntRange(0, 1).Draw(t, "from"):]
		}
		return strings.Join(levels, "/")
	}).Filter(func(s string) bool { return topic.ValidateFilter(s) == nil })
}

func TestMatchIsTheNaiveMatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, n := genFilter().Draw(t, "filter"), genName().Draw(t, "name")
		if got, want := topic.Match(f, n), naive(f, n); got != want {
			t.Fatalf("Match(%q, %q) = %v, want %v", f, n, got, want)
		}
	})
}

func TestMatchAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _ = topic.Match("a/+/c/#", "a/b/c/d/e") }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"a/+/#", "$share/g/a", "$queue/$local/#", "$local/$share/g/+/b", "$share//", "a\x00", "+a", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := topic.Parse(s)
		if err != nil {
			if p != (topic.Parsed{}) {
				t.Fatalf("error %v with a result %+v", err, p)
			}
			return
		}
		if err := topic.ValidateFilter(p.Filter); err != nil {
			t.Fatalf("inner filter %q: %v", p.Filter, err)
		}
		if p.Shared && (p.Group == "" || strings.ContainsAny(p.Group, "/+#")) {
			t.Fatalf("group %q", p.Group)
		}
		if again, err := topic.Parse(p.String()); len(p.String()) <= topic.MaxBytes && (err != nil || again != p) {
			t.Fatalf("%q became %+v, %v", p.String(), again, err)
		}
		if back := topic.Unmount("m/", topic.Mount("m/", s)); back != s {
			t.Fatalf("mounted and back: %q", back)
		}
	})
}

func FuzzMatch(f *testing.F) {
	for _, c := range matchTable {
		f.Add(c.filter, c.name)
	}
	f.Fuzz(func(t *testing.T, filter, name string) {
		if topic.ValidateFilter(filter) != nil || topic.ValidateName(name) != nil || topic.Levels(name) > 1000 {
			_ = topic.Match(filter, name) // must not crash
			return
		}
		want := naive(filter, name)
		if got := topic.Match(filter, name); got != want {
			t.Fatalf("Match(%q, %q) = %v", filter, name, got)
		}
		x := topic.NewIndex[int, int](1)
		x.Add(filter, 1, 1)
		x.Match(name, func(f string, _, _ int) {
			if f != filter || !want {
				t.Fatalf("index finds %q by %q", f, name)
			}
			want = false
		})
		if want {
			t.Fatalf("index does not find %q by %q", filter, name)
		}
		x.Remove(filter, 1)
		x.Match(name, func(f string, _, _ int) { t.Fatalf("found %q after its removal", f) })
	})
}
