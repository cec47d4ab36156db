package cluster_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/cluster/clustertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	t.Parallel()
	clustertest.Run(t, func(*testing.T) clustertest.Join {
		memory := cluster.NewMemory()
		return func(t *testing.T, o cluster.Options) cluster.Cluster {
			c, err := memory.Join(o)
			if err != nil {
				t.Fatalf("join: %v", err)
			}
			return c
		}
	})
}
