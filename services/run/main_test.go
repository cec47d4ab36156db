package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
)

func TestSupervise(t *testing.T) {
	t.Parallel()
	untilCancelled := func(ctx context.Context) error { <-ctx.Done(); return nil }
	tests := []struct {
		name    string
		fn      func(context.Context) error
		signals int
		code    int
		stderr  string
	}{
		{"done", func(context.Context) error { return nil }, 0, CodeOK, ""},
		{"error", func(context.Context) error { return errors.New("boom") }, 0, CodeFailure, "boom"},
		{"error with code", func(context.Context) error { return fmt.Errorf("x: %w", WithCode(CodeUsage, errors.New("bad flag"))) }, 0, CodeUsage, "bad flag"},
		{"silent", func(context.Context) error { return WithCode(CodeNotRunning, ErrSilent) }, 0, CodeNotRunning, ""},
		{"another one runs", func(context.Context) error { return fmt.Errorf("start: %w", &RunningError{"p", 7}) }, 0, CodeRunning, "process 7"},
		{"first signal drains", untilCancelled, 1, CodeOK, ""},
		{"second signal forces", nil, 2, CodeForced, "without draining"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.code == CodeForced {
				release := make(chan struct{})
				t.Cleanup(func() { close(release) })
				tc.fn = func(context.Context) error { <-release; return nil }
			}
			signals := make(chan os.Signal, 2)
			for range tc.signals {
				signals <- syscall.SIGTERM
			}
			var stderr bytes.Buffer
			if code := supervise(tc.fn, signals, &stderr); code != tc.code {
				t.Errorf("code %d, want %d", code, tc.code)
			}
			if got := stderr.String(); !strings.Contains(got, tc.stderr) || (tc.stderr == "") != (got == "") {
				t.Errorf("standard error %q, want %q", got, tc.stderr)
			}
		})
	}
}

func TestSuperviseNamesTheSignal(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	var cause error
	supervise(func(ctx context.Context) error { <-ctx.Done(); cause = context.Cause(ctx); return nil }, signals, &bytes.Buffer{})
	if !errors.Is(cause, ErrSignal) || !strings.Contains(cause.Error(), "terminated") {
		t.Errorf("cause %v", cause)
	}
}

func TestWithCodeKeepsNil(t *testing.T) {
	t.Parallel()
	if err := WithCode(CodeUsage, nil); err != nil {
		t.Errorf("error %v", err)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	vcs := func(modified string) []debug.BuildSetting {
		return []debug.BuildSetting{{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.modified", Value: modified}}
	}
	tests := []struct {
		name, linked string
		info         *debug.BuildInfo
		want         string
	}{
		{"linker", "v1.2.3", &debug.BuildInfo{Main: debug.Module{Version: "v9"}}, "v1.2.3"},
		{"installed", "", &debug.BuildInfo{Main: debug.Module{Version: "v1.0.0"}}, "v1.0.0"},
		{"clean tree", "", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: vcs("false")}, "devel-0123456789ab"},
		{"dirty tree", "", &debug.BuildInfo{Settings: vcs("true")}, "devel-0123456789ab+dirty"},
		{"nothing known", "", &debug.BuildInfo{}, "devel"},
		{"no build info", "", nil, "devel"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := describe(tc.linked, tc.info); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
