package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/config"
)

// TestRefusals is the golden text of every kind of refusal, all problems of a
// case at once and in order.
func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		text string
		src  config.Source
		want []string
	}{
		{"typing error", "mqtt:\n  max_paket_size: 1KB\n", config.Source{}, []string{
			"pando.yaml:2:3: mqtt.max_paket_size: unknown key, did you mean mqtt.max_packet_size?"}},
		{"swapped letters in a listener", "mqtt:\n  listeners:\n    tcp:\n      bnid: 127.0.0.1:1883\n", config.Source{}, []string{
			"pando.yaml:4:7: mqtt.listeners.tcp.bnid: unknown key, did you mean mqtt.listeners.tcp.bind?"}},
		{"wrong section", "max_packet_size: 1KB\n", config.Source{}, []string{
			"pando.yaml:1:1: max_packet_size: unknown key, did you mean mqtt.max_packet_size?"}},
		{"dots instead of nesting", "mqtt.idle_timeout: 1s\n", config.Source{}, []string{
			"pando.yaml:1:1: mqtt.idle_timeout: unknown key, did you mean mqtt.idle_timeout?"}},
		{"unknown section", "rooter: {}\n", config.Source{OtherSections: []string{"router"}}, []string{
			"pando.yaml:1:1: rooter: unknown key, did you mean router?"}},
		{"nothing is near", "auth:\n  zzzzzzzz: 1\n", config.Source{}, []string{
			"pando.yaml:2:3: auth.zzzzzzzz: unknown key, the keys of auth are allow_anonymous, high_watermark, password, token, users"}},
		{"variable", "", config.Source{Environ: []string{"PANDO_MQTT__IDLE_TIMOUT=1s", "PANDO_DATADIR=x"}}, []string{
			"PANDO_DATADIR: datadir: unknown key, did you mean data_dir? (PANDO_DATA_DIR)",
			"PANDO_MQTT__IDLE_TIMOUT: mqtt.idle_timout: unknown key, did you mean mqtt.idle_timeout? (PANDO_MQTT__IDLE_TIMEOUT)"}},
		{"types", "data_dir: 7\nport_offset: x\nmqtt:\n  max_packet_size: lots\n  idle_timeout: 30\n  keepalive_backoff: '1'\n  rate_limit: 5\n  level: inf\n  listeners: [a]\n", config.Source{}, []string{
			`pando.yaml:1:11: data_dir: found the number 7, expected a string (put it in quotes)`,
			`pando.yaml:2:14: port_offset: found the text "x", expected a whole number`,
			`pando.yaml:4:20: mqtt.max_packet_size: found the text "lots", expected a size in bytes, such as 64KB, 1MB or 65536`,
			`pando.yaml:5:17: mqtt.idle_timeout: found the number 30, expected a duration with its unit, such as 10s, 1h30m or 2w`,
			`pando.yaml:6:22: mqtt.keepalive_backoff: found the text "1", expected a number`,
			`pando.yaml:7:15: mqtt.rate_limit: found the number 5, expected a rate, such as 1000/s or 10KB/s`,
			`pando.yaml:8:10: mqtt.level: found the text "inf", expected one of debug, info, warn, error; did you mean info?`,
			`pando.yaml:9:14: mqtt.listeners: found a list, expected a mapping`}},
		{"more types", "auth:\n  allow_anonymous: on\n  token: 12\n  password: true\n  users: {a: 1}\n  high_watermark: 60\nmqtt: 3\n", config.Source{}, []string{
			`pando.yaml:2:20: auth.allow_anonymous: found the text "on", expected true or false`,
			`pando.yaml:3:10: auth.token: found a value that is not shown, expected a string, file:///path or env:NAME`,
			`pando.yaml:4:13: auth.password: found a value that is not shown, expected a string (put it in quotes)`,
			`pando.yaml:5:3: auth.users: found a mapping of keys, expected a list`,
			`pando.yaml:6:19: auth.high_watermark: found the number 60, expected a percentage, such as 20%`,
			`pando.yaml:7:7: mqtt: found the number 3, expected a mapping of keys`}},
		{"nothing where a value belongs", "data_dir:\nmqtt:\n  listeners:\n    a: {bind: '127.0.0.1:1', max_clients: -1, access: x}\n", config.Source{}, []string{
			`pando.yaml:1:1: data_dir: found nothing, expected a string`,
			`pando.yaml:4:43: mqtt.listeners.a.max_clients: found the number -1, expected a whole number from 0`,
			`pando.yaml:4:55: mqtt.listeners.a.access: found the text "x", expected a list`}},
		{"duplicate keys", "data_dir: a\nport_offset: 1\ndata_dir: b\nmqtt: {level: info, level: warn}\n", config.Source{}, []string{
			"pando.yaml:3:1: data_dir: the same key stands at pando.yaml:1:1 already",
			"pando.yaml:4:21: mqtt.level: the same key stands at pando.yaml:4:8 already"}},
		{"secrets", "auth:\n  token: file://relative\n  users: [{password: 'env:NOT_THERE'}]\n", config.Source{}, []string{
			"pando.yaml:2:10: auth.token: a secret's file is written file:///absolute/path",
			"pando.yaml:3:22: auth.users[0].password: the environment has no NOT_THERE"}},
		{"validation points at the value or its section", "mqtt:\n  listeners:\n    a:\n      kind: ssl\n    b: {bind: 127.0.0.1:1}\n", config.Source{}, []string{
			"pando.yaml:3:5: mqtt.listeners.a.bind: an address is needed, such as 0.0.0.0:1883",
			"pando.yaml:4:13: mqtt.listeners.a.kind: ssl needs a tls section"}},
		{"overrides", "", config.Source{Overrides: []string{"data_dir", "mqtt.levle=info", "port_offset=1s", "mqtt.listeners=x"}}, []string{
			"override data_dir: an override is written key=value",
			"override mqtt.levle: mqtt.levle: unknown key, did you mean mqtt.level?",
			`override mqtt.listeners: mqtt.listeners: found "x", expected a mapping`,
			`override port_offset: port_offset: found "1s", expected a whole number`}},
		{"no YAML", "mqtt: {\n", config.Source{}, []string{"pando.yaml:1:7: no valid YAML: could not find flow mapping end token '}'"}},
		{"tab", "mqtt:\n\tlevel: info\n", config.Source{}, []string{"pando.yaml:2:1: no valid YAML: found character '\t' that cannot start any token"}},
		{"two documents", "data_dir: a\n---\ndata_dir: b\n", config.Source{}, []string{"pando.yaml:3:9: a second YAML document; one file is one document"}},
		{"a list", "- a\n", config.Source{}, []string{"pando.yaml:1:1: found a list, expected a mapping of keys"}},
		{"unread YAML", "data_dir: !!binary aGk=\nmqtt: {<<: *x}\nauth: *nowhere\n", config.Source{}, []string{
			"pando.yaml:1:11: this part of YAML is not read here (tag)",
			"pando.yaml:2:8: merge keys (<<) are not read; write the keys out",
			"pando.yaml:3:7: no value is marked &nowhere before this"}},
		{"flow style in a variable", "", config.Source{Environ: []string{"PANDO_MQTT={levle: info}", "PANDO_AUTH__USERS=[{"}}, []string{
			"PANDO_AUTH__USERS: auth.users: no valid YAML: could not find flow mapping end token '}'",
			"PANDO_MQTT: mqtt.levle: unknown key, did you mean mqtt.level? (PANDO_MQTT__LEVEL)"}},
		{"every source at once", "data_dri: a\n", config.Source{Environ: []string{"PANDO_PORT_OFSET=1"}, Overrides: []string{"x=1"},
			Extra: []config.Layer{{Entries: []config.Entry{{Path: []string{"mqtt", "lvl"}, Value: "x", Origin: config.Origin{Kind: config.File, Name: "emq.conf", Line: 9}}}}}}, []string{
			"emq.conf:9: mqtt.lvl: unknown key, did you mean mqtt.level?",
			"pando.yaml:1:1: data_dri: unknown key, did you mean data_dir?",
			"PANDO_PORT_OFSET: port_ofset: unknown key, did you mean port_offset? (PANDO_PORT_OFFSET)",
			"override x: x: unknown key, the keys here are auth, data_dir, mqtt, port_offset"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var dst tree
			tt.src.File, tt.src.Text = "pando.yaml", []byte(tt.text)
			_, err := config.Load(&dst, tt.src)
			var problems config.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want Problems", err)
			}
			if got, want := err.Error(), strings.Join(tt.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestAliasesCannotExplode(t *testing.T) {
	t.Parallel()
	text := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		p := string(c - 1)
		text += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+p+", ", 10) + "*" + p + "]\n"
	}
	var dst tree
	_, err := config.Load(&dst, config.Source{File: "f", Text: []byte(text), OtherSections: strings.Split("abcdefghijk", "")})
	if err == nil || !strings.Contains(err.Error(), "too many values") {
		t.Errorf("got %v", err)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	_, l := load(t, "mqtt: {max_packet_size: 1KB, listeners: {tcp: {bind: 127.0.0.1:1883}}}\n", config.Source{})
	var out strings.Builder
	for _, key := range []string{"mqtt.max_packet_size", "mqtt.listeners.tcp.bind", "mqtt.listeners.<name>.max_clients", "mqtt.listeners"} {
		if err := l.Explain(&out, key); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "explain.golden", out.String())
	for key, want := range map[string]string{
		"mqtt.max_packet":        "mqtt.max_packet: unknown key, did you mean mqtt.max_packet_size?",
		"mqtt.listeners.tcp.bin": "mqtt.listeners.tcp.bin: unknown key, did you mean mqtt.listeners.tcp.bind?",
		"data_dir.x":             "data_dir.x: unknown key, did you mean data_dir?",
	} {
		if err := l.Explain(&out, key); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestReference(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := config.Reference(&out, &tree{}, &struct {
		MQTT mqttSection `yaml:"mqtt"`
		Own  struct {
			X string `yaml:"x" doc:"a|b <c>" unit:"bytes" default:"|"`
		} `yaml:"own" doc:"Another service."`
	}{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "reference.golden.md", out.String())
	if err := config.Reference(&out, &struct {
		A int `yaml:"a"`
	}{}); err == nil {
		t.Error("a key without documentation is accepted")
	}
}

// golden compares with a file of testdata; UPDATE_GOLDEN=1 rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}
