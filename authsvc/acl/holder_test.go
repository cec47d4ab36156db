package acl_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pando-mq/pando/authsvc/acl"
)

func write(t *testing.T, path, src string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
}

var ask = acl.Request{Username: "bob", Action: acl.Publish, Topic: "a"}

func TestOpenRefusesWhatIsNoRuleFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, src := range map[string]string{"empty": "", "bom": "\xef\xbb\xbf{allow, all}.", "half": "{allow, a"} {
		path := filepath.Join(dir, name)
		write(t, path, src)
		if h, err := acl.Open(path); err == nil || h != nil {
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := acl.Open(filepath.Join(dir, "missing")); err == nil {
		t.Error("missing: opened")
	}
	if _, err := acl.Open(dir); err == nil {
		t.Error("a directory: opened")
	}
}

// Hardening case 31: whatever happens to the file, the old rules stay.
func TestReloadKeepsOldRules(t *testing.T) {
	t.Parallel()
	breakages := map[string]func(t *testing.T, path string){
		"removed":   func(t *testing.T, path string) { remove(t, path) },
		"empty":     func(t *testing.T, path string) { write(t, path, "") },
		"bom":       func(t *testing.T, path string) { write(t, path, "\xef\xbb\xbf{allow, all}.") },
		"half":      func(t *testing.T, path string) { write(t, path, "{allow, all}.\n{deny, {us") },
		"directory": func(t *testing.T, path string) { remove(t, path); mkdir(t, path) },
		"dangling link": func(t *testing.T, path string) {
			remove(t, path)
			if err := os.Symlink(path+".gone", path); err != nil {
				t.Fatal(err)
			}
		},
		"too large": func(t *testing.T, path string) {
			if err := os.Truncate(path, 65<<20); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, breakIt := range breakages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "acl.conf")
			write(t, path, `{deny, {user, "bob"}, publish, ["a"]}. {allow, all}.`)
			h, err := acl.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			breakIt(t, path)
			if err := h.Reload(); err == nil || !strings.Contains(err.Error(), path) {
				t.Fatalf("reload: %v, want an error that names the file", err)
			}
			s := h.Status()
			if s.Err == nil || s.Failed.IsZero() || s.Rules != 2 || s.Generation != 1 {
				t.Errorf("status %+v", s)
			}
			if d := h.Rules().Decide(ask); d.Effect != acl.Deny || d.Rule != 0 {
				t.Errorf("decision %+v, want the old denial", d)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestReloadGenerations(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "acl.conf")
	steps := []struct {
		src        string
		generation uint64
		effect     acl.Effect
		ok         bool
	}{
		{"{allow, all}.", 1, acl.Allow, true},
		{"{allow, all}.", 1, acl.Allow, true}, // unchanged
		{"{deny, all}.", 2, acl.Deny, true},
		{"{allow", 2, acl.Deny, false},
		{"{deny, all}.", 2, acl.Deny, true}, // mended: the error is gone
		{"{allow, all}.", 3, acl.Allow, true},
	}
	write(t, path, steps[0].src)
	h, err := acl.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range steps {
		write(t, path, step.src)
		err := h.Reload()
		s := h.Status()
		if (err == nil) != step.ok || (s.Err == nil) != step.ok || s.Generation != step.generation {
			t.Errorf("step %d: error %v, status %+v", i, err, s)
		}
		if got := h.Rules().Decide(ask).Effect; got != step.effect {
			t.Errorf("step %d: %v, want %v", i, got, step.effect)
		}
	}
}

// Readers never see anything but one of the two rule sets while the file is
// replaced (atomically) and reloaded.
func TestConcurrentReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "acl.conf")
	forms := []string{`{deny, {user, "bob"}, publish, ["a"]}. {allow, all}.`, `{deny, all}. {allow, all}.`}
	write(t, path, forms[0])
	h, err := acl.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if d := h.Rules().Decide(ask); d.Effect != acl.Deny {
					t.Errorf("decision %+v during a reload", d)
					return
				}
			}
		})
	}
	for i := range 50 {
		next := filepath.Join(dir, "next")
		write(t, next, forms[i%2])
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
		if err := h.Reload(); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
}
