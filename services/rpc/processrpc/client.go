package processrpc

import (
	"context"

	"google.golang.org/grpc"

	processv1 "github.com/pando-mq/pando/proto/gen/pando/process/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc"
)

// Options of a Client. The zero value is useful.
type Options struct {
	// Local gives this very process when node is it, otherwise nil; it is then called directly.
	Local func(node cluster.Node) broker.ProcessAdmin
}

// Client reaches all processes that serve the others.
type Client struct {
	dialer  *rpc.Dialer
	options Options
}

// NewClient makes a client; it ends with the dialer.
func NewClient(d *rpc.Dialer, o Options) *Client { return &Client{d, o} }

// Node is one process. It costs nothing to make and holds nothing.
func (c *Client) Node(n cluster.Node) broker.ProcessAdmin {
	if c.options.Local != nil {
		if l := c.options.Local(n); l != nil {
			return l
		}
	}
	return &nodeClient{c.dialer, n}
}

// nodeClient is another process.
type nodeClient struct {
	dialer *rpc.Dialer
	node   cluster.Node
}

func (n *nodeClient) ReloadConfig(ctx context.Context) (changes []broker.ConfigChange, err error) {
	err = n.dialer.Call(n.node, func(conn grpc.ClientConnInterface) error {
		p, err := processv1.NewProcessServiceClient(conn).ReloadConfig(ctx, &processv1.ReloadConfigRequest{})
		changes = nil
		for _, c := range p.GetChanges() {
			changes = append(changes, broker.ConfigChange{Key: c.GetKey(), From: c.GetFrom(), To: c.GetTo(), Hot: c.GetHot()})
		}
		return err
	})
	return changes, err
}
