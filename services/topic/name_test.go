package topic_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

func TestValidateName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"plain", "sport/tennis/player1", nil},
		{"one slash", "/", nil},
		{"empty levels (§4.7.1.1)", "a//b/", nil},
		{"space (§4.7.3)", "Accounts payable", nil},
		{"dollar (§4.7.2)", "$SYS/broker", nil},
		{"longest", strings.Repeat("a", topic.MaxBytes), nil},
		{"very deep", strings.Repeat("/", 60000), nil},
		{"empty (MQTT-4.7.3-1)", "", topic.ErrEmpty},
		{"too long (MQTT-4.7.3-3)", strings.Repeat("a", topic.MaxBytes+1), topic.ErrTooLong},
		{"U+0000 (MQTT-4.7.3-2)", "a\x00b", topic.ErrUTF8},
		{"broken UTF-8 (MQTT-1.5.4-1)", "a\xff", topic.ErrUTF8},
		{"surrogate (MQTT-1.5.4-1)", "a\xed\xa0\x80", topic.ErrUTF8},
		{"plus (MQTT-3.3.2-2)", "a/+/b", topic.ErrWildcard},
		{"hash (MQTT-3.3.2-2)", "a/#", topic.ErrWildcard},
		{"plus inside a level", "a+b", topic.ErrWildcard},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := topic.ValidateName(c.in); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestValidateFilter(t *testing.T) {
	t.Parallel()
	deep := func(n int, end string) string { return strings.Repeat("a/", n-1) + end }
	for _, c := range []struct {
		name, in string
		want     error
	}{
		{"all", "#", nil},
		{"subtree", "sport/tennis/#", nil},
		{"one level", "+", nil},
		{"slash first", "/+", nil},
		{"both", "+/tennis/#", nil},
		{"inside", "sport/+/player1", nil},
		{"hash glued (MQTT-4.7.1-1)", "sport/tennis#", topic.ErrWildcard},
		{"hash not last (MQTT-4.7.1-1)", "sport/tennis/#/ranking", topic.ErrWildcard},
		{"hash before text", "#a", topic.ErrWildcard},
		{"plus glued (MQTT-4.7.1-2)", "sport+", topic.ErrWildcard},
		{"plus before text", "+a", topic.ErrWildcard},
		{"two pluses", "++", topic.ErrWildcard},
		{"empty", "", topic.ErrEmpty},
		{"nul", "a/\x00/#", topic.ErrUTF8},
		{"deepest wildcard", deep(topic.MaxLevels, "#"), nil},
		{"wildcard too deep", deep(topic.MaxLevels+1, "#"), topic.ErrTooDeep},
		{"plus too deep", deep(topic.MaxLevels+1, "+"), topic.ErrTooDeep},
		{"deep without wildcard", deep(1000, "a"), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := topic.ValidateFilter(c.in); !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want topic.Parsed
		err  error
	}{
		{"a/+", topic.Parsed{Filter: "a/+"}, nil},
		{"$SYS/#", topic.Parsed{Filter: "$SYS/#"}, nil},
		{"$share/g/a/+", topic.Parsed{Filter: "a/+", Group: "g", Shared: true}, nil},
		{"$share/g//a", topic.Parsed{Filter: "/a", Group: "g", Shared: true}, nil},
		{"$queue/a/#", topic.Parsed{Filter: "a/#", Group: "$queue", Shared: true}, nil},
		{"$local/a", topic.Parsed{Filter: "a", Local: true}, nil},
		{"$local/$share/g/t", topic.Parsed{Filter: "t", Group: "g", Shared: true, Local: true}, nil},
		{"$local/$queue/t", topic.Parsed{Filter: "t", Group: "$queue", Shared: true, Local: true}, nil},
		{"$queue/$local/t", topic.Parsed{Filter: "t", Group: "$queue", Shared: true, Local: true}, nil},
		{"$share/g/$local/t", topic.Parsed{Filter: "$local/t", Group: "g", Shared: true}, nil},
		{"$share/g/$share/h/t", topic.Parsed{Filter: "$share/h/t", Group: "g", Shared: true}, nil},
		{"$share", topic.Parsed{Filter: "$share"}, nil},
		{"$local", topic.Parsed{Filter: "$local"}, nil},
		{"$shared/g/t", topic.Parsed{Filter: "$shared/g/t"}, nil},
		{"", topic.Parsed{}, topic.ErrEmpty},
		{"$share/g", topic.Parsed{}, topic.ErrGroup},
		{"$share/g/", topic.Parsed{}, topic.ErrEmpty},
		{"$share//t", topic.Parsed{}, topic.ErrGroup},
		{"$share/", topic.Parsed{}, topic.ErrGroup},
		{"$share/a+b/t", topic.Parsed{}, topic.ErrGroup},
		{"$share/#/t", topic.Parsed{}, topic.ErrGroup},
		{"$queue/", topic.Parsed{}, topic.ErrEmpty},
		{"$local/", topic.Parsed{}, topic.ErrEmpty},
		{"$local/$local/t", topic.Parsed{}, topic.ErrPrefix},
		{"$queue/$queue/t", topic.Parsed{}, topic.ErrPrefix},
		{"$queue/$share/g/t", topic.Parsed{}, topic.ErrPrefix},
		{"$local/$queue/$local/t", topic.Parsed{}, topic.ErrPrefix},
		{"$share/g/a#", topic.Parsed{}, topic.ErrWildcard},
		{"$share/\xff/t", topic.Parsed{}, topic.ErrUTF8},
	} {
		t.Run(c.in, func(t *testing.T) {
			t.Parallel()
			got, err := topic.Parse(c.in)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if got != c.want {
				t.Fatalf("got %+v, want %+v", got, c.want)
			}
			if err != nil {
				return
			}
			if again, err := topic.Parse(got.String()); err != nil || again != got {
				t.Fatalf("String gives %q, which is %+v, %v", got.String(), again, err)
			}
		})
	}
}

func TestParsedShare(t *testing.T) {
	t.Parallel()
	p, err := topic.Parse("$share/g/a/+")
	if err != nil {
		t.Fatal(err)
	}
	if want := (broker.Share{Group: "g", Filter: "a/+"}); p.Share() != want || !p.Wildcard() {
		t.Fatalf("got %+v, wildcard %v", p.Share(), p.Wildcard())
	}
}

func TestErrorTextStaysShort(t *testing.T) {
	t.Parallel()
	_, err := topic.Parse(strings.Repeat("ü", 30000) + "#")
	if err == nil || len(err.Error()) > 300 {
		t.Fatalf("error of %d bytes", len(err.Error()))
	}
}

func TestMount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ prefix, full, want string }{
		{"", "a/+", "a/+"},
		{"dev/", "a/+", "dev/a/+"},
		{"dev/", "#", "dev/#"},
		{"dev/", "$share/g/a", "$share/g/dev/a"},
		{"dev/", "$queue/a", "$queue/dev/a"},
		{"dev/", "$local/$share/g/a", "$local/$share/g/dev/a"},
		{"dev/", "$share/g/$local/a", "$share/g/dev/$local/a"},
		{"ü/", "ü", "ü/ü"},
	} {
		got := topic.Mount(c.prefix, c.full)
		if got != c.want {
			t.Errorf("Mount(%q, %q) = %q, want %q", c.prefix, c.full, got, c.want)
		}
		if back := topic.Unmount(c.prefix, got); back != c.full {
			t.Errorf("Unmount(%q, %q) = %q, want %q", c.prefix, got, back, c.full)
		}
	}
	if got := topic.Unmount("dev/", "other/a"); got != "other/a" {
		t.Errorf("what is not mounted came back as %q", got)
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"a": 1, "/": 2, "a/b/": 3} {
		if got := topic.Levels(s); got != want {
			t.Errorf("Levels(%q) = %d, want %d", s, got, want)
		}
	}
}
