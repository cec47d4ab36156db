package v2_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pando-mq/pando/mgmt-api/account"
	"github.com/pando-mq/pando/mgmt-api/fleet"
	"github.com/pando-mq/pando/mgmt-api/fleet/fleettest"
	v2 "github.com/pando-mq/pando/mgmt-api/v2"
	"github.com/pando-mq/pando/services/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// api is a server on a suite.
type api struct {
	*fleettest.Suite
	t       *testing.T
	url     string
	serving atomic.Bool
	log     *strings.Builder
	client  *http.Client
}

var administrators = account.New(map[string]string{"admin": "secret"})

func serve(t *testing.T, change ...func(*v2.Deps)) *api {
	t.Helper()
	a := &api{Suite: fleettest.New(t), t: t, log: &strings.Builder{}}
	a.serving.Store(true)
	d := v2.Deps{
		Fleet: fleet.New(a.Deps(time.Second)), Book: administrators,
		Status: func() (string, bool) {
			return "Node gw@test is started\nemqttd is running", a.serving.Load()
		},
		MaxPage: 50, MaxBody: 4096, MaxRequests: 8, Log: slog.New(slog.NewTextHandler(a.log, nil)), Served: func(int, time.Duration) {},
	}
	for _, fn := range change {
		fn(&d)
	}
	s := httptest.NewServer(v2.New(d))
	t.Cleanup(s.Close)
	a.url, a.client = s.URL, s.Client()
	return a
}

// ask sends a request as the administrator.
func (a *api) ask(method, path, body string, change ...func(*http.Request)) (int, string) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	r.SetBasicAuth("admin", "secret")
	for _, fn := range change {
		fn(r)
	}
	resp, err := a.client.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

func (a *api) expect(method, path, body, want string) {
	a.t.Helper()
	status, got := a.ask(method, path, body)
	if status != http.StatusOK || got != want {
		a.t.Errorf("%s %s %s\n got %d %s\nwant 200 %s", method, path, body, status, got, want)
	}
}

func TestDoors(t *testing.T) {
	t.Parallel()
	a := serve(t)
	plain := func(r *http.Request) { r.Header.Del("Authorization") }
	for _, c := range []struct {
		name, method, path string
		change             func(*http.Request)
		status             int
		body               string
	}{
		{"status needs no name", "GET", "/status", plain, 200, "Node gw@test is started\nemqttd is running"},
		{"nobody", "GET", "/api/v2/management/nodes", plain, 401, ""},
		{"wrong password", "GET", "/api/v2/management/nodes", func(r *http.Request) { r.SetBasicAuth("admin", "public") }, 401, ""},
		{"nobody, an unknown path", "GET", "/api/v2/none", plain, 404, ""},
		{"unknown path", "GET", "/api/v2/none", nil, 404, ""},
		{"unknown method", "PATCH", "/api/v2/routes", nil, 404, ""},
		{"outside", "GET", "/etc/passwd", nil, 404, ""},
		{"dots", "GET", "/api/v2/clients/..%2f..%2fetc", nil, 200, `{"code":0,"result":{"objects":[]}}`},
		{"another site's page in the browser", "DELETE", "/api/v2/clients/x", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403,
			"cross-origin request detected from Sec-Fetch-Site header"},
	} {
		fn := func(*http.Request) {}
		if c.change != nil {
			fn = c.change
		}
		if status, body := a.ask(c.method, c.path, "", fn); status != c.status || body != c.body {
			t.Errorf("%s: got %d %q, want %d %q", c.name, status, body, c.status, c.body)
		}
	}
	a.serving.Store(false)
	if status, _ := a.ask("GET", "/status", ""); status != http.StatusServiceUnavailable {
		t.Errorf("status while nothing serves: %d", status)
	}
	_, body := a.ask("GET", "/", "", plain)
	var root struct{ Paths []string }
	if err := json.Unmarshal([]byte(body), &root); err != nil || !slices.Contains(root.Paths, "GET /api/v2/routes/{topic}") || !slices.Contains(root.Paths, "GET /") {
		t.Errorf("/ gives %s, %v", body, err)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	a := serve(t)
	for _, c := range []struct{ body, want string }{
		{`{"username":"admin","password":"secret"}`, `{"code":0,"result":[]}`},
		{`{"username":"admin","password":"public"}`, `{"code":103,"message":"Password error"}`},
		{`{"username":"eve","password":"secret"}`, `{"code":103,"message":"User not found"}`},
		{`{"username":"","password":""}`, `{"code":104,"message":"username or password is empty"}`},
		{`{"username":"admin"}`, `{"code":107,"message":"params error: password is missing"}`},
		{`{"username":7,"password":"x"}`, `{"code":108,"message":"params type error: username"}`},
		{`["admin"]`, `{"code":109,"message":"the body is not a JSON object"}`},
		{`null`, `{"code":109,"message":"the body is not a JSON object"}`},
		{``, `{"code":109,"message":"the body is not a JSON object"}`},
		{strings.Repeat(`{"a":`, 600), `{"code":109,"message":"the body is not a JSON object"}`},
	} {
		a.expect("POST", "/api/v2/auth", c.body, c.want)
	}
}

func TestMonitoring(t *testing.T) {
	t.Parallel()
	a := serve(t)
	g := a.Gateway("gw")
	g.SetInfo(broker.NodeInfo{
		Version: "v1", Uptime: 26*time.Hour + 3*time.Second, Load1: 1.5, MemoryTotal: 3 << 20, MemoryUsed: 1 << 19, MaxFDs: 1024, Goroutines: 7,
		Listeners: []broker.ListenerInfo{
			{Protocol: "mqtt:tcp", Bind: "127.0.0.1:1883", Acceptors: 2, MaxClients: 10, CurrentClients: 1, Running: true, Shutdowns: map[string]uint64{"closed": 3}},
			{Protocol: "mqtt:ws", Bind: "127.0.0.1:8083"},
		},
		Stats: map[string]int64{"clients/count": 1}, Metrics: map[string]int64{"packets/received": 9},
	})
	g.Add(fleettest.Client("c"))
	a.Router("r").SetStats(map[string]int64{"routes/count": 4})
	a.Store("st")

	status, body := a.ask("GET", "/api/v2/management/nodes", "")
	var nodes struct {
		Code   int
		Result []map[string]string
	}
	if err := json.Unmarshal([]byte(body), &nodes); err != nil || status != 200 || len(nodes.Result) != 1 {
		t.Fatalf("%d %s %v", status, body, err)
	}
	n := nodes.Result[0]
	if n["name"] != "gw@test" || n["version"] != "v1" || n["uptime"] != "1 days, 2 hours, 0 minutes, 3 seconds" || n["node_status"] != "Running" || n["otp_release"] == "" {
		t.Errorf("got %v", n)
	}
	_, body = a.ask("GET", "/api/v2/management/nodes/gw%40test", "")
	if strings.Contains(body, `"name"`) || !strings.Contains(body, `"version":"v1"`) {
		t.Errorf("one node: %s", body)
	}
	_, body = a.ask("GET", "/api/v2/monitoring/nodes/gw@test", "")
	for _, want := range []string{`"memory_total":"3.00M"`, `"memory_used":"0.50M"`, `"process_used":7`, `"max_fds":1024`, `"clients":1`, `"load1":"1.50"`} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is not in %s", want, body)
		}
	}
	listeners := `[{"protocol":"mqtt:tcp","listen":"127.0.0.1:1883","acceptors":2,"max_clients":10,"current_clients":1,"shutdown_count":{"closed":3}},` +
		`{"protocol":"mqtt:ws","listen":"127.0.0.1:8083","acceptors":0,"max_clients":0,"current_clients":0,"shutdown_count":[]}]`
	a.expect("GET", "/api/v2/monitoring/listeners", "", `{"code":0,"result":{"gw@test":`+listeners+`}}`)
	a.expect("GET", "/api/v2/monitoring/listeners/gw@test", "", `{"code":0,"result":`+listeners+`}`)
	a.expect("GET", "/api/v2/monitoring/metrics", "", `{"code":0,"result":[{"gw@test":{"packets/received":9}}]}`)
	a.expect("GET", "/api/v2/monitoring/metrics/gw@test", "", `{"code":0,"result":{"packets/received":9}}`)
	a.expect("GET", "/api/v2/monitoring/stats", "", `{"code":0,"result":[{"gw@test":{"clients/count":1,"routes/count":4}}]}`)
	a.expect("GET", "/api/v2/monitoring/stats/gw@test", "", `{"code":0,"result":{"clients/count":1,"routes/count":4}}`)
	a.expect("GET", "/api/v2/monitoring/stats/nowhere", "", `{"code":101,"message":"node nowhere is not up"}`)
}

func TestDeadServicesAreNamed(t *testing.T) {
	t.Parallel()
	a := serve(t)
	a.Gateway("dead").Fail(broker.E(broker.KindUnavailable, "gone", nil))
	a.expect("GET", "/api/v2/monitoring/nodes", "", `{"code":0,"result":[{"name":"dead@test","node_status":"Stopped"}],"missing":["gateway dead: gone: unavailable"]}`)
	a.expect("GET", "/api/v2/monitoring/nodes/dead@test", "", `{"code":101,"message":"node dead@test is not up"}`)
	a.expect("GET", "/api/v2/clients/c", "", `{"code":0,"result":{"objects":[]},"missing":["gateway dead: gone: unavailable"]}`)
	status, body := a.ask("DELETE", "/api/v2/clients/c", "")
	if status != 200 || !strings.HasPrefix(body, `{"code":101,`) {
		t.Errorf("kick: %d %s", status, body)
	}
}

func TestClients(t *testing.T) {
	t.Parallel()
	a := serve(t)
	g := a.Gateway("gw")
	a.Store("st").Add(broker.SessionInfo{ClientID: "off", Window: 32, Queued: 5, Created: time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)},
		broker.Subscription{Filter: "$share/g/a/#", QoS: 1})
	evil := fleettest.Client(`a/b+<script>`)
	evil.Username, evil.Peer = "ann", "[::1]:99"
	g.Add(evil, broker.Subscription{Filter: "t/1", QoS: 2})
	for i := range 44 {
		g.Add(fleettest.Client(fmt.Sprintf("c%02d", i)))
	}
	row := `{"client_id":"a/b+\u003cscript\u003e","username":"ann","ipaddress":"::1","port":99,"clean_sess":true,"proto_ver":4,"keepalive":60,"connected_at":"2026-03-01 12:00:00"}`
	a.expect("GET", "/api/v2/clients/a%2Fb+%3Cscript%3E", "", `{"code":0,"result":{"objects":[`+row+`]}}`)
	a.expect("GET", "/api/v2/nodes/gw@test/clients/a%2Fb+%3Cscript%3E", "", `{"code":0,"result":{"objects":[`+row+`]}}`)
	g.Add(fleettest.Client("zz%41"))
	if _, body := a.ask("GET", "/api/v2/clients/zz%2541", ""); !strings.Contains(body, `"client_id":"zz%41"`) {
		t.Errorf("decoded twice: %s", body)
	}
	a.expect("DELETE", "/api/v2/clients/zz%2541", "", `{"code":0,"result":[]}`)
	a.expect("GET", "/api/v2/nodes/gw@test/clients/nobody", "", `{"code":0,"result":{"objects":[]}}`)
	a.expect("GET", "/api/v2/nodes/nowhere/clients", "", `{"code":101,"message":"node nowhere is not up"}`)
	a.expect("GET", "/api/v2/nodes/gw@test/clients?page_size=1", "", `{"code":0,"result":{"current_page":1,"page_size":1,"total_num":45,"total_page":45,"objects":[`+row+`]}}`)

	a.expect("GET", "/api/v2/sessions/off", "", `{"code":0,"result":{"objects":[{"client_id":"off","clean_sess":false,"subscriptions":0,"max_inflight":32,"inflight_len":0,`+
		`"mqueue_len":5,"mqueue_dropped":0,"awaiting_rel_len":0,"deliver_msg":0,"enqueue_msg":0,"created_at":"2026-03-01 12:00:00"}]}}`)
	a.expect("GET", "/api/v2/subscriptions/off", "", `{"code":0,"result":{"objects":[{"client_id":"off","topic":"$share/g/a/#","qos":1}]}}`)
	a.expect("GET", "/api/v2/nodes/gw@test/subscriptions", "", `{"code":0,"result":{"current_page":1,"page_size":20,"total_num":1,"total_page":1,`+
		`"objects":[{"client_id":"a/b+\u003cscript\u003e","topic":"t/1","qos":2}]}}`)
	status, body := a.ask("GET", "/api/v2/nodes/st@test/sessions", "")
	if status != 200 || !strings.Contains(body, `"total_num":1,`) {
		t.Errorf("sessions of a session-store: %d %s", status, body)
	}

	a.expect("PUT", "/api/v2/clients/c01/clean_acl_cache", `{"topic":"a"}`, `{"code":0,"result":[]}`)
	if got := g.Flushed(); !slices.Equal(got, []string{"c01"}) {
		t.Errorf("flushed %v", got)
	}
	a.expect("PUT", "/api/v2/clients/c01/clean_acl_cache", "", `{"code":0,"result":[]}`)
	a.expect("PUT", "/api/v2/clients/c01/clean_acl_cache", `topic=a`, `{"code":109,"message":"the body is not a JSON object"}`)
	a.expect("PUT", "/api/v2/clients/c01/clean_acl_cache", `{"topic":5}`, `{"code":108,"message":"params type error: topic"}`)
	if got := g.Flushed(); len(got) != 2 {
		t.Errorf("flushed %v: a broken request did something", got)
	}
	a.expect("PUT", "/api/v2/clients/nobody/clean_acl_cache", `{}`, `{"code":112,"message":"the client is not online"}`)
	a.expect("DELETE", "/api/v2/clients/a%2Fb+%3Cscript%3E", "", `{"code":0,"result":[]}`)
	if _, ok := g.Kicked(`a/b+<script>`); !ok {
		t.Error("not kicked")
	}
	a.expect("DELETE", "/api/v2/clients/a%2Fb+%3Cscript%3E", "", `{"code":112,"message":"the client is not online"}`)
}

func TestPages(t *testing.T) {
	t.Parallel()
	a := serve(t)
	g := a.Gateway("gw")
	a.Store("st")
	for i := range 110 {
		g.Add(fleettest.Client(fmt.Sprintf("c%03d", i)))
	}
	type page struct {
		Current int `json:"current_page"`
		Size    int `json:"page_size"`
		Total   int `json:"total_num"`
		Pages   int `json:"total_page"`
		First   string
		Rows    int
	}
	for _, c := range []struct {
		name, query string
		want        page
	}{
		{"default", "", page{1, 20, 110, 6, "c000", 20}},
		{"last", "?curr_page=6", page{6, 20, 110, 6, "c100", 10}},
		{"behind the end", "?curr_page=7", page{7, 20, 110, 6, "", 0}},
		{"largest size", "?page_size=1000000000&curr_page=3", page{3, 50, 110, 3, "c100", 10}},
		{"larger than any number", "?page_size=99999999999999999999999", page{1, 50, 110, 3, "c000", 50}},
		{"largest page", "?curr_page=99999999999999999999999", page{1_000_000, 20, 110, 6, "", 0}},
		{"negative", "?page_size=-1&curr_page=-5", page{1, 20, 110, 6, "c000", 20}},
		{"no number", "?page_size=x&curr_page=", page{1, 20, 110, 6, "c000", 20}},
	} {
		for _, list := range []string{"clients", "sessions"} {
			_, body := a.ask("GET", "/api/v2/nodes/gw@test/"+list+c.query, "")
			var got struct {
				Result struct {
					page
					Objects []struct {
						ID string `json:"client_id"`
					}
				}
			}
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			p := got.Result.page
			p.Rows = len(got.Result.Objects)
			if p.Rows > 0 {
				p.First = got.Result.Objects[0].ID
			}
			if diff := cmp.Diff(c.want, p); diff != "" {
				t.Errorf("%s of %s: %s", c.name, list, diff)
			}
		}
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	a := serve(t)
	a.Router("r").Add(broker.RouteInfo{Filter: "a/b", Nodes: []string{"n1", "n2"}}, broker.RouteInfo{Filter: "a/b", Group: "g", Nodes: []string{"n1"}},
		broker.RouteInfo{Filter: "x", Group: "$queue", Nodes: []string{"n1"}})
	ab := `{"topic":"a/b","node":"n1"},{"topic":"a/b","node":"n2"},{"topic":"$share/g/a/b","node":"n1"}`
	a.expect("GET", "/api/v2/routes", "", `{"code":0,"result":{"current_page":1,"page_size":20,"total_num":4,"total_page":1,"objects":[`+ab+`,{"topic":"$queue/x","node":"n1"}]}}`)
	a.expect("GET", "/api/v2/routes/a%2Fb", "", `{"code":0,"result":{"objects":[`+ab+`]}}`)
	a.expect("GET", "/api/v2/routes/none", "", `{"code":0,"result":{"objects":[]}}`)
}

func TestPublish(t *testing.T) {
	t.Parallel()
	a := serve(t)
	a.expect("POST", "/api/v2/mqtt/publish", `{"topic":"a"}`, `{"code":101,"message":"publish: there is no gateway: unavailable"}`)
	g := a.Gateway("gw")
	for _, c := range []struct{ name, body, want string }{
		{"all", `{"topic":"a/b","payload":"hi","qos":2,"retain":true,"client_id":"c1"}`, `{"code":0,"result":[]}`},
		{"topic alone", `{"topic":"nobody/a"}`, `{"code":0,"result":[]}`},
		{"administrators need no rule", `{"topic":"denied/a"}`, `{"code":0,"result":[]}`},
		{"no topic", `{}`, `{"code":107,"message":"params error: topic is missing"}`},
		{"topic is no text", `{"topic":5}`, `{"code":108,"message":"params type error: topic"}`},
		{"null", `{"topic":null}`, `{"code":108,"message":"params type error: topic"}`},
		{"qos is text", `{"topic":"a","qos":"1"}`, `{"code":108,"message":"params type error: qos"}`},
		{"qos 3", `{"topic":"a","qos":3}`, `{"code":102,"message":"QoS should be 0, 1, 2"}`},
		{"wildcard", `{"topic":"a/#"}`, `{"code":102,"message":"validate topic: a/# fail"}`},
		{"empty topic", `{"topic":""}`, `{"code":102,"message":"validate topic:  fail"}`},
		{"no JSON", `topic=a`, `{"code":109,"message":"the body is not a JSON object"}`},
	} {
		if status, got := a.ask("POST", "/api/v2/mqtt/publish", c.body); status != 200 || got != c.want {
			t.Errorf("%s: got %d %s, want %s", c.name, status, got, c.want)
		}
	}
	p := g.Published()
	if len(p) != 3 {
		t.Fatalf("%d published", len(p))
	}
	m := p[0].Msg
	if m.Topic != "a/b" || string(m.Payload) != "hi" || m.QoS != 2 || !m.Retain || p[0].As.ClientID != "c1" || !p[0].As.Superuser || p[0].As.Peer.Port() == 0 {
		t.Errorf("published %+v as %+v", m, p[0].As)
	}
	if p[1].As.ClientID != "http" {
		t.Errorf("default client id: %+v", p[1].As)
	}
	if status, body := a.ask("POST", "/api/v2/mqtt/publish", `{"topic":"a","payload":"`+strings.Repeat("x", 5000)+`"}`); status != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d %s", status, body)
	}
}

func TestSubscribeForAClient(t *testing.T) {
	t.Parallel()
	a := serve(t)
	a.Gateway("gw").Add(fleettest.Client("c"))
	a.Store("st")
	for _, c := range []struct{ path, body, want string }{
		{"subscribe", `{"client_id":"c","topic":"a/+/#","qos":1}`, `{"code":0,"result":[]}`},
		{"subscribe", `{"client_id":"x","topic":"a"}`, `{"code":102,"message":"Clientid: x not found"}`},
		{"subscribe", `{"client_id":"c","topic":"a/#/b"}`, `{"code":102,"message":"validate topic: a/#/b fail"}`},
		{"subscribe", `{"client_id":"c","topic":"quota/a"}`, `{"code":102,"message":"subscribe: quota exceeded"}`},
		{"subscribe", `{"client_id":"c","topic":"a","qos":-1}`, `{"code":102,"message":"QoS should be 0, 1, 2"}`},
		{"subscribe", `{"client_id":"c"}`, `{"code":107,"message":"params error: topic is missing"}`},
		{"unsubscribe", `{"client_id":"x","topic":"a"}`, `{"code":102,"message":"Clientid: x not found"}`},
		{"unsubscribe", `{"topic":"a"}`, `{"code":107,"message":"params error: client_id is missing"}`},
	} {
		a.expect("POST", "/api/v2/mqtt/"+c.path, c.body, c.want)
	}
	a.expect("GET", "/api/v2/subscriptions/c", "", `{"code":0,"result":{"objects":[{"client_id":"c","topic":"a/+/#","qos":1}]}}`)
	a.expect("POST", "/api/v2/mqtt/unsubscribe", `{"client_id":"c","topic":"a/+/#"}`, `{"code":0,"result":[]}`)
	a.expect("GET", "/api/v2/subscriptions/c", "", `{"code":0,"result":{"objects":[]}}`)
}

func TestBrokenHandlerAnswersNotFound(t *testing.T) {
	t.Parallel()
	a := serve(t, func(d *v2.Deps) { d.Fleet = nil })
	if status, body := a.ask("GET", "/api/v2/routes", ""); status != http.StatusNotFound || body != "" {
		t.Errorf("got %d %q", status, body)
	}
	if !strings.Contains(a.log.String(), "request broke") {
		t.Errorf("the log has %s", a.log)
	}
}

func TestTooManyRequestsWaitThenAreRefused(t *testing.T) {
	t.Parallel()
	a := serve(t, func(d *v2.Deps) { d.MaxRequests = 1 })
	a.Gateway("silent").Silence() // answers after a second: the one place is taken that long
	results := make(chan int, 4)
	for range cap(results) {
		go func() {
			r, _ := http.NewRequestWithContext(t.Context(), "GET", a.url+"/api/v2/clients/c", nil)
			r.SetBasicAuth("admin", "secret")
			resp, err := a.client.Do(r)
			if err != nil {
				results <- 0
				return
			}
			_ = resp.Body.Close()
			results <- resp.StatusCode
		}()
	}
	count := map[int]int{}
	for range cap(results) {
		count[<-results]++
	}
	if count[200] < 1 || count[503] < 1 || count[200]+count[503] != 4 {
		t.Errorf("got %v", count)
	}
	if status, _ := a.ask("GET", "/status", ""); status != 200 {
		t.Errorf("status: %d", status)
	}
}

func FuzzRequest(f *testing.F) {
	for _, p := range []string{"/", "/status", "/api/v2/routes/a%2fb", "/api/v2/nodes/gw@test/clients?curr_page=-1&page_size=9", "/api/v2/mqtt/publish", "/api/v2/%zz", "/api/v2/clients/%00"} {
		f.Add("GET", p, "")
		f.Add("POST", p, `{"topic":"a","qos":1}`)
	}
	d := v2.Deps{Book: administrators, Status: func() (string, bool) { return "", true }, MaxPage: 10, MaxBody: 512, MaxRequests: 8, Log: slog.New(slog.DiscardHandler)}
	d.Served = func(int, time.Duration) {}
	s := fleettest.New(f)
	s.Gateway("gw").Add(fleettest.Client("c"))
	s.Router("r")
	s.Store("st")
	d.Fleet = fleet.New(s.Deps(time.Second))
	var panics strings.Builder
	d.Log = slog.New(slog.NewTextHandler(&panics, nil))
	h := v2.New(d)
	f.Fuzz(func(t *testing.T, method, target, body string) {
		if !strings.HasPrefix(target, "/") || strings.ContainsAny(method, " \r\n\t") || method == "" {
			return
		}
		r, err := http.NewRequest(method, "http://x"+target, strings.NewReader(body))
		if err != nil {
			return
		}
		r.RemoteAddr = "127.0.0.1:1"
		r.SetBasicAuth("admin", "secret")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if strings.Contains(panics.String(), "request broke") {
			t.Fatal(panics.String())
		}
		if w.Code == 200 && strings.HasPrefix(target, "/api/") && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%s %s: %s", method, target, w.Body)
		}
	})
}
