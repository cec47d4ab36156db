package cluster_test

import (
	"bytes"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/pando-mq/pando/services/cluster"
)

var records = []struct{ name, key, value, err string }{
	{"node", "node/router/r1", `{"format":1,"addr":"h:1","state":"serving","spaces":["topic"],"meta":{"a":"b"}}`, ""},
	{"node with a field of the future", "node/router/r1", `{"format":1,"weight":3}`, ""},
	{"node of another format", "node/router/r1", `{"format":2}`, "format 2, this version reads 1"},
	{"node without format", "node/router/r1", `{}`, "format 0, this version reads 1"},
	{"node without id", "node/router", `{"format":1}`, `"router" is not role/id`},
	{"node with two slashes", "node/router/a/b", `{"format":1}`, `"router/a/b" is not role/id`},
	{"no JSON", "node/router/r1", `x`, "invalid character 'x' looking for beginning of value"},
	{"empty", "node/router/r1", ``, "unexpected end of JSON input"},
	{"assignment", "assign/topic", `{"format":1,"generation":4,"nodes":["a","","b"]}`, ""},
	{"assignment of another format", "assign/topic", `{"format":9}`, "format 9, this version reads 1"},
	{"owner", "own/topic/63", `{"format":1,"role":"router","id":"r1","addr":"h:1","incarnation":12}`, ""},
	{"owner without incarnation", "own/topic/63", `{"format":1,"role":"router","id":"r1"}`, "owner without role, id or incarnation"},
	{"owner of no number", "own/topic/x", `{"format":1}`, `partition "x" is no number`},
	{"owner of a negative number", "own/topic/-1", `{"format":1}`, `partition "-1" is no number`},
	{"owner of a number in another spelling", "own/topic/07", `{"format":1}`, `partition "07" is no number`},
	{"assigner", "elect/assigner", `{"format":1,"role":"router","id":"r1","incarnation":12}`, ""},
	{"meta", "meta", `{"format":1,"partitions":{"topic":64,"retained":16,"session":16,"auth":1},"replicas":3}`, ""},
	{"meta without a space", "meta", `{"format":1,"partitions":{"topic":64},"replicas":3}`, `no partition count of space "retained"`},
	{"meta without replicas", "meta", `{"format":1,"partitions":{"topic":1,"retained":1,"session":1,"auth":1}}`, "0 replicas, outside 1..5"},
	{"a key of the future", "quota/x", `whatever`, ""},
}

func TestRecords(t *testing.T) {
	t.Parallel()
	for _, tt := range records {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := cluster.DecodePair(tt.key, []byte(tt.value))
			if got := errorText(err); got != tt.err {
				t.Errorf("error %q, want %q", got, tt.err)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Whatever stands in etcd: no panic, and either an error or something usable.
func FuzzRecord(f *testing.F) {
	for _, r := range records {
		f.Add(r.key, []byte(r.value))
	}
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		got, err := cluster.DecodePair(key, value)
		if n, ok := got.(cluster.Node); ok && err == nil && (n.ID == "" || n.Role == "" || n.Incarnation == 0) {
			t.Errorf("%q became %+v", key, n)
		}
		if m, ok := got.(cluster.Meta); ok && err == nil && m.Partitions[cluster.AuthSpace] < 1 {
			t.Errorf("meta %+v", m)
		}
	})
}

// A record that cannot be read is logged, counted and left out; the rest of the view stands.
func TestUnreadableRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := cluster.NewMemory()
		memory.Put("x", "node/router/r9", `{"format":9}`)
		memory.Put("x", "node/router/r1", `{"format":1}`)
		var log bytes.Buffer
		reg := prometheus.NewRegistry()
		c := joined(t)(memory.Join(cluster.Options{Name: "x", Log: slog.New(slog.NewTextHandler(&log, nil)), Registerer: reg}))
		if n := c.View().Nodes(cluster.Router); len(n) != 1 || n[0].ID != "r1" {
			t.Errorf("nodes %+v", n)
		}
		if !bytes.Contains(log.Bytes(), []byte("node/router/r9")) {
			t.Errorf("log: %s", log.Bytes())
		}
		if n, err := testutil.GatherAndCount(reg, "pando_cluster_bad_records_total"); n != 1 || err != nil {
			t.Errorf("%d series, %v", n, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if families, err := reg.Gather(); len(families) != 0 || err != nil {
			t.Errorf("%d metrics are left after Close, %v", len(families), err)
		}
	})
}
