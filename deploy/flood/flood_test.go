package flood_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
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

func TestMain(m *testing.M) {
	if !flood.Main() {
		os.Exit(m.Run())
	}
}

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

// prefer gives a process priority over other work on the machine, where that is allowed: it is no part of what is compared.
func prefer(pid int) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, thread := range threads { // those they start inherit it
		if id, err := strconv.Atoi(filepath.Base(thread)); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, id, -15)
		}
	}
}

// median is the median of the witnesses' p99 in each of the windows.
func median(windows []flood.Times) time.Duration {
	p99s := make([]time.Duration, 0, len(windows))
	for _, w := range windows {
		p99s = append(p99s, w.Quantile(0.99))
	}
	slices.Sort(p99s)
	return p99s[len(p99s)/2]
}

// attack is one server under attack and its witnesses.
type attack struct {
	*testing.T
	server    *diff.Server
	witnesses *flood.Witnesses
}

// TestFloods: while others flood the process its witnesses are served as before, and its memory is bounded. What the witnesses' p99 is compared with is
// measured before and after each flood, in windows, and the medians are compared: other work on the machine comes and goes. The full run asserts it; windows
// of the short one hold too few round trips for a p99.
func TestFloods(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	settings := fmt.Sprintf("auth:\n  allow_anonymous: true\n  users: [{username: %s, password: %q}]\n", flood.User, flood.Password)
	s, err := diff.StartPando(ctx, build(t), t.TempDir(), settings)
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
	prefer(s.Pid())
	prefer(os.Getpid())
	a := &attack{t, s, w}
	before := a.measure("alone", windows/2)
	for i, f := range flood.Floods() {
		before = a.during(i, f, before)
	}
}

// measure lets the witnesses send for n windows.
func (a *attack) measure(name string, n int) (all []flood.Times) {
	a.Helper()
	for range n {
		times, err := a.witnesses.Measure(window)
		if err != nil {
			a.Fatalf("%s: %v", name, err)
		}
		all = append(all, times)
	}
	return all
}

// during measures one flood, and what is without one after it.
func (a *attack) during(i int, f flood.Flood, before []flood.Times) (after []flood.Times) {
	a.Helper()
	peak(a.T, a.server.Pid())
	begin := time.Now()
	p, err := flood.Start(i, a.server.Addr)
	if err != nil {
		a.Fatal(err)
	}
	with := a.measure(f.Name, windows)
	seconds := time.Since(begin).Seconds()
	tried, done, err := p.Stop()
	if err != nil {
		a.Errorf("%s: %v", f.Name, err)
	}
	rss := peak(a.T, a.server.Pid())
	a.measure("what the flood left behind", 1) // not counted
	after = a.measure("alone", windows/2)
	alone, p99 := median(slices.Concat(before, after)), median(with)
	ratio, rate, let := float64(p99)/float64(alone), float64(tried)/seconds, float64(done)/seconds
	a.Logf("%s, %.0f/s %s for %.0f s (%.0f/s were made, %.1f/s let through): witnesses' p99 %s, alone %s, %.1f times; peak of resident memory %d MiB of %d",
		f.Name, f.Rate, f.Unit, seconds, rate, let, p99, alone, ratio, rss>>20, int64(budget)>>20)
	if rss > budget {
		a.Errorf("%s: %d MiB resident, the budget is %d", f.Name, rss>>20, int64(budget)>>20)
	}
	if f.Most > 0 && let > f.Most {
		a.Errorf("%s: %.1f/s were let through, want at most %.1f: the server slows it down", f.Name, let, f.Most)
	}
	if full && ratio > f.Slower {
		a.Errorf("%s: the witnesses' p99 is %.1f times that without a flood, want at most %.0f", f.Name, ratio, f.Slower)
	}
	if tried == 0 || full && rate < f.Rate/2 {
		a.Errorf("%s: %.0f/s were made of %.0f", f.Name, rate, f.Rate)
	}
	return after
}
