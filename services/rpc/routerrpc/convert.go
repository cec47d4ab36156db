package routerrpc

import (
	routerv1 "github.com/pando-mq/pando/proto/gen/pando/router/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

type (
	publishRequest  = rpc.Frame[broker.PublishOpen, broker.Publish]
	publishResponse = rpc.Frame[rpc.Opened, broker.PublishAck]
)

// protocol is the publish hop.
func protocol() rpc.Protocol[broker.PublishOpen, broker.Publish, broker.PublishAck] {
	return rpc.Protocol[broker.PublishOpen, broker.Publish, broker.PublishAck]{
		Name:       "publish",
		ItemSize:   publishSize,
		AnswerSize: func(*broker.PublishAck) int { return 16 },
	}
}

func publishSize(p *broker.Publish) int {
	n := 16
	if p.Msg != nil {
		n += p.Msg.Size()
	}
	if p.Share != nil {
		n += 32 + len(p.Share.Group) + len(p.Share.Filter)
	}
	return n
}

func encodeOpen(o *broker.PublishOpen) *routerv1.PublishOpen {
	return &routerv1.PublishOpen{Source: brokerrpc.EncodeSource(o.Source), From: brokerrpc.EncodeNode(o.From), Stream: o.Stream, First: o.First}
}

func decodeOpen(c *brokerrpc.Check, p *routerv1.PublishOpen) *broker.PublishOpen {
	return &broker.PublishOpen{Source: c.Source(p.GetSource()), From: c.Node(p.GetFrom()), Stream: p.GetStream(), First: p.GetFirst()}
}

func encodePublish(p *broker.Publish) *routerv1.Publish {
	out := &routerv1.Publish{Seq: p.Seq, Msg: brokerrpc.EncodeMessage(p.Msg)}
	if p.Share != nil {
		out.Share = brokerrpc.EncodeShare(*p.Share)
	}
	return out
}

func decodePublish(c *brokerrpc.Check, p *routerv1.Publish) broker.Publish {
	out := broker.Publish{Seq: p.GetSeq(), Msg: c.Message(p.GetMsg())}
	if p.GetShare() != nil {
		s := c.Share(p.GetShare())
		out.Share = &s
	}
	return out
}

func encodePublishRequests(frames []publishRequest) *routerv1.PublishRequest {
	var all []*routerv1.PublishRequest
	add := func(p *routerv1.PublishRequest) { all = append(all, p) }
	for i := range frames {
		f := &frames[i]
		if f.Open != nil {
			add(&routerv1.PublishRequest{Channel: f.Channel, Frame: &routerv1.PublishRequest_Open{Open: encodeOpen(f.Open)}})
		}
		if len(f.Items) > 0 {
			batch := &routerv1.PublishBatch{Publishes: brokerrpc.Map(f.Items, encodePublish)}
			add(&routerv1.PublishRequest{Channel: f.Channel, Frame: &routerv1.PublishRequest_Batch{Batch: batch}})
		}
		if f.End != nil {
			add(&routerv1.PublishRequest{Channel: f.Channel, Frame: &routerv1.PublishRequest_Close{Close: true}})
		}
	}
	return brokerrpc.Nest(all, func(p *routerv1.PublishRequest, more []*routerv1.PublishRequest) { p.More = more })
}

func decodePublishRequests(p *routerv1.PublishRequest) []publishRequest {
	return brokerrpc.Unnest(p, p.GetMore(), func(p *routerv1.PublishRequest) publishRequest {
		var c brokerrpc.Check
		f := publishRequest{Channel: p.GetChannel()}
		switch x := p.GetFrame().(type) {
		case *routerv1.PublishRequest_Open:
			f.Open = decodeOpen(&c, x.Open)
		case *routerv1.PublishRequest_Batch:
			f.Items = brokerrpc.ReadAll(x.Batch.GetPublishes(), func(p *routerv1.Publish) broker.Publish { return decodePublish(&c, p) })
		case *routerv1.PublishRequest_Close:
			f.End = &rpc.End{}
		default:
			c.Fail("empty frame")
		}
		f.Bad = c.Err()
		return f
	})
}

func encodePublishResponses(frames []publishResponse) *routerv1.PublishResponse {
	var all []*routerv1.PublishResponse
	add := func(p *routerv1.PublishResponse) { all = append(all, p) }
	for i := range frames {
		f := &frames[i]
		if f.Open != nil {
			add(&routerv1.PublishResponse{Channel: f.Channel, Frame: &routerv1.PublishResponse_Opened{Opened: brokerrpc.EncodeOpened(f.Open)}})
		}
		if len(f.Items) > 0 {
			acks := &routerv1.PublishAcks{Acks: brokerrpc.Map(f.Items, func(a *broker.PublishAck) *routerv1.PublishAck {
				return &routerv1.PublishAck{Seq: a.Seq, Matched: a.Matched, Refused: a.Refused}
			})}
			add(&routerv1.PublishResponse{Channel: f.Channel, Frame: &routerv1.PublishResponse_Acks{Acks: acks}})
		}
		if f.Credit > 0 {
			add(&routerv1.PublishResponse{Channel: f.Channel, Frame: &routerv1.PublishResponse_Credit{Credit: brokerrpc.EncodeCount(f.Credit)}})
		}
		if f.End != nil {
			add(&routerv1.PublishResponse{Channel: f.Channel, Frame: &routerv1.PublishResponse_Closed{Closed: brokerrpc.EncodeEnd(f.End)}})
		}
	}
	return brokerrpc.Nest(all, func(p *routerv1.PublishResponse, more []*routerv1.PublishResponse) { p.More = more })
}

func decodePublishResponses(p *routerv1.PublishResponse) []publishResponse {
	return brokerrpc.Unnest(p, p.GetMore(), func(p *routerv1.PublishResponse) publishResponse {
		var c brokerrpc.Check
		f := publishResponse{Channel: p.GetChannel()}
		switch x := p.GetFrame().(type) {
		case *routerv1.PublishResponse_Opened:
			f.Open = c.Opened(x.Opened)
		case *routerv1.PublishResponse_Acks:
			f.Items = brokerrpc.ReadAll(x.Acks.GetAcks(), func(p *routerv1.PublishAck) broker.PublishAck {
				return broker.PublishAck{Seq: p.GetSeq(), Matched: p.GetMatched(), Refused: p.GetRefused()}
			})
		case *routerv1.PublishResponse_Credit:
			f.Credit = c.Count(x.Credit)
		case *routerv1.PublishResponse_Closed:
			f.End = brokerrpc.DecodeEnd(x.Closed)
		default:
			c.Fail("empty frame")
		}
		f.Bad = c.Err()
		return f
	})
}

func encodeUpdate(u broker.RouteUpdate) *routerv1.UpdateRoutesRequest {
	return &routerv1.UpdateRoutesRequest{Origin: brokerrpc.EncodeOrigin(u.Origin), Deltas: brokerrpc.Map(u.Deltas, brokerrpc.EncodeDelta)}
}

func decodeUpdate(c *brokerrpc.Check, p *routerv1.UpdateRoutesRequest) broker.RouteUpdate {
	return broker.RouteUpdate{Origin: c.Origin(p.GetOrigin()), Deltas: brokerrpc.ReadAll(p.GetDeltas(), c.Delta)}
}

func encodeClaim(x broker.ExclusiveClaim) *routerv1.ClaimExclusiveRequest {
	return &routerv1.ClaimExclusiveRequest{
		Tenant: rpc.Text(x.Tenant), Topic: rpc.Text(x.Topic), ClientId: rpc.Text(x.ClientID), Origin: brokerrpc.EncodeOrigin(x.Origin),
	}
}

func decodeClaim(c *brokerrpc.Check, p *routerv1.ClaimExclusiveRequest) broker.ExclusiveClaim {
	return broker.ExclusiveClaim{
		Tenant: c.Text(p.GetTenant(), "tenant"), Topic: c.Filter(p.GetTopic()), ClientID: c.Text(p.GetClientId(), "client id"), Origin: c.Origin(p.GetOrigin()),
	}
}

func encodeRetained(partition int, q broker.RetainedQuery) *routerv1.ReadRetainedRequest {
	return &routerv1.ReadRetainedRequest{
		Partition: brokerrpc.EncodeCount(partition), Tenant: rpc.Text(q.Tenant), Filter: rpc.Text(q.Filter), Limit: brokerrpc.EncodeCount(q.Limit),
	}
}

func decodeRetained(c *brokerrpc.Check, p *routerv1.ReadRetainedRequest) (int, broker.RetainedQuery) {
	return c.Partition(p.GetPartition()), broker.RetainedQuery{Tenant: c.Text(p.GetTenant(), "tenant"), Filter: c.Filter(p.GetFilter()), Limit: c.Count(p.GetLimit())}
}

func encodeRouteQuery(q broker.RouteQuery) *routerv1.ListRoutesRequest {
	return &routerv1.ListRoutesRequest{Tenant: rpc.Text(q.Tenant), Filter: rpc.Text(q.Filter), After: rpc.Text(q.After), Limit: brokerrpc.EncodeCount(q.Limit)}
}

func decodeRouteQuery(c *brokerrpc.Check, p *routerv1.ListRoutesRequest) broker.RouteQuery {
	return broker.RouteQuery{Tenant: c.Text(p.GetTenant(), "tenant"), Filter: c.Filter(p.GetFilter()), After: c.Filter(p.GetAfter()), Limit: c.Count(p.GetLimit())}
}

func encodeRoute(r *broker.RouteInfo) *routerv1.RouteRow {
	return &routerv1.RouteRow{
		Filter: rpc.Text(r.Filter), Group: rpc.Text(r.Group), Nodes: brokerrpc.Map(r.Nodes, func(n *string) string { return rpc.Text(*n) }),
	}
}

func decodeRoute(c *brokerrpc.Check, p *routerv1.RouteRow) broker.RouteInfo {
	return broker.RouteInfo{
		Filter: c.Filter(p.GetFilter()), Group: c.Text(p.GetGroup(), "group"),
		Nodes: brokerrpc.ReadAll(p.GetNodes(), func(n string) string { return c.Text(n, "node") }),
	}
}
