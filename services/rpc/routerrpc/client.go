package routerrpc

import (
	"cmp"
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc"

	routerv1 "github.com/pando-mq/pando/proto/gen/pando/router/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

// Options of a Client. The zero value is useful.
type Options struct {
	// Local gives the router of this very process when node is it, otherwise nil; it is then called directly.
	Local func(node cluster.Node) Service
}

// Client is the whole tier of routers: a broker.Router.
type Client struct {
	dialer  *rpc.Dialer
	options Options
	publish *rpc.Mux[broker.PublishOpen, broker.Publish, broker.PublishAck]
	deliver *brokerrpc.DeliverMux
}

// NewClient makes a client; it ends with the dialer. A process makes one: each has physical streams of its own.
func NewClient(d *rpc.Dialer, o Options) *Client {
	publish := protocol()
	publish.Dial = dialPublish
	deliver := brokerrpc.DeliverProtocol()
	deliver.Dial = dialDeliver
	return &Client{dialer: d, options: o, publish: rpc.NewMux(d, publish), deliver: rpc.NewMux(d, deliver)}
}

func dialPublish(ctx context.Context, conn grpc.ClientConnInterface) (rpc.Wire[publishRequest, publishResponse], error) {
	stream, err := routerv1.NewRouterServiceClient(conn).Publish(ctx)
	if err != nil {
		return nil, err
	}
	return rpc.NewWire[routerv1.PublishRequest, routerv1.PublishResponse](stream, encodePublishRequests, decodePublishResponses), nil
}

func dialDeliver(ctx context.Context, conn grpc.ClientConnInterface) (rpc.Wire[brokerrpc.DeliverRequest, brokerrpc.DeliverResponse], error) {
	stream, err := routerv1.NewRouterServiceClient(conn).Deliver(ctx)
	if err != nil {
		return nil, err
	}
	encode := func(f []brokerrpc.DeliverRequest) *routerv1.DeliverRequest {
		return &routerv1.DeliverRequest{Frame: brokerrpc.EncodeDeliverRequests(f)}
	}
	decode := func(p *routerv1.DeliverResponse) []brokerrpc.DeliverResponse {
		return brokerrpc.DecodeDeliverResponses(p.GetFrame())
	}
	return rpc.NewWire[routerv1.DeliverRequest, routerv1.DeliverResponse](stream, encode, decode), nil
}

func (c *Client) local(n cluster.Node) Service {
	if c.options.Local == nil {
		return nil
	}
	return c.options.Local(n)
}

// OpenPublish opens a stream to the owner of the source's topic partition. See broker.Router.
func (c *Client) OpenPublish(ctx context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	var stream broker.PublishStream
	err := c.dialer.Owned(ctx, cluster.TopicSpace, o.Source.Topic, func(owner cluster.Owner) error {
		if l := c.local(owner.Node); l != nil {
			s, err := l.OpenPublish(ctx, o, acks)
			stream = s
			return err
		}
		claim := rpc.Ownership{Space: cluster.TopicSpace, Partition: o.Source.Topic, Epoch: owner.Epoch}
		s, err := c.publish.Open(ctx, owner.Node, claim, o, acks)
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

// OpenDeliver opens a stream to the owner of a retained partition. See broker.Sink.
func (c *Client) OpenDeliver(ctx context.Context, o broker.DeliverOpen, acks func([]broker.DeliverAck)) (broker.DeliverStream, error) {
	var stream broker.DeliverStream
	err := c.dialer.Owned(ctx, cluster.RetainedSpace, o.Partition, func(owner cluster.Owner) error {
		if l := c.local(owner.Node); l != nil {
			s, err := l.OpenDeliver(ctx, o, acks)
			stream = s
			return err
		}
		claim := rpc.Ownership{Space: cluster.RetainedSpace, Partition: o.Partition, Epoch: owner.Epoch}
		s, err := c.deliver.Open(ctx, owner.Node, claim, o, acks)
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

// ClaimExclusive asks the owner of the topic partition. See broker.Router.
func (c *Client) ClaimExclusive(ctx context.Context, x broker.ExclusiveClaim) (grant uint64, err error) {
	n := cluster.Partition(x.Tenant, broker.ExclusivePrefix+x.Topic, c.dialer.Cluster().Meta().Partitions[cluster.TopicSpace])
	err = c.dialer.Owned(ctx, cluster.TopicSpace, n, func(owner cluster.Owner) (err error) {
		if l := c.local(owner.Node); l != nil {
			grant, err = l.ClaimExclusive(ctx, x)
			return err
		}
		return c.Node(owner.Node).call(func(s routerv1.RouterServiceClient) error {
			p, err := s.ClaimExclusive(ctx, encodeClaim(x))
			grant = p.GetGrant()
			return err
		})
	})
	return grant, err
}

// ReadRetained reads the one partition of an exact filter, or all partitions in turn. See broker.Router.
func (c *Client) ReadRetained(ctx context.Context, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	n := c.dialer.Cluster().Meta().Partitions[cluster.RetainedSpace]
	if !strings.ContainsAny(q.Filter, "+#") {
		return c.readPartition(ctx, cluster.Partition(q.Tenant, q.Filter, n), q, yield)
	}
	left := q.Limit
	for p := range n {
		part := q
		part.Limit = left
		err := c.readPartition(ctx, p, part, func(list []*broker.Message) error {
			if q.Limit > 0 {
				list = list[:min(len(list), left)]
				left -= len(list)
			}
			if len(list) == 0 {
				return nil
			}
			return yield(list)
		})
		if err != nil || q.Limit > 0 && left == 0 {
			return err
		}
	}
	return nil
}

// readPartition reads one partition at its owner. Once something was yielded the next owner is not asked: it would be yielded twice.
func (c *Client) readPartition(ctx context.Context, p int, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	var cut error // the end of a call that had yielded something
	err := c.dialer.Owned(ctx, cluster.RetainedSpace, p, func(owner cluster.Owner) error {
		var yielded bool
		var refused error
		err := c.Node(owner.Node).ReadRetainedPartition(ctx, p, q, func(list []*broker.Message) error {
			yielded = true
			refused = yield(list)
			return refused
		})
		if err == nil || !yielded {
			return err
		}
		cut = err
		if refused == nil && broker.KindOf(err) == broker.KindNotOwner {
			cut = broker.E(broker.KindUnavailable, "read retained", err)
		}
		return nil
	})
	return cmp.Or(err, cut)
}

// NodeClient is one router process: a broker.RouterNode and a broker.RouterAdmin.
type NodeClient struct {
	client *Client
	node   cluster.Node
}

// Node is one router process. It costs nothing to make and holds nothing.
func (c *Client) Node(n cluster.Node) *NodeClient { return &NodeClient{client: c, node: n} }

func (n *NodeClient) call(fn func(routerv1.RouterServiceClient) error) error {
	return n.client.dialer.Call(n.node, func(conn grpc.ClientConnInterface) error { return fn(routerv1.NewRouterServiceClient(conn)) })
}

// maxUpdateBytes of filters go into one call of UpdateRoutes.
const maxUpdateBytes = 1 << 20

// UpdateRoutes applies deltas, in order, in as many calls as their size needs. See broker.RouterNode.
func (n *NodeClient) UpdateRoutes(ctx context.Context, u broker.RouteUpdate) error {
	if l := n.client.local(n.node); l != nil {
		return l.UpdateRoutes(ctx, u)
	}
	for rest := u.Deltas; ; {
		part := broker.RouteUpdate{Origin: u.Origin}
		part.Deltas, rest = cut(rest)
		err := n.call(func(c routerv1.RouterServiceClient) error {
			_, err := c.UpdateRoutes(ctx, encodeUpdate(part))
			return err
		})
		if err != nil || len(rest) == 0 {
			return err
		}
	}
}

// cut takes deltas of at most maxUpdateBytes, one at least, from the front.
func cut(list []broker.RouteDelta) (part, rest []broker.RouteDelta) {
	size := 0
	for i := range list {
		size += 32 + len(list[i].Tenant) + len(list[i].Filter) + len(list[i].Group)
		if i > 0 && size > maxUpdateBytes {
			return list[:i], list[i:]
		}
	}
	return list, nil
}

// ReadRetainedPartition reads one retained partition of this process. See broker.RouterNode.
func (n *NodeClient) ReadRetainedPartition(ctx context.Context, partition int, q broker.RetainedQuery, yield func([]*broker.Message) error) error {
	if l := n.client.local(n.node); l != nil {
		return l.ReadRetainedPartition(ctx, partition, q, yield)
	}
	ctx, cancel := context.WithCancel(ctx) // ends the stream when yield refuses
	defer cancel()
	var refused error
	err := n.call(func(c routerv1.RouterServiceClient) error {
		stream, err := c.ReadRetained(ctx, encodeRetained(partition, q))
		if err != nil {
			return err
		}
		return readMessages(stream, func(list []*broker.Message) error {
			refused = yield(list)
			return refused
		})
	})
	if refused != nil {
		return refused
	}
	return err
}

func readMessages(stream grpc.ServerStreamingClient[routerv1.ReadRetainedResponse], yield func([]*broker.Message) error) error {
	for {
		p, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var c brokerrpc.Check
		list := brokerrpc.ReadAll(p.GetMessages(), c.Message)
		if err := c.Garbled("retained message"); err != nil {
			return err
		}
		if err := yield(list); err != nil {
			return err
		}
	}
}

// Routes lists routes. See broker.RouterAdmin.
func (n *NodeClient) Routes(ctx context.Context, q broker.RouteQuery) ([]broker.RouteInfo, error) {
	if l := n.client.local(n.node); l != nil {
		return l.Routes(ctx, q)
	}
	var routes []broker.RouteInfo
	err := n.call(func(c routerv1.RouterServiceClient) error {
		p, err := c.ListRoutes(ctx, encodeRouteQuery(q))
		var check brokerrpc.Check
		routes = brokerrpc.ReadAll(p.GetRoutes(), func(r *routerv1.RouteRow) broker.RouteInfo { return decodeRoute(&check, r) })
		return cmp.Or(err, check.Garbled("routes"))
	})
	return routes, err
}

// RouterStats gives counters and gauges. See broker.RouterAdmin.
func (n *NodeClient) RouterStats(ctx context.Context) (map[string]int64, error) {
	if l := n.client.local(n.node); l != nil {
		return l.RouterStats(ctx)
	}
	var stats map[string]int64
	err := n.call(func(c routerv1.RouterServiceClient) error {
		p, err := c.Stats(ctx, &routerv1.StatsRequest{})
		stats = p.GetStats()
		return err
	})
	return stats, err
}
