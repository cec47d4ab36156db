package diff_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/deploy/diff"
)

var (
	seed      = flag.Uint64("seed", 1, "seed of the sequences")
	first     = flag.Uint64("first", 0, "number of the first sequence")
	limit     = flag.Duration("limit", 5*time.Second, "how long Pando may take to say what mosquitto said")
	retries   = flag.Int("retries", 2, "how often a sequence that differs is tried again, slowly")
	program   = flag.String("program", "", "pando, if it is built already")
	sequences = flag.Int("sequences", 400, "how many")
)

// build makes pando.
func build(t *testing.T) string {
	t.Helper()
	if *program != "" {
		return *program
	}
	file := filepath.Join(t.TempDir(), "pando")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", file, "../cmd/pando")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return file
}

// stop ends a server and shows its log if the test failed.
func stop(t *testing.T, s *diff.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_ = s.Stop(ctx)
	if text, _ := os.ReadFile(s.Log); t.Failed() {
		t.Logf("end of %s:\n%s", s.Log, text[max(0, len(text)-4000):])
	}
}

// TestMosquittoSaysTheSame: whatever clients send, Pando answers like mosquitto, except for what the table names.
func TestMosquittoSaysTheSame(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	theirs, err := diff.StartMosquitto(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, theirs)
	ours, err := diff.StartPando(ctx, build(t), t.TempDir(), diff.Settings())
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, ours)
	begin := time.Now()
	r, err := diff.Run(t.Context(), diff.Options{
		Seed: *seed, First: *first, Sequences: *sequences, Workers: 4, Limit: *limit, Retries: *retries, Pando: ours.Addr, Mosquitto: theirs.Addr, Table: diff.Table(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %d: %d sequences, %d steps, %d tried again, %d failed, in %s", *seed, r.Sequences, r.Steps, r.Repeated, r.Failed, time.Since(begin).Round(time.Millisecond))
	for _, f := range r.Failures {
		t.Error(f)
	}
	var hits strings.Builder
	for _, h := range r.Hits {
		fmt.Fprintf(&hits, "%7d %s\n", h.Count, h.Entry)
		if h.Count == 0 && *sequences >= 10000 {
			t.Errorf("an entry that matches nothing: %s", h.Entry)
		}
	}
	t.Logf("intended differences:\n%s", &hits)
}
