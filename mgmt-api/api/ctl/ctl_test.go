package ctl_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	mgmtapi "github.com/pando-mq/pando/mgmt-api"
	"github.com/pando-mq/pando/mgmt-api/api/ctl"
	"github.com/pando-mq/pando/mgmt-api/fleet/fleettest"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/run"
)

// clean runs the tests and then looks for goroutines that are left.
type clean struct{ m *testing.M }

func (c clean) Run() int {
	code := c.m.Run()
	if err := goleak.Find(goleak.IgnoreTopFunction("os/exec.(*Cmd).watchCtx.func1")); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestMain(m *testing.M) {
	testscript.Main(clean{m}, map[string]func(){
		"pandoctl": func() {
			run.Main(func(ctx context.Context) error {
				return ctl.Run(ctx, ctl.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv}, os.Args[1:])
			})
		},
	})
}

// world is a suite with a server in front of it; its data directory is ./data of the script.
type world struct {
	*fleettest.Suite
	gateway *fleettest.Gateway
	second  *fleettest.Gateway
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               func(env *testscript.Env) error { return setup(env) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"suite": func(ts *testscript.TestScript, neg bool, args []string) { change(ts, args) },
			"code":  code,
			"ctl":   inProcess,
		},
	})
}

// script is a script as a test.
type script struct {
	testscript.T
	env *testscript.Env
}

func (s script) Helper()                           {}
func (s script) Context() context.Context          { return context.Background() }
func (s script) Cleanup(fn func())                 { s.env.Defer(fn) }
func (s script) Error(args ...any)                 { s.Fatal(args...) }
func (s script) Fatalf(format string, args ...any) { s.Fatal(fmt.Sprintf(format, args...)) }

func setup(env *testscript.Env) error {
	w := populate(script{env.T(), env})
	data := filepath.Join(env.WorkDir, "data")
	cfg := mgmtapi.Default()
	cfg.Listen, cfg.Timeout = "", 200*time.Millisecond
	s, err := mgmtapi.New(cfg, mgmtapi.Deps{
		Cluster: w.Cluster, Gateways: w.GatewayOf, Stores: w.StoreOf, Routers: w.RouterOf, Processes: w.ProcessOf, Auth: w.Auth, DataDir: data, GRPC: "127.0.0.1:0",
		Status: func() (string, bool) {
			_, err := os.Stat(filepath.Join(env.WorkDir, "stopped"))
			return "Node gw-1@test is started\nemqttd is running\n", err != nil
		},
	})
	if err != nil {
		return err
	}
	if err := s.Start(context.Background()); err != nil {
		return err
	}
	env.Defer(func() {
		if err := s.Stop(context.Background()); err != nil {
			panic(err)
		}
	})
	env.Values["world"] = w
	env.Setenv("SERVER", s.GRPCAddr().String())
	return nil
}

func populate(t fleettest.TB) *world {
	s := fleettest.New(t)
	w := &world{Suite: s, gateway: s.Gateway("gw-1"), second: s.Gateway("gw-2")}
	w.gateway.SetInfo(broker.NodeInfo{
		Version: "v1", Uptime: 90 * time.Second, MemoryUsed: 3 << 20, Load1: .25, Durability: "fsync x3",
		Listeners: []broker.ListenerInfo{
			{
				Name: "tcp", Protocol: "mqtt:tcp", Bind: "127.0.0.1:1883", Running: true, MaxClients: 100, CurrentClients: 2,
				Shutdowns: map[string]uint64{"normal": 4, "closed": 1},
			},
			{Name: "ws", Protocol: "mqtt:ws", Bind: "127.0.0.1:8083", MaxClients: 64},
		},
		Stats: map[string]int64{"clients/count": 2, "sessions/count": 1},
	})
	porch := fleettest.Client("porch")
	porch.Username, porch.Session.Queued = "ann", 2
	attached := fleettest.Client("cellar")
	attached.Persistent, attached.Version = true, 5
	w.gateway.Add(porch, broker.Subscription{Filter: "home/#", QoS: 1})
	w.gateway.Add(attached)
	w.second.Add(fleettest.Client("evil\x1b[2J\tid"))
	st := s.Store("st")
	st.Add(broker.SessionInfo{ClientID: "cellar", Node: "gw-1@test", Connected: true})
	st.Add(broker.SessionInfo{ClientID: "attic", Queued: 7, QueuedBytes: 2048, Expires: time.Now().Add(time.Hour)},
		broker.Subscription{Filter: "$share/g/a/+", QoS: 2, NoLocal: true, ID: 4})
	st.SetStats(map[string]int64{"sessions/count": 2})
	r := s.Router("r")
	r.Add(broker.RouteInfo{Filter: "home/#", Nodes: []string{"gw-1@test"}}, broker.RouteInfo{Filter: "a/+", Group: "g", Nodes: []string{"st@test"}})
	r.SetStats(map[string]int64{"routes/count": 2})
	return w
}

// change is the command `suite`: what happens to the suite behind the server.
func change(ts *testscript.TestScript, args []string) {
	w := ts.Value("world").(*world)
	switch strings.Join(args, " ") {
	case "silence gw-2":
		w.second.Silence()
	case "break auth":
		w.Auth.Fail(broker.E(broker.KindUnavailable, "no authsvc has the journal", nil))
	case "reject acl":
		w.Auth.Fail(broker.E(broker.KindInvalid, "acl.conf:3: no such action", nil))
	case "change config":
		w.Config("gw-1").Change(broker.ConfigChange{Key: "log.level", From: "info", To: "warn", Hot: true})
		w.Config("r").Change(broker.ConfigChange{Key: "retained.storage", From: "disc", To: "ram"})
	case "reject config":
		w.Config("r").Fail(broker.Errorf(broker.KindInvalid, "retained.storage: no such"))
	case "fill 1200":
		for i := range 1200 {
			w.second.Add(fleettest.Client(fmt.Sprintf("fill-%04d", i)))
		}
	case "published":
		for _, p := range w.gateway.Published() {
			fmt.Fprintf(ts.Stdout(), "%s %q qos %d retain %v as %s superuser %v expires %v\n", p.Msg.Topic, p.Msg.Payload, p.Msg.QoS, p.Msg.Retain, p.As.ClientID, p.As.Superuser, !p.Msg.Expires.IsZero())
		}
	case "password user alice":
		fmt.Fprintln(ts.Stdout(), w.Auth.Password("user", "alice"))
	case "password client id dev":
		fmt.Fprintln(ts.Stdout(), w.Auth.Password("client id", "dev"))
	case "reloads":
		fmt.Fprintln(ts.Stdout(), w.Auth.Reloads())
	default:
		ts.Fatalf("unknown change %q", args)
	}
}

// inProcess is the command `ctl ARG...`: without a process of its own, which costs much with the race detector. `exec pandoctl` has one.
func inProcess(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("use code N ctl ARG...")
	}
	if got := once(ts, args); got != 0 {
		ts.Fatalf("exit code %d", got)
	}
}

// once runs the program as run.Main does.
func once(ts *testscript.TestScript, args []string) int {
	getenv := func(name string) string {
		if name == "PANDO_DATA_DIR" && ts.Getenv(name) == "" {
			return ts.MkAbs("data") // the working directory is the script's only in a process of its own
		}
		return ts.Getenv(name)
	}
	err := ctl.Run(context.Background(), ctl.Streams{In: strings.NewReader(""), Out: ts.Stdout(), Err: ts.Stderr(), Getenv: getenv}, args)
	if err != nil {
		fmt.Fprintf(ts.Stderr(), "pandoctl: %v\n", err)
	}
	return run.Code(err)
}

// code is the command `code N ctl ARG...` or `code N exec pandoctl ARG...`: it wants that exit code.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N ctl ARG...")
	}
	var got int
	if args[1] == "exec" {
		err := ts.Exec(args[2], args[3:]...)
		if e, ok := err.(interface{ ExitCode() int }); ok {
			got = e.ExitCode()
		} else if err != nil {
			ts.Fatalf("%v", err)
		}
	} else {
		got = once(ts, args[2:])
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}
