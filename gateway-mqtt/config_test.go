package gatewaymqtt_test

import (
	"flag"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	gatewaymqtt "github.com/pando-mq/pando/gateway-mqtt"
	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/config/emq"
	"github.com/pando-mq/pando/services/run"
	"github.com/pando-mq/pando/services/transport"
)

var update = flag.Bool("update", false, "write the golden files anew")

// tree is the configuration as a process of the gateway holds it.
type tree struct {
	MQTT gatewaymqtt.Config `yaml:"mqtt" doc:"What MQTT devices meet."`
}

func load(t *testing.T, src config.Source) (tree, *config.Loaded, error) {
	t.Helper()
	got := tree{MQTT: gatewaymqtt.DefaultConfig()}
	loaded, err := config.Load(&got, src)
	return got, loaded, err
}

func TestDefaultsAreTheTags(t *testing.T) {
	t.Parallel()
	got, _, err := load(t, config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(gatewaymqtt.DefaultConfig(), got.MQTT); d != "" {
		t.Errorf("the default tags say something else (-code +tags):\n%s", d)
	}
	src := config.Source{Text: []byte("mqtt:\n  listeners:\n    more: {bind: 127.0.0.1:2883}\n"), File: "x.yaml"}
	if got, _, err = load(t, src); err != nil {
		t.Fatal(err)
	}
	want := gatewaymqtt.DefaultListener()
	want.Bind = "127.0.0.1:2883"
	if d := cmp.Diff(want, got.MQTT.Listeners["more"]); d != "" {
		t.Errorf("a new listener has other defaults (-code +tags):\n%s", d)
	}
}

func TestDefaultsAreShownAndSafe(t *testing.T) {
	t.Parallel()
	got, loaded, err := load(t, config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range got.MQTT.Listeners {
		host, err := netip.ParseAddrPort(l.Bind)
		if err != nil || !host.Addr().IsLoopback() {
			t.Errorf("listener %s is bound to %s", name, l.Bind)
		}
	}
	var text strings.Builder
	if err := loaded.Print(&text); err != nil {
		t.Fatal(err)
	}
	const golden = "config.golden.yaml"
	if *update {
		if err := os.WriteFile(golden, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), text.String()); d != "" {
		t.Errorf("%s is not what is loaded; run the test with -update if that is right:\n%s", golden, d)
	}
}

// TestSeedKeysExist: what an emq.conf sets in this section must be known here, and so the cipher suites that it may name.
func TestSeedKeysExist(t *testing.T) {
	t.Parallel()
	keys, err := config.Keys(&tree{MQTT: gatewaymqtt.DefaultConfig()})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, k := range keys {
		known[k.Path] = true
	}
	for _, target := range emq.Targets() {
		key := strings.ReplaceAll(target, "<listener>", "<name>")
		if strings.HasPrefix(key, "mqtt.") && !known[key] {
			t.Errorf("an emq.conf may set %s, which is no key", key)
		}
	}
	for _, name := range emq.Suites() {
		if _, err := transport.Cipher(name); err != nil {
			t.Error(err)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ yaml, want string }{
		"packet size":     {"max_packet_size: 10", "mqtt.max_packet_size: 10 is not within 64 and"},
		"idle timeout":    {"idle_timeout: 0s", "mqtt.idle_timeout: must be above 0"},
		"receive maximum": {"receive_maximum: 65536", "mqtt.receive_maximum"},
		"backoff":         {"keepalive_backoff: -1.0", "keepalive_backoff: must be above 0"},
		"bind":            {"listeners: {tcp: {bind: nowhere}}", "mqtt.listeners.tcp.bind: \"nowhere\" is no address and port"},
		"kind":            {"listeners: {tcp: {kind: udp}}", "mqtt.listeners.tcp.kind"},
		"name":            {"listeners: {\"a b\": {bind: \":1\"}}", "is no name"},
		"rule":            {"listeners: {tcp: {access: [permit all]}}", "mqtt.listeners.tcp.access: \"permit all\" is no rule"},
		"proxy":           {"listeners: {ws: {trusted_proxies: [proxy]}}", "mqtt.listeners.ws.trusted_proxies"},
		"half a pair":     {"listeners: {ssl: {tls: {certfile: x.pem}}}", "certfile and keyfile come together"},
		"no authority":    {"listeners: {ssl: {tls: {verify: verify_peer}}}", "mqtt.listeners.ssl.tls.cacertfile"},
		"nothing wrong":   {"max_packet_size: 1MB", ""},
		"unknown key":     {"listeners: {tcp: {bindd: \":1\"}}", "did you mean"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := load(t, config.Source{Text: []byte("mqtt:\n  " + tt.yaml + "\n"), File: "x.yaml"})
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestExposure(t *testing.T) {
	t.Parallel()
	nobody := gatewaymqtt.Access{}
	for name, tt := range map[string]struct {
		bind     string
		disabled bool
		access   gatewaymqtt.Access
		refused  bool
	}{
		"loopback":           {"127.0.0.1:1883", false, nobody, false},
		"loopback range":     {"127.8.8.8:1883", false, nobody, false},
		"loopback IPv6":      {"[::1]:1883", false, nobody, false},
		"mapped loopback":    {"[::ffff:127.0.0.1]:1883", false, nobody, false},
		"localhost":          {"localhost:1883", false, nobody, false},
		"everywhere":         {":1883", false, nobody, true},
		"everywhere IPv4":    {"0.0.0.0:1883", false, nobody, true},
		"everywhere IPv6":    {"[::]:1883", false, nobody, true},
		"a network":          {"192.0.2.1:1883", false, nobody, true},
		"a name":             {"broker.example:1883", false, nobody, true},
		"disabled":           {":1883", true, nobody, false},
		"with users":         {":1883", false, gatewaymqtt.Access{Authentication: true}, false},
		"anonymous, as said": {":1883", false, gatewaymqtt.Access{AnonymousExplicit: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := gatewaymqtt.DefaultListener()
			l.Bind, l.Disabled = tt.bind, tt.disabled
			cfg := gatewaymqtt.Config{Listeners: map[string]gatewaymqtt.ListenerConfig{"x": l}}
			err := cfg.CheckExposure(tt.access)
			if err != nil && run.Code(err) != run.CodeUsage {
				t.Errorf("exit code %d, want that of a wrong configuration", run.Code(err))
			}
			if (err != nil) != tt.refused {
				t.Fatalf("CheckExposure(%s) = %v", tt.bind, err)
			}
			if err != nil && !strings.Contains(err.Error(), "auth.allow_anonymous: true") {
				t.Errorf("does not say what to do: %v", err)
			}
		})
	}
}
