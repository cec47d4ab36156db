package sessionrpc_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc/rpctest"
	"github.com/pando-mq/pando/services/rpc/sessionrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a session-store that answers each request and pushes a message after each answer.
type fake struct {
	err     error
	got     []any
	list    []broker.SessionInfo
	subs    []broker.SubscriptionInfo
	deltas  []broker.RouteDelta
	info    broker.SnapshotInfo
	streams chan *stream
}

func (f *fake) OpenSession(_ context.Context, o broker.SessionOpen, h broker.SessionHandler) (broker.SessionStream, error) {
	f.got = []any{o}
	if f.err != nil {
		return nil, f.err
	}
	s := &stream{h: h, done: make(chan struct{})}
	f.streams <- s
	return s, nil
}

func (f *fake) OpenDeliver(_ context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	f.got = []any{o}
	return &deliverStream{acks: acks, done: make(chan struct{})}, f.err
}

func (f *fake) SnapshotRoutes(_ context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	f.got = []any{q}
	if err := yield(f.deltas); err != nil {
		return broker.SnapshotInfo{}, err
	}
	return f.info, f.err
}

func (f *fake) Sessions(_ context.Context, q broker.ClientQuery) ([]broker.SessionInfo, error) {
	f.got = []any{q}
	return f.list, f.err
}

func (f *fake) SessionSubscriptions(_ context.Context, q broker.ClientQuery) ([]broker.SubscriptionInfo, error) {
	f.got = []any{q}
	return f.subs, f.err
}

func (f *fake) Drop(_ context.Context, tenant, clientID string) error {
	f.got = []any{tenant, clientID}
	return f.err
}

func (f *fake) KickClient(_ context.Context, tenant, clientID, reason string) error {
	f.got = []any{tenant, clientID, reason}
	return f.err
}

func (f *fake) SessionStats(context.Context) (map[string]int64, error) {
	return map[string]int64{"sessions/count": 7}, f.err
}

type stream struct {
	h    broker.SessionHandler
	done chan struct{}
	mu   sync.Mutex
	got  []broker.SessionRequest
	err  error
}

func (s *stream) Epoch() uint64         { return 42 }
func (s *stream) Done() <-chan struct{} { return s.done }
func (s *stream) Close()                {}

func (s *stream) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	close(s.done)
}

func (s *stream) Send(batch []broker.SessionRequest) error {
	for _, r := range batch {
		s.mu.Lock()
		s.got = append(s.got, r)
		s.mu.Unlock()
		s.h.Replies([]broker.SessionReply{{ID: r.ID, Known: true}})
		s.h.Pushes([]broker.Push{{Op: broker.PushPublish, Index: r.ID, QoS: 1, Msg: &broker.Message{Topic: "t"}}})
	}
	return nil
}

type deliverStream struct {
	acks func([]broker.DeliverAck)
	done chan struct{}
}

func (s *deliverStream) Done() <-chan struct{} { return s.done }
func (s *deliverStream) Err() error            { return nil }
func (s *deliverStream) Close()                {}
func (s *deliverStream) Send(batch []broker.Delivery) error {
	s.acks([]broker.DeliverAck{{No: uint64(len(batch))}})
	return nil
}

// events is a handler that keeps the one order of replies and pushes.
type events struct {
	block chan struct{} // nil: does not block
	all   chan string
}

func (e *events) Replies(list []broker.SessionReply) {
	for range list {
		e.all <- "reply"
	}
}

func (e *events) Pushes(list []broker.Push) {
	if e.block != nil {
		<-e.block
	}
	for range list {
		e.all <- "push"
	}
}

func start(t *testing.T) (*fake, *sessionrpc.Client, *rpctest.Process) {
	r, f := rpctest.NewRig(t), &fake{streams: make(chan *stream, 1)}
	p := r.Start(cluster.SessionStore, "s1", func(reg grpc.ServiceRegistrar) { sessionrpc.Register(reg, f) }, cluster.SessionSpace)
	return f, sessionrpc.NewClient(r.Dialer, sessionrpc.Options{}), p
}

func TestSessionStream(t *testing.T) {
	t.Parallel()
	f, c, _ := start(t)
	open := broker.SessionOpen{Gateway: broker.NodeRef{ID: "g", Incarnation: 9}, NodeName: "pando@host", Partition: 1}
	const n = 200
	e := &events{all: make(chan string, 2*n)}
	s, err := c.OpenSession(t.Context(), open, e)
	if err != nil {
		t.Fatal(err)
	}
	rpctest.Want(t, []any{open}, f.got)
	if s.Epoch() != 42 {
		t.Errorf("epoch %d", s.Epoch())
	}
	for id := uint64(1); id <= n; id++ {
		if err := s.Send([]broker.SessionRequest{{ID: id, Op: broker.OpRelease, ClientID: "c", PacketID: 7}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 * n { // the order of the partition: a reply, its push, the next reply, ...
		if got, want := rpctest.Await(t, e.all), []string{"reply", "push"}[i%2]; got != want {
			t.Fatalf("event %d is a %s, want a %s", i, got, want)
		}
	}
	server := rpctest.Await(t, f.streams)
	for i, r := range server.got {
		rpctest.Want(t, broker.SessionRequest{ID: uint64(i + 1), Op: broker.OpRelease, ClientID: "c", PacketID: 7}, r)
	}
	server.end(broker.E(broker.KindNotOwner, "partition moved", nil))
	rpctest.Await(t, s.Done())
	rpctest.WantKind(t, s.Err(), broker.KindNotOwner)
}

func TestSessionOpenRefused(t *testing.T) {
	t.Parallel()
	f, c, _ := start(t)
	f.err = broker.E(broker.KindStale, "incarnation is not alive", nil)
	s, err := c.OpenSession(t.Context(), broker.SessionOpen{}, &events{})
	rpctest.WantKind(t, err, broker.KindStale)
	if s != nil {
		t.Error("a stream came with the error")
	}
}

// A gateway that takes nothing loses pushes at QoS 0 before the channel ends: those are delivered at most once.
func TestPushesAtQoS0AreDroppedUnderPressure(t *testing.T) {
	t.Parallel()
	f, c, _ := start(t)
	e := &events{block: make(chan struct{}), all: make(chan string, 1<<20)}
	s, err := c.OpenSession(t.Context(), broker.SessionOpen{}, e)
	if err != nil {
		t.Fatal(err)
	}
	server := rpctest.Await(t, f.streams)
	push := broker.Push{Op: broker.PushPublish, Msg: &broker.Message{Topic: "t", Payload: make([]byte, 1<<20)}}
	const sent = 400 // MiB: six times the bound
	for range sent {
		server.h.Pushes([]broker.Push{push})
	}
	server.h.Replies([]broker.SessionReply{{ID: 1}})
	close(e.block)
	pushes := 0
	for rpctest.Await(t, e.all) == "push" {
		pushes++
	}
	if pushes == 0 || pushes > sent/2 {
		t.Errorf("%d of %d pushes came", pushes, sent)
	}
	if err := s.Err(); err != nil {
		t.Errorf("the stream ended: %v", err)
	}
}

func TestDeliverAndSnapshotGoToTheOwner(t *testing.T) {
	t.Parallel()
	f, c, _ := start(t)
	acked := make(chan broker.DeliverAck, 1)
	open := broker.DeliverOpen{Router: broker.NodeRef{ID: "r"}, Topic: 3, TopicEpoch: 4, Partition: 1}
	d, err := c.OpenDeliver(t.Context(), open, func(acks []broker.DeliverAck) { acked <- acks[0] })
	if err != nil {
		t.Fatal(err)
	}
	rpctest.Want(t, []any{open}, f.got)
	if err := d.Send([]broker.Delivery{{Msg: &broker.Message{Topic: "t"}}}); err != nil {
		t.Fatal(err)
	}
	rpctest.Want(t, broker.DeliverAck{No: 1}, rpctest.Await(t, acked))

	f.deltas, f.info = make([]broker.RouteDelta, 1000), rpctest.Example[broker.SnapshotInfo](1) // more than one message
	query := broker.SnapshotQuery{Router: broker.NodeRef{ID: "r", Incarnation: 1}, Partition: 1, Wildcards: true, Revision: 5}
	n := 0
	info, err := c.SnapshotRoutes(t.Context(), query, func(deltas []broker.RouteDelta) error { n += len(deltas); return nil })
	if err != nil {
		t.Fatal(err)
	}
	rpctest.Want(t, []any{query}, f.got)
	rpctest.Want(t, f.info, info)
	if n != len(f.deltas) {
		t.Errorf("%d of %d deltas came", n, len(f.deltas))
	}
	enough := errors.New("enough")
	if _, err := c.SnapshotRoutes(t.Context(), query, func([]broker.RouteDelta) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
	f.err = broker.E(broker.KindNotOwner, "snapshot", nil) // after the deltas: they would come twice
	_, err = c.SnapshotRoutes(t.Context(), query, func([]broker.RouteDelta) error { return nil })
	rpctest.WantKind(t, err, broker.KindUnavailable)
}

func TestAdminCallsCarryArgumentsAndResults(t *testing.T) {
	t.Parallel()
	f, c, p := start(t)
	f.list, f.subs = []broker.SessionInfo{rpctest.Example[broker.SessionInfo](2), {}}, []broker.SubscriptionInfo{rpctest.Example[broker.SubscriptionInfo](3), {}}
	var n broker.SessionAdmin = c.Node(p.Node)
	query, ctx := rpctest.Example[broker.ClientQuery](4), t.Context()
	for _, c := range []struct {
		name string
		call func() (any, error)
		args []any
		want any
	}{
		{"Sessions", func() (any, error) { return n.Sessions(ctx, query) }, []any{query}, f.list},
		{"SessionSubscriptions", func() (any, error) { return n.SessionSubscriptions(ctx, query) }, []any{query}, f.subs},
		{"Drop", func() (any, error) { return nil, n.Drop(ctx, "t", "c") }, []any{"t", "c"}, nil},
		{"KickClient", func() (any, error) { return nil, n.KickClient(ctx, "t", "c", "r") }, []any{"t", "c", "r"}, nil},
		{"SessionStats", func() (any, error) { return n.SessionStats(ctx) }, nil, map[string]int64{"sessions/count": 7}},
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

func TestLocalStoreIsCalledDirectly(t *testing.T) {
	t.Parallel()
	r, f := rpctest.NewRig(t), &fake{streams: make(chan *stream, 1)}
	r.Start(cluster.SessionStore, "s1", func(grpc.ServiceRegistrar) {}, cluster.SessionSpace) // its server knows no session service
	c := sessionrpc.NewClient(r.Dialer, sessionrpc.Options{Local: func(cluster.Node) sessionrpc.Service { return f }})
	s, err := c.OpenSession(t.Context(), broker.SessionOpen{}, &events{})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := s.(*stream); !ok {
		t.Errorf("stream is a %T", s)
	}
	if _, err := c.OpenDeliver(t.Context(), broker.DeliverOpen{}, nil); err != nil {
		t.Error(err)
	}
	if _, err := c.SnapshotRoutes(t.Context(), broker.SnapshotQuery{}, func([]broker.RouteDelta) error { return nil }); err != nil {
		t.Error(err)
	}
}
