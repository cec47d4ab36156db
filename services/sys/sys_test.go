package sys_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/bus"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/hook"
	"github.com/pando-mq/pando/services/sys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a gateway that only tells its figures.
type node struct{ broker.GatewayAdmin }

func (node) Node(context.Context) (broker.NodeInfo, error) {
	return broker.NodeInfo{
		Stats:   map[string]int64{"clients/count": 2, "clients/max": 5, "sessions/count": 1, "sessions/max": 1, "dropped/expired": 7},
		Metrics: map[string]int64{"packets/received": 12, "bytes/sent": 99},
	}, nil
}

// holder is a router or session-store that only tells its figures.
type holder struct {
	broker.RouterAdmin
	broker.SessionAdmin
	stats map[string]int64
}

var errSilent = errors.New("no answer")

func (h holder) RouterStats(context.Context) (map[string]int64, error) {
	if h.stats == nil {
		return nil, errSilent
	}
	return h.stats, nil
}

func (h holder) SessionStats(ctx context.Context) (map[string]int64, error) {
	return h.RouterStats(ctx)
}

// world is a Service with what it published.
type world struct {
	*sys.Service
	hooks   *hook.Chains
	bus     *bus.Memory
	metrics *prometheus.Registry

	mu   sync.Mutex
	got  []*broker.Message
	full bool
}

func start(t *testing.T, cfg sys.Config, name string, nodes ...cluster.Node) *world {
	t.Helper()
	c, err := cluster.NewMemory().Join(cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if _, err := c.Register(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{hooks: &hook.Chains{}, bus: bus.NewMemory(bus.Options{}), metrics: prometheus.NewRegistry()}
	stats := map[string]map[string]int64{
		"r1": {"routes/count": 7, "routes/wildcard": 5, "topics/count": 4, "topics/wildcard": 3, "retained/count": 1, "pending/bytes": 1000},
		"r2": {"routes/count": 9, "routes/wildcard": 5, "topics/count": 6, "topics/wildcard": 3, "retained/count": 2},
		"s1": {"sessions/count": 3, "subscriptions/count": 4}, "s2": {"sessions/count": 100},
	}
	w.Service, err = sys.New(cfg, sys.Deps{
		Node: name, Version: "1.2.3", Cluster: c, Gateway: node{}, Hooks: w.hooks, Bus: w.bus, Registerer: w.metrics, Publish: w.publish,
		Routers: func(n cluster.Node) broker.RouterAdmin { return holder{stats: stats[n.ID]} },
		Stores:  func(n cluster.Node) broker.SessionAdmin { return holder{stats: stats[n.ID]} },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.Stop(context.Background()), w.bus.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) publish(m *broker.Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.full {
		return broker.E(broker.KindBusy, "publish", nil)
	}
	w.got = append(w.got, m)
	return nil
}

// take gives what was published since the last time, as "topic payload", with "(retained)" behind, the common prefix left out.
func (w *world) take() (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.got {
		line := strings.TrimPrefix(m.Topic, "$SYS/brokers/") + " " + string(m.Payload)
		if m.Retain {
			line += " (retained)"
		}
		list = append(list, line)
	}
	w.got = nil
	return list
}

func gateway(name string) cluster.Node {
	return cluster.Node{Role: cluster.Gateway, ID: name, Meta: map[string]string{"name": name}}
}

func has(list []string, want string) bool {
	for _, l := range list {
		if l == want {
			return true
		}
	}
	return false
}

func quiet() sys.Config {
	c := sys.DefaultConfig()
	c.Interval = 0
	return c
}

func TestFigures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := sys.DefaultConfig()
		cfg.Heartbeat = time.Second
		w := start(t, cfg, "a@h", gateway("b@h"), gateway("a@h"), cluster.Node{Role: cluster.Router, ID: "r1"}, cluster.Node{Role: cluster.Router, ID: "r2"},
			cluster.Node{Role: cluster.Router, ID: "silent"}, cluster.Node{Role: cluster.SessionStore, ID: "s1", Meta: map[string]string{"name": "a@h"}},
			cluster.Node{Role: cluster.SessionStore, ID: "s2", Meta: map[string]string{"name": "elsewhere@h"}})
		synctest.Wait()
		got := w.take()
		for _, want := range []string{
			"$SYS/brokers a@h,b@h (retained)", "a@h/version 1.2.3 (retained)", "a@h/sysdescr Pando (retained)", "a@h/uptime 0 seconds",
			"a@h/stats/clients/count 2", "a@h/stats/clients/max 5", "a@h/stats/sessions/count 4", "a@h/stats/sessions/max 4", "a@h/stats/subscriptions/count 4",
			"a@h/stats/subscribers/count 0", "a@h/stats/routes/count 11", "a@h/stats/routes/max 11", "a@h/stats/topics/count 7", "a@h/stats/retained/count 3",
			"a@h/stats/retained/max 3", "a@h/metrics/packets/received 12", "a@h/metrics/bytes/sent 99", "a@h/metrics/messages/retained 3",
		} {
			if !has(got, want) {
				t.Errorf("%q is not there", want)
			}
		}
		for _, line := range got {
			if strings.Contains(line, "dropped") || strings.Contains(line, "pending") || strings.Contains(line, "wildcard") {
				t.Errorf("%q has no name in EMQ 2", line)
			}
		}
		time.Sleep(59*time.Second + 500*time.Millisecond)
		synctest.Wait()
		beats := w.take()
		if len(beats) != 2*59 || !has(beats, "a@h/uptime 59 seconds") {
			t.Errorf("%d messages between two intervals: %v", len(beats), beats)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if again := w.take(); !has(again, "a@h/version 1.2.3 (retained)") || !has(again, "a@h/uptime 1 minutes, 0 seconds") {
			t.Errorf("after the interval: %v", again)
		}
	})
}

func TestNoIntervalNoFigures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, quiet(), "a@h", gateway("a@h"))
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := w.take(); len(got) != 0 {
			t.Errorf("published %v", got)
		}
	})
}

func identity(id string) *broker.Identity {
	return &broker.Identity{ClientID: id, Username: "ann", Peer: netip.MustParseAddrPort("[::ffff:192.0.2.1]:99"), Version: 4}
}

func (w *world) connect(c hook.Connected) {
	w.hooks.ClientConnected.Run(c, hook.None{}, func(hook.None, hook.Result) {})
}

func (w *world) disconnect(d hook.Disconnected) {
	w.hooks.ClientDisconnected.Run(d, hook.None{}, func(hook.None, hook.Result) {})
}

func TestPresence(t *testing.T) {
	t.Parallel()
	w := start(t, quiet(), "a@h", gateway("a@h"))
	at := time.Unix(1432648482, 5)
	w.connect(hook.Connected{Client: identity("c1"), CleanStart: true, At: at})
	w.connect(hook.Connected{Client: &broker.Identity{ClientID: "x/+#%y", Peer: netip.MustParseAddrPort("[2001:db8::1]:1"), Version: 5}, At: at})
	w.disconnect(hook.Disconnected{Client: identity("c1"), Reason: "normal", At: at})
	w.connect(hook.Connected{Client: identity("refused"), Err: broker.E(broker.KindDenied, "x", nil), At: at})
	for _, m := range w.got {
		if m.QoS != 1 || m.Retain {
			t.Errorf("%+v", m)
		}
	}
	want := []string{
		`a@h/clients/c1/connected {"clientid":"c1","username":"ann","ipaddress":"192.0.2.1","clean_sess":true,"protocol":4,"connack":0,"ts":1432648482,"session":false}`,
		`a@h/clients/x%2F%2B%23%25y/connected {"clientid":"x/+#%y","username":"undefined","ipaddress":"2001:db8::1","clean_sess":false,"protocol":5,"connack":0,"ts":1432648482,"session":true}`,
		`a@h/clients/c1/disconnected {"clientid":"c1","username":"ann","reason":"normal","ts":1432648482}`,
	}
	got := w.take()
	if len(got) != len(want) {
		t.Fatalf("published %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%s\nwant %s", got[i], want[i])
		}
	}
}

func TestPresenceOfTheRefused(t *testing.T) {
	t.Parallel()
	cfg := quiet()
	cfg.Presence.Refused, cfg.Presence.QoS = true, 0
	w := start(t, cfg, "a@h", gateway("a@h"))
	for kind, code := range map[broker.Kind]string{
		broker.KindInvalid: "2", broker.KindUnavailable: "3", broker.KindUnauthenticated: "4", broker.KindDenied: "5",
	} {
		w.connect(hook.Connected{Client: identity("c"), Err: broker.E(kind, "x", nil)})
		if got := w.take(); len(got) != 1 || !strings.Contains(got[0], `"connack":`+code+`,`) {
			t.Errorf("%s: %v", kind, got)
		}
	}
}

func TestPresenceIsOff(t *testing.T) {
	t.Parallel()
	cfg := quiet()
	cfg.Presence.Enable = false
	w := start(t, cfg, "a@h", gateway("a@h"))
	w.connect(hook.Connected{Client: identity("c")})
	w.disconnect(hook.Disconnected{Client: identity("c")})
	if got := w.take(); len(got) != 0 {
		t.Errorf("published %v", got)
	}
}

// TestPresenceOfATakeover tells the end of the older connection first, and once, in whichever order the two end.
func TestPresenceOfATakeover(t *testing.T) {
	t.Parallel()
	w := start(t, quiet(), "a@h", gateway("a@h"))
	short := func() (list string) {
		for _, l := range w.take() {
			topic, payload, _ := strings.Cut(l, " ")
			var p struct{ Reason string }
			if err := json.Unmarshal([]byte(payload), &p); err != nil {
				t.Fatal(err)
			}
			list += topic[strings.LastIndex(topic, "/")+1:] + " " + p.Reason + ";"
		}
		return list
	}
	for range 2 {
		w.connect(hook.Connected{Client: identity("c")})
		w.connect(hook.Connected{Client: identity("c")})
		w.disconnect(hook.Disconnected{Client: identity("c"), Reason: "conflict"})
		w.disconnect(hook.Disconnected{Client: identity("c"), Reason: "normal"})
		if got, want := short(), "connected ;disconnected conflict;connected ;disconnected normal;"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	for range 3 {
		w.connect(hook.Connected{Client: identity("c")})
	}
	for range 3 {
		w.disconnect(hook.Disconnected{Client: identity("c"), Reason: "closed"})
	}
	if got, want := short(), "connected ;disconnected conflict;connected ;disconnected conflict;connected ;disconnected closed;"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestFullQueueIsCounted(t *testing.T) {
	t.Parallel()
	w := start(t, quiet(), "a@h", gateway("a@h"))
	w.mu.Lock()
	w.full = true
	w.mu.Unlock()
	w.connect(hook.Connected{Client: identity("c")})
	if n := w.value(t, "pando_sys_messages_dropped_total"); n != 1 {
		t.Errorf("%v counted", n)
	}
}

func (w *world) value(t *testing.T, name string) float64 {
	t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
