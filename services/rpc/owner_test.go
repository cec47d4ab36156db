package rpc_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc/routerrpc"
)

func TestOwnerIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	opened := make(chan error, 1)
	go func() {
		_, err := r.tryOpen(3, nil)
		opened <- err
	}()
	r.startRouter("r1", &fakeRouter{})
	if err := await(t, opened); err != nil {
		t.Fatal(err)
	}
}

func TestOwnerMissing(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	late, cancelLate := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancelLate()
	gone, cancelGone := context.WithCancel(t.Context())
	cancelGone()
	for _, c := range []struct {
		name string
		ctx  context.Context
		p    int
		want broker.Kind
	}{
		{"nobody until the deadline", late, 0, broker.KindUnavailable},
		{"caller gives up", gone, 0, broker.KindCanceled},
		{"partition too high", t.Context(), 4, broker.KindNotOwner},
		{"partition too low", t.Context(), -1, broker.KindNotOwner},
	} {
		_, err := r.router.OpenPublish(c.ctx, broker.PublishOpen{Source: broker.Source{Topic: c.p}}, func([]broker.PublishAck) {})
		t.Run(c.name, func(t *testing.T) { wantKind(t, err, c.want) })
	}
}

// A process that says NotOwner is not asked for ever: the next owner is.
func TestOwnerRedirect(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	asked := make(chan struct{}, 1000)
	first := r.startRouter("r1", &fakeRouter{open: func(context.Context, broker.PublishOpen, func([]broker.PublishAck)) (broker.PublishStream, error) {
		asked <- struct{}{}
		return nil, broker.E(broker.KindNotOwner, "open publish", nil)
	}})
	r.owned()
	opened := make(chan error, 1)
	go func() {
		_, err := r.tryOpen(0, nil)
		opened <- err
	}()
	await(t, asked)
	r.startRouter("r2", &fakeRouter{})
	first.leave(t)
	if err := await(t, opened); err != nil {
		t.Fatal(err)
	}
}

// The old owner's process hangs: it neither ends the stream nor its connection.
func TestOwnerChangeEndsStreams(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	first := r.startRouter("r1", &fakeRouter{})
	s := r.open(0, nil)
	first.leave(t)
	await(t, s.Done())
	wantKind(t, s.Err(), broker.KindUnavailable) // its key is gone
	r.startRouter("r2", &fakeRouter{})
	r.open(0, nil)
}

// A partition moves while its old owner lives on.
func TestOwnerEpochEndsStreamsOfThatPartition(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.startRouter("r1", &fakeRouter{})
	r.owned()
	var before []cluster.Owner
	var streams []broker.PublishStream
	for p := range 4 {
		streams = append(streams, r.open(p, nil))
		o, _ := r.cluster.View().Owner(cluster.TopicSpace, p)
		before = append(before, o)
	}
	r.startRouter("r2", &fakeRouter{})
	moved := -1
	eventually(t, func() bool {
		for p := range 4 {
			if o, ok := r.cluster.View().Owner(cluster.TopicSpace, p); ok && o.Epoch != before[p].Epoch {
				moved = p
			}
		}
		return moved >= 0
	})
	await(t, streams[moved].Done())
	wantKind(t, streams[moved].Err(), broker.KindNotOwner)
	for p, s := range streams {
		if o, ok := r.cluster.View().Owner(cluster.TopicSpace, p); ok && o.Epoch == before[p].Epoch {
			if err := s.Send(publishes(1, 1, 1)); err != nil && broker.KindOf(err) != broker.KindNotOwner {
				t.Errorf("stream of partition %d, which stayed, ended: %v", p, err)
			}
		}
	}
}

func TestReadRetained(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	byPartition := map[int][]*broker.Message{
		0: {{Topic: "a/1"}, {Topic: "a/2"}},
		1: {{Topic: "b/1"}, {Topic: "b/2"}},
	}
	var notOwner atomic.Int32
	notOwner.Store(1)
	r.startRouter("r1", &fakeRouter{retained: func(_ context.Context, p int, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
		if notOwner.Add(-1) == 0 {
			return broker.E(broker.KindNotOwner, "read retained", nil)
		}
		n := 0
		for _, m := range byPartition[p] {
			if q.Limit > 0 && n == q.Limit {
				break
			}
			n++
			if err := yield([]*broker.Message{m}); err != nil {
				return err
			}
		}
		if q.Filter == "cut/#" {
			return broker.E(broker.KindNotOwner, "read retained", nil)
		}
		return nil
	}})
	exact := "x"
	for cluster.Partition("t", exact, 2) != 1 {
		exact += "x"
	}
	stop := errors.New("enough")
	for _, c := range []struct {
		name  string
		q     broker.RetainedQuery
		yield error
		want  []string
		kind  broker.Kind
		err   error
	}{
		{name: "wildcard reads all partitions", q: broker.RetainedQuery{Filter: "#"}, want: []string{"a/1", "a/2", "b/1", "b/2"}},
		{name: "limit over partitions", q: broker.RetainedQuery{Filter: "+/+", Limit: 3}, want: []string{"a/1", "a/2", "b/1"}},
		{name: "limit in the first partition", q: broker.RetainedQuery{Filter: "#", Limit: 1}, want: []string{"a/1"}},
		{name: "exact reads one partition", q: broker.RetainedQuery{Tenant: "t", Filter: exact}, want: []string{"b/1", "b/2"}},
		{name: "reader stops", q: broker.RetainedQuery{Filter: "#"}, yield: stop, want: []string{"a/1"}, err: stop},
		{name: "partition moves in the middle", q: broker.RetainedQuery{Filter: "cut/#"}, want: []string{"a/1", "a/2"}, kind: broker.KindUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			err := r.router.ReadRetained(t.Context(), c.q, func(list []*broker.Message) error {
				for _, m := range list {
					got = append(got, m.Topic)
				}
				return c.yield
			})
			switch {
			case c.err != nil && !errors.Is(err, c.err):
				t.Errorf("error %v, want %v", err, c.err)
			case c.kind != 0:
				wantKind(t, err, c.kind)
			case c.err == nil && c.kind == 0 && err != nil:
				t.Error(err)
			}
			if len(got) != len(c.want) {
				t.Fatalf("read %v, want %v", got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Fatalf("read %v, want %v", got, c.want)
				}
			}
		})
	}
}

func TestLocalOwnerIsCalledDirectly(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	impl := &fakeRouter{}
	p := r.registerAt("r1", "") // no address: only a direct call can reach it
	r.owned()
	local := routerrpc.NewClient(r.dialer, routerrpc.Options{Local: func(n cluster.Node) routerrpc.Service {
		if n.Incarnation == p.node.Incarnation {
			return impl
		}
		return nil
	}})
	s, err := local.OpenPublish(t.Context(), broker.PublishOpen{}, func([]broker.PublishAck) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.(*fakeStream); !ok {
		t.Errorf("stream is a %T", s)
	}
	_, err = r.tryOpen(0, nil)
	wantKind(t, err, broker.KindUnavailable)
}

func TestUpdateRoutesIsCutBySize(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	var calls atomic.Int32
	var got []broker.RouteDelta
	p := r.startRouter("r1", &fakeRouter{update: func(_ context.Context, u broker.RouteUpdate) error {
		calls.Add(1)
		if u.Origin.Epoch != 9 {
			t.Errorf("origin %+v", u.Origin)
		}
		got = append(got, u.Deltas...)
		return nil
	}})
	u := broker.RouteUpdate{Origin: broker.Origin{Kind: broker.FromSession, Epoch: 9}}
	for i := range 100 {
		u.Deltas = append(u.Deltas, broker.RouteDelta{Filter: string(make([]byte, 60_000)), Version: uint64(i), Members: 1})
	}
	if err := r.router.Node(p.node).UpdateRoutes(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if calls.Load() < 5 || len(got) != 100 {
		t.Fatalf("%d deltas in %d calls", len(got), calls.Load())
	}
	for i, d := range got {
		if d.Version != uint64(i) {
			t.Fatalf("delta %d at place %d", d.Version, i)
		}
	}
}
