package gatewayrpc_test

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc/gatewayrpc"
	"github.com/pando-mq/pando/services/rpc/rpctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake answers with what the test prepared and keeps what it was asked.
type fake struct {
	got    []any
	err    error
	node   broker.NodeInfo
	list   []broker.ClientInfo
	subs   []broker.SubscriptionInfo
	ack    broker.PublishAck
	result []broker.SubscribeReply
	deltas []broker.RouteDelta
	info   broker.SnapshotInfo
}

func (f *fake) OpenDeliver(_ context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	f.got = []any{o}
	if f.err != nil {
		return nil, f.err
	}
	return &stream{acks: acks, done: make(chan struct{})}, nil
}

func (f *fake) SnapshotRoutes(_ context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	f.got = []any{q}
	for _, d := range f.deltas {
		if err := yield([]broker.RouteDelta{d}); err != nil {
			return broker.SnapshotInfo{}, err
		}
	}
	return f.info, f.err
}

func (f *fake) Node(context.Context) (broker.NodeInfo, error) { return f.node, f.err }

func (f *fake) Clients(_ context.Context, q broker.ClientQuery) ([]broker.ClientInfo, error) {
	f.got = []any{q}
	return f.list, f.err
}

func (f *fake) ClientSubscriptions(_ context.Context, q broker.ClientQuery) ([]broker.SubscriptionInfo, error) {
	f.got = []any{q}
	return f.subs, f.err
}

func (f *fake) Kick(_ context.Context, tenant, clientID, reason string) error {
	f.got = []any{tenant, clientID, reason}
	return f.err
}

func (f *fake) Inject(_ context.Context, as broker.Identity, m *broker.Message) (broker.PublishAck, error) {
	f.got = []any{as, *m}
	return f.ack, f.err
}

func (f *fake) SubscribeFor(_ context.Context, tenant, clientID string, subs []broker.Subscription) ([]broker.SubscribeReply, error) {
	f.got = []any{tenant, clientID, subs}
	return f.result, f.err
}

func (f *fake) UnsubscribeFor(_ context.Context, tenant, clientID string, filters []string) ([]broker.SubscribeReply, error) {
	f.got = []any{tenant, clientID, filters}
	return f.result, f.err
}

func (f *fake) FlushACL(_ context.Context, tenant, clientID string) error {
	f.got = []any{tenant, clientID}
	return f.err
}

func (f *fake) ControlListener(_ context.Context, name string, do broker.ListenerAction) error {
	f.got = []any{name, do}
	return f.err
}

type stream struct {
	acks func([]broker.DeliverAck)
	done chan struct{}
	no   uint64
}

func (s *stream) Send(batch []broker.Delivery) error {
	for range batch {
		s.no++
		s.acks([]broker.DeliverAck{{No: s.no, Result: broker.NoSub, Epoch: 3, Version: 4}})
	}
	return nil
}
func (s *stream) Done() <-chan struct{} { return s.done }
func (s *stream) Err() error            { return nil }
func (s *stream) Close()                {}

func start(t *testing.T) (*fake, broker.Gateway) {
	r, f := rpctest.NewRig(t), &fake{}
	p := r.Start(cluster.Gateway, "g1", func(reg grpc.ServiceRegistrar) { gatewayrpc.Register(reg, f) })
	return f, gatewayrpc.NewClient(r.Dialer, gatewayrpc.Options{}).Node(p.Node)
}

func TestCallsCarryArgumentsAndResults(t *testing.T) {
	t.Parallel()
	f, g := start(t)
	f.node = rpctest.Example[broker.NodeInfo](1)
	f.list = []broker.ClientInfo{rpctest.Example[broker.ClientInfo](2), {}}
	f.subs = []broker.SubscriptionInfo{rpctest.Example[broker.SubscriptionInfo](3), {}}
	f.result = []broker.SubscribeReply{rpctest.Example[broker.SubscribeReply](4), {}}
	f.ack = broker.PublishAck{Seq: 5, Matched: true}
	f.deltas, f.info = []broker.RouteDelta{{Filter: "a"}, {Filter: "b"}}, rpctest.Example[broker.SnapshotInfo](5)
	query, snapshot := rpctest.Example[broker.ClientQuery](6), rpctest.Example[broker.SnapshotQuery](7)
	as, msg := rpctest.Example[broker.Identity](8), rpctest.Example[broker.Message](9)
	subs := []broker.Subscription{rpctest.Example[broker.Subscription](10)}
	ctx := t.Context()
	for _, c := range []struct {
		name string
		call func() (any, error)
		args []any
		want any
	}{
		{"Node", func() (any, error) { return g.Node(ctx) }, nil, f.node},
		{"Clients", func() (any, error) { return g.Clients(ctx, query) }, []any{query}, f.list},
		{"ClientSubscriptions", func() (any, error) { return g.ClientSubscriptions(ctx, query) }, []any{query}, f.subs},
		{"Kick", func() (any, error) { return nil, g.Kick(ctx, "t", "c", "r") }, []any{"t", "c", "r"}, nil},
		{"Inject", func() (any, error) { return g.Inject(ctx, as, &msg) }, []any{as, msg}, f.ack},
		{"SubscribeFor", func() (any, error) { return g.SubscribeFor(ctx, "t", "c", subs) }, []any{"t", "c", subs}, f.result},
		{"UnsubscribeFor", func() (any, error) { return g.UnsubscribeFor(ctx, "t", "c", []string{"a", "b"}) }, []any{"t", "c", []string{"a", "b"}}, f.result},
		{"FlushACL", func() (any, error) { return nil, g.FlushACL(ctx, "t", "c") }, []any{"t", "c"}, nil},
		{"ControlListener", func() (any, error) { return nil, g.ControlListener(ctx, "tcp", broker.RestartListener) }, []any{"tcp", broker.RestartListener}, nil},
		{"SnapshotRoutes", func() (any, error) {
			var got []broker.RouteDelta
			info, err := g.SnapshotRoutes(ctx, snapshot, func(d []broker.RouteDelta) error { got = append(got, d...); return nil })
			rpctest.Want(t, f.deltas, got)
			return info, err
		}, []any{snapshot}, f.info},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.got, f.err = nil, nil
			got, err := c.call()
			if err != nil {
				t.Fatal(err)
			}
			rpctest.Want(t, c.args, f.got)
			rpctest.Want(t, c.want, got)
			f.err = broker.E(broker.KindNotFound, "look", nil)
			_, err = c.call()
			rpctest.WantKind(t, err, broker.KindNotFound)
		})
	}
}

func TestSnapshotStopsWithItsReader(t *testing.T) {
	t.Parallel()
	f, g := start(t)
	f.deltas = make([]broker.RouteDelta, 1000)
	enough := errors.New("enough")
	_, err := g.SnapshotRoutes(t.Context(), broker.SnapshotQuery{}, func([]broker.RouteDelta) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	f, g := start(t)
	open := rpctest.Example[broker.DeliverOpen](1)
	acked := make(chan broker.DeliverAck, 10)
	s, err := g.OpenDeliver(t.Context(), open, func(acks []broker.DeliverAck) {
		for _, a := range acks {
			acked <- a
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	rpctest.Want(t, []any{open}, f.got)
	if err := s.Send([]broker.Delivery{{Msg: &broker.Message{Topic: "a"}}, {Msg: &broker.Message{Topic: "b"}}}); err != nil {
		t.Fatal(err)
	}
	for no := uint64(1); no <= 2; no++ {
		rpctest.Want(t, broker.DeliverAck{No: no, Result: broker.NoSub, Epoch: 3, Version: 4}, rpctest.Await(t, acked))
	}
	s.Close()
	f.err = broker.E(broker.KindStale, "open deliver", nil)
	_, err = g.OpenDeliver(t.Context(), open, nil)
	rpctest.WantKind(t, err, broker.KindStale)
}
