package authrpc_test

import (
	"testing"

	"github.com/pando-mq/pando/services/broker/brokertest"
	"github.com/pando-mq/pando/services/rpc/authrpc"
	"github.com/pando-mq/pando/services/rpc/rpctest"
)

// remote serves an authsvc in a cluster of its own: a client asks any authsvc that it sees, and the suite wants to know which.
func remote(t *testing.T, id string, fake *brokertest.Auth) *authrpc.Client {
	r := rpctest.NewRig(t)
	serve(r, id, fake)
	return authrpc.NewClient(r.Dialer, authrpc.Options{})
}

func TestConformanceOfRemoteAuth(t *testing.T) {
	t.Parallel()
	brokertest.TestAuth(t, func(t *testing.T) brokertest.AuthHarness {
		fake := brokertest.NewAuth()
		one, two := remote(t, "a1", fake), remote(t, "a2", fake.Replica())
		return brokertest.AuthHarness{
			Auth: one, Admin: one, Other: two, OtherAdmin: two, Restart: func() {}, // nothing is lost at a restart, because there is none
			Break: fake.Break, Bar: fake.Bar, WriteACL: fake.WriteACL, BreakACL: fake.BreakACL, LoseRules: fake.LoseRules,
		}
	})
}
