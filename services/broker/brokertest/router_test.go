package brokertest

import (
	"testing"

	"github.com/pando-mq/pando/services/broker"
)

// routerHarness is a Router that delivers to Sinks.
func routerHarness(f flaws) func(T) RouterHarness {
	return func(t T) RouterHarness {
		s := NewSinks()
		r := newRouter(RouterConfig{Sinks: s.Sessions(), Gateways: func(ref broker.NodeRef) broker.Gateway { return s.Gateway(ref) }}, f)
		t.Cleanup(r.Close)
		return RouterHarness{
			Router: r, Node: r, Admin: r, Sinks: s, TopicPartition: r.TopicPartition, RetainedPartition: r.RetainedPartition,
			StartGateway: r.StartGateway, StopGateway: r.StopGateway, UnseenGateway: r.UnseenGateway,
			MoveTopic: r.MoveTopic, ReleaseTopic: r.ReleaseTopic, MoveRetained: r.MoveRetained, HoldRetained: r.HoldRetained,
		}
	}
}

func TestRouterFake(t *testing.T) {
	t.Parallel()
	open := routerHarness(nil)
	TestRouter(t, func(t *testing.T) RouterHarness { return open(tested{t}) })
}
