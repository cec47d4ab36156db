package sessionrpc

import (
	"cmp"
	"context"

	"google.golang.org/grpc"

	brokerv1 "github.com/pando-mq/pando/proto/gen/pando/broker/v1"
	sessionv1 "github.com/pando-mq/pando/proto/gen/pando/session/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

// Options of a Client. The zero value is useful.
type Options struct {
	// Local gives the session-store of this very process when node is it, otherwise nil; it is then called directly.
	Local func(node cluster.Node) Service
}

// Client is the whole tier of session partitions: a broker.Sessions.
type Client struct {
	dialer  *rpc.Dialer
	options Options
	session *rpc.Mux[broker.SessionOpen, broker.SessionRequest, answer]
	deliver *brokerrpc.DeliverMux
}

// NewClient makes a client; it ends with the dialer. A process makes one: each has physical streams of its own.
func NewClient(d *rpc.Dialer, o Options) *Client {
	session := protocol()
	session.Dial = dialSession
	deliver := brokerrpc.DeliverProtocol()
	deliver.Dial = dialDeliver
	return &Client{dialer: d, options: o, session: rpc.NewMux(d, session), deliver: rpc.NewMux(d, deliver)}
}

func dialSession(ctx context.Context, conn grpc.ClientConnInterface) (rpc.Wire[request, response], error) {
	stream, err := sessionv1.NewSessionServiceClient(conn).Session(ctx)
	if err != nil {
		return nil, err
	}
	return rpc.NewWire[sessionv1.SessionRequest, sessionv1.SessionResponse](stream, encodeRequests, decodeResponses), nil
}

func dialDeliver(ctx context.Context, conn grpc.ClientConnInterface) (rpc.Wire[brokerrpc.DeliverRequest, brokerrpc.DeliverResponse], error) {
	stream, err := sessionv1.NewSessionServiceClient(conn).Deliver(ctx)
	if err != nil {
		return nil, err
	}
	encode := func(f []brokerrpc.DeliverRequest) *sessionv1.DeliverRequest {
		return &sessionv1.DeliverRequest{Frame: brokerrpc.EncodeDeliverRequests(f)}
	}
	decode := func(p *sessionv1.DeliverResponse) []brokerrpc.DeliverResponse {
		return brokerrpc.DecodeDeliverResponses(p.GetFrame())
	}
	return rpc.NewWire[sessionv1.DeliverRequest, sessionv1.DeliverResponse](stream, encode, decode), nil
}

func (c *Client) local(n cluster.Node) Service {
	if c.options.Local == nil {
		return nil
	}
	return c.options.Local(n)
}

// OpenSession opens a stream to the owner of a session partition. See broker.Sessions.
func (c *Client) OpenSession(ctx context.Context, o broker.SessionOpen, h broker.SessionHandler) (broker.SessionStream, error) {
	var stream broker.SessionStream
	err := c.dialer.Owned(ctx, cluster.SessionSpace, o.Partition, func(owner cluster.Owner) error {
		if l := c.local(owner.Node); l != nil {
			s, err := l.OpenSession(ctx, o, h)
			stream = s
			return err
		}
		s, err := c.session.Open(ctx, owner.Node, claim(o.Partition, owner), o, downward(h))
		if err != nil {
			return err
		}
		stream = s
		return nil
	})
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// OpenDeliver opens a stream to the owner of a session partition. See broker.Sink.
func (c *Client) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	var stream broker.DeliverStream
	err := c.dialer.Owned(ctx, cluster.SessionSpace, o.Partition, func(owner cluster.Owner) error {
		if l := c.local(owner.Node); l != nil {
			s, err := l.OpenDeliver(ctx, o, acks)
			stream = s
			return err
		}
		s, err := c.deliver.Open(ctx, owner.Node, claim(o.Partition, owner), o, acks)
		if err != nil {
			return err
		}
		stream = s
		return nil
	})
	if err != nil {
		return nil, err
	}
	return stream, nil
}

func claim(p int, owner cluster.Owner) rpc.Ownership {
	return rpc.Ownership{Space: cluster.SessionSpace, Partition: p, Epoch: owner.Epoch}
}

// SnapshotRoutes asks the owner of a session partition. Once something was yielded the next owner is not asked. See broker.RouteSource.
func (c *Client) SnapshotRoutes(ctx context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (broker.SnapshotInfo, error) {
	var info broker.SnapshotInfo
	var cut error // the end of a call that had yielded something
	err := c.dialer.Owned(ctx, cluster.SessionSpace, q.Partition, func(owner cluster.Owner) error {
		var yielded bool
		var refused, err error
		info, err = c.snapshot(ctx, owner, q, func(deltas []broker.RouteDelta) error {
			yielded = true
			refused = yield(deltas)
			return refused
		})
		if err == nil || !yielded {
			return err
		}
		cut = err
		if refused == nil && broker.KindOf(err) == broker.KindNotOwner {
			cut = broker.E(broker.KindUnavailable, "snapshot routes", err)
		}
		return nil
	})
	return info, cmp.Or(err, cut)
}

func (c *Client) snapshot(ctx context.Context, owner cluster.Owner, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (info broker.SnapshotInfo, err error) {
	if l := c.local(owner.Node); l != nil {
		return l.SnapshotRoutes(ctx, q, yield)
	}
	ctx, cancel := context.WithCancel(ctx) // ends the stream when yield refuses
	defer cancel()
	var refused error
	err = c.dialer.Call(owner.Node, func(conn grpc.ClientConnInterface) error {
		stream, err := sessionv1.NewSessionServiceClient(conn).SnapshotRoutes(ctx, &sessionv1.SnapshotRoutesRequest{Query: brokerrpc.EncodeSnapshotQuery(q)})
		if err != nil {
			return err
		}
		info, err = brokerrpc.ReadSnapshot(func() (*brokerv1.SnapshotRoutesResponse, error) {
			p, err := stream.Recv()
			return p.GetPart(), err
		}, func(deltas []broker.RouteDelta) error {
			refused = yield(deltas)
			return refused
		})
		return err
	})
	if refused != nil {
		return info, refused
	}
	return info, err
}

// NodeClient is one session-store process: a broker.SessionAdmin.
type NodeClient struct {
	client *Client
	node   cluster.Node
}

// Node is one session-store process. It costs nothing to make and holds nothing.
func (c *Client) Node(n cluster.Node) *NodeClient { return &NodeClient{client: c, node: n} }

func (n *NodeClient) local() Service { return n.client.local(n.node) }

func (n *NodeClient) call(fn func(sessionv1.SessionServiceClient) error) error {
	return n.client.dialer.Call(n.node, func(conn grpc.ClientConnInterface) error { return fn(sessionv1.NewSessionServiceClient(conn)) })
}

// Sessions lists persistent sessions. See broker.SessionAdmin.
func (n *NodeClient) Sessions(ctx context.Context, q broker.ClientQuery) ([]broker.SessionInfo, error) {
	if l := n.local(); l != nil {
		return l.Sessions(ctx, q)
	}
	var list []broker.SessionInfo
	err := n.call(func(c sessionv1.SessionServiceClient) error {
		p, err := c.ListSessions(ctx, &sessionv1.ListSessionsRequest{Page: brokerrpc.EncodePage(q)})
		var check brokerrpc.Check
		list = brokerrpc.ReadAll(p.GetSessions(), check.Session)
		return cmp.Or(err, check.Garbled("sessions"))
	})
	return list, err
}

// SessionSubscriptions lists subscriptions of persistent sessions. See broker.SessionAdmin.
func (n *NodeClient) SessionSubscriptions(ctx context.Context, q broker.ClientQuery) ([]broker.SubscriptionInfo, error) {
	if l := n.local(); l != nil {
		return l.SessionSubscriptions(ctx, q)
	}
	var list []broker.SubscriptionInfo
	err := n.call(func(c sessionv1.SessionServiceClient) error {
		p, err := c.ListSubscriptions(ctx, &sessionv1.ListSubscriptionsRequest{Page: brokerrpc.EncodePage(q)})
		var check brokerrpc.Check
		list = brokerrpc.ReadAll(p.GetSubscriptions(), check.SubscriptionRow)
		return cmp.Or(err, check.Garbled("subscriptions"))
	})
	return list, err
}

// Drop ends a session for good. See broker.SessionAdmin.
func (n *NodeClient) Drop(ctx context.Context, tenant, clientID string) error {
	if l := n.local(); l != nil {
		return l.Drop(ctx, tenant, clientID)
	}
	return n.call(func(c sessionv1.SessionServiceClient) error {
		_, err := c.Drop(ctx, &sessionv1.DropRequest{Tenant: rpc.Text(tenant), ClientId: rpc.Text(clientID)})
		return err
	})
}

// KickClient ends an attachment. See broker.SessionAdmin.
func (n *NodeClient) KickClient(ctx context.Context, tenant, clientID, reason string) error {
	if l := n.local(); l != nil {
		return l.KickClient(ctx, tenant, clientID, reason)
	}
	return n.call(func(c sessionv1.SessionServiceClient) error {
		_, err := c.Kick(ctx, &sessionv1.KickRequest{Tenant: rpc.Text(tenant), ClientId: rpc.Text(clientID), Reason: rpc.Text(reason)})
		return err
	})
}

// SessionStats gives counters and gauges. See broker.SessionAdmin.
func (n *NodeClient) SessionStats(ctx context.Context) (map[string]int64, error) {
	if l := n.local(); l != nil {
		return l.SessionStats(ctx)
	}
	var stats map[string]int64
	err := n.call(func(c sessionv1.SessionServiceClient) error {
		p, err := c.Stats(ctx, &sessionv1.StatsRequest{})
		stats = p.GetStats()
		return err
	})
	return stats, err
}
