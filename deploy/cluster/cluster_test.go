package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/pando-mq/pando/deploy/cluster"
	"github.com/pando-mq/pando/deploy/servers"
	"github.com/pando-mq/pando/services/run"
)

// TestMain makes this test binary the program pando when it is started under that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "pando" {
		run.Main(func(ctx context.Context) error {
			c := servers.Command()
			c.SetArgs(os.Args[2:])
			return c.ExecuteContext(ctx)
		})
	}
	os.Exit(m.Run())
}

// serversOnly is a cluster of three etcd and three NATS servers.
func serversOnly(t *testing.T) *cluster.Cluster {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "pando")); err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Create(cluster.Options{Dir: t.TempDir(), Bin: bin, Topology: cluster.Topology{Etcd: 3, NATS: 3}, Durability: "disk"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.KillAll(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// The servers of a cluster form quorums, survive the loss of one, and come back with their data when they are found again by another process.
func TestServersFormACluster(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := serversOnly(t)
	if err := c.Start(ctx); err != nil {
		t.Fatal(err)
	}
	etcd, js := clients(t, c)
	if _, err := etcd.Put(ctx, "k", "v"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3}); err != nil {
		t.Fatal(err)
	}
	for _, victim := range []string{"etcd-1", "nats-2"} {
		if err := c.KillProcess(ctx, victim); err != nil {
			t.Fatal(err)
		}
		if err := c.KillProcess(ctx, victim); !errors.Is(err, run.ErrNotRunning) {
			t.Fatalf("second kill of %s: %v", victim, err)
		}
	}
	for { // the server that died may have been the leader: what it had taken times out
		_, err := etcd.Put(ctx, "k", "v2")
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("with one etcd server less: %v", err)
		}
	}
	again, err := cluster.Open(c.Dir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := etcd.Get(ctx, "k"); err != nil || string(got.Kvs[0].Value) != "v2" {
		t.Fatalf("after the restart: %v %v", got, err)
	}
	if err := again.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Processes() {
		if _, err := c.Pid(p); !errors.Is(err, run.ErrNotRunning) {
			t.Errorf("%s still runs: %v", p.Name, err)
		}
	}
}

func clients(t *testing.T, c *cluster.Cluster) (*clientv3.Client, jetstream.JetStream) {
	t.Helper()
	text, err := os.ReadFile(c.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	var etcds, natses []string
	for _, p := range c.Kind(cluster.KindEtcd) {
		etcds = append(etcds, "http://"+p.Addr(2379))
	}
	for _, p := range c.Kind(cluster.KindNATS) {
		natses = append(natses, "nats://"+p.Addr(4222))
	}
	for _, addr := range append(etcds, natses...) {
		if !strings.Contains(string(text), addr) {
			t.Errorf("%s is not in %s", addr, c.ConfigFile())
		}
	}
	etcd, err := clientv3.New(clientv3.Config{Endpoints: etcds})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = etcd.Close() })
	conn, err := nats.Connect(strings.Join(natses, ","), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return etcd, js
}

// A process that cannot start is an error with the last lines of its log.
func TestStartSaysWhyAProcessEnded(t *testing.T) {
	t.Parallel()
	c := serversOnly(t)
	first := c.Processes()[0]
	if err := os.WriteFile(c.DataDir(first), []byte("not a directory"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := c.StartProcess(ctx, first.Name)
	if err == nil || !strings.Contains(err.Error(), "not a directory") || !strings.Contains(err.Error(), first.Name) {
		t.Fatalf("got %v", err)
	}
}

func TestUnknownProcessNamesTheKnownOnes(t *testing.T) {
	t.Parallel()
	c := serversOnly(t)
	err := c.StopProcess(t.Context(), "router-9")
	if err == nil || !strings.Contains(err.Error(), "etcd-1") {
		t.Fatalf("got %v", err)
	}
}

func TestOpenOfNothing(t *testing.T) {
	t.Parallel()
	if _, err := cluster.Open(t.TempDir(), &bytes.Buffer{}); !errors.Is(err, cluster.ErrNone) {
		t.Fatalf("got %v", err)
	}
}
