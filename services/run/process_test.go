//go:build unix

package run_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/run"
)

// The tests start their own binary again as the other process. The argument
// names what it does.
const asChild = "PANDO_RUN_TEST_CHILD"

func TestMainHelperProcess(t *testing.T) {
	path := os.Getenv(asChild + "_PID")
	switch os.Getenv(asChild) {
	case "serve":
		run.Main(func(ctx context.Context) error {
			p, err := run.LockPid(path)
			if err != nil {
				return err
			}
			fmt.Println("child is up")
			<-ctx.Done()
			fmt.Println("child drains")
			return p.Close()
		})
	case "deaf":
		run.Main(func(context.Context) error {
			if _, err := run.LockPid(path); err != nil {
				return err
			}
			select {} // never drains: only a second signal or a kill ends it
		})
	case "broken":
		run.Main(func(context.Context) error { return errors.New("the port is taken") })
	case "chatty":
		run.Main(func(context.Context) error {
			for n := range 500 {
				fmt.Println("line", n, "of a log")
			}
			return run.WithCode(run.CodeUsage, errors.New("the key is wrong"))
		})
	}
}

func child(what, dir string) run.Daemon {
	path := filepath.Join(dir, "pando.pid")
	return run.Daemon{
		Args: []string{"-test.run=^TestMainHelperProcess$"},
		// Without the race detector's pause, the child ends when its main does.
		Env:     append(os.Environ(), asChild+"="+what, asChild+"_PID="+path, "GORACE=atexit_sleep_ms=0"),
		LogFile: filepath.Join(dir, "log", "pando.log"),
		Ready:   func(context.Context) error { _, err := run.Running(path); return err },
	}
}

func deadline(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestDaemonLife(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "pando.pid")
	ctx := deadline(t, 30*time.Second)
	pid, err := run.StartDaemon(ctx, child("serve", dir))
	if err != nil {
		t.Fatal(err)
	}
	waitPid(t, path, pid)

	_, err = run.LockPid(path)
	var running *run.RunningError
	if !errors.As(err, &running) || running.Pid != pid || run.Code(err) != run.CodeRunning {
		t.Errorf("second lock: %v, want a RunningError of process %d", err, pid)
	}
	if _, err := run.StartDaemon(ctx, brokenBy("serve", dir)); err == nil || !strings.Contains(err.Error(), fmt.Sprint("already running as process ", pid)) {
		t.Errorf("second daemon: %v, want the first one's refusal quoted", err)
	}

	if err := run.Shutdown(ctx, path); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Running(path); !errors.Is(err, run.ErrNotRunning) {
		t.Errorf("after the stop: %v, want ErrNotRunning", err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "log", "pando.log"))
	if err != nil || !strings.Contains(string(log), "child drains") {
		t.Errorf("log %q (%v), want a drain", log, err)
	}
	if err := run.Shutdown(ctx, path); !errors.Is(err, run.ErrNotRunning) {
		t.Errorf("stop of nothing: %v, want ErrNotRunning", err)
	}
}

// brokenBy is a daemon that cannot become ready.
func brokenBy(what, dir string) run.Daemon {
	d := child(what, dir)
	d.Ready = func(context.Context) error { return errors.New("not yet") }
	return d
}

// waitPid waits until the holder has written its id.
func waitPid(t *testing.T, path string, want int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx := deadline(t, 20*time.Second); ; {
		pid, err := run.Running(path)
		if err == nil && pid == want {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("running: %d, %v, want %d", pid, err, want)
		}
	}
}

func TestDaemonThatDiesIsQuoted(t *testing.T) {
	t.Parallel()
	_, err := run.StartDaemon(deadline(t, 30*time.Second), brokenBy("broken", t.TempDir()))
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "the port is taken") {
		t.Errorf("error %v, want the exit status and the reason", err)
	}
}

// The quoted end of a long log begins with a whole line, and the daemon's exit code is handed on.
func TestEndOfLongLog(t *testing.T) {
	t.Parallel()
	_, err := run.StartDaemon(deadline(t, 30*time.Second), brokenBy("chatty", t.TempDir()))
	if run.Code(err) != run.CodeUsage {
		t.Errorf("exit code %d, want that of the daemon, %d", run.Code(err), run.CodeUsage)
	}
	_, quoted, _ := strings.Cut(fmt.Sprint(err), "says:\n")
	if !strings.HasPrefix(quoted, "line ") || strings.HasPrefix(quoted, "line 0 ") || !strings.Contains(quoted, "the key is wrong") {
		t.Errorf("quoted %q, want whole lines of the end", quoted)
	}
}

func TestKillLeavesNoLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "pando.pid")
	pid, err := run.StartDaemon(deadline(t, 30*time.Second), child("deaf", dir))
	if err != nil {
		t.Fatal(err)
	}
	waitPid(t, path, pid)
	if err := run.Shutdown(deadline(t, 200*time.Millisecond), path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop of a deaf process: %v, want a deadline", err)
	}
	if err := run.Kill(pid); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx := deadline(t, 20*time.Second); ; {
		if _, err := run.Running(path); errors.Is(err, run.ErrNotRunning) {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the lock outlived its process")
		}
	}
	if text, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(text)) != fmt.Sprint(pid) {
		t.Errorf("stale file %q (%v), want the old id %d", text, err, pid)
	}
	p, err := run.LockPid(path)
	if err != nil {
		t.Fatalf("lock over a stale file: %v", err)
	}
	if got, err := run.Running(path); err != nil || got != os.Getpid() {
		t.Errorf("running %d, %v, want this process", got, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestRunningWithoutFile(t *testing.T) {
	t.Parallel()
	if _, err := run.Running(filepath.Join(t.TempDir(), "none.pid")); !errors.Is(err, run.ErrNotRunning) {
		t.Errorf("error %v, want ErrNotRunning", err)
	}
}
