package routerrpc_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc/routerrpc"
	"github.com/pando-mq/pando/services/rpc/rpctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake answers with what the test prepared and keeps what it was asked. Streams are tested in package rpc.
type fake struct {
	routerrpc.Service
	got      []any
	err      error
	routes   []broker.RouteInfo
	messages []*broker.Message
}

func (f *fake) UpdateRoutes(_ context.Context, u broker.RouteUpdate) error {
	f.got = []any{u}
	return f.err
}

func (f *fake) ReadRetainedPartition(_ context.Context, p int, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	f.got = []any{p, q}
	if err := yield(f.messages); err != nil {
		return err
	}
	return f.err
}

func (f *fake) Routes(_ context.Context, q broker.RouteQuery) ([]broker.RouteInfo, error) {
	f.got = []any{q}
	return f.routes, f.err
}

func (f *fake) RouterStats(context.Context) (map[string]int64, error) {
	return map[string]int64{"routes/count": 3}, f.err
}

func (f *fake) OpenDeliver(_ context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	f.got = []any{o}
	if f.err != nil {
		return nil, f.err
	}
	return &stream{acks: acks, done: make(chan struct{})}, nil
}

type stream struct {
	acks func([]broker.DeliverAck)
	done chan struct{}
}

func (s *stream) Done() <-chan struct{} { return s.done }
func (s *stream) Err() error            { return nil }
func (s *stream) Close()                {}
func (s *stream) Send(batch []broker.Delivery) error {
	s.acks([]broker.DeliverAck{{No: uint64(len(batch))}})
	return nil
}

func start(t *testing.T) (*fake, *routerrpc.Client, *rpctest.Process) {
	r, f := rpctest.NewRig(t), &fake{}
	p := r.Start(cluster.Router, "r1", func(reg grpc.ServiceRegistrar) { routerrpc.Register(reg, f) }, cluster.TopicSpace, cluster.RetainedSpace)
	return f, routerrpc.NewClient(r.Dialer, routerrpc.Options{}), p
}

func TestCallsCarryArgumentsAndResults(t *testing.T) {
	t.Parallel()
	f, c, p := start(t)
	var n interface {
		broker.RouterNode
		broker.RouterAdmin
	} = c.Node(p.Node)
	f.routes = []broker.RouteInfo{rpctest.Example[broker.RouteInfo](1), {}}
	first, second := rpctest.Example[broker.Message](2), rpctest.Example[broker.Message](3)
	f.messages = []*broker.Message{&first, &second}
	update, routes, retained := rpctest.Example[broker.RouteUpdate](4), rpctest.Example[broker.RouteQuery](5), rpctest.Example[broker.RetainedQuery](6)
	ctx := t.Context()
	for _, x := range []struct {
		name string
		call func() (any, error)
		args []any
		want any
	}{
		{"UpdateRoutes", func() (any, error) { return nil, n.UpdateRoutes(ctx, update) }, []any{update}, nil},
		{"ReadRetainedPartition", func() (any, error) {
			var got []*broker.Message
			err := n.ReadRetainedPartition(ctx, 1, retained, func(list []*broker.Message) error { got = append(got, list...); return nil })
			return got, err
		}, []any{1, retained}, f.messages},
		{"Routes", func() (any, error) { return n.Routes(ctx, routes) }, []any{routes}, f.routes},
		{"RouterStats", func() (any, error) { return n.RouterStats(ctx) }, nil, map[string]int64{"routes/count": 3}},
	} {
		t.Run(x.name, func(t *testing.T) {
			f.got, f.err = nil, nil
			got, err := x.call()
			if err != nil {
				t.Fatal(err)
			}
			rpctest.Want(t, x.args, f.got)
			rpctest.Want(t, x.want, got)
			f.err = broker.E(broker.KindStale, "look", nil)
			_, err = x.call()
			rpctest.WantKind(t, err, broker.KindStale)
		})
	}
}

func TestDeliverGoesToTheOwnerOfARetainedPartition(t *testing.T) {
	t.Parallel()
	f, c, _ := start(t)
	acked := make(chan broker.DeliverAck, 1)
	open := broker.DeliverOpen{Router: broker.NodeRef{ID: "r"}, Topic: 30, TopicEpoch: 4, Partition: 1}
	d, err := c.OpenDeliver(t.Context(), open, func(acks []broker.DeliverAck) { acked <- acks[0] })
	if err != nil {
		t.Fatal(err)
	}
	rpctest.Want(t, []any{open}, f.got)
	if err := d.Send([]broker.Delivery{{Msg: &broker.Message{Topic: "t"}}}); err != nil {
		t.Fatal(err)
	}
	rpctest.Want(t, broker.DeliverAck{No: 1}, rpctest.Await(t, acked))
	d.Close()
	open.Partition = 2 // there are two
	_, err = c.OpenDeliver(t.Context(), open, nil)
	rpctest.WantKind(t, err, broker.KindNotOwner)
	f.err = broker.E(broker.KindStale, "open deliver", nil)
	open.Partition = 0
	_, err = c.OpenDeliver(t.Context(), open, nil)
	rpctest.WantKind(t, err, broker.KindStale)
}
