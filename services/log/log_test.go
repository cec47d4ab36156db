package log_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/log"
)

func TestFormats(t *testing.T) {
	t.Parallel()
	tests := []struct {
		format string
		check  func(t *testing.T, line []byte)
	}{
		{"text", func(t *testing.T, line []byte) {
			for _, want := range []string{"level=warn", `msg="lease is late"`, "node=pando@a", "duration=1.5s"} {
				if !strings.Contains(string(line), want) {
					t.Errorf("line %s lacks %s", line, want)
				}
			}
		}},
		{"json", func(t *testing.T, line []byte) {
			var got map[string]any
			if err := json.Unmarshal(line, &got); err != nil {
				t.Fatal(err)
			}
			for key, want := range map[string]any{"level": "warn", "msg": "lease is late", "node": "pando@a", "duration": "1.5s"} {
				if got[key] != want {
					t.Errorf("%s is %v, want %v", key, got[key], want)
				}
			}
		}},
	}
	for _, tc := range tests {
		t.Run(tc.format, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			c := log.Default()
			c.Format = tc.format
			l, err := log.Open(c, &out, slog.String(log.KeyNode, "pando@a"))
			if err != nil {
				t.Fatal(err)
			}
			l.Logger().Warn("lease is late", log.KeyDuration, 1500*time.Millisecond)
			tc.check(t, out.Bytes())
		})
	}
}

func TestLevelIsDynamic(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l, err := log.Open(log.Default(), &out)
	if err != nil {
		t.Fatal(err)
	}
	derived := l.Logger().With(log.KeyService, "router")
	derived.Debug("hidden")
	if err := l.SetLevel("debug"); err != nil || l.Level() != "debug" {
		t.Fatalf("level %s, %v", l.Level(), err)
	}
	derived.Debug("shown")
	if got := out.String(); strings.Contains(got, "hidden") || !strings.Contains(got, "shown") {
		t.Errorf("written: %s", got)
	}
	if err := l.SetLevel("loud"); err == nil || l.Level() != "debug" {
		t.Errorf("level %s after a bad one, %v", l.Level(), err)
	}
}

func TestFileIsAppended(t *testing.T) {
	t.Parallel()
	c := log.Default()
	c.File = filepath.Join(t.TempDir(), "pando.log")
	for _, msg := range []string{"first life", "second life"} {
		var out bytes.Buffer
		l, err := log.Open(c, &out)
		if err != nil {
			t.Fatal(err)
		}
		l.Logger().Info(msg)
		if err := l.Close(); err != nil || out.Len() > 0 {
			t.Errorf("close: %v, written beside the file: %s", err, &out)
		}
	}
	got, err := os.ReadFile(c.File)
	if err != nil || !regexp.MustCompile(`(?s)first life.*second life`).Match(got) {
		t.Errorf("file %q, %v", got, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		config log.Config
		want   string
	}{
		{"level", log.Config{Level: "loud", Format: "text"}, "log.level"},
		{"format", log.Config{Level: "info", Format: "xml"}, "log.format"},
		{"file", log.Config{Level: "info", Format: "text", File: filepath.Join(t.TempDir(), "no", "dir")}, "log.file"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, err := log.Open(tc.config, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		th := log.NewThrottle(slog.New(slog.NewTextHandler(&out, nil)), 2)
		count := func(what string) int { return strings.Count(out.String(), what) }
		for range 5 {
			th.Warn(t.Context(), "queue full", log.KeyClientID, "a")
		}
		th.Warn(t.Context(), "other")
		if count("queue full") != 2 || count("msg=other") != 1 || count("suppressed") != 0 || th.Suppressed() != 3 {
			t.Errorf("first second: %d suppressed\n%s", th.Suppressed(), &out)
		}
		time.Sleep(time.Second)
		out.Reset()
		th.Warn(t.Context(), "queue full")
		th.Warn(t.Context(), "queue full")
		th.Warn(t.Context(), "other")
		if count("queue full") != 2 || count("suppressed=3") != 1 || count("suppressed") != 1 {
			t.Errorf("second second:\n%s", &out)
		}
	})
}

func TestThrottleIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		th := log.NewThrottle(slog.New(slog.NewTextHandler(&out, nil)), 1)
		for i := range 2000 {
			th.Warn(t.Context(), fmt.Sprint("message ", i))
		}
		if got := strings.Count(out.String(), "\n"); got != 1025 {
			t.Errorf("%d lines, want 1024 messages and one for all others", got)
		}
	})
}

// TestKeys keeps the list tidy: snake_case, each value once, each key commented.
func TestKeys(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(token.NewFileSet(), "key.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Error(err)
		}
		if name := spec.Names[0].Name; !strings.HasPrefix(spec.Comment.Text(), name+": ") {
			t.Errorf("%s has no comment that begins with its name", name)
		}
		if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(value) || slices.Contains(values, value) {
			t.Errorf("key %q is not snake_case or stands twice", value)
		}
		values = append(values, value)
		return true
	})
	if len(values) < 30 {
		t.Errorf("only %d keys were read", len(values))
	}
}
