package cluster_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pando-mq/pando/services/cluster"
)

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		options cluster.Options
		want    string
	}{
		{"slash", cluster.Options{Name: "a/b"}, "slash"},
		{"negative", cluster.Options{TTL: -1}, "negative"},
		{"margin", cluster.Options{TTL: time.Second, Margin: time.Second}, "margin"},
		{"space", cluster.Options{Bootstrap: cluster.Meta{Partitions: map[cluster.Space]int{"x": 1}}}, "unknown space"},
		{"count", cluster.Options{Bootstrap: cluster.Meta{Partitions: map[cluster.Space]int{cluster.TopicSpace: 5000}}}, "outside"},
		{"replicas", cluster.Options{Bootstrap: cluster.Meta{Replicas: 9}}, "replicas"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := cluster.NewStatic(tt.options); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
		})
	}
}

func TestMetaOfAnotherFormatStopsTheStart(t *testing.T) {
	t.Parallel()
	memory := cluster.NewMemory()
	memory.Put("pando", "meta", `{"format":7}`)
	if _, err := memory.Join(cluster.Options{}); err == nil || !strings.Contains(err.Error(), "meta key") {
		t.Errorf("error %v", err)
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	c := joined(t)(cluster.NewStatic(cluster.Options{Registerer: reg}))
	if _, err := cluster.NewStatic(cluster.Options{Registerer: reg}); err == nil {
		t.Error("the same registry was taken twice")
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := joined(t)(cluster.NewStatic(cluster.Options{Registerer: reg})).Close(); err != nil {
		t.Error(err)
	}
}

// A store whose revisions went back would repeat epochs: nothing is taken from it.
func TestReplacedStoreIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := cluster.NewMemory()
		c := joined(t)(memory.Join(cluster.Options{}))
		m, err := c.Register(t.Context(), cluster.Node{Role: cluster.Router, ID: "r1"})
		if err != nil {
			t.Fatal(err)
		}
		memory.Rewind()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Sync(ctx, 0); err == nil || !strings.Contains(err.Error(), "replaced") {
			t.Errorf("sync: %v", err)
		}
		if _, ok := c.View().ByIncarnation(m.Node().Incarnation); !ok {
			t.Error("the view went back")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// What others' tests do: one process, all partitions, a loss on demand.
func ExampleNewStatic() {
	c, err := cluster.NewStatic(cluster.Options{})
	if err != nil {
		panic(err)
	}
	defer c.Close()
	m, err := c.Register(context.Background(), cluster.Node{Role: cluster.Router, ID: "r1", Addr: "localhost:9701"})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var host acceptAll
	ended := make(chan error)
	go func() { ended <- m.Host(ctx, cluster.TopicSpace, host) }()
	c.Watch(ctx, func(v *cluster.View) {
		for p := range c.Meta().Partitions[cluster.TopicSpace] {
			if _, ok := v.Owner(cluster.TopicSpace, p); !ok {
				return
			}
		}
		stop()
	})
	if err := <-ended; err != nil {
		panic(err)
	}
	// Output:
}

type acceptAll struct{}

func (acceptAll) Acquire(context.Context, cluster.Claim) error { return nil }
func (acceptAll) Release(context.Context, int)                 {}

// While etcd answers nothing the member is not Valid from TTL minus margin after the last keep-alive was sent, but not lost: the
// answer decides.
func TestSilentStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var silent atomic.Bool
		fault := func(_ string, run func() error) error {
			if silent.Load() {
				return errFault
			}
			return run()
		}
		memory := cluster.NewMemory()
		c := joined(t)(memory.JoinFaulty(cluster.Options{TTL: 3 * time.Second, Margin: time.Second}, fault))
		began := time.Now()
		m, err := c.Register(t.Context(), cluster.Node{Role: cluster.SessionStore, ID: "s1"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(999 * time.Millisecond) // the first keep-alive was sent at once, the next would be a second later
		silent.Store(true)
		time.Sleep(time.Until(began.Add(2*time.Second - time.Millisecond)))
		if !m.Valid() {
			t.Error("not valid before TTL minus margin")
		}
		time.Sleep(time.Millisecond)
		if m.Valid() {
			t.Error("valid at TTL minus margin")
		}
		silent.Store(false)
		time.Sleep(251 * time.Millisecond) // a twelfth of the lease's life
		if !m.Valid() {
			t.Error("not valid again")
		}
		select {
		case <-m.Lost():
			t.Error("lost")
		default:
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
