package topic_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/topic"
)

func TestSplitDelayed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]string{
		"$delayed/5/a/b":   {"$delayed/5/", "a/b"},
		"$delayed/0/a":     {"$delayed/0/", "a"},
		"$delayed/5//":     {"$delayed/5/", "/"},
		"$delayed/5/$SYS/": {"$delayed/5/", "$SYS/"},
		"$delayed/5/":      {"", "$delayed/5/"},
		"$delayed/5":       {"", "$delayed/5"},
		"$delayed//a":      {"", "$delayed//a"},
		"$delayed/-5/a":    {"", "$delayed/-5/a"},
		"$delayed/5s/a":    {"", "$delayed/5s/a"},
		"$delayed/٥/a":     {"", "$delayed/٥/a"},
		"delayed/5/a":      {"", "delayed/5/a"},
		"a/$delayed/5/b":   {"", "a/$delayed/5/b"},
	} {
		if prefix, rest := topic.SplitDelayed(name); prefix != want[0] || rest != want[1] {
			t.Errorf("%q: %q and %q", name, prefix, rest)
		}
	}
}

func TestDelayedUntil(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_123)
	for name, want := range map[string]time.Time{
		"$delayed/0/a":                    now,
		"$delayed/5/a":                    now.Add(5 * time.Second),
		"$delayed/0005/a":                 now.Add(5 * time.Second),
		"$delayed/4294967/a":              now.Add(topic.MaxDelay),
		"$delayed/1700000060/a":           time.Unix(1_700_000_060, 0),
		"$delayed/4294968/a":              time.Unix(4_294_968, 0), // long over: at once
		"$delayed/1704294967/a":           time.Unix(1_704_294_967, 0),
		"$delayed/1704294968/a":           {},
		"$delayed/9223372036854775807/a":  {},
		"$delayed/99999999999999999999/a": {},
	} {
		prefix, _ := topic.SplitDelayed(name)
		got, err := topic.DelayedUntil(prefix, now)
		if !got.Equal(want) || errors.Is(err, topic.ErrDelay) != want.IsZero() {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestCheckDelayed(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	for name, ok := range map[string]bool{
		"a": true, "$delayed/5/a": true, "$delayed/x/a": true, "$delayed/5/$delayed/x/a": true,
		"$delayed/99999999999/a": false, "$delayed/5/$delayed/6/a": false,
	} {
		if err := topic.CheckDelayed(name, now); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDelayed(f *testing.F) {
	for _, s := range []string{"$delayed/5/a", "$delayed/99999999999999999999/a", "$delayed/5/$delayed/6/a", "$delayed//", "a"} {
		f.Add(s)
	}
	now := time.Unix(1_700_000_000, 0)
	f.Fuzz(func(t *testing.T, name string) {
		prefix, rest := topic.SplitDelayed(name)
		if prefix+rest != name {
			t.Fatalf("%q was split into %q and %q", name, prefix, rest)
		}
		if prefix == "" {
			return
		}
		if due, err := topic.DelayedUntil(prefix, now); err == nil && due.After(now.Add(topic.MaxDelay)) {
			t.Fatalf("%q is due at %v", name, due)
		}
	})
}

// CompareNames is the order of a Retained.
func TestCompareNames(t *testing.T) {
	t.Parallel()
	x := topic.NewRetained[int]()
	for _, name := range []string{"a", "a/b", "a!", "a!/c", "a//b", "/a", "a/b/c", "a/b!", "b", "a/", "aa"} {
		x.Put(name, 0)
	}
	last := ""
	x.Query("#", func(name string, _ int) bool {
		if last != "" && topic.CompareNames(last, name) >= 0 {
			t.Errorf("%q comes before %q", last, name)
		}
		last = name
		return true
	})
}
