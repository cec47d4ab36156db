package boot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/run"
)

// service is the configuration of a process that has one section of its own.
type service struct {
	boot.Common
	Mgmt struct {
		Listen string `yaml:"listen" default:"127.0.0.1:8080" doc:"Address."`
	} `yaml:"mgmt" doc:"Management."`
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Each source lies over the one before: default, emq.conf, file, environment, flags.
func TestSourcesLieOverEachOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf := write(t, filepath.Join(dir, "etc", "emq.conf"), "node.name = seed@h\ncluster.name = seed\nlog.console.level = debug\nlistener.api.mgmt = 127.0.0.1:9999\n")
	yaml := write(t, filepath.Join(dir, "pando.yaml"), "node: {name: file@h}\ncluster: {name: file}\nmqtt: {anything: 1}\nauth: {more: 2}\n")
	c := &service{}
	l, err := boot.Load(c, boot.Options{
		File: yaml, EMQ: dir, DataDir: dir, Offset: "7", Set: []string{"journal.durability=disk"},
		Environ: []string{"PANDO_NODE__NAME=env@h", "PANDO_JOURNAL__DURABILITY=memory", "PANDO_TOKEN=no key", "PANDO_SERVER=no key"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Node.Name != "env@h" || c.Cluster.Name != "file" || c.Log.Level != "debug" || c.Journal.Durability != "disk" || c.PortOffset != 7 || c.DataDir != dir ||
		c.Mgmt.Listen != "127.0.0.1:9999" || c.Cluster.LeaseTTL != 3*time.Second {
		t.Errorf("got %+v", c)
	}
	if len(l.Files) != 2 || l.Files[0] != dir || l.Files[1] != yaml {
		t.Errorf("read %q, not %s and %s", l.Files, conf, yaml)
	}
}

// An etc/emq.conf beside the data directory is read when nothing else is named, and only then.
func TestSeedBesideTheDataDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "etc", "emq.conf"), "node.name = seed@h\n")
	yaml := write(t, filepath.Join(dir, "pando.yaml"), "cluster: {name: file}\n")
	data := filepath.Join(dir, "data")
	for name, c := range map[string]struct {
		o    boot.Options
		want string
	}{
		"nothing named":       {boot.Options{DataDir: data}, "seed@h"},
		"by the environment":  {boot.Options{Environ: []string{"PANDO_DATA_DIR=" + data}}, "seed@h"},
		"a file is named":     {boot.Options{DataDir: data, File: yaml}, ""},
		"none is wanted":      {boot.Options{DataDir: data, EMQ: "none"}, ""},
		"none by environment": {boot.Options{DataDir: data, Environ: []string{"PANDO_EMQ=none"}}, ""},
		"another directory":   {boot.Options{DataDir: filepath.Join(t.TempDir(), "data")}, ""},
	} {
		if c.o.Environ == nil {
			c.o.Environ = []string{}
		}
		got := &service{}
		if _, err := boot.Load(got, c.o); err != nil || got.Node.Name != c.want {
			t.Errorf("%s: node.name is %q, want %q (%v)", name, got.Node.Name, c.want, err)
		}
	}
}

// What is wrong is refused with its place and the nearest key, all of it at once, and exit code 2.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		yaml string
		o    boot.Options
		want []string
	}{
		"unknown section":  {yaml: "mqttt: {a: 1}\n", want: []string{"pando.yaml:1", "mqttt", "mqtt"}},
		"unknown keys":     {yaml: "log:\n  levl: info\nops:\n  lissten: x\n", want: []string{"pando.yaml:2", "level", "pando.yaml:4", "listen"}},
		"type":             {yaml: "port_offset: many\n", want: []string{"pando.yaml:1", "port_offset"}},
		"too far":          {yaml: "port_offset: 45001\n", want: []string{"45000"}},
		"a level of $SYS":  {yaml: "node: {name: a/b}\n", want: []string{"node.name"}},
		"half of TLS":      {yaml: "cluster: {tls: {certfile: a.pem}}\n", want: []string{"belong together"}},
		"short lease":      {yaml: "cluster: {lease_ttl: 10ms}\n", want: []string{"lease_ttl", "1s"}},
		"public admin":     {yaml: "ops: {listen: \"0.0.0.0:9880\"}\n", want: []string{"allow_remote"}},
		"the environment":  {o: boot.Options{Environ: []string{"PANDO_LOG__LEVL=info"}}, want: []string{"PANDO_LOG__LEVL", "PANDO_LOG__LEVEL"}},
		"a flag":           {o: boot.Options{Set: []string{"log.level"}}, want: []string{"key=value"}},
		"no such file":     {o: boot.Options{File: filepath.Join(dir, "none.yaml")}, want: []string{"none.yaml"}},
		"no such seed":     {o: boot.Options{EMQ: filepath.Join(dir, "none")}, want: []string{"none"}},
		"no data dir":      {o: boot.Options{Set: []string{"data_dir="}}, want: []string{"data_dir"}},
		"wrong durability": {yaml: "journal: {durability: sometimes}\n", want: []string{"fsync"}},
	} {
		if c.o.Environ == nil {
			c.o.Environ = []string{}
		}
		if c.yaml != "" {
			c.o.File = write(t, filepath.Join(t.TempDir(), "pando.yaml"), c.yaml)
		}
		_, err := boot.Load(&service{}, c.o)
		if err == nil || run.Code(err) != run.CodeUsage {
			t.Errorf("%s: got %v, code %d", name, err, run.Code(err))
			continue
		}
		for _, word := range c.want {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not name %q", name, err, word)
			}
		}
	}
}

func TestNodeName(t *testing.T) {
	t.Parallel()
	c := boot.Common{}
	if n := c.NodeName(); !strings.HasPrefix(n, "pando@") || len(n) < 7 {
		t.Errorf("the default is %q", n)
	}
	c.Node.Name = "emq@127.0.0.1"
	if n := c.NodeName(); n != "emq@127.0.0.1" {
		t.Errorf("got %q", n)
	}
}

func TestConnectionsFollowTheLimitOfFiles(t *testing.T) {
	t.Parallel()
	if n := (boot.LimitsConfig{MaxConnections: 17}).Connections(); n != 17 {
		t.Errorf("got %d, want what is configured", n)
	}
	if n := (boot.LimitsConfig{}).Connections(); n < 100 {
		t.Errorf("only %d connections are left", n)
	}
}
