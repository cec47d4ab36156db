package edge_test

import (
	"context"
	"sync"
	"testing"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/broker/brokertest"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/edge/edgetest"
)

func TestContract(t *testing.T) {
	brokertest.TestGateway(t, func(t *testing.T) brokertest.GatewayHarness {
		b, up := edgetest.New(t), brokertest.NewUpstream()
		var mu sync.Mutex
		routers := map[string]broker.RouterNode{"router": up}
		register := func(role cluster.Role, id string) broker.NodeRef {
			m, err := b.Cluster.Register(context.Background(), cluster.Node{Role: role, ID: id})
			if err != nil {
				t.Fatal(err)
			}
			return broker.NodeRef{ID: id, Incarnation: m.Node().Incarnation}
		}
		ref := register(cluster.Gateway, "under-test")
		e := b.Edge(t, func(_ *edge.Config, d *edge.Deps) {
			d.Node, d.NodeName, d.Router = ref, "under-test@host", up
			d.Routers = func(n cluster.Node) broker.RouterNode {
				mu.Lock()
				defer mu.Unlock()
				return routers[n.ID]
			}
		})
		return brokertest.GatewayHarness{
			Gateway: e, Ref: ref, Name: "under-test@host", Upstream: up,
			TopicPartition: func(tenant, topic string) int {
				return cluster.Partition(tenant, topic, b.Cluster.Meta().Partitions[cluster.TopicSpace])
			},
			Connect: func(clientID, username string) brokertest.GatewayClient {
				req := edgetest.Clean(clientID)
				req.Credentials.Username = username
				d := b.Connect(t, e, req)
				d.AutoAck()
				return contractClient{d}
			},
			StartGateway: func(id string) broker.NodeRef { return register(cluster.Gateway, id) },
			StartRouter: func(id string, node broker.RouterNode) broker.NodeRef {
				mu.Lock()
				routers[id] = node
				mu.Unlock()
				return register(cluster.Router, id)
			},
			Deny: func(filter string) { b.Auth.Deny(broker.ActionPublish, filter) },
		}
	})
}

// contractClient is a device as the suite wants it.
type contractClient struct{ d *edgetest.Device }

func (c contractClient) Subscribe(ctx context.Context, subs ...broker.Subscription) ([]broker.SubscribeReply, error) {
	results := make(chan []edge.SubscribeResult, 1)
	c.d.Do(func(conn *edge.Conn) { conn.Subscribe(subs, func(r []edge.SubscribeResult) { results <- r }) })
	select {
	case list := <-results:
		replies := make([]broker.SubscribeReply, len(list))
		for i, r := range list {
			replies[i] = broker.SubscribeReply{Err: r.Err, Existed: r.Existed}
		}
		return replies, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c contractClient) Received() []*broker.Message {
	var list []*broker.Message
	for _, g := range c.d.Got() {
		list = append(list, g.Msg)
	}
	return list
}

func (c contractClient) Stall(stalled bool) {
	if stalled {
		c.d.FillAfter(0)
		return
	}
	c.d.Drain(-1)
}

func (c contractClient) Ended() string {
	if k := c.d.Kicks(); len(k) > 0 {
		return k[0].Reason
	}
	return ""
}
