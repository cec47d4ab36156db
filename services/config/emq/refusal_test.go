package emq_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/config/emq"
)

// TestRefusals is the golden text of refused files: all problems at once.
func TestRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "etc", "emq.conf"), strings.Join([]string{
		"mqtt.max_paket_size = 64KB",
		"listener.tcp.external.max_client = 5",
		"listener.tcp.external = 70000",
		"listener.ws.external = localhost",
		"mqtt.max_packet_size = lots",
		"mqtt.session.upgrade_qos = maybe",
		"mqtt.client.idle_timeout = soon",
		"mqtt.mqueue.low_watermark = 20",
		"mqtt.mqueue.type = heap",
		"mqtt.mqueue.priority = a,b",
		"mqtt.session.max_inflight = -1",
		"mqtt.keepalive_backoff = x",
		"mqtt.acl_nomatch = ignore",
		"mqtt.allow_anonymous = 1",
		"log.console.level = loud",
		"listener.tcp.external.access.1 = permit all",
		"listener.tcp.external.access.2 = allow 10.0.0.0/33",
		"listener.tcp.external.access.x = allow all",
		"listener.tcp.external.rate_limit = 100",
		"listener.ssl.a/b = 8883",
		"listener.ssl.external = 8883",
		"listener.ssl.external.tls_versions = sslv3",
		"mqtt.acl_file = {{ platform_config }}/acl.conf",
		"zzz.zzz.zzz.zzz = 1",
		"just text",
	}, "\n"))
	write(t, filepath.Join(dir, "etc", "plugins", "emq_sn.conf"), "mqtt.sn.prot = 1884\n")
	write(t, filepath.Join(dir, "data", "loaded_plugins"), "emq_modules.\n<<x>>.\n")
	_, _, err := emq.Read(dir, []string{"EMQ_MQTT__MAX_PAKET_SIZE=1KB", "EMQ_MAX_PORTS=many", "EMQ_TCP_PORT=x"})
	if err == nil {
		t.Fatal("accepted")
	}
	golden(t, "testdata/refusals.golden", strings.ReplaceAll(filepath.ToSlash(err.Error()), filepath.ToSlash(dir), "/opt/emqttd")+"\n")
	for name, path := range map[string]string{"nothing there": filepath.Join(dir, "none"), "no emq.conf": filepath.Join(dir, "data")} {
		if _, _, err := emq.Read(path, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// read reads an emq.conf of a few lines, with other files beside it.
func read(t *testing.T, conf string, environ []string, files ...string) (map[string]any, string) {
	t.Helper()
	path := ""
	if conf != "" {
		path = t.TempDir()
		write(t, filepath.Join(path, "etc", "emq.conf"), conf)
		for i := 0; i < len(files); i += 2 {
			write(t, filepath.Join(path, files[i]), files[i+1])
		}
	}
	layer, notices, err := emq.Read(path, environ)
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]any)
	for _, e := range layer.Entries {
		values[strings.Join(e.Path, ".")] = e.Value
	}
	var lines strings.Builder
	for _, n := range notices {
		lines.WriteString(n.String() + "\n")
	}
	return values, filepath.ToSlash(strings.ReplaceAll(lines.String(), path, ""))
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, conf  string
		environ     []string
		key, value  string
		noticeAbout string
	}{
		{"node name", "", []string{"EMQ_NODE_NAME=emq@10.0.0.1"}, "node.name", "emq@10.0.0.1", ""},
		{"over the file", "node.name = a@b", []string{"EMQ_NODE_NAME=c@d"}, "node.name", "c@d", ""},
		{"cookie", "", []string{"EMQ_NODE_COOKIE=secret"}, "", "", "node.cookie: no shared cookie here"},
		{"ports of the machine", "", []string{"EMQ_MAX_PORTS=2048"}, "limits.max_connections", "2048", ""},
		{"port keeps the file's address", "listener.tcp.external = 127.0.0.1:1883", []string{"EMQ_TCP_PORT=2883"}, "mqtt.listeners.tcp.bind", "127.0.0.1:2883", ""},
		{"port without an address in the file", "node.name = a@b", []string{"EMQ_WSS_PORT=2884"}, "mqtt.listeners.wss.bind", "0.0.0.0:2884", ""},
		{"port without a file stays on loopback", "", []string{"EMQ_SSL_PORT=9883"}, "mqtt.listeners.ssl.bind", "127.0.0.1:9883", "EMQ_SSL_PORT: without an emq.conf this listens on 127.0.0.1"},
		{"older name", "", []string{"EMQ_HTTP_PORT=9083"}, "mqtt.listeners.ws.bind", "127.0.0.1:9083", ""},
		{"any key", "", []string{"EMQ_MQTT__MAX_PACKET_SIZE=1MB"}, "mqtt.max_packet_size", "1MB", ""},
		{"a listener", "", []string{"EMQ_LISTENER__TCP__EXTERNAL=10.0.0.1:1884"}, "mqtt.listeners.tcp.bind", "10.0.0.1:1884", ""},
		{"older spelling of a key", "", []string{"EMQ_MQTT__CLIENT_IDLE_TIMEOUT=5"}, "mqtt.idle_timeout", "5s", ""},
		{"key of one word", "", []string{"EMQ_SASL=on"}, "", "", "sasl: there is one log"},
		{"no key", "", []string{"EMQ_HOME=/opt/emqttd", "EMQ_X="}, "", "", "EMQ_HOME: names no key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			values, notices := read(t, tt.conf, append(tt.environ, "HOME=/root"))
			if tt.key != "" && values[tt.key] != tt.value {
				t.Errorf("%s is %v, want %s; all: %v", tt.key, values[tt.key], tt.value, values)
			}
			if !strings.Contains(notices, tt.noticeAbout) || strings.Contains(notices, "secret") {
				t.Errorf("notices:\n%s", notices)
			}
		})
	}
	if values, notices := read(t, "", []string{"HOME=/root"}); len(values) != 0 || notices != "" {
		t.Errorf("nothing to read gives %v %s", values, notices)
	}
}

func TestSafety(t *testing.T) {
	t.Parallel()
	values, notices := read(t, "node.name = a@b", nil)
	if values["auth.acl_nomatch"] != "allow" || values["auth.allow_anonymous"] != nil || !strings.Contains(notices, "the suite's own default is deny") {
		t.Errorf("silent emq.conf: %v\n%s", values, notices)
	}
	values, _ = read(t, "mqtt.allow_anonymous = true\nmqtt.acl_nomatch = deny", nil, "etc/acl.conf", "{allow, all}.")
	if values["auth.acl_nomatch"] != "deny" || values["auth.allow_anonymous"] != true || !strings.HasSuffix(values["auth.acl_file"].(string), filepath.Join("etc", "acl.conf")) {
		t.Errorf("explicit emq.conf: %v", values)
	}
	values, notices = read(t, "mqtt.allow_anonymous = true", nil, "data/loaded_plugins", "emq_auth_mysql.\nmy_plugin.\n")
	if values["auth.allow_anonymous"] != false || !strings.Contains(notices, "while emq_auth_mysql cannot authenticate yet") || !strings.Contains(notices, "plugin my_plugin: is no plugin of the suite") {
		t.Errorf("a backend that is not there: %v\n%s", values, notices)
	}
	users := "auth.user.1.username = admin\nauth.user.1.password = public\nauth.user.2.username = half\n"
	values, notices = read(t, "node.name = a@b", nil, "etc/plugins/emq_auth_username.conf", users, "data/loaded_plugins", "[emq_auth_username].")
	if len(values["auth.users"].([]any)) != 1 || !strings.Contains(notices, "auth.user.1.username: the password is an example of the manual") || !strings.Contains(notices, "auth.user.2.username: not taken") {
		t.Errorf("users: %v\n%s", values, notices)
	}
	values, notices = read(t, "node.name = a@b", nil, "etc/plugins/emq_auth_username.conf", users, "etc/plugins/other.conf", "x = 1")
	if values["auth.users"] != nil || !strings.Contains(notices, "emq_auth_username.conf: takes no effect") || !strings.Contains(notices, "/etc/plugins/other.conf: belongs to no plugin") {
		t.Errorf("plugin that is not loaded: %v\n%s", values, notices)
	}
	values, _ = read(t, "listener.ssl.external = 8883\nlistener.ssl.external.keyfile = /none/key.pem\nlistener.ssl.external.cacertfile = etc/certs/none.pem", nil)
	if values["mqtt.listeners.ssl.tls.keyfile"] != "/none/key.pem" || values["mqtt.listeners.ssl.tls.cacertfile"] == nil {
		t.Errorf("a certificate that somebody chose is dropped because it is missing: %v", values)
	}
}

func TestListeners(t *testing.T) {
	t.Parallel()
	values, notices := read(t, strings.Join([]string{
		"listener.tcp.a = ::1:1883", "listener.ws.a = 8083", "listener.tcp.a.access.10 = deny all", "listener.tcp.a.access.9 = allow 10.0.0.0/8",
		"listener.ssl.external.max_clients = 7", "mqtt.plugins.etc_dir = etc/other/",
	}, "\n"), nil, "etc/other/emq_retainer.conf", "retainer.expiry_interval = 2w")
	if values["mqtt.listeners.tcp-a.bind"] != "[::1]:1883" || values["mqtt.listeners.ws-a.bind"] != "0.0.0.0:8083" || values["mqtt.listeners.ws-a.kind"] != "ws" {
		t.Errorf("got %v", values)
	}
	if got := values["mqtt.listeners.tcp-a.access"]; !slices.Equal(got.([]string), []string{"allow 10.0.0.0/8", "deny all"}) {
		t.Errorf("access %v", got)
	}
	if _, cleared := values["mqtt.listeners"]; !cleared || values["mqtt.listeners.ssl.max_clients"] != nil || !strings.Contains(notices, "listener.ssl.external.max_clients: this listener has no address") {
		t.Errorf("a listener without an address: %v\n%s", values, notices)
	}
	if values["retained.expiry"] != "14d" {
		t.Errorf("mqtt.plugins.etc_dir has no effect: %v", values)
	}
	layer, _, err := emq.Read("", []string{"EMQ_TCP_PORT=1"})
	if err != nil || slices.ContainsFunc(layer.Entries, func(e config.Entry) bool { return e.Clear }) {
		t.Errorf("a variable alone clears the suite's listeners: %v %v", layer, err)
	}
}
