package gatewayrpc

import (
	"cmp"
	"context"

	"google.golang.org/grpc"

	brokerv1 "github.com/pando-mq/pando/proto/gen/pando/broker/v1"
	gatewayv1 "github.com/pando-mq/pando/proto/gen/pando/gateway/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

// Options of a Client. The zero value is useful.
type Options struct {
	// Local gives the gateway of this very process when node is it, otherwise nil; it is then called directly.
	Local func(node cluster.Node) broker.Gateway
}

// Client reaches all gateways. It holds one deliver stream for each gateway in use.
type Client struct {
	dialer  *rpc.Dialer
	options Options
	deliver *brokerrpc.DeliverMux
}

// NewClient makes a client; it ends with the dialer. A process makes one: each has physical streams of its own.
func NewClient(d *rpc.Dialer, o Options) *Client {
	deliver := brokerrpc.DeliverProtocol()
	deliver.Dial = dialDeliver
	return &Client{dialer: d, options: o, deliver: rpc.NewMux(d, deliver)}
}

func dialDeliver(ctx context.Context, conn grpc.ClientConnInterface) (rpc.Wire[brokerrpc.DeliverRequest, brokerrpc.DeliverResponse], error) {
	stream, err := gatewayv1.NewGatewayServiceClient(conn).Deliver(ctx)
	if err != nil {
		return nil, err
	}
	encode := func(f []brokerrpc.DeliverRequest) *gatewayv1.DeliverRequest {
		return &gatewayv1.DeliverRequest{Frame: brokerrpc.EncodeDeliverRequests(f)}
	}
	decode := func(p *gatewayv1.DeliverResponse) []brokerrpc.DeliverResponse {
		return brokerrpc.DecodeDeliverResponses(p.GetFrame())
	}
	return rpc.NewWire[gatewayv1.DeliverRequest, gatewayv1.DeliverResponse](stream, encode, decode), nil
}

// Node is one gateway process. It costs nothing to make and holds nothing.
func (c *Client) Node(n cluster.Node) broker.Gateway {
	if c.options.Local != nil {
		if l := c.options.Local(n); l != nil {
			return l
		}
	}
	return &nodeClient{client: c, node: n}
}

// nodeClient is one gateway process in another process.
type nodeClient struct {
	client *Client
	node   cluster.Node
}

func (n *nodeClient) call(fn func(gatewayv1.GatewayServiceClient) error) error {
	return n.client.dialer.Call(n.node, func(conn grpc.ClientConnInterface) error { return fn(gatewayv1.NewGatewayServiceClient(conn)) })
}

func (n *nodeClient) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	s, err := n.client.deliver.Open(ctx, n.node, rpc.Ownership{}, o, acks)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (n *nodeClient) SnapshotRoutes(ctx context.Context, q broker.SnapshotQuery, yield func([]broker.RouteDelta) error) (info broker.SnapshotInfo, err error) {
	ctx, cancel := context.WithCancel(ctx) // ends the stream when yield refuses
	defer cancel()
	var refused error
	err = n.call(func(c gatewayv1.GatewayServiceClient) error {
		stream, err := c.SnapshotRoutes(ctx, &gatewayv1.SnapshotRoutesRequest{Query: brokerrpc.EncodeSnapshotQuery(q)})
		if err != nil {
			return err
		}
		recv := func() (*brokerv1.SnapshotRoutesResponse, error) {
			p, err := stream.Recv()
			return p.GetPart(), err
		}
		info, err = brokerrpc.ReadSnapshot(recv, func(deltas []broker.RouteDelta) error {
			refused = yield(deltas)
			return refused
		})
		return err
	})
	if refused != nil {
		return broker.SnapshotInfo{}, refused
	}
	return info, err
}

func (n *nodeClient) Node(ctx context.Context) (info broker.NodeInfo, err error) {
	err = n.call(func(c gatewayv1.GatewayServiceClient) error {
		p, err := c.GetNode(ctx, &gatewayv1.GetNodeRequest{})
		var check brokerrpc.Check
		info = decodeNode(&check, p.GetNode())
		return cmp.Or(err, check.Garbled("node"))
	})
	return info, err
}

func (n *nodeClient) Clients(ctx context.Context, q broker.ClientQuery) (list []broker.ClientInfo, err error) {
	err = n.call(func(c gatewayv1.GatewayServiceClient) error {
		p, err := c.ListClients(ctx, &gatewayv1.ListClientsRequest{Page: brokerrpc.EncodePage(q)})
		var check brokerrpc.Check
		list = brokerrpc.ReadAll(p.GetClients(), func(p *gatewayv1.Client) broker.ClientInfo { return decodeClient(&check, p) })
		return cmp.Or(err, check.Garbled("clients"))
	})
	return list, err
}

func (n *nodeClient) ClientSubscriptions(ctx context.Context, q broker.ClientQuery) (list []broker.SubscriptionInfo, err error) {
	err = n.call(func(c gatewayv1.GatewayServiceClient) error {
		p, err := c.ListSubscriptions(ctx, &gatewayv1.ListSubscriptionsRequest{Page: brokerrpc.EncodePage(q)})
		var check brokerrpc.Check
		list = brokerrpc.ReadAll(p.GetSubscriptions(), check.SubscriptionRow)
		return cmp.Or(err, check.Garbled("subscriptions"))
	})
	return list, err
}

func (n *nodeClient) Kick(ctx context.Context, tenant, clientID, reason string) error {
	return n.call(func(c gatewayv1.GatewayServiceClient) error {
		_, err := c.Kick(ctx, &gatewayv1.KickRequest{Tenant: rpc.Text(tenant), ClientId: rpc.Text(clientID), Reason: rpc.Text(reason)})
		return err
	})
}

func (n *nodeClient) Inject(ctx context.Context, as broker.Identity, m *broker.Message) (ack broker.PublishAck, err error) {
	err = n.call(func(c gatewayv1.GatewayServiceClient) error {
		p, err := c.Inject(ctx, &gatewayv1.InjectRequest{As: brokerrpc.EncodeIdentity(&as), Msg: brokerrpc.EncodeMessage(m)})
		ack = broker.PublishAck{Seq: p.GetSeq(), Matched: p.GetMatched()}
		return err
	})
	return ack, err
}

func (n *nodeClient) SubscribeFor(ctx context.Context, tenant, clientID string, subs []broker.Subscription) (results []broker.SubscribeReply, err error) {
	err = n.call(func(c gatewayv1.GatewayServiceClient) error {
		p, err := c.Subscribe(ctx, &gatewayv1.SubscribeRequest{
			Tenant: rpc.Text(tenant), ClientId: rpc.Text(clientID), Subscriptions: brokerrpc.EncodeSubscriptions(subs),
		})
		results = brokerrpc.DecodeResults(p.GetResults())
		return err
	})
	return results, err
}

func (n *nodeClient) UnsubscribeFor(ctx context.Context, tenant, clientID string, filters []string) (results []broker.SubscribeReply, err error) {
	err = n.call(func(c gatewayv1.GatewayServiceClient) error {
		p, err := c.Unsubscribe(ctx, &gatewayv1.UnsubscribeRequest{
			Tenant: rpc.Text(tenant), ClientId: rpc.Text(clientID), Filters: brokerrpc.Map(filters, func(f *string) string { return rpc.Text(*f) }),
		})
		results = brokerrpc.DecodeResults(p.GetResults())
		return err
	})
	return results, err
}

func (n *nodeClient) FlushACL(ctx context.Context, tenant, clientID string) error {
	return n.call(func(c gatewayv1.GatewayServiceClient) error {
		_, err := c.FlushACL(ctx, &gatewayv1.FlushACLRequest{Tenant: rpc.Text(tenant), ClientId: rpc.Text(clientID)})
		return err
	})
}

func (n *nodeClient) ControlListener(ctx context.Context, name string, do broker.ListenerAction) error {
	return n.call(func(c gatewayv1.GatewayServiceClient) error {
		_, err := c.ControlListener(ctx, &gatewayv1.ControlListenerRequest{Name: rpc.Text(name), Action: gatewayv1.ListenerAction(do)})
		return err
	})
}
