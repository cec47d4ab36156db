package gatewaymqtt

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/transport"
)

// shared is a log that is written and read by several goroutines.
type shared struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestFilesAreLookedAt: a changed file is read without being asked; one that cannot be read is named once, however often it is looked at.
func TestFilesAreLookedAt(t *testing.T) {
	t.Parallel()
	cert, key, _, _, err := transport.EnsureCA(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var log shared
		g := &Gateway{cfg: DefaultConfig(), log: slog.New(slog.NewTextHandler(&log, nil))}
		cfg := DefaultListener()
		cfg.Kind, cfg.Bind, cfg.TLS.CertFile, cfg.TLS.KeyFile = "ssl", "127.0.0.1:0", cert, key
		l, err := newListener(g, "plant", cfg, Certificate{})
		if err != nil {
			t.Fatal(err)
		}
		g.listeners = []*listener{l}
		g.watch.start(g)
		look := func() (read, broken int) {
			<-time.After(3*lookEvery + time.Second)
			synctest.Wait()
			return strings.Count(log.String(), "were read again"), strings.Count(log.String(), "cannot be used")
		}
		if read, broken := look(); read != 0 || broken != 0 {
			t.Errorf("nothing changed:\n%s", log.String())
		}
		if err := os.Remove(cert); err != nil {
			t.Fatal(err)
		}
		if read, broken := look(); read != 0 || broken != 1 {
			t.Errorf("without the file:\n%s", log.String())
		}
		if err := os.WriteFile(cert, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if read, broken := look(); read != 1 || broken != 1 || !strings.Contains(log.String(), "plant") {
			t.Errorf("with the file again:\n%s", log.String())
		}
		g.watch.stop()
	})
}
