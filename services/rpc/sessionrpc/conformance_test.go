package sessionrpc_test

import (
	"testing"

	"google.golang.org/grpc"

	"github.com/pando-mq/pando/services/broker/brokertest"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc/rpctest"
	"github.com/pando-mq/pando/services/rpc/sessionrpc"
)

func TestConformanceOfRemoteSessions(t *testing.T) {
	t.Parallel()
	brokertest.TestSessions(t, func(t *testing.T) brokertest.SessionsHarness {
		const partitions = 4
		u := brokertest.NewUpstream()
		fake := brokertest.NewSessions(brokertest.SessionsConfig{Partitions: partitions, Router: u, Node: u})
		t.Cleanup(fake.Close)
		r := rpctest.NewRigOf(t, map[cluster.Space]int{cluster.TopicSpace: 1, cluster.RetainedSpace: 1, cluster.SessionSpace: partitions})
		p := r.Start(cluster.SessionStore, "s1", func(reg grpc.ServiceRegistrar) { sessionrpc.Register(reg, fake) }, cluster.SessionSpace)
		c := sessionrpc.NewClient(r.Dialer, sessionrpc.Options{})
		return brokertest.SessionsHarness{
			Sessions: c, Admin: c.Node(p.Node), Upstream: u, Partition: fake.Partition, TopicPartition: fake.TopicPartition,
			StartGateway: fake.StartGateway, StopGateway: fake.StopGateway, StartRouter: fake.StartRouter, StopRouter: fake.StopRouter,
			MovePartition: fake.MovePartition, HoldLog: fake.HoldLog,
		}
	})
}
