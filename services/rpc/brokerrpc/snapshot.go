package brokerrpc

import (
	"context"
	"errors"
	"io"
	"slices"

	brokerv1 "github.com/pando-mq/pando/proto/gen/pando/broker/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
)

// EncodeDelta converts a route delta.
func EncodeDelta(d *broker.RouteDelta) *brokerv1.RouteDelta {
	return &brokerv1.RouteDelta{
		Tenant: rpc.Text(d.Tenant), Filter: rpc.Text(d.Filter), Group: rpc.Text(d.Group), Version: d.Version,
		Members: EncodeCount(d.Members), Online: EncodeCount(d.Online), Holder: rpc.Text(d.Holder), Grant: d.Grant,
	}
}

// Delta reads a route delta.
func (c *Check) Delta(p *brokerv1.RouteDelta) broker.RouteDelta {
	return broker.RouteDelta{
		Tenant: c.Text(p.GetTenant(), "tenant"), Filter: c.Filter(p.GetFilter()), Group: c.Text(p.GetGroup(), "group"), Version: p.GetVersion(),
		Members: c.Count(p.GetMembers()), Online: c.Count(p.GetOnline()), Holder: c.Text(p.GetHolder(), "client id"), Grant: p.GetGrant(),
	}
}

// EncodeOrigin converts who announces routes.
func EncodeOrigin(o broker.Origin) *brokerv1.Origin {
	return &brokerv1.Origin{Kind: sourceKinds[o.Kind], Partition: EncodeCount(o.Partition), Node: EncodeNode(o.Node), Epoch: o.Epoch}
}

// Origin reads who announces routes.
func (c *Check) Origin(p *brokerv1.Origin) broker.Origin {
	return broker.Origin{Kind: c.SourceKind(p.GetKind()), Partition: c.Partition(p.GetPartition()), Node: c.Node(p.GetNode()), Epoch: p.GetEpoch()}
}

// EncodeSnapshotQuery converts the question of a router.
func EncodeSnapshotQuery(q broker.SnapshotQuery) *brokerv1.SnapshotRoutesRequest {
	return &brokerv1.SnapshotRoutesRequest{
		Router: EncodeNode(q.Router), Partition: EncodeCount(q.Partition), Wildcards: q.Wildcards, Topic: EncodeCount(q.Topic), Revision: q.Revision,
	}
}

// SnapshotQuery reads the question of a router.
func (c *Check) SnapshotQuery(p *brokerv1.SnapshotRoutesRequest) broker.SnapshotQuery {
	return broker.SnapshotQuery{
		Router: c.Node(p.GetRouter()), Partition: c.Partition(p.GetPartition()), Wildcards: p.GetWildcards(), Topic: c.Partition(p.GetTopic()), Revision: p.GetRevision(),
	}
}

func encodeSnapshotInfo(i broker.SnapshotInfo) *brokerv1.SnapshotInfo {
	return &brokerv1.SnapshotInfo{Origin: EncodeOrigin(i.Origin), Version: i.Version}
}

func (c *Check) snapshotInfo(p *brokerv1.SnapshotInfo) broker.SnapshotInfo {
	return broker.SnapshotInfo{Origin: c.Origin(p.GetOrigin()), Version: p.GetVersion()}
}

// ServeSnapshot answers a router from an implementation; send sends one part.
func ServeSnapshot(ctx context.Context, src broker.RouteSource, p *brokerv1.SnapshotRoutesRequest, send func(*brokerv1.SnapshotRoutesResponse) error) error {
	var c Check
	q := c.SnapshotQuery(p)
	if err := c.Err(); err != nil {
		return rpc.ToStatus(broker.E(broker.KindInvalid, "snapshot query", err))
	}
	info, err := src.SnapshotRoutes(ctx, q, func(deltas []broker.RouteDelta) error {
		for part := range slices.Chunk(deltas, maxDeltas) {
			if err := send(&brokerv1.SnapshotRoutesResponse{Deltas: Map(part, EncodeDelta)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return rpc.ToStatus(err)
	}
	return send(&brokerv1.SnapshotRoutesResponse{Info: encodeSnapshotInfo(info)})
}

// maxDeltas is how many deltas go into one message: of 64 KiB filters they stay below every size limit.
const maxDeltas = 256

// ReadSnapshot yields what an origin answers; recv receives one part.
func ReadSnapshot(recv func() (*brokerv1.SnapshotRoutesResponse, error), yield func([]broker.RouteDelta) error) (info broker.SnapshotInfo, err error) {
	for {
		p, err := recv()
		if err != nil {
			if errors.Is(err, io.EOF) { // it ends with info, not with this
				err = broker.E(broker.KindUnavailable, "snapshot is cut off", nil)
			}
			return info, rpc.FromStatus(err)
		}
		var c Check
		deltas := ReadAll(p.GetDeltas(), c.Delta)
		if p.GetInfo() != nil {
			info = c.snapshotInfo(p.GetInfo())
		}
		if err := c.Err(); err != nil {
			return info, broker.E(broker.KindInternal, "snapshot cannot be read", err)
		}
		if len(deltas) > 0 {
			if err := yield(deltas); err != nil {
				return info, err
			}
		}
		if p.GetInfo() != nil {
			return info, nil
		}
	}
}
