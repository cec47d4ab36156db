//go:build unix

package boot

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// lines is a log for many goroutines.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// SIGHUP has the file read again: what is hot changes, what is not is named in the log, and a bad file changes nothing.
func TestReloadBySignal(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pando.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("log: {level: error}\n")
	type tree struct{ Common }
	o, c, log := Options{File: file, DataDir: dir, Environ: []string{}}, &tree{}, &lines{}
	if _, err := Load(c, o); err != nil {
		t.Fatal(err)
	}
	p, err := OpenProcess("", &c.Common, log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if _, err := p.ReloadConfig(t.Context()); broker.KindOf(err) != broker.KindUnavailable {
		t.Errorf("asked while it starts: %v", err)
	}
	var used []string
	service, err := p.Reloader(o, func() any { return &tree{} }, func(cfg any) error {
		used = append(used, cfg.(*tree).Log.Level+" "+cfg.(*tree).Node.Name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	hangUp := func(text, want string) {
		t.Helper()
		write(text)
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); !strings.Contains(log.String(), want); {
			if time.Now().After(deadline) {
				t.Fatalf("the log does not say %q:\n%s", want, log)
			}
			<-time.NewTimer(2 * time.Millisecond).C
		}
	}
	hangUp("log: {level: info}\nnode: {name: a@b}\n", "old value stays until the next start\" node=")
	hangUp("log: {level: loud}\n", "was not read again")
	if _, err := p.ReloadConfig(t.Context()); broker.KindOf(err) != broker.KindInvalid {
		t.Errorf("management hears of the mistake as %v", err)
	}
	hangUp("log: {level: info}\n", "nothing changed")
	if err := service.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Level.Level() != "info" || !strings.Contains(log.String(), "key=node.name") || !strings.Contains(log.String(), "key=log.level value=info") {
		t.Errorf("level %s, log:\n%s", p.Level.Level(), log)
	}
	if strings.Join(used, ", ") != "info , info " {
		t.Errorf("used %q: a name that is not hot came through, or a refused file did", used)
	}
}

// Who follows a value that may change gets the present one, and each later one.
func TestLive(t *testing.T) {
	t.Parallel()
	l := NewLive(1)
	var first, second []int
	_ = l.Follow(func(n int) error { first = append(first, n); return nil })
	_ = l.Set(2)
	_ = l.Follow(func(n int) error { second = append(second, n); return nil })
	_ = l.Set(3)
	if len(first) != 2 || first[1] != 2 || len(second) != 2 || second[0] != 2 || second[1] != 3 || l.Get() != 3 {
		t.Errorf("first %v, second %v", first, second)
	}
}
