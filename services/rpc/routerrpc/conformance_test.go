package routerrpc_test

import (
	"testing"

	"google.golang.org/grpc"

	"github.com/pando-mq/pando/services/broker/brokertest"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc/routerrpc"
	"github.com/pando-mq/pando/services/rpc/rpctest"
)

// partitions of both spaces: a client reads retained messages of several partitions.
const partitions = 4

func TestConformanceOfTheRemoteRouter(t *testing.T) {
	t.Parallel()
	brokertest.TestRouter(t, func(t *testing.T) brokertest.RouterHarness {
		s := brokertest.NewSinks()
		fake := brokertest.NewRouter(brokertest.RouterConfig{
			Topics: partitions, Retained: partitions, Place: cluster.Partition,
			Sinks: s.Sessions(), Gateways: s.Gateway,
		})
		t.Cleanup(fake.Close)
		r := rpctest.NewRigOf(t, map[cluster.Space]int{cluster.TopicSpace: partitions, cluster.RetainedSpace: partitions, cluster.SessionSpace: 1})
		p := r.Start(cluster.Router, "r1", func(reg grpc.ServiceRegistrar) { routerrpc.Register(reg, fake) }, cluster.TopicSpace, cluster.RetainedSpace)
		c := routerrpc.NewClient(r.Dialer, routerrpc.Options{})
		return brokertest.RouterHarness{
			Router: c, Node: c.Node(p.Node), Admin: c.Node(p.Node), Sinks: s,
			TopicPartition: fake.TopicPartition, RetainedPartition: fake.RetainedPartition,
			StartGateway: fake.StartGateway, StopGateway: fake.StopGateway, UnseenGateway: fake.UnseenGateway,
			MoveTopic: fake.MoveTopic, ReleaseTopic: fake.ReleaseTopic, MoveRetained: fake.MoveRetained, HoldRetained: fake.HoldRetained,
		}
	})
}
