package gatewayrpc

import (
	"testing"

	"google.golang.org/protobuf/proto"

	gatewayv1 "github.com/pando-mq/pando/proto/gen/pando/gateway/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
	"github.com/pando-mq/pando/services/rpc/rpctest"
)

func read[P, T any](get func(*brokerrpc.Check, P) T) func(P) (T, error) {
	return func(p P) (T, error) {
		var c brokerrpc.Check
		v := get(&c, p)
		return v, c.Err()
	}
}

func TestConversionIsTheIdentity(t *testing.T) {
	t.Parallel()
	rpctest.Identity(t, "node", rpctest.Fill[broker.NodeInfo], encodeNode, read(decodeNode))
	rpctest.Identity(t, "client", rpctest.Fill[broker.ClientInfo], encodeClient, read(decodeClient))
}

func FuzzDecodeGateway(f *testing.F) {
	for _, m := range []proto.Message{
		encodeNode(&broker.NodeInfo{Name: "n", Listeners: []broker.ListenerInfo{{Name: "l"}}, Stats: map[string]int64{"a": 1}}),
		encodeClient(&broker.ClientInfo{ClientID: "c", Expiry: broker.Forever}),
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rpctest.Stable(t, data, func(c broker.ClientInfo) *gatewayv1.Client { return encodeClient(&c) }, read(decodeClient))
		var n gatewayv1.Node
		if proto.Unmarshal(data, &n) == nil {
			_, _ = read(decodeNode)(&n)
		}
	})
}
