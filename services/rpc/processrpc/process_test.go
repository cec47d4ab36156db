package processrpc_test

import (
	"context"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc/processrpc"
	"github.com/pando-mq/pando/services/rpc/rpctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake answers with what the test prepared.
type fake struct {
	changes []broker.ConfigChange
	err     error
	asked   int
}

func (f *fake) ReloadConfig(context.Context) ([]broker.ConfigChange, error) {
	f.asked++
	return f.changes, f.err
}

// A process of any role is reached over its port, and this very one without it.
func TestReloadConfig(t *testing.T) {
	t.Parallel()
	r, there, here := rpctest.NewRig(t), &fake{}, &fake{changes: []broker.ConfigChange{{Key: "here"}}}
	p := r.Start(cluster.Router, "r1", func(reg grpc.ServiceRegistrar) { processrpc.Register(reg, there) })
	client := processrpc.NewClient(r.Dialer, processrpc.Options{Local: func(n cluster.Node) broker.ProcessAdmin {
		if n.ID == "self" {
			return here
		}
		return nil
	}})
	got, err := client.Node(p.Node).ReloadConfig(t.Context())
	if err != nil || len(got) != 0 {
		t.Errorf("nothing changed: %v %v", got, err)
	}
	there.changes = []broker.ConfigChange{{Key: "a.b", From: "1", To: "2", Hot: true}, {Key: "c", To: "\xff"}}
	got, err = client.Node(p.Node).ReloadConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rpctest.Want(t, []broker.ConfigChange{{Key: "a.b", From: "1", To: "2", Hot: true}, {Key: "c", To: rpcText}}, got)
	there.err = broker.Errorf(broker.KindInvalid, "a.b: no")
	_, err = client.Node(p.Node).ReloadConfig(t.Context())
	rpctest.WantKind(t, err, broker.KindInvalid)
	got, err = client.Node(cluster.Node{ID: "self"}).ReloadConfig(t.Context())
	if err != nil || len(got) != 1 || got[0].Key != "here" || there.asked != 3 {
		t.Errorf("itself: %v %v, the other one asked %d times", got, err, there.asked)
	}
}

// rpcText is what rpc.Text makes of a byte that is no text.
const rpcText = "?"
