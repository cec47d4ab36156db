package mgmtapi_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	mgmtapi "github.com/pando-mq/pando/mgmt-api"
	"github.com/pando-mq/pando/mgmt-api/account"
	"github.com/pando-mq/pando/mgmt-api/door"
	"github.com/pando-mq/pando/mgmt-api/fleet/fleettest"
	"github.com/pando-mq/pando/services/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deps of a server on an empty suite, with its data in a directory of the test.
func deps(t *testing.T) mgmtapi.Deps {
	s := fleettest.New(t)
	return mgmtapi.Deps{
		Cluster: s.Cluster, Gateways: s.GatewayOf, Stores: s.StoreOf, Routers: s.RouterOf, Processes: s.ProcessOf, Auth: s.Auth, DataDir: filepath.Join(t.TempDir(), "data"),
		Status: func() (string, bool) { return "Node n is started\nemqttd is running", true },
	}
}

func local() mgmtapi.Config {
	c := mgmtapi.Default()
	c.Listen = "127.0.0.1:0"
	return c
}

func start(t *testing.T, c mgmtapi.Config, d mgmtapi.Deps) *mgmtapi.Server {
	t.Helper()
	s, err := mgmtapi.New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		select {
		case err := <-s.Failed():
			t.Errorf("failed: %v", err)
		default:
		}
	})
	return s
}

// get asks REST and gives the status.
func get(t *testing.T, s *mgmtapi.Server, path, user, password string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.Addr().String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestFirstStartAnnouncesAPassword(t *testing.T) {
	t.Parallel()
	d := deps(t)
	var said []string
	d.Announce = func(s string) { said = append(said, s) }
	s := start(t, local(), d)
	if len(said) != 1 || !strings.Contains(said[0], `"admin"`) {
		t.Fatalf("announced %q", said)
	}
	_, rest, _ := strings.Cut(said[0], "password ")
	password, _, _ := strings.Cut(rest, " ")
	if status, _ := get(t, s, "/api/v2/management/nodes", "admin", password); status != 200 {
		t.Errorf("the announced password: %d", status)
	}
	if status, _ := get(t, s, "/api/v2/management/nodes", "admin", "public"); status != 401 {
		t.Errorf("the seed's password: %d", status)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := start(t, local(), d); len(said) != 1 {
		t.Errorf("announced again: %q", said)
	} else if status, _ := get(t, again, "/api/v2/management/nodes", "admin", password); status != 200 {
		t.Errorf("after a restart: %d", status)
	}
}

// A process that nobody watches leaves the password in a file of its own, and never in its log.
func TestFirstStartOfADaemonKeepsThePasswordInAFile(t *testing.T) {
	t.Parallel()
	d := deps(t)
	var said strings.Builder
	d.Announce, d.Log = nil, slog.New(slog.NewTextHandler(&said, nil))
	s := start(t, local(), d)
	file := filepath.Join(d.DataDir, "mgmt-admin.password")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	password, err := account.TakePassword(d.DataDir)
	if err != nil || password == "" {
		t.Fatalf("%q, %v", password, err)
	}
	if status, _ := get(t, s, "/api/v2/management/nodes", "admin", password); status != 200 {
		t.Errorf("the kept password: %d", status)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if text := said.String(); strings.Contains(text, password) || !strings.Contains(text, file) {
		t.Errorf("the log: %s", text)
	}
	if again, err := account.TakePassword(d.DataDir); again != "" || err != nil {
		t.Errorf("taken twice: %q, %v", again, err)
	}
}

func TestConfiguredAdministratorsReplaceTheGenerated(t *testing.T) {
	t.Parallel()
	d, c := deps(t), local()
	d.Announce = func(s string) { t.Errorf("announced %q", s) }
	c.Administrators = map[string]mgmtapi.Administrator{"ann": {Password: config.NewSecret("pw")}}
	s := start(t, c, d)
	for _, who := range []struct {
		user, password string
		want           int
	}{{"ann", "pw", 200}, {"ann", "no", 401}, {"admin", "pw", 401}, {"", "", 401}} {
		if status, _ := get(t, s, "/api/v2/management/nodes", who.user, who.password); status != who.want {
			t.Errorf("%v: %d", who, status)
		}
	}
	if files, err := os.ReadDir(d.DataDir); err != nil || len(files) != 1 || files[0].Name() != door.SocketFile {
		t.Errorf("the data directory holds %v, %v", files, err)
	}
}

func TestStatusAndMetrics(t *testing.T) {
	t.Parallel()
	d := deps(t)
	reg := prometheus.NewPedanticRegistry()
	d.Registerer = reg
	s := start(t, local(), d)
	if status, text := get(t, s, "/status", "", ""); status != 200 || text != "Node n is started\nemqttd is running" {
		t.Errorf("%d %q", status, text)
	}
	if status, _ := get(t, s, "/nowhere", "", ""); status != 404 {
		t.Error(status)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	err = testutil.GatherAndCompare(reg, strings.NewReader(`# HELP pando_mgmt_requests_total Requests answered, by door (rest, grpc) and status code.
# TYPE pando_mgmt_requests_total counter
pando_mgmt_requests_total{code="200",door="rest"} 1
pando_mgmt_requests_total{code="404",door="rest"} 1
`), "pando_mgmt_requests_total")
	if err != nil {
		t.Error(err)
	}
}

func TestDoorsAreOpenedAndClosed(t *testing.T) {
	t.Parallel()
	d, c := deps(t), local()
	c.Listen = ""
	s := start(t, c, d)
	if s.Addr() != nil || s.GRPCAddr() != nil {
		t.Errorf("open: %v, %v", s.Addr(), s.GRPCAddr())
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(d.DataDir); err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
	d.GRPC = "127.0.0.1:0"
	second := start(t, c, d)
	if second.GRPCAddr() == nil {
		t.Error("no gRPC port")
	}
	info, err := os.Stat(filepath.Join(d.DataDir, account.TokenFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("token: %v, %v", info, err)
	}
}

func TestTakenPortIsExplainedAndNothingIsLeft(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, c := deps(t), local()
	d.GRPC = l.Addr().String()
	s, err := mgmtapi.New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), "cluster.listen") || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(d.DataDir, door.SocketFile)); err == nil {
		t.Error("the socket is still there")
	}
	if conn, err := net.DialTimeout("tcp", s.Addr().String(), time.Second); err == nil {
		_ = conn.Close()
		t.Error("REST still listens")
	}
}

func TestPortOffset(t *testing.T) {
	t.Parallel()
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(probe.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d, c := deps(t), local()
	c.Listen, d.PortOffset = "127.0.0.1:"+port, 0
	s, err := mgmtapi.New(c, d)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "mgmt.listen") {
		t.Errorf("without an offset the port is taken: %v", err)
	}
	d.PortOffset = 50_000 - 1 // one below, when the sum is above 65535; far above it otherwise
	if s, err = mgmtapi.New(c, d); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil && strings.Contains(err.Error(), ":"+port+":") {
		t.Errorf("the offset is not added: %v", err)
	} else if err == nil {
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := probe.Close(); err != nil {
		t.Error(err)
	}
}

func TestNewWantsItsDeps(t *testing.T) {
	t.Parallel()
	good := deps(t)
	for name, spoil := range map[string]func(*mgmtapi.Deps){
		"Cluster": func(d *mgmtapi.Deps) { d.Cluster = nil }, "Gateways": func(d *mgmtapi.Deps) { d.Gateways = nil }, "Stores": func(d *mgmtapi.Deps) { d.Stores = nil },
		"Routers": func(d *mgmtapi.Deps) { d.Routers = nil }, "Auth": func(d *mgmtapi.Deps) { d.Auth = nil }, "Status": func(d *mgmtapi.Deps) { d.Status = nil },
		"DataDir": func(d *mgmtapi.Deps) { d.DataDir = "" },
	} {
		d := good
		spoil(&d)
		if _, err := mgmtapi.New(local(), d); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	bad := local()
	bad.MaxRequests = 0
	if _, err := mgmtapi.New(bad, good); err == nil {
		t.Error("a wrong configuration is taken")
	}
}
