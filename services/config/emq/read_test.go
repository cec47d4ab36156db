package emq_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/config/emq"
)

// suite is a struct tree with every key that an emq.conf may set.
type suite struct {
	Node struct {
		Name string `yaml:"name" doc:"."`
	} `yaml:"node"`
	Cluster struct {
		Name string `yaml:"name" doc:"."`
		Etcd struct {
			Endpoints []string `yaml:"endpoints" doc:"."`
		} `yaml:"etcd"`
	} `yaml:"cluster"`
	Limits struct {
		MaxConnections int `yaml:"max_connections" doc:"."`
	} `yaml:"limits"`
	Log struct {
		Level string `yaml:"level" default:"info" enum:"debug,info,warn,error" doc:"."`
		File  string `yaml:"file" doc:"."`
	} `yaml:"log"`
	Auth struct {
		AllowAnonymous bool   `yaml:"allow_anonymous" doc:"."`
		ACLNomatch     string `yaml:"acl_nomatch" default:"deny" enum:"allow,deny" doc:"."`
		ACLFile        string `yaml:"acl_file" doc:"."`
		Cache          struct {
			Enable bool `yaml:"enable" doc:"."`
		} `yaml:"cache"`
		Users []struct {
			Username string        `yaml:"username" doc:"."`
			Password config.Secret `yaml:"password" doc:"."`
		} `yaml:"users" doc:"."`
		Clients []struct {
			ClientID string        `yaml:"clientid" doc:"."`
			Password config.Secret `yaml:"password" doc:"."`
		} `yaml:"clients" doc:"."`
	} `yaml:"auth"`
	Sys struct {
		Interval config.Duration `yaml:"interval" doc:"."`
		Presence struct {
			Enable bool `yaml:"enable" doc:"."`
			QoS    int  `yaml:"qos" doc:"."`
		} `yaml:"presence"`
		Monitor struct {
			LongGC       config.Duration `yaml:"long_gc" doc:"."`
			LongSchedule config.Duration `yaml:"long_schedule" doc:"."`
			BusyPort     bool            `yaml:"busy_port" doc:"."`
			BusyDistPort bool            `yaml:"busy_dist_port" doc:"."`
		} `yaml:"monitor"`
	} `yaml:"sys"`
	MQTT struct {
		MaxClientIDLen int             `yaml:"max_clientid_len" doc:"."`
		MaxPacketSize  config.Size     `yaml:"max_packet_size" doc:"."`
		Header         bool            `yaml:"websocket_protocol_header" doc:"."`
		Backoff        float64         `yaml:"keepalive_backoff" doc:"."`
		IdleTimeout    config.Duration `yaml:"idle_timeout" doc:"."`
		Publish        struct {
			MaxRate float64 `yaml:"max_rate" doc:"."`
		} `yaml:"publish"`
		Listeners map[string]listener `yaml:"listeners"`
	} `yaml:"mqtt"`
	Router struct {
		Strategy string `yaml:"shared_strategy" enum:"random,round_robin,sticky,hash_clientid,hash_topic,local" doc:"."`
	} `yaml:"router"`
	Store struct {
		Strategy string `yaml:"shared_strategy" enum:"random,round_robin,sticky,hash_clientid,hash_topic,local" doc:"."`
	} `yaml:"store"`
	Session struct {
		MaxSubscriptions  int             `yaml:"max_subscriptions" doc:"."`
		UpgradeQoS        bool            `yaml:"upgrade_qos" doc:"."`
		MaxInflight       int             `yaml:"max_inflight" doc:"."`
		RetryInterval     config.Duration `yaml:"retry_interval" doc:"."`
		MaxAwaitingRel    int             `yaml:"max_awaiting_rel" doc:"."`
		AwaitRelTimeout   config.Duration `yaml:"await_rel_timeout" doc:"."`
		ExpiryInterval    config.Duration `yaml:"expiry_interval" doc:"."`
		IgnoreLoopDeliver bool            `yaml:"ignore_loop_deliver" doc:"."`
		Queue             struct {
			Type      string         `yaml:"type" enum:"simple,priority" doc:"."`
			Priority  map[string]int `yaml:"priority" doc:"."`
			MaxLength int            `yaml:"max_length" doc:"."`
			Low       config.Percent `yaml:"low_watermark" doc:"."`
			High      config.Percent `yaml:"high_watermark" doc:"."`
			StoreQoS0 bool           `yaml:"store_qos0" doc:"."`
		} `yaml:"queue"`
	} `yaml:"session"`
	Retained struct {
		Storage     string          `yaml:"storage" enum:"ram,disc,disc_only" doc:"."`
		MaxMessages int             `yaml:"max_messages" doc:"."`
		MaxPayload  config.Size     `yaml:"max_payload" doc:"."`
		Expiry      config.Duration `yaml:"expiry" doc:"."`
	} `yaml:"retained"`
	Mgmt struct {
		Listen string `yaml:"listen" doc:"."`
	} `yaml:"mgmt"`
}

type listener struct {
	Kind          string          `yaml:"kind" enum:"tcp,ssl,ws,wss" doc:"."`
	Bind          string          `yaml:"bind" doc:"."`
	MaxClients    int             `yaml:"max_clients" doc:"."`
	Mountpoint    string          `yaml:"mountpoint" doc:"."`
	Acceptors     int             `yaml:"acceptors" doc:"."`
	Backlog       int             `yaml:"backlog" doc:"."`
	RateLimit     config.Limit    `yaml:"rate_limit" doc:"."`
	ProxyProtocol bool            `yaml:"proxy_protocol" doc:"."`
	ProxyTimeout  config.Duration `yaml:"proxy_protocol_timeout" doc:"."`
	Access        []string        `yaml:"access" doc:"."`
	PeerCert      string          `yaml:"peer_cert_as_username" enum:"cn,dn" doc:"."`
	SendTimeout   config.Duration `yaml:"send_timeout" doc:"."`
	Recbuf        config.Size     `yaml:"recbuf" doc:"."`
	Sndbuf        config.Size     `yaml:"sndbuf" doc:"."`
	Nodelay       bool            `yaml:"nodelay" doc:"."`
	Handshake     config.Duration `yaml:"handshake_timeout" doc:"."`
	AddressHeader string          `yaml:"proxy_address_header" doc:"."`
	PortHeader    string          `yaml:"proxy_port_header" doc:"."`
	TLS           struct {
		Keyfile    string   `yaml:"keyfile" doc:"."`
		Certfile   string   `yaml:"certfile" doc:"."`
		CACertfile string   `yaml:"cacertfile" doc:"."`
		Ciphers    []string `yaml:"ciphers" doc:"."`
		Verify     string   `yaml:"verify" enum:"verify_peer,verify_none" doc:"."`
		Fail       bool     `yaml:"fail_if_no_peer_cert" doc:"."`
		Versions   []string `yaml:"versions" doc:"."`
	} `yaml:"tls"`
}

// TestTargetsAreDocumentedKeys keeps suite, Targets and the table in step.
func TestTargetsAreDocumentedKeys(t *testing.T) {
	t.Parallel()
	keys, err := config.Keys(&suite{})
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]bool)
	for _, k := range keys {
		have[strings.TrimSuffix(strings.ReplaceAll(k.Path, "<name>", "<listener>"), ".<listener>")] = true // a map of values is one target
	}
	for _, to := range emq.Targets() {
		if !have[to] {
			t.Errorf("%s is set but is no key", to)
		}
		delete(have, to)
	}
	for key := range have {
		if !strings.Contains(key, "[]") {
			t.Errorf("%s is never set", key)
		}
	}
}

// TestSeedIsReadAsItIs reads the example of the manual's chapters 5 and 12,
// copied unchanged, and compares everything that comes of it.
func TestSeedIsReadAsItIs(t *testing.T) {
	t.Parallel()
	layer, notices, err := emq.Read("testdata/seed", nil)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := filepath.Abs("testdata/seed")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/seed.golden", strings.ReplaceAll(strings.ReplaceAll(dump(layer, notices), filepath.ToSlash(seed), "/opt/emqttd"), "testdata/seed", "/opt/emqttd"))
	var got suite
	loaded, err := config.Load(&got, config.Source{Extra: []config.Layer{layer}})
	if err != nil {
		t.Fatal(err)
	}
	tcp := got.MQTT.Listeners["tcp"]
	if tcp.Bind != "0.0.0.0:1883" || tcp.MaxClients != 102400 || len(got.MQTT.Listeners) != 5 || got.Auth.ACLFile != filepath.Join(seed, "etc", "acl.conf") {
		t.Errorf("got %+v", got)
	}
	if o := loaded.Origin("mqtt.listeners.wss.bind").String(); !strings.HasPrefix(filepath.ToSlash(o), "testdata/seed/etc/emq.conf:") {
		t.Errorf("the origin is %s", o)
	}
}

// TestEveryTypeFitsTheTree reads all keys at once into the tree.
func TestEveryTypeFitsTheTree(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/keys.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "etc", "emq.conf"), string(text)+"log.console = both\ncluster.discovery = etcd\n")
	layer, notices, err := emq.Read(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/all.golden", strings.ReplaceAll(dump(layer, notices), dir, "/opt/emqttd"))
	var got suite
	if _, err := config.Load(&got, config.Source{Extra: []config.Layer{layer}}); err != nil {
		t.Fatal(err)
	}
	if got.Auth.Users[0].Password.Value() != "s3cret; with = signs" || got.Auth.Users[1].Username != "test" || got.Session.ExpiryInterval.String() != "14d" {
		t.Errorf("got %+v", got)
	}
}

func dump(layer config.Layer, notices []emq.Notice) string {
	var b strings.Builder
	for _, e := range layer.Entries {
		fmt.Fprintf(&b, "%s = %v", strings.Join(e.Path, "."), e.Value)
		if e.Clear {
			b.WriteString(" (cleared)")
		}
		fmt.Fprintf(&b, "  # %s\n", e.Origin)
	}
	b.WriteString("\n")
	for _, n := range notices {
		b.WriteString(n.String() + "\n")
	}
	return filepath.ToSlash(b.String())
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s: -want +got\n%s", path, diff)
	}
}
