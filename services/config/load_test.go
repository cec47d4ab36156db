package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pando-mq/pando/services/config"
)

type tree struct {
	common
	MQTT mqttSection `yaml:"mqtt" doc:"What devices meet."`
	Auth authSection `yaml:"auth"`
}

type common struct {
	DataDir    string `yaml:"data_dir" default:"./data" doc:"Where state lives."`
	PortOffset int    `yaml:"port_offset" default:"0" doc:"Added to every port."`
}

type mqttSection struct {
	MaxPacket config.Size         `yaml:"max_packet_size" default:"64KB" doc:"Largest packet." hot:"true"`
	Idle      config.Duration     `yaml:"idle_timeout" default:"30s" doc:"Time from accept to CONNECT."`
	Backoff   float64             `yaml:"keepalive_backoff" default:"0.75" doc:"Times keep-alive times two."`
	Limit     config.Rate         `yaml:"rate_limit" default:"0" doc:"Bytes per second; 0 = unlimited."`
	Level     string              `yaml:"level" default:"info" enum:"debug,info,warn,error" doc:"What is logged."`
	Listeners map[string]listener `yaml:"listeners"`
	Headers   map[string]string   `yaml:"headers" doc:"Added to each answer."`
}

type listener struct {
	Kind       string         `yaml:"kind" default:"tcp" enum:"tcp,ssl,ws,wss" doc:"Transport."`
	Bind       netip.AddrPort `yaml:"bind" doc:"Address and port."`
	MaxClients uint32         `yaml:"max_clients" default:"102400" doc:"Most connections."`
	Access     []string       `yaml:"access" doc:"Rules, first match wins."`
	TLS        *tlsSection    `yaml:"tls"`
}

type tlsSection struct {
	Cert   string `yaml:"certfile" doc:"PEM file."`
	Verify bool   `yaml:"verify" default:"true" doc:"Ask for a client certificate."`
}

func (l listener) Validate() error {
	var errs []error
	if !l.Bind.IsValid() {
		errs = append(errs, config.Invalid("bind", "an address is needed, such as 0.0.0.0:1883"))
	}
	if l.Kind == "ssl" && l.TLS == nil {
		errs = append(errs, config.Invalid("kind", "ssl needs a tls section"))
	}
	return errors.Join(errs...)
}

type authSection struct {
	Anonymous *bool          `yaml:"allow_anonymous" doc:"Admit clients without a name."`
	Token     config.Secret  `yaml:"token" doc:"Shared secret."`
	Password  string         `yaml:"password" secret:"true" doc:"Old password."`
	Users     []user         `yaml:"users" doc:"Built-in users."`
	High      config.Percent `yaml:"high_watermark" default:"60%" doc:"Alarm."`
}

type user struct {
	Name     string        `yaml:"username" doc:"Name."`
	Password config.Secret `yaml:"password" doc:"Password."`
	Quota    int           `yaml:"quota" default:"7" doc:"Messages."`
}

func load(t *testing.T, text string, src config.Source) (*tree, *config.Loaded) {
	t.Helper()
	var dst tree
	src.File, src.Text = "pando.yaml", []byte(text)
	l, err := config.Load(&dst, src)
	if err != nil {
		t.Fatal(err)
	}
	return &dst, l
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got, l := load(t, "", config.Source{})
	if got.DataDir != "./data" || got.MQTT.MaxPacket != 64<<10 || got.MQTT.Idle.Std() != 30*time.Second || got.MQTT.Backoff != 0.75 || got.Auth.High != 60 {
		t.Errorf("got %+v", got)
	}
	if got.Auth.Anonymous != nil || l.IsSet("auth.allow_anonymous") || l.Origin("data_dir").String() != "default" {
		t.Error("a key that nobody set looks set")
	}
}

func TestEverySourceLiesOverTheOneBefore(t *testing.T) {
	t.Parallel()
	emq := config.Layer{Name: "emq.conf", Entries: []config.Entry{
		{Path: []string{"mqtt", "idle_timeout"}, Value: "1s", Origin: config.Origin{Kind: config.File, Name: "emq.conf", Line: 3}},
		{Path: []string{"mqtt", "max_packet_size"}, Value: "1KB", Origin: config.Origin{Kind: config.File, Name: "emq.conf", Line: 4}},
		{Path: []string{"mqtt", "level"}, Value: "debug", Origin: config.Origin{Kind: config.File, Name: "emq.conf", Line: 5}},
		{Path: []string{"port_offset"}, Value: 5, Origin: config.Origin{Kind: config.File, Name: "emq.conf", Line: 6}},
	}}
	src := config.Source{
		Extra:     []config.Layer{emq},
		Environ:   []string{"PANDO_MQTT__MAX_PACKET_SIZE=3KB", "PANDO_DATA_DIR=/env", "HOME=/root"},
		Overrides: []string{"data_dir=/flag"},
	}
	got, l := load(t, "mqtt:\n  max_packet_size: 2KB\n  level: warn\ndata_dir: /file\n", src)
	want := map[string]string{
		"mqtt.idle_timeout": "emq.conf:3", "mqtt.level": "pando.yaml:3:10", "mqtt.max_packet_size": "PANDO_MQTT__MAX_PACKET_SIZE",
		"data_dir": "override data_dir", "port_offset": "emq.conf:6", "mqtt.rate_limit": "default",
	}
	for key, origin := range want {
		if o := l.Origin(key).String(); o != origin {
			t.Errorf("%s comes from %s, want %s", key, o, origin)
		}
	}
	if got.MQTT.Idle.Std() != time.Second || got.MQTT.Level != "warn" || got.MQTT.MaxPacket != 3<<10 || got.DataDir != "/flag" || got.PortOffset != 5 {
		t.Errorf("got %+v", got)
	}
}

func TestMapsAreMergedAndListsReplaced(t *testing.T) {
	t.Parallel()
	dst := tree{MQTT: mqttSection{Listeners: map[string]listener{
		"tcp": {Bind: netip.MustParseAddrPort("127.0.0.1:1883")},
		"ws":  {Kind: "ws", Bind: netip.MustParseAddrPort("127.0.0.1:8083")},
	}}}
	text := "mqtt:\n  listeners:\n    tcp: {access: [allow all], max_clients: 9}\n    tls:\n      kind: ssl\n      bind: '[::1]:8883'\n      tls: {certfile: /c.pem}\n"
	_, err := config.Load(&dst, config.Source{File: "f", Text: []byte(text), Environ: []string{
		"PANDO_MQTT__LISTENERS__TCP__ACCESS=deny 10.0.0.0/8, allow all", "pando_mqtt__listeners__WS__max_clients=3", `PANDO_AUTH__USERS=[{username: a, password: "x,y"}]`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]listener{
		"tcp": {Kind: "tcp", Bind: netip.MustParseAddrPort("127.0.0.1:1883"), MaxClients: 9, Access: []string{"deny 10.0.0.0/8", "allow all"}},
		"ws":  {Kind: "ws", Bind: netip.MustParseAddrPort("127.0.0.1:8083"), MaxClients: 3},
		"tls": {Kind: "ssl", Bind: netip.MustParseAddrPort("[::1]:8883"), MaxClients: 102400, TLS: &tlsSection{Cert: "/c.pem", Verify: true}},
	}
	if diff := cmp.Diff(want, dst.MQTT.Listeners, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if u := dst.Auth.Users; len(u) != 1 || u[0].Name != "a" || u[0].Password.Value() != "x,y" || u[0].Quota != 7 {
		t.Errorf("users %+v", u)
	}
}

func TestLayerClearsWhatLiesBelow(t *testing.T) {
	t.Parallel()
	dst := tree{MQTT: mqttSection{Listeners: map[string]listener{"tcp": {Bind: netip.MustParseAddrPort("127.0.0.1:1")}}}}
	layer := config.Layer{Entries: []config.Entry{
		{Path: []string{"mqtt", "listeners"}, Clear: true},
		{Path: []string{"mqtt", "listeners", "x.y", "bind"}, Value: "127.0.0.1:2"},
		{Path: []string{"auth", "users"}, Value: []any{map[string]any{"username": "u", "password": "p"}}},
		{Path: []string{"auth", "allow_anonymous"}, Value: true},
		{Path: []string{"mqtt", "headers"}, Value: map[string]any{"b": "2", "a": "1"}},
	}}
	if _, err := config.Load(&dst, config.Source{Extra: []config.Layer{layer}}); err != nil {
		t.Fatal(err)
	}
	if len(dst.MQTT.Listeners) != 1 || !dst.MQTT.Listeners["x.y"].Bind.IsValid() || len(dst.Auth.Users) != 1 || !*dst.Auth.Anonymous || dst.MQTT.Headers["b"] != "2" {
		t.Errorf("got %+v", dst)
	}
}

func TestSecretsAreResolvedAndNeverShown(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := "auth:\n  token: file://" + file + "\n  password: literal-1\n  users:\n  - {username: a, password: literal-2}\n  - {username: b, password: 'env:THE_PASSWORD'}\n"
	got, l := load(t, text, config.Source{Environ: []string{"THE_PASSWORD=from-env"}})
	if got.Auth.Token.Value() != "from-file" || got.Auth.Users[0].Password.Value() != "literal-2" || got.Auth.Users[1].Password.Value() != "from-env" {
		t.Error("a secret was not resolved")
	}
	var out strings.Builder
	if err := l.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"auth.token", "auth.password", "auth.users"} {
		if err := l.Explain(&out, key); err != nil {
			t.Fatal(err)
		}
	}
	for _, word := range []string{"literal-1", "literal-2", "from-env", "from-file"} {
		if strings.Contains(out.String(), word) {
			t.Errorf("%s is shown:\n%s", word, out.String())
		}
	}
	for _, reference := range []string{"env:THE_PASSWORD", "file://" + file, "******"} {
		if !strings.Contains(out.String(), reference) {
			t.Errorf("%s is not shown", reference)
		}
	}
}

func TestPrintReadsBackAsTheSameValues(t *testing.T) {
	t.Parallel()
	text := `
data_dir: "a b: #c"
mqtt:
  max_packet_size: 1500
  idle_timeout: 1h30m
  rate_limit: 10KB/s
  headers: {x-a: "1", "on": 'off', "0x1": "", e: "ä\t\u0001"}
  listeners:
    tcp: &base {bind: 127.0.0.1:1883, access: [allow all, "deny 1.2.3.4"]}
    ssl: {kind: ssl, bind: "[::]:8883", tls: {certfile: /c}}
    copy: *base
auth: {allow_anonymous: false, users: [{username: null-ish}, {username: "007", quota: 0x10}]}
`
	first, l := load(t, text, config.Source{Overrides: []string{"port_offset=010"}})
	var out strings.Builder
	if err := l.Print(&out); err != nil {
		t.Fatal(err)
	}
	second, _ := load(t, out.String(), config.Source{})
	if diff := cmp.Diff(first, second, cmp.AllowUnexported(tree{}, config.Secret{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("%s\n%s", diff, out.String())
	}
	if first.PortOffset != 10 || first.Auth.Users[1].Quota != 16 || len(first.MQTT.Listeners["copy"].Access) != 2 {
		t.Errorf("got %+v", first)
	}
}

func TestOtherSectionsAndForeignVariablesAreSkipped(t *testing.T) {
	t.Parallel()
	load(t, "router: {listen: [x, 1]}\nmqtt:\n", config.Source{
		OtherSections: []string{"router"},
		IgnoreEnviron: []string{"PANDO_CONFIG"},
		Environ: []string{
			"PANDO_ROUTER__LISTEN=1", "PANDO_CONFIG=/x", "PANDO_SERVICE_HOST=10.0.0.1", "PANDO_PORT=tcp://10.0.0.1:1883", "PANDO_SERVICE_PORT_MQTT=1883",
			"PANDO_PORT_1883_TCP_ADDR=10.0.0.1", "PANDO_ROUTER_PORT=tcp://10.0.0.1:9701", "PANDO_PORT_1884_UDP=udp://10.0.0.1:1884", "PANDO_X_PORT_5_TCP_PROTO=tcp",
		},
		Extra: []config.Layer{{Entries: []config.Entry{{Path: []string{"router", "listen"}, Value: "x"}}}},
	})
}

func TestFileIsRead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(file, []byte("port_offset: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var dst tree
	if _, err := config.Load(&dst, config.Source{File: file}); err != nil || dst.PortOffset != 3 {
		t.Error(err, dst.PortOffset)
	}
	if _, err := config.Load(&dst, config.Source{File: file + "x"}); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error("a missing file is accepted:", err)
	}
}

func TestProgrammingErrors(t *testing.T) {
	t.Parallel()
	for name, dst := range map[string]any{
		"no pointer":  tree{},
		"no yaml tag": &struct{ A int }{},
		"upper case": &struct {
			A int `yaml:"A"`
		}{},
		"channel": &struct {
			A chan int `yaml:"a"`
		}{},
		"declared twice": &struct {
			A int `yaml:"a"`
			B int `yaml:"a"`
		}{},
	} {
		if _, err := config.Load(dst, config.Source{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := config.Keys(&struct {
		A int `yaml:"a" default:"x" doc:"d"`
	}{}); err == nil {
		t.Error("a default of another type is accepted")
	}
	if _, err := config.Keys(&struct {
		A int `yaml:"a"`
	}{}); err == nil || !strings.Contains(err.Error(), "without a doc tag: a") {
		t.Error("a key without documentation is accepted:", err)
	}
}

func TestPlainDurationsAndSizes(t *testing.T) {
	t.Parallel()
	var c struct {
		Wait time.Duration `yaml:"wait" default:"10s" doc:"d"`
		Room int64         `yaml:"room" default:"64KB" unit:"bytes" doc:"d"`
	}
	l, err := config.Load(&c, config.Source{Text: []byte("wait: 1h30m\n")})
	if err != nil || c.Wait != 90*time.Minute || c.Room != 64<<10 {
		t.Fatalf("%+v: %v", c, err)
	}
	var out strings.Builder
	if l.Print(&out) != nil || !strings.Contains(out.String(), "wait: 1h30m") || !strings.Contains(out.String(), "room: 64KB") {
		t.Fatal(out.String())
	}
	if _, err := config.Load(&c, config.Source{Text: []byte("wait: 5\n")}); err == nil || !strings.Contains(err.Error(), "duration") {
		t.Fatal(err)
	}
}
