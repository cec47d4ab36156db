package emq_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/config/emq"
)

// TestEveryKeyIsAnswered walks every key of the reference and of the seed's
// examples: alone in an emq.conf it yields a value of the layer or a notice
// that names it, and never an error.
func TestEveryKeyIsAnswered(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	settings, problems := emq.Parse("keys.txt", text)
	if err := problems.ErrorOrNil(); err != nil || len(settings) < 500 {
		t.Fatalf("%d keys, %v", len(settings), err)
	}
	dir := t.TempDir()
	for _, s := range settings {
		conf := filepath.Join(dir, "emq.conf")
		write(t, conf, s.Key+" = "+s.Value)
		layer, notices, err := emq.Read(conf, nil)
		if err != nil {
			t.Errorf("%s: %v", s.Key, err)
			continue
		}
		effective := slices.ContainsFunc(layer.Entries, func(e config.Entry) bool { return e.Origin.Line == 1 && e.Value != nil })
		answered := slices.ContainsFunc(notices, func(n emq.Notice) bool { return slices.Contains(n.Keys, s.Key) && n.Text != "" })
		if !effective && !answered {
			t.Errorf("%s neither takes effect nor is answered", s.Key)
		}
	}
}

// TestEveryKeyHasOneEntry checks the table itself.
func TestEveryKeyHasOneEntry(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, e := range emq.Table() {
		if seen[e.Pattern] {
			t.Errorf("%s has two entries", e.Pattern)
		}
		seen[e.Pattern] = true
		if count(e.To != "", e.Owner != "", e.Note != "") != 1 && !strings.HasPrefix(e.Pattern, "mqtt.plugins.") {
			t.Errorf("%s: a key takes effect, waits or is answered: %+v", e.Pattern, e)
		}
	}
	text, err := os.ReadFile("testdata/keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	settings, _ := emq.Parse("keys.txt", text)
	for _, s := range settings {
		var matching []string
		for pattern := range seen {
			if matches(pattern, s.Key) {
				matching = append(matching, pattern)
			}
		}
		if len(matching) > 1 {
			t.Errorf("%s has the entries %v", s.Key, matching)
		}
	}
	for _, to := range emq.Targets() {
		if last := to[strings.LastIndexByte(to, '.')+1:]; !strings.Contains(string(doc), last) {
			t.Errorf("the package documentation does not say that %s is set", to)
		}
	}
}

func count(conditions ...bool) int {
	n := 0
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

// matches compares a pattern with a key part by part.
func matches(pattern, key string) bool {
	p, k := strings.Split(pattern, "."), strings.Split(key, ".")
	return slices.EqualFunc(p, k, func(a, b string) bool { return a == b || a[0] == '<' })
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
