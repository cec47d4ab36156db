package ops_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pando-mq/pando/services/ops"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server on a free port.
func serve(t *testing.T, d ops.Deps) *ops.Server {
	t.Helper()
	s, err := ops.New(ops.Config{Listen: "127.0.0.1:0"}, d)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// get asks once, without keeping the connection.
func get(t *testing.T, s *ops.Server, path, host string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	if host != "" {
		req.Host = host
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := serve(t, ops.Deps{Registry: ops.NewRegistry("v1.2.3")})
	tests := []struct {
		path, host string
		status     int
		want       string
	}{
		{"/healthz", "", 200, "ok"},
		{"/metrics", "", 200, "go_goroutines "},
		{"/metrics", "", 200, "process_cpu_seconds_total "},
		{"/metrics", "", 200, `pando_build_info{version="v1.2.3"} 1`},
		{"/debug/pprof/", "", 200, "goroutine"},
		{"/debug/pprof/goroutine?debug=1", "", 200, "goroutine profile:"},
		{"/debug/pprof/cmdline", "", 200, "ops.test"},
		{"/nothing", "", 404, ""},
		{"/healthz", "localhost:9880", 200, "ok"},
		{"/healthz", "[::1]:9880", 200, "ok"},
		{"/healthz", "rebound.example:9880", 421, "localhost"},
		{"/healthz", "rebound.example", 421, "localhost"},
	}
	for _, tc := range tests {
		t.Run(tc.path+" "+tc.host, func(t *testing.T) {
			t.Parallel()
			status, body := get(t, s, tc.path, tc.host)
			if status != tc.status || !strings.Contains(body, tc.want) {
				t.Errorf("%d %.200s, want %d and %q", status, body, tc.status, tc.want)
			}
		})
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	s := serve(t, ops.Deps{})
	var routes atomic.Bool
	s.AddCheck("listeners", func(context.Context) error { return nil })
	s.AddCheck("routes", func(context.Context) error {
		if !routes.Load() {
			return errors.New("3 partitions are syncing")
		}
		return nil
	})
	type body struct {
		Ready  bool
		Checks map[string]string
	}
	ask := func(wantStatus int, want body) {
		t.Helper()
		status, text := get(t, s, "/readyz", "")
		var got body
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if status != wantStatus || !reflect.DeepEqual(got, want) {
			t.Errorf("%d %+v, want %d %+v", status, got, wantStatus, want)
		}
	}
	ask(503, body{false, map[string]string{"listeners": "ok", "routes": "3 partitions are syncing"}})
	routes.Store(true)
	ask(200, body{true, map[string]string{"listeners": "ok", "routes": "ok"}})
	s.AddCheck("drain", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	ask(503, body{false, map[string]string{"listeners": "ok", "routes": "ok", "drain": "context deadline exceeded"}})
}

func TestConfigRefusesRemote(t *testing.T) {
	t.Parallel()
	tests := []struct {
		listen string
		remote bool
		ok     bool
	}{
		{"127.0.0.1:9880", false, true},
		{"127.8.8.8:0", false, true},
		{"[::1]:9880", false, true},
		{"localhost:9880", false, true},
		{"0.0.0.0:9880", false, false},
		{":9880", false, false},
		{"[::]:9880", false, false},
		{"10.0.0.1:9880", false, false},
		{"[::ffff:10.0.0.1]:9880", false, false},
		{"example.org:9880", false, false},
		{"0.0.0.0:9880", true, true},
		{"127.0.0.1", true, false},
		{"127.0.0.1:", true, false},
	}
	for _, tc := range tests {
		t.Run(tc.listen, func(t *testing.T) {
			t.Parallel()
			_, err := ops.New(ops.Config{Listen: tc.listen, AllowRemote: tc.remote}, ops.Deps{})
			if (err == nil) != tc.ok || (err != nil && !strings.Contains(err.Error(), "ops.listen")) {
				t.Errorf("error %v, want ok %v", err, tc.ok)
			}
		})
	}
	if err := ops.Default().Validate(); err != nil {
		t.Errorf("default: %v", err)
	}
}

func TestStartRefusesATakenPort(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := ops.New(ops.Config{Listen: l.Addr().String()}, ops.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("error %v, want the address", err)
	}
}

func TestStopCutsSlowRequests(t *testing.T) {
	t.Parallel()
	s, err := ops.New(ops.Config{Listen: "127.0.0.1:0"}, ops.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	s.AddCheck("slow", func(ctx context.Context) error { close(asked); <-ctx.Done(); return ctx.Err() })
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() {
		res, err := http.Get("http://" + s.Addr() + "/readyz")
		if err == nil {
			err = res.Body.Close()
		}
		answer <- err
	}()
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop: %v, want a deadline", err)
	}
	if err := <-answer; err == nil {
		t.Error("the request was answered, want it cut")
	}
}
