package sessionrpc

import (
	sessionv1 "github.com/pando-mq/pando/proto/gen/pando/session/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

func encodeOpen(o *broker.SessionOpen) *sessionv1.SessionOpen {
	return &sessionv1.SessionOpen{Gateway: brokerrpc.EncodeNode(o.Gateway), NodeName: rpc.Text(o.NodeName), Partition: brokerrpc.EncodeCount(o.Partition)}
}

func decodeOpen(c *brokerrpc.Check, p *sessionv1.SessionOpen) *broker.SessionOpen {
	return &broker.SessionOpen{Gateway: c.Node(p.GetGateway()), NodeName: c.Text(p.GetNodeName(), "node"), Partition: c.Partition(p.GetPartition())}
}

func encodeEpoch(e broker.ConnEpoch) *sessionv1.ConnEpoch {
	if e == (broker.ConnEpoch{}) {
		return nil
	}
	return &sessionv1.ConnEpoch{Partition: e.Partition, Counter: e.Counter}
}

func decodeEpoch(p *sessionv1.ConnEpoch) broker.ConnEpoch {
	return broker.ConnEpoch{Partition: p.GetPartition(), Counter: p.GetCounter()}
}

// encodeRequest converts a request. One without the part that its op names is sent without it, and refused by the other side.
func encodeRequest(r *broker.SessionRequest) *sessionv1.Request {
	p := &sessionv1.Request{Id: r.ID, Tenant: rpc.Text(r.Tenant), ClientId: rpc.Text(r.ClientID), Conn: r.Conn, Epoch: encodeEpoch(r.Epoch)}
	switch r.Op {
	case broker.OpAttach:
		p.Op = &sessionv1.Request_Attach{Attach: encodeAttach(r.Attach)}
	case broker.OpAnnounce:
		p.Op = &sessionv1.Request_Announce{Announce: encodeAnnounce(r.Announce)}
	case broker.OpDetach:
		p.Op = &sessionv1.Request_Detach{Detach: encodeDetach(r.Detach)}
	case broker.OpKicked:
		kicked := &sessionv1.Kicked{}
		if r.Detach != nil {
			kicked.Detach = encodeDetach(r.Detach)
		}
		p.Op = &sessionv1.Request_Kicked{Kicked: kicked}
	case broker.OpSubscribe:
		p.Op = &sessionv1.Request_Subscribe{Subscribe: &sessionv1.Subscribe{Subscriptions: brokerrpc.EncodeSubscriptions(r.Subs)}}
	case broker.OpUnsubscribe:
		filters := brokerrpc.Map(r.Subs, func(s *broker.Subscription) string { return rpc.Text(s.Filter) })
		p.Op = &sessionv1.Request_Unsubscribe{Unsubscribe: &sessionv1.Unsubscribe{Filters: filters}}
	case broker.OpAck:
		p.Op = &sessionv1.Request_Ack{Ack: encodeAck(r.Ack)}
	case broker.OpPublish2:
		p.Op = &sessionv1.Request_Publish2{Publish2: encodePublish2(r.Publish2)}
	case broker.OpRelease:
		p.Op = &sessionv1.Request_Release{Release: &sessionv1.Release{PacketId: uint32(r.PacketID)}}
	case broker.OpSetExpiry:
		p.Op = &sessionv1.Request_SetExpiry{SetExpiry: &sessionv1.SetExpiry{ExpiryMs: brokerrpc.EncodeDuration(r.Expiry)}}
	}
	return p
}

func decodeRequest(c *brokerrpc.Check, p *sessionv1.Request) broker.SessionRequest {
	r := broker.SessionRequest{
		ID: p.GetId(), Tenant: c.Text(p.GetTenant(), "tenant"), ClientID: c.Text(p.GetClientId(), "client id"), Conn: p.GetConn(), Epoch: decodeEpoch(p.GetEpoch()),
	}
	switch op := p.GetOp().(type) {
	case *sessionv1.Request_Attach:
		a := decodeAttach(c, op.Attach)
		r.Op, r.Attach = broker.OpAttach, &a
	case *sessionv1.Request_Announce:
		r.Op, r.Announce = broker.OpAnnounce, decodeAnnounce(c, op.Announce)
	case *sessionv1.Request_Detach:
		r.Op, r.Detach = broker.OpDetach, decodeDetach(c, op.Detach)
	case *sessionv1.Request_Kicked:
		r.Op = broker.OpKicked
		if d := op.Kicked.GetDetach(); d != nil {
			r.Detach = decodeDetach(c, d)
		}
	case *sessionv1.Request_Subscribe:
		r.Op, r.Subs = broker.OpSubscribe, c.Subscriptions(op.Subscribe.GetSubscriptions())
	case *sessionv1.Request_Unsubscribe:
		r.Op = broker.OpUnsubscribe
		r.Subs = brokerrpc.ReadAll(op.Unsubscribe.GetFilters(), func(f string) broker.Subscription { return broker.Subscription{Filter: c.Filter(f)} })
	case *sessionv1.Request_Ack:
		r.Op, r.Ack = broker.OpAck, decodeAck(c, op.Ack)
	case *sessionv1.Request_Publish2:
		r.Op = broker.OpPublish2
		r.Publish2 = &broker.Publish2{PacketID: c.Uint16(op.Publish2.GetPacketId(), "packet id"), Msg: c.Message(op.Publish2.GetMsg())}
	case *sessionv1.Request_Release:
		r.Op, r.PacketID = broker.OpRelease, c.Uint16(op.Release.GetPacketId(), "packet id")
	case *sessionv1.Request_SetExpiry:
		r.Op, r.Expiry = broker.OpSetExpiry, brokerrpc.DecodeDuration(op.SetExpiry.GetExpiryMs())
	default:
		c.Fail("request without an operation")
	}
	return r
}

func encodeAttach(a *broker.Attach) *sessionv1.Attach {
	if a == nil {
		return nil
	}
	p := &sessionv1.Attach{
		Identity: brokerrpc.EncodeIdentity(&a.Identity), CleanStart: a.CleanStart, ExpiryMs: brokerrpc.EncodeDuration(a.Expiry), Window: uint32(a.Window),
		KeepAliveMs: brokerrpc.EncodeDuration(a.KeepAlive), MaxPacket: a.MaxPacket, AtMs: brokerrpc.EncodeTime(a.At),
	}
	if w := a.Will; w != nil {
		p.Will = &sessionv1.Will{Msg: brokerrpc.EncodeMessage(w.Msg), DelayMs: brokerrpc.EncodeDuration(w.Delay), ExpiryMs: brokerrpc.EncodeDuration(w.Expiry)}
	}
	return p
}

func decodeAttach(c *brokerrpc.Check, p *sessionv1.Attach) broker.Attach {
	a := broker.Attach{
		Identity: *c.Identity(p.GetIdentity()), CleanStart: p.GetCleanStart(), Expiry: brokerrpc.DecodeDuration(p.GetExpiryMs()),
		Window: c.Uint16(p.GetWindow(), "window"), KeepAlive: brokerrpc.DecodeDuration(p.GetKeepAliveMs()), MaxPacket: p.GetMaxPacket(),
		At: brokerrpc.DecodeTime(p.GetAtMs()),
	}
	if w := p.GetWill(); w != nil {
		a.Will = &broker.Will{
			Msg: c.Message(w.GetMsg()), Delay: brokerrpc.DecodeDuration(w.GetDelayMs()), Expiry: brokerrpc.DecodeDuration(w.GetExpiryMs()),
		}
	}
	return a
}

func encodeAnnounce(a *broker.Announce) *sessionv1.Announce {
	if a == nil {
		return nil
	}
	return &sessionv1.Announce{Attach: encodeAttach(&a.Attach), Inflight: brokerrpc.Map(a.Inflight, func(i *broker.Inflight) *sessionv1.Inflight {
		return &sessionv1.Inflight{Index: i.Index, PacketId: uint32(i.PacketID), Qos: uint32(i.QoS), Received: i.Received}
	})}
}

func decodeAnnounce(c *brokerrpc.Check, p *sessionv1.Announce) *broker.Announce {
	return &broker.Announce{Attach: decodeAttach(c, p.GetAttach()), Inflight: brokerrpc.ReadAll(p.GetInflight(), func(i *sessionv1.Inflight) broker.Inflight {
		return broker.Inflight{Index: i.GetIndex(), PacketID: c.Uint16(i.GetPacketId(), "packet id"), QoS: c.QoS(i.GetQos()), Received: i.GetReceived()}
	})}
}

func encodeDetach(d *broker.Detach) *sessionv1.Detach {
	if d == nil {
		return nil
	}
	p := &sessionv1.Detach{Reason: rpc.Text(d.Reason), DropWill: d.DropWill, AtMs: brokerrpc.EncodeTime(d.At)}
	if d.HasExpiry {
		ms := brokerrpc.EncodeDuration(d.Expiry)
		p.ExpiryMs = &ms
	}
	return p
}

func decodeDetach(c *brokerrpc.Check, p *sessionv1.Detach) *broker.Detach {
	d := &broker.Detach{Reason: c.Text(p.GetReason(), "reason"), DropWill: p.GetDropWill(), At: brokerrpc.DecodeTime(p.GetAtMs())}
	if p != nil && p.ExpiryMs != nil {
		d.HasExpiry, d.Expiry = true, brokerrpc.DecodeDuration(p.GetExpiryMs())
	}
	return d
}

func encodeAck(a *broker.ClientAck) *sessionv1.Ack {
	if a == nil {
		return nil
	}
	return &sessionv1.Ack{Index: a.Index, Kind: sessionv1.AckKind(a.Kind), Failed: a.Failed}
}

func decodeAck(c *brokerrpc.Check, p *sessionv1.Ack) *broker.ClientAck {
	if k := p.GetKind(); k < sessionv1.AckKind_ACK_KIND_PUBACK || k > sessionv1.AckKind_ACK_KIND_DROPPED {
		c.Fail("ack kind %d", k)
		return &broker.ClientAck{}
	}
	return &broker.ClientAck{Index: p.GetIndex(), Kind: broker.AckKind(p.GetKind()), Failed: p.GetFailed()}
}

func encodePublish2(p *broker.Publish2) *sessionv1.Publish2 {
	if p == nil {
		return nil
	}
	return &sessionv1.Publish2{PacketId: uint32(p.PacketID), Msg: brokerrpc.EncodeMessage(p.Msg)}
}

func encodeReply(r *broker.SessionReply) *sessionv1.Reply {
	p := &sessionv1.Reply{Id: r.ID, Failure: rpc.EncodeFailure(r.Err), Subs: brokerrpc.EncodeResults(r.Subs), Known: r.Known}
	if a := r.Attach; a != nil {
		p.Attach = &sessionv1.AttachReply{
			Epoch: encodeEpoch(a.Epoch), Present: a.Present, Subs: brokerrpc.EncodeSubscriptions(a.Subs),
			HoldPublishes: a.HoldPublishes, DelayMs: brokerrpc.EncodeDuration(a.Delay),
		}
	}
	return p
}

func decodeReply(c *brokerrpc.Check, p *sessionv1.Reply) *broker.SessionReply {
	r := &broker.SessionReply{ID: p.GetId(), Err: rpc.DecodeFailure(p.GetFailure()), Subs: brokerrpc.DecodeResults(p.GetSubs()), Known: p.GetKnown()}
	if a := p.GetAttach(); a != nil {
		r.Attach = &broker.AttachReply{
			Epoch: decodeEpoch(a.GetEpoch()), Present: a.GetPresent(), Subs: c.Subscriptions(a.GetSubs()),
			HoldPublishes: a.GetHoldPublishes(), Delay: brokerrpc.DecodeDuration(a.GetDelayMs()),
		}
	}
	return r
}

func encodePush(p *broker.Push) *sessionv1.Push {
	return &sessionv1.Push{
		Op: sessionv1.PushOp(p.Op), Tenant: rpc.Text(p.Tenant), ClientId: rpc.Text(p.ClientID), Conn: p.Conn, Epoch: encodeEpoch(p.Epoch), Index: p.Index,
		PacketId: uint32(p.PacketID), Qos: uint32(p.QoS), Dup: p.Dup, Retain: p.Retain, Msg: brokerrpc.EncodeMessage(p.Msg), SubIds: p.SubIDs,
		Filters: brokerrpc.Map(p.Filters, func(f *string) string { return rpc.Text(*f) }), Reason: rpc.Text(p.Reason),
	}
}

func decodePush(c *brokerrpc.Check, p *sessionv1.Push) *broker.Push {
	if op := p.GetOp(); op < sessionv1.PushOp_PUSH_OP_PUBLISH || op > sessionv1.PushOp_PUSH_OP_UNSUBSCRIBED {
		c.Fail("push %d", op)
		return &broker.Push{}
	}
	out := &broker.Push{
		Op: broker.PushOp(p.GetOp()), Tenant: c.Text(p.GetTenant(), "tenant"), ClientID: c.Text(p.GetClientId(), "client id"), Conn: p.GetConn(),
		Epoch: decodeEpoch(p.GetEpoch()), Index: p.GetIndex(), PacketID: c.Uint16(p.GetPacketId(), "packet id"), QoS: c.QoS(p.GetQos()),
		Dup: p.GetDup(), Retain: p.GetRetain(), Msg: c.MaybeMessage(p.GetMsg()), Filters: brokerrpc.ReadAll(p.GetFilters(), c.Filter),
		Reason: c.Filter(p.GetReason()), // of PushUnsubscribed it is a filter
	}
	if ids := p.GetSubIds(); len(ids) > 0 {
		out.SubIDs = ids
	}
	if out.Op == broker.PushPublish && out.Msg == nil {
		c.Fail("push without a message")
	}
	return out
}
