package cluster_test

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/cluster/clustertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemory(t *testing.T) {
	t.Parallel()
	clustertest.RunInBubble(t, func(*testing.T) clustertest.Join {
		memory := cluster.NewMemory()
		return func(t *testing.T, o cluster.Options) cluster.Cluster {
			return joined(t)(memory.Join(o))
		}
	})
}

// A third of all calls of the store fails, half of these after they were done: the outcome of a failed write is unknown. Each kind of
// call succeeds at the third attempt at the latest, so that no lease runs out for it.
func TestUnknownOutcomes(t *testing.T) {
	t.Parallel()
	clustertest.RunInBubble(t, func(t *testing.T) clustertest.Join {
		memory := cluster.NewMemory()
		var mu sync.Mutex
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		t.Logf("seed %d", seed)
		failed := make(map[string]int)
		kindOf := func(call string) int {
			mu.Lock()
			defer mu.Unlock()
			kind := random.IntN(6)
			if kind > 1 || failed[call] == 2 {
				failed[call] = 0
				return 2
			}
			failed[call]++
			return kind
		}
		fault := func(call string, run func() error) error {
			switch kindOf(call) {
			case 0:
				return errFault
			case 1:
				if err := run(); err != nil {
					return err
				}
				return errFault
			}
			return run()
		}
		return func(t *testing.T, o cluster.Options) cluster.Cluster {
			return joined(t)(memory.JoinFaulty(o, fault))
		}
	})
}

var errFault = errors.New("injected fault")

func joined(t *testing.T) func(cluster.Cluster, error) cluster.Cluster {
	return func(c cluster.Cluster, err error) cluster.Cluster {
		t.Helper()
		if err != nil {
			t.Fatalf("join: %v", err)
		}
		return c
	}
}
