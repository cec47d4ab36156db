package flood_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pando-mq/pando/deploy/diff"
	"github.com/pando-mq/pando/deploy/flood"
)

var program = flag.String("program", "", "pando, if it is built already")

const (
	witnesses = 100
	budget    = 512 << 20 // resident memory under every flood, bytes
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

// peak is the largest resident memory a process had, in bytes, and starts the next measurement.
func peak(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0) // where that is not allowed the peak is that of all floods so far
	for line := range strings.Lines(string(text)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	t.Fatal("the system does not tell VmHWM")
	return 0
}

// TestFloods: while others flood the process its witnesses are served, and its memory is bounded. Whether they are served as fast as before depends on the
// machine, which runs the flood too: with two processors the ratio is printed, not asserted.
func TestFloods(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := diff.StartPando(ctx, build(t), t.TempDir(), "auth:\n  allow_anonymous: true\n")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = s.Stop(ctx)
	}()
	w, err := flood.Connect(ctx, s.Addr, witnesses)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	alone, err := w.Measure(length)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("alone: p99 %s, peak of resident memory %d MiB", alone.Quantile(0.99), peak(t, s.Pid())>>20)
	for _, f := range flood.Floods() {
		during(t, s, w, f, alone)
	}
}

// during measures one flood.
func during(t *testing.T, s *diff.Server, w *flood.Witnesses, f flood.Flood, alone flood.Times) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var done atomic.Int64
	over := make(chan struct{})
	go func() { defer close(over); f.Run(ctx, s.Addr, &done) }()
	times, err := w.Measure(length)
	rate := float64(done.Load()) / length.Seconds()
	stop()
	<-over
	if err != nil {
		t.Errorf("%s: %v", f.Name, err)
	}
	rss := peak(t, s.Pid())
	before, p99 := alone.Quantile(0.99), times.Quantile(0.99)
	t.Logf("%s: %.0f/s %s; witnesses: %d round trips, p50 %s, p99 %s (%.1f times that alone); peak of resident memory %d MiB of %d",
		f.Name, rate, f.Unit, len(times), times.Quantile(0.5), p99, float64(p99)/float64(before), rss>>20, int64(budget)>>20)
	if rss > budget {
		t.Errorf("%s: %d MiB resident, the budget is %d", f.Name, rss>>20, int64(budget)>>20)
	}
	if f.Most > 0 && rate > f.Most {
		t.Errorf("%s: %.1f/s, want at most %.1f: the server slows it down", f.Name, rate, f.Most)
	}
	if done.Load() == 0 {
		t.Errorf("%s: it did nothing", f.Name)
	}
}
