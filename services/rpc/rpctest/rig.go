package rpctest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"pgregory.net/rapid"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc"
)

// Patience is how long a test waits for what must happen.
const Patience = 10 * time.Second

// Rig is a cluster in memory, with one client process and as many servers as a test starts. All of it ends with the test.
type Rig struct {
	Cluster cluster.Cluster
	Dialer  *rpc.Dialer

	t      testing.TB
	memory *cluster.Memory
	meta   cluster.Meta
}

// NewRig makes a rig with two partitions in each space.
func NewRig(t testing.TB) *Rig {
	t.Helper()
	return NewRigOf(t, map[cluster.Space]int{cluster.TopicSpace: 2, cluster.RetainedSpace: 2, cluster.SessionSpace: 2})
}

// NewRigOf makes a rig with so many partitions in each space.
func NewRigOf(t testing.TB, partitions map[cluster.Space]int) *Rig {
	t.Helper()
	r := &Rig{t: t, memory: cluster.NewMemory(), meta: cluster.Meta{Partitions: partitions}}
	r.Cluster = r.join()
	d, err := rpc.NewDialer(rpc.ClientConfig{Backoff: 50 * time.Millisecond}, r.Cluster, rpc.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Stop(t, d.Stop) })
	r.Dialer = d
	return r
}

func (r *Rig) join() cluster.Cluster {
	r.t.Helper()
	c, err := r.memory.Join(cluster.Options{Bootstrap: r.meta})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			r.t.Error(err)
		}
	})
	return c
}

// Process is one server of a rig.
type Process struct {
	Node   cluster.Node
	Server *rpc.Server

	member cluster.Member
	hosts  sync.WaitGroup
}

// Start starts a server process with the services that register adds. It hosts all partitions of the spaces.
func (r *Rig) Start(role cluster.Role, id string, register func(grpc.ServiceRegistrar), spaces ...cluster.Space) *Process {
	r.t.Helper()
	s, err := rpc.NewServer(rpc.ServerConfig{}, rpc.Deps{})
	if err != nil {
		r.t.Fatal(err)
	}
	register(s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	s.StartOn(l)
	r.t.Cleanup(func() { Stop(r.t, s.Stop) })
	m, err := r.join().Register(context.Background(), cluster.Node{Role: role, ID: id, Addr: s.Addr()})
	if err != nil {
		r.t.Fatal(err)
	}
	p := &Process{Node: m.Node(), Server: s, member: m}
	for _, space := range spaces {
		p.hosts.Go(func() { _ = m.Host(context.Background(), space, idle{}) })
	}
	r.t.Cleanup(func() { p.Leave(r.t) })
	Eventually(r.t, func() bool { return r.sees(p, spaces) })
	return p
}

// sees reports whether the client's view shows a process and an owner of every partition.
func (r *Rig) sees(p *Process, spaces []cluster.Space) bool {
	v := r.Cluster.View()
	if _, ok := v.ByIncarnation(p.Node.Incarnation); !ok {
		return false
	}
	for _, s := range spaces {
		for i := range r.Cluster.Meta().Partitions[s] {
			if _, ok := v.Owner(s, i); !ok {
				return false
			}
		}
	}
	return true
}

// Leave takes a process out of the cluster; its server goes on.
func (p *Process) Leave(t testing.TB) {
	t.Helper()
	Stop(t, p.member.Leave)
	p.hosts.Wait()
}

type idle struct{}

func (idle) Acquire(context.Context, cluster.Claim) error { return nil }
func (idle) Release(context.Context, int)                 {}

// Stop calls a Stop method with time to end.
func Stop(t testing.TB, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := f(ctx); err != nil {
		t.Error(err)
	}
}

// Eventually waits for a condition that no channel tells.
func Eventually(t testing.TB, cond func() bool) {
	t.Helper()
	deadline, tick := time.NewTimer(Patience), time.NewTicker(time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("waited in vain")
		}
	}
}

// Await waits for a channel to be closed or to deliver.
func Await[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(Patience):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

// WantKind fails the test unless err is of a kind.
func WantKind(t testing.TB, err error, want broker.Kind) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v", want)
	}
	if got := broker.KindOf(err); got != want {
		t.Fatalf("kind %v (%v), want %v", got, err, want)
	}
}

// Want fails the test unless two values are equal.
func Want(t testing.TB, want, got any) {
	t.Helper()
	if d := Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Example is one arbitrary value, the same in each run.
func Example[T any](seed int) T { return rapid.Custom(Fill[T]).Example(seed) }
