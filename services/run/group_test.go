package run_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/pando-mq/pando/services/run"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// diary records what happened, in order.
type diary struct {
	mu    sync.Mutex // guards lines
	lines []string
}

func (d *diary) add(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) want(t *testing.T, want ...string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.lines, want) {
		t.Errorf("happened %q, want %q", d.lines, want)
	}
}

func (d *diary) service(name string) run.Func {
	return run.Func{
		OnStart: func(context.Context) error { d.add("start %s", name); return nil },
		OnStop:  func(context.Context) error { d.add("stop %s", name); return nil },
	}
}

// mortal is a service that reports its death on a channel.
type mortal struct {
	run.Func
	failed chan error
}

func (m mortal) Failed() <-chan error { return m.failed }

func TestGroupStartsInOrderAndDrainsInReverse(t *testing.T) {
	t.Parallel()
	var d diary
	ctx, cancel := context.WithCancel(t.Context())
	g := run.NewGroup(run.Options{})
	g.Add("a", d.service("a"))
	g.Add("b", d.service("b"))
	g.Add("ready", run.Func{OnStart: func(context.Context) error { d.add("ready"); cancel(); return nil }})
	if err := g.Run(ctx); err != nil {
		t.Fatal(err)
	}
	d.want(t, "start a", "start b", "ready", "stop b", "stop a")
}

func TestGroupStartFailureDrainsOnlyWhatStarted(t *testing.T) {
	t.Parallel()
	var d diary
	broken := errors.New("no disk")
	g := run.NewGroup(run.Options{})
	g.Add("a", d.service("a"))
	g.Add("b", run.Func{
		OnStart: func(context.Context) error { return broken },
		OnStop:  func(context.Context) error { d.add("stop b"); return nil },
	})
	g.Add("c", d.service("c"))
	err := g.Run(t.Context())
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "start b") {
		t.Errorf("error %v, want it to name b and wrap %v", err, broken)
	}
	d.want(t, "start a", "stop a")
}

func TestGroupFailureOfOneDrainsAll(t *testing.T) {
	t.Parallel()
	var d diary
	dead := errors.New("listener broke")
	m := mortal{d.service("m"), make(chan error, 1)}
	quiet := mortal{d.service("quiet"), make(chan error)}
	close(quiet.failed)
	g := run.NewGroup(run.Options{})
	g.Add("quiet", quiet)
	g.Add("m", m)
	g.Add("last", run.Func{OnStart: func(context.Context) error { m.failed <- dead; return nil }})
	err := g.Run(t.Context())
	if !errors.Is(err, dead) || !strings.Contains(err.Error(), "service m failed") {
		t.Errorf("error %v, want it to name m and wrap %v", err, dead)
	}
	d.want(t, "start quiet", "start m", "stop m", "stop quiet")
}

func TestGroupInterruptedStartIsNoFailure(t *testing.T) {
	t.Parallel()
	var d diary
	ctx, cancel := context.WithCancel(t.Context())
	g := run.NewGroup(run.Options{})
	g.Add("a", d.service("a"))
	g.Add("slow", run.Func{OnStart: func(ctx context.Context) error { cancel(); <-ctx.Done(); return ctx.Err() }})
	g.Add("c", d.service("c"))
	if err := g.Run(ctx); err != nil {
		t.Errorf("error %v, want none", err)
	}
	d.want(t, "start a", "stop a")
}

func TestGroupTimeouts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		slow   run.Func
		want   string
		took   time.Duration
		stopAt bool // the context ends once all are ready
	}{
		{"start is cut at its deadline", run.Func{OnStart: obedient}, "start slow", 3 * time.Second, false},
		{"stop is cut at its deadline", run.Func{OnStop: obedient}, "stop slow", 2 * time.Second, true},
		{"a stop that ignores its context is left behind", run.Func{OnStop: deaf}, "left behind", 3 * time.Second, true},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var d diary
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				g := run.NewGroup(run.Options{StartTimeout: 3 * time.Second, StopTimeout: 2 * time.Second})
				g.Add("first", d.service("first"))
				g.Add("slow", tc.slow)
				if tc.stopAt {
					g.Add("end", run.Func{OnStart: func(context.Context) error { cancel(); return nil }})
				}
				begin := time.Now()
				err := g.Run(ctx)
				if err == nil || !strings.Contains(err.Error(), tc.want) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want a deadline and %q", err, tc.want)
				}
				if took := time.Since(begin); took != tc.took {
					t.Errorf("took %v, want %v", took, tc.took)
				}
				d.want(t, "start first", "stop first")
				time.Sleep(time.Minute) // let the deaf one end inside the bubble
			})
		})
	}
}

func obedient(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func deaf(context.Context) error {
	time.Sleep(30 * time.Second) // fake time of the test's bubble
	return nil
}

// Ready comes once, when everything has started.
func TestGroupTellsWhenAllAreReady(t *testing.T) {
	t.Parallel()
	var d diary
	ctx, cancel := context.WithCancel(t.Context())
	g := run.NewGroup(run.Options{Ready: func() { d.add("ready"); cancel() }})
	g.Add("a", d.service("a"))
	g.Add("b", d.service("b"))
	if err := g.Run(ctx); err != nil {
		t.Fatal(err)
	}
	d.want(t, "start a", "start b", "ready", "stop b", "stop a")
}
