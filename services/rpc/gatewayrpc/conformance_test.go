package gatewayrpc_test

import (
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/broker/brokertest"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc/gatewayrpc"
	"github.com/pando-mq/pando/services/rpc/rpctest"
)

func TestConformanceOfARemoteGateway(t *testing.T) {
	t.Parallel()
	brokertest.TestGateway(t, func(t *testing.T) brokertest.GatewayHarness {
		u := brokertest.NewUpstream()
		ref := broker.NodeRef{ID: "gateway", Incarnation: 77}
		fake := brokertest.NewGateway(brokertest.GatewayConfig{Ref: ref, Name: "gateway@host", Router: u, Node: u})
		t.Cleanup(fake.Close)
		r := rpctest.NewRig(t)
		p := r.Start(cluster.Gateway, "g1", func(reg grpc.ServiceRegistrar) { gatewayrpc.Register(reg, fake) })
		var next atomic.Uint64
		next.Store(100)
		return brokertest.GatewayHarness{
			Gateway: gatewayrpc.NewClient(r.Dialer, gatewayrpc.Options{}).Node(p.Node),
			Ref:     ref, Name: "gateway@host", Upstream: u, TopicPartition: fake.TopicPartition,
			Connect:      func(clientID, username string) brokertest.GatewayClient { return fake.Connect(clientID, username) },
			StartGateway: func(id string) broker.NodeRef { return broker.NodeRef{ID: id, Incarnation: next.Add(1)} },
			StartRouter:  fake.StartRouter, Deny: fake.Deny,
		}
	})
}
