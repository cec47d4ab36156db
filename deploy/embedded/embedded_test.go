package embedded_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/pando-mq/pando/deploy/embedded"
	"github.com/pando-mq/pando/services/journal"
)

// A lone etcd member serves without a port and keeps what was written across a restart.
func TestLoneEtcdKeepsItsData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 2 {
		begin := time.Now()
		e, err := embedded.StartEtcd(t.Context(), embedded.EtcdConfig{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("start %d took %s", i, time.Since(begin).Round(time.Millisecond))
		if i == 0 {
			if _, err := e.Client().Put(t.Context(), "k", "v"); err != nil {
				t.Fatal(err)
			}
		}
		got, err := e.Client().Get(t.Context(), "k")
		if err != nil || len(got.Kvs) != 1 || string(got.Kvs[0].Value) != "v" {
			t.Fatalf("start %d: %v %v", i, got, err)
		}
		e.Close()
	}
}

// A lone NATS server serves JetStream without a port and keeps what was written across a restart.
func TestLoneNATSKeepsItsData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range 2 {
		n, err := embedded.StartNATS(t.Context(), embedded.NATSConfig{Dir: dir, Level: journal.Fsync})
		if err != nil {
			t.Fatal(err)
		}
		if !n.Ready() {
			t.Fatal("not ready")
		}
		c, err := n.Connect()
		if err != nil {
			t.Fatal(err)
		}
		js, err := jetstream.New(c)
		if err != nil {
			t.Fatal(err)
		}
		s, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if _, err := js.Publish(t.Context(), "s", []byte("kept")); err != nil {
				t.Fatal(err)
			}
		}
		m, err := s.GetMsg(t.Context(), 1)
		if err != nil || string(m.Data) != "kept" {
			t.Fatalf("start %d: %v %v", i, m, err)
		}
		c.Close()
		n.Close()
	}
}
