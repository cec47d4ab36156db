package integration_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/pando-mq/pando/router"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/broker/brokertest"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/journal"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/gatewayrpc"
	"github.com/pando-mq/pando/services/rpc/routerrpc"
	"github.com/pando-mq/pando/services/rpc/sessionrpc"
	sessionstore "github.com/pando-mq/pando/session-store"
)

// hop is one process of a cluster in memory: it reaches the others over the loopback alone.
type hop struct {
	t        *testing.T
	cluster  cluster.Cluster
	member   cluster.Member
	server   *rpc.Server
	listener net.Listener
	routers  *routerrpc.Client
	sessions *sessionrpc.Client
	gateways *gatewayrpc.Client
}

func startHop(t *testing.T, m *cluster.Memory, role cluster.Role, id string) *hop {
	t.Helper()
	h := &hop{t: t}
	var err error
	h.cluster, err = m.Join(cluster.Options{Bootstrap: cluster.Meta{Partitions: map[cluster.Space]int{
		cluster.TopicSpace: 2, cluster.SessionSpace: 2, cluster.RetainedSpace: 2,
	}}})
	h.must(err)
	t.Cleanup(func() { h.must(h.cluster.Close()) })
	d, err := rpc.NewDialer(rpc.ClientConfig{}, h.cluster, rpc.Deps{})
	h.must(err)
	h.must(d.Start(t.Context()))
	t.Cleanup(func() { h.end(d.Stop) })
	h.routers, h.sessions = routerrpc.NewClient(d, routerrpc.Options{}), sessionrpc.NewClient(d, sessionrpc.Options{})
	h.gateways = gatewayrpc.NewClient(d, gatewayrpc.Options{})
	h.listener, err = net.Listen("tcp", "127.0.0.1:0")
	h.must(err)
	h.server, err = rpc.NewServer(rpc.ServerConfig{}, rpc.Deps{})
	h.must(err)
	h.member, err = h.cluster.Register(t.Context(), cluster.Node{Role: role, ID: id, Addr: h.listener.Addr().String()})
	h.must(err)
	return h
}

func (h *hop) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// end calls a Stop method with time to end.
func (h *hop) end(stop func(context.Context) error) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	h.must(stop(ctx))
}

// serve serves what is registered until the test ends.
func (h *hop) serve() {
	h.server.StartOn(h.listener)
	h.t.Cleanup(func() { h.end(h.server.Stop) })
}

// run runs a service until the test ends.
func (h *hop) run(s interface {
	Start(context.Context) error
	Stop(context.Context) error
}) {
	h.t.Helper()
	h.must(s.Start(context.WithoutCancel(h.t.Context())))
	h.t.Cleanup(func() { h.end(s.Stop) })
}

func (h *hop) ref() broker.NodeRef {
	n := h.member.Node()
	return broker.NodeRef{ID: n.ID, Incarnation: n.Incarnation}
}

func startRouterHop(t *testing.T, m *cluster.Memory) {
	t.Helper()
	h := startHop(t, m, cluster.Router, "r1")
	cfg, retained := router.Default()
	r, err := router.New(cfg, retained, router.Deps{
		Cluster: h.cluster, Member: h.member, Sessions: h.sessions, Retained: h.routers, Topics: h.routers, Gateways: h.gateways.Node,
		Peers: func(n cluster.Node) broker.RouterNode { return h.routers.Node(n) }, Journal: journal.NewMemory(),
	})
	h.must(err)
	routerrpc.Register(h.server, r)
	h.serve()
	h.run(r)
}

func startStoreHop(t *testing.T, m *cluster.Memory) {
	t.Helper()
	h := startHop(t, m, cluster.SessionStore, "s1")
	s, err := sessionstore.New(sessionstore.DefaultConfig(), sessionstore.Deps{
		Cluster: h.cluster, Member: h.member, Router: h.routers, Sessions: h.sessions, Gateways: h.gateways.Node,
		Routers: func(n cluster.Node) broker.RouterNode { return h.routers.Node(n) }, Journal: journal.NewMemory(),
	})
	h.must(err)
	sessionrpc.Register(h.server, s)
	h.serve()
	h.run(s)
}

// startGatewayHop starts a gateway without clients of its own: the router asks it for routes all the same.
func startGatewayHop(t *testing.T, m *cluster.Memory) *hop {
	t.Helper()
	h := startHop(t, m, cluster.Gateway, "g1")
	g := brokertest.NewGateway(brokertest.GatewayConfig{Ref: h.ref(), Topics: 2, Router: h.routers})
	t.Cleanup(g.Close)
	gatewayrpc.Register(h.server, g)
	h.serve()
	return h
}

// inbox is the gateway's side of a session stream.
type inbox struct {
	replies chan broker.SessionReply
	pushes  chan broker.Push
}

// Replies implements broker.SessionHandler.
func (i inbox) Replies(list []broker.SessionReply) {
	for _, r := range list {
		i.replies <- r
	}
}

// Pushes implements broker.SessionHandler.
func (i inbox) Pushes(list []broker.Push) {
	for _, p := range list {
		i.pushes <- p
	}
}

func receive[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// TestOneMessageOverEveryHop follows one message from a gateway to a router, a session-store and back, each hop over gRPC: the stores announce the route to the
// router, the router acknowledges when the queue of the session has the message.
func TestOneMessageOverEveryHop(t *testing.T) {
	t.Parallel()
	m := cluster.NewMemory()
	startRouterHop(t, m)
	startStoreHop(t, m)
	g := startGatewayHop(t, m)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	in := inbox{make(chan broker.SessionReply, 16), make(chan broker.Push, 16)}
	session, err := openSoon(ctx, func() (broker.SessionStream, error) {
		return g.sessions.OpenSession(ctx, broker.SessionOpen{Gateway: g.ref(), NodeName: "g1", Partition: cluster.Partition("", "c", 2)}, in)
	})
	g.must(err)
	defer session.Close()
	ask := func(r broker.SessionRequest) broker.SessionReply {
		t.Helper()
		r.ClientID, r.Conn = "c", 1
		g.must(session.Send([]broker.SessionRequest{r}))
		reply := receive(t, "the answer", in.replies)
		if reply.ID != r.ID || reply.Err != nil {
			t.Fatalf("request %d is answered %+v", r.ID, reply)
		}
		return reply
	}
	attach := &broker.Attach{Identity: broker.Identity{ClientID: "c", Protocol: "mqtt", Version: 5}, Expiry: time.Hour, Window: 8, At: time.Now()}
	epoch := ask(broker.SessionRequest{ID: 1, Op: broker.OpAttach, Attach: attach}).Attach.Epoch
	ask(broker.SessionRequest{ID: 2, Op: broker.OpSubscribe, Epoch: epoch, Subs: []broker.Subscription{{Filter: "a/b", QoS: 1}}})

	acks := make(chan broker.PublishAck, 16)
	topic := cluster.Partition("", "a/b", 2)
	open := broker.PublishOpen{Source: broker.Source{Incarnation: g.ref().Incarnation, Topic: topic}, From: g.ref(), First: 1}
	publish, err := openSoon(ctx, func() (broker.PublishStream, error) {
		open.Stream++
		return g.routers.OpenPublish(ctx, open, func(list []broker.PublishAck) {
			for _, a := range list {
				acks <- a
			}
		})
	})
	g.must(err)
	defer publish.Close()
	msg := &broker.Message{ID: broker.MessageID{1}, Topic: "a/b", Payload: []byte("hello"), QoS: 1, From: "p", Published: time.Now()}
	g.must(publish.Send([]broker.Publish{{Seq: 1, Msg: msg}}))
	if a := receive(t, "the ack of the publish", acks); a.Seq != 1 || !a.Matched {
		t.Errorf("the publish is answered %+v", a)
	}
	p := receive(t, "the push", in.pushes)
	if p.Op != broker.PushPublish || p.QoS != 1 || p.Epoch != epoch || p.Msg == nil || p.Msg.ID != msg.ID || !slices.Equal(p.Msg.Payload, msg.Payload) {
		t.Errorf("pushed %+v", p)
	}
	ask(broker.SessionRequest{ID: 3, Op: broker.OpAck, Epoch: epoch, Ack: &broker.ClientAck{Index: p.Index, Kind: broker.AckPuback}})
}

// openSoon opens a stream as often as it takes: a new process is not in every view at once, and a new owner may not be ready.
func openSoon[S any](ctx context.Context, open func() (S, error)) (S, error) {
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for {
		s, err := open()
		if err == nil || !broker.KindOf(err).Retryable() {
			return s, err
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return s, err
		}
	}
}
