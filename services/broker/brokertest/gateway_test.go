package brokertest

import (
	"testing"

	"github.com/pando-mq/pando/services/broker"
)

// gatewayHarness is a Gateway that publishes to an Upstream.
func gatewayHarness(f flaws) func(T) GatewayHarness {
	return func(t T) GatewayHarness {
		u := NewUpstream()
		ref := broker.NodeRef{ID: "gateway", Incarnation: 77}
		g := newGateway(GatewayConfig{Ref: ref, Name: "gateway@host", Router: u, Node: u}, f)
		t.Cleanup(g.Close)
		next := uint64(100)
		return GatewayHarness{
			Gateway: g, Ref: ref, Name: "gateway@host", Upstream: u, TopicPartition: g.TopicPartition,
			Connect:      func(clientID, username string) GatewayClient { return g.Connect(clientID, username) },
			StartGateway: func(id string) broker.NodeRef { next++; return broker.NodeRef{ID: id, Incarnation: next} },
			StartRouter:  g.StartRouter, Deny: g.Deny,
		}
	}
}

func TestGatewayFake(t *testing.T) {
	t.Parallel()
	open := gatewayHarness(nil)
	TestGateway(t, func(t *testing.T) GatewayHarness { return open(tested{t}) })
}
