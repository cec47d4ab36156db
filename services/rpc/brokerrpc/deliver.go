package brokerrpc

import (
	"context"

	brokerv1 "github.com/pando-mq/pando/proto/gen/pando/broker/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
)

// DeliverRequest is a frame of a deliver channel from its opener, in plain types.
type DeliverRequest = rpc.Frame[broker.DeliverOpen, broker.Delivery]

// DeliverResponse is a frame of a deliver channel to its opener, in plain types.
type DeliverResponse = rpc.Frame[rpc.Opened, broker.DeliverAck]

// DeliverMux is the client side of the deliver hop towards one kind of service.
type DeliverMux = rpc.Mux[broker.DeliverOpen, broker.Delivery, broker.DeliverAck]

// DeliverProtocol is the deliver hop without its Dial, which differs by service.
func DeliverProtocol() rpc.Protocol[broker.DeliverOpen, broker.Delivery, broker.DeliverAck] {
	return rpc.Protocol[broker.DeliverOpen, broker.Delivery, broker.DeliverAck]{
		Name:       "deliver",
		ItemSize:   deliverySize,
		AnswerSize: func(*broker.DeliverAck) int { return 32 },
	}
}

func deliverySize(d *broker.Delivery) int {
	n := 48
	if d.Msg != nil {
		n += d.Msg.Size()
	}
	for i := range d.Shares {
		s := &d.Shares[i]
		n += 48 + len(s.Group) + len(s.Filter) + 32*len(s.Candidates)
	}
	return n
}

// OpenDeliver is the server's side of a deliver channel over an implementation.
func OpenDeliver(sink broker.Sink) rpc.Open[broker.DeliverOpen, broker.Delivery, broker.DeliverAck] {
	return func(ctx context.Context, o broker.DeliverOpen, to *rpc.Answers[broker.DeliverAck]) (rpc.Stream[broker.Delivery], uint64, error) {
		s, err := sink.OpenDeliver(ctx, o, to.Send)
		return s, 0, err
	}
}

// EncodeDeliverRequests puts frames into one message of the wire.
func EncodeDeliverRequests(frames []DeliverRequest) *brokerv1.DeliverRequest {
	var all []*brokerv1.DeliverRequest
	add := func(p *brokerv1.DeliverRequest) { all = append(all, p) }
	for i := range frames {
		f := &frames[i]
		if f.Open != nil {
			add(&brokerv1.DeliverRequest{Channel: f.Channel, Frame: &brokerv1.DeliverRequest_Open{Open: encodeDeliverOpen(f.Open)}})
		}
		if len(f.Items) > 0 {
			batch := &brokerv1.DeliverBatch{Deliveries: Map(f.Items, encodeDelivery)}
			add(&brokerv1.DeliverRequest{Channel: f.Channel, Frame: &brokerv1.DeliverRequest_Batch{Batch: batch}})
		}
		if f.End != nil {
			add(&brokerv1.DeliverRequest{Channel: f.Channel, Frame: &brokerv1.DeliverRequest_Close{Close: true}})
		}
	}
	return Nest(all, func(p *brokerv1.DeliverRequest, more []*brokerv1.DeliverRequest) { p.More = more })
}

// DecodeDeliverRequests takes a message of the wire apart.
func DecodeDeliverRequests(p *brokerv1.DeliverRequest) []DeliverRequest {
	return Unnest(p, p.GetMore(), func(p *brokerv1.DeliverRequest) DeliverRequest {
		var c Check
		f := DeliverRequest{Channel: p.GetChannel()}
		switch x := p.GetFrame().(type) {
		case *brokerv1.DeliverRequest_Open:
			o := c.deliverOpen(x.Open)
			f.Open = &o
		case *brokerv1.DeliverRequest_Batch:
			f.Items = ReadAll(x.Batch.GetDeliveries(), c.delivery)
		case *brokerv1.DeliverRequest_Close:
			f.End = &rpc.End{}
		default:
			c.Fail("empty frame")
		}
		f.Bad = c.Err()
		return f
	})
}

// EncodeDeliverResponses puts frames into one message of the wire.
func EncodeDeliverResponses(frames []DeliverResponse) *brokerv1.DeliverResponse {
	var all []*brokerv1.DeliverResponse
	add := func(p *brokerv1.DeliverResponse) { all = append(all, p) }
	for i := range frames {
		f := &frames[i]
		if f.Open != nil {
			add(&brokerv1.DeliverResponse{Channel: f.Channel, Frame: &brokerv1.DeliverResponse_Opened{Opened: EncodeOpened(f.Open)}})
		}
		if len(f.Items) > 0 {
			acks := &brokerv1.DeliverAcks{Acks: Map(f.Items, encodeDeliverAck)}
			add(&brokerv1.DeliverResponse{Channel: f.Channel, Frame: &brokerv1.DeliverResponse_Acks{Acks: acks}})
		}
		if f.Credit > 0 {
			add(&brokerv1.DeliverResponse{Channel: f.Channel, Frame: &brokerv1.DeliverResponse_Credit{Credit: EncodeCount(f.Credit)}})
		}
		if f.End != nil {
			add(&brokerv1.DeliverResponse{Channel: f.Channel, Frame: &brokerv1.DeliverResponse_Closed{Closed: EncodeEnd(f.End)}})
		}
	}
	return Nest(all, func(p *brokerv1.DeliverResponse, more []*brokerv1.DeliverResponse) { p.More = more })
}

// DecodeDeliverResponses takes a message of the wire apart.
func DecodeDeliverResponses(p *brokerv1.DeliverResponse) []DeliverResponse {
	return Unnest(p, p.GetMore(), func(p *brokerv1.DeliverResponse) DeliverResponse {
		var c Check
		f := DeliverResponse{Channel: p.GetChannel()}
		switch x := p.GetFrame().(type) {
		case *brokerv1.DeliverResponse_Opened:
			f.Open = c.Opened(x.Opened)
		case *brokerv1.DeliverResponse_Acks:
			f.Items = ReadAll(x.Acks.GetAcks(), c.deliverAck)
		case *brokerv1.DeliverResponse_Credit:
			f.Credit = c.Count(x.Credit)
		case *brokerv1.DeliverResponse_Closed:
			f.End = DecodeEnd(x.Closed)
		default:
			c.Fail("empty frame")
		}
		f.Bad = c.Err()
		return f
	})
}

func encodeDeliverOpen(o *broker.DeliverOpen) *brokerv1.DeliverOpen {
	return &brokerv1.DeliverOpen{Router: EncodeNode(o.Router), Topic: EncodeCount(o.Topic), TopicEpoch: o.TopicEpoch, Partition: EncodeCount(o.Partition)}
}

// deliverOpen reads an opening. For a gateway the partition is its incarnation in some callers' hands and ignored, so it is not bounded.
func (c *Check) deliverOpen(p *brokerv1.DeliverOpen) broker.DeliverOpen {
	return broker.DeliverOpen{
		Router: c.Node(p.GetRouter()), Topic: c.Partition(p.GetTopic()), TopicEpoch: p.GetTopicEpoch(), Partition: c.Count(p.GetPartition()),
	}
}

func encodeDelivery(d *broker.Delivery) *brokerv1.Delivery {
	return &brokerv1.Delivery{
		Source: EncodeSource(d.Source), Seq: d.Seq, Msg: EncodeMessage(d.Msg), Plain: d.Plain, Shares: Map(d.Shares, encodeShareCopy),
	}
}

func (c *Check) delivery(p *brokerv1.Delivery) broker.Delivery {
	return broker.Delivery{
		Source: c.Source(p.GetSource()), Seq: p.GetSeq(), Msg: c.Message(p.GetMsg()), Plain: p.GetPlain(), Shares: ReadAll(p.GetShares(), c.shareCopy),
	}
}

func encodeShareCopy(s *broker.ShareCopy) *brokerv1.ShareCopy {
	return &brokerv1.ShareCopy{
		Share: EncodeShare(s.Share), Strategy: rpc.Text(s.Strategy),
		Candidates: Map(s.Candidates, func(x *broker.Candidate) *brokerv1.Candidate {
			return &brokerv1.Candidate{Session: int32(x.Session), Gateway: EncodeNode(x.Gateway), Members: EncodeCount(x.Members), Online: EncodeCount(x.Online)}
		}),
	}
}

func (c *Check) shareCopy(p *brokerv1.ShareCopy) broker.ShareCopy {
	return broker.ShareCopy{Share: c.Share(p.GetShare()), Candidates: ReadAll(p.GetCandidates(), c.candidate), Strategy: c.Text(p.GetStrategy(), "strategy")}
}

func (c *Check) candidate(p *brokerv1.Candidate) broker.Candidate {
	if s := p.GetSession(); s < -1 || s >= maxPartition {
		c.Fail("candidate %d", s)
	}
	return broker.Candidate{Session: int(p.GetSession()), Gateway: c.Node(p.GetGateway()), Members: c.Count(p.GetMembers()), Online: c.Count(p.GetOnline())}
}

func encodeDeliverAck(a *broker.DeliverAck) *brokerv1.DeliverAck {
	return &brokerv1.DeliverAck{No: a.No, Result: brokerv1.DeliverResult(a.Result) + 1, Epoch: a.Epoch, Version: a.Version}
}

func (c *Check) deliverAck(p *brokerv1.DeliverAck) broker.DeliverAck {
	a := broker.DeliverAck{No: p.GetNo(), Epoch: p.GetEpoch(), Version: p.GetVersion()}
	switch p.GetResult() {
	case brokerv1.DeliverResult_DELIVER_RESULT_OK:
		a.Result = broker.OK
	case brokerv1.DeliverResult_DELIVER_RESULT_NO_SUB:
		a.Result = broker.NoSub
	case brokerv1.DeliverResult_DELIVER_RESULT_NO_RECEIVER:
		a.Result = broker.NoReceiver
	case brokerv1.DeliverResult_DELIVER_RESULT_FULL:
		a.Result = broker.Full
	default:
		c.Fail("result %d", p.GetResult())
	}
	return a
}
