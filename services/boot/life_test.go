package boot_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/pando-mq/pando/services/boot"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/cluster/clustertest"
	"github.com/pando-mq/pando/services/run"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// story writes down what happens, in order.
type story struct {
	mu      sync.Mutex
	lines   []string
	changed chan struct{}
}

func newStory() *story { return &story{changed: make(chan struct{})} }

func (s *story) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
	close(s.changed)
	s.changed = make(chan struct{})
}

// await waits until a line was told.
func (s *story) await(t *testing.T, line string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		told, changed := slices.Contains(s.lines, line), s.changed
		s.mu.Unlock()
		if told {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%q did not happen: %q", line, s.lines)
		}
	}
}

func (s *story) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.lines)
}

// part is a service that tells its life.
type part struct {
	*story
	name   string
	refuse error
	hang   bool // the start waits for what never comes
	failed chan error
}

func (p *part) Start(ctx context.Context) error {
	p.tell("start %s", p.name)
	if p.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return p.refuse
}

func (p *part) Stop(context.Context) error {
	p.tell("stop %s", p.name)
	return nil
}

func (p *part) Failed() <-chan error { return p.failed }

// world is a Life over a cluster in memory whose incarnations have two services, a member, a fence and a metric.
type world struct {
	*story
	life    *boot.Life
	cluster cluster.Cluster
	metrics *prometheus.Registry

	mu     sync.Mutex
	member cluster.Member
	parts  []*part
	births int
	fail   func(birth int) error // of the second service's start
	hang   int                   // the birth whose second service hangs in its start
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c, err := cluster.NewMemory().Join(cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	w := &world{story: newStory(), cluster: c, metrics: prometheus.NewRegistry(), fail: func(int) error { return nil }}
	w.life = &boot.Life{Log: slog.New(slog.DiscardHandler), Metrics: w.metrics, Build: w.build}
	return w
}

func (w *world) build(ctx context.Context, in *boot.Incarnation) error {
	m, err := in.Register(ctx, w.cluster, cluster.Node{Role: cluster.Router, ID: "r"})
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.births++
	w.member = m
	n := w.births
	w.parts = []*part{
		{story: w.story, name: fmt.Sprint("a", n), failed: make(chan error, 1)},
		{story: w.story, name: fmt.Sprint("b", n), failed: make(chan error, 1), refuse: w.fail(n), hang: n == w.hang},
	}
	for _, p := range w.parts {
		in.Add(p.name, p)
	}
	in.Metrics.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "births"}))
	in.OnLoss(func() { w.tell("fence %d", n) })
	in.Check("serving", func(context.Context) error { return nil })
	return nil
}

func (w *world) start(t *testing.T) {
	t.Helper()
	if err := w.life.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) stop(t *testing.T) {
	t.Helper()
	if err := w.life.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	w.deserted(t)
	if families, err := w.metrics.Gather(); err != nil || len(families) != 0 {
		t.Errorf("metrics are left: %v %v", families, err)
	}
}

// deserted checks that no key of the process is left in the cluster.
func (w *world) deserted(t *testing.T) {
	t.Helper()
	v, err := w.cluster.Sync(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(v.Nodes(cluster.Router)); n != 0 {
		t.Errorf("%d nodes are left in the cluster", n)
	}
}

func TestLifeStopsInReverseOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	if err := w.life.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	w.stop(t)
	if got, want := w.all(), []string{"start a1", "start b1", "stop b1", "stop a1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := w.life.Ready(t.Context()); err == nil {
		t.Error("it is ready after its end")
	}
}

// A lost lease drops connections at once, ends everything in reverse order, and begins again under a greater incarnation.
func TestLostLeaseBeginsANewIncarnation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	first := w.member.Node().Incarnation
	clustertest.Expire(t, w.member)
	w.await(t, "start b2")
	w.stop(t)
	want := []string{"start a1", "start b1", "fence 1", "stop b1", "stop a1", "start a2", "start b2", "stop b2", "stop a2"}
	if got := w.all(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if second := w.member.Node().Incarnation; second <= first {
		t.Errorf("incarnation %d after %d", second, first)
	}
}

// A lease that is lost while the services start ends that start, also one that waits for what cannot come any more.
func TestLeaseLostWhileStarting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hang = 1
	started := make(chan error, 1)
	go func() { started <- w.life.Start(t.Context()) }()
	w.await(t, "start b1")
	w.mu.Lock()
	first := w.member
	w.mu.Unlock()
	clustertest.Expire(t, first)
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	w.stop(t)
	if got, want := w.all(), []string{"start a1", "start b1", "stop a1", "start a2", "start b2", "stop b2", "stop a2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A service that fails by itself ends its incarnation like a lost lease does.
func TestFailedServiceBeginsANewIncarnation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start(t)
	close(w.parts[1].failed) // nothing to report any more: no reason to end
	w.parts[0].failed <- errors.New("listener broke")
	w.await(t, "start b2")
	w.stop(t)
}

// A new incarnation that cannot start is tried again, and leaves nothing behind.
func TestLifeTriesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail = func(birth int) error {
		if birth == 2 {
			return errors.New("not yet")
		}
		return nil
	}
	w.start(t)
	clustertest.Expire(t, w.member)
	w.await(t, "start b3")
	w.stop(t)
	want := []string{
		"start a1", "start b1", "fence 1", "stop b1", "stop a1",
		"start a2", "start b2", "stop a2", // b2 did not start, so it is not stopped
		"start a3", "start b3", "stop b3", "stop a3",
	}
	if got := w.all(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A first start that fails gives back what it took.
func TestFailedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	refused := errors.New("no room")
	w.fail = func(int) error { return refused }
	if err := w.life.Start(t.Context()); !errors.Is(err, refused) {
		t.Fatalf("got %v", err)
	}
	w.deserted(t)
	if got, want := w.all(), []string{"start a1", "start b1", "stop a1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Stop ends a life that is between two incarnations, too.
func TestStopBetweenTwoIncarnations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fail = func(birth int) error {
		if birth > 1 {
			return errors.New("never again")
		}
		return nil
	}
	w.start(t)
	clustertest.Expire(t, w.member)
	w.await(t, "stop a2")
	if err := w.life.Ready(t.Context()); err == nil {
		t.Error("it is ready between two incarnations")
	}
	w.stop(t)
}

var _ run.Failer = (*part)(nil)
