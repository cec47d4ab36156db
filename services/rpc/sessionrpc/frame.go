package sessionrpc

import (
	sessionv1 "github.com/pando-mq/pando/proto/gen/pando/session/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/brokerrpc"
)

func encodeRequests(frames []request) *sessionv1.SessionRequest {
	var all []*sessionv1.SessionRequest
	add := func(p *sessionv1.SessionRequest) { all = append(all, p) }
	for i := range frames {
		f := &frames[i]
		if f.Open != nil {
			add(&sessionv1.SessionRequest{Channel: f.Channel, Frame: &sessionv1.SessionRequest_Open{Open: encodeOpen(f.Open)}})
		}
		if len(f.Items) > 0 {
			batch := &sessionv1.RequestBatch{Requests: brokerrpc.Map(f.Items, encodeRequest)}
			add(&sessionv1.SessionRequest{Channel: f.Channel, Frame: &sessionv1.SessionRequest_Batch{Batch: batch}})
		}
		if f.End != nil {
			add(&sessionv1.SessionRequest{Channel: f.Channel, Frame: &sessionv1.SessionRequest_Close{Close: true}})
		}
	}
	return brokerrpc.Nest(all, func(p *sessionv1.SessionRequest, more []*sessionv1.SessionRequest) { p.More = more })
}

func decodeRequests(p *sessionv1.SessionRequest) []request {
	return brokerrpc.Unnest(p, p.GetMore(), func(p *sessionv1.SessionRequest) request {
		var c brokerrpc.Check
		f := request{Channel: p.GetChannel()}
		switch x := p.GetFrame().(type) {
		case *sessionv1.SessionRequest_Open:
			f.Open = decodeOpen(&c, x.Open)
		case *sessionv1.SessionRequest_Batch:
			f.Items = brokerrpc.ReadAll(x.Batch.GetRequests(), func(p *sessionv1.Request) broker.SessionRequest { return decodeRequest(&c, p) })
		case *sessionv1.SessionRequest_Close:
			f.End = &rpc.End{}
		default:
			c.Fail("empty frame")
		}
		f.Bad = c.Err()
		return f
	})
}

func encodeResponses(frames []response) *sessionv1.SessionResponse {
	var all []*sessionv1.SessionResponse
	add := func(p *sessionv1.SessionResponse) { all = append(all, p) }
	for i := range frames {
		f := &frames[i]
		if f.Open != nil {
			add(&sessionv1.SessionResponse{Channel: f.Channel, Frame: &sessionv1.SessionResponse_Opened{Opened: brokerrpc.EncodeOpened(f.Open)}})
		}
		encodeAnswers(f.Channel, f.Items, add)
		if f.Credit > 0 {
			add(&sessionv1.SessionResponse{Channel: f.Channel, Frame: &sessionv1.SessionResponse_Credit{Credit: brokerrpc.EncodeCount(f.Credit)}})
		}
		if f.End != nil {
			add(&sessionv1.SessionResponse{Channel: f.Channel, Frame: &sessionv1.SessionResponse_Closed{Closed: brokerrpc.EncodeEnd(f.End)}})
		}
	}
	return brokerrpc.Nest(all, func(p *sessionv1.SessionResponse, more []*sessionv1.SessionResponse) { p.More = more })
}

// encodeAnswers makes a frame of each run of replies or of pushes, so that their order is kept.
func encodeAnswers(channel uint32, answers []answer, add func(*sessionv1.SessionResponse)) {
	var replies *sessionv1.Replies
	var pushes *sessionv1.Pushes
	for i := range answers {
		a := &answers[i]
		switch {
		case a.reply != nil:
			if replies == nil {
				replies, pushes = &sessionv1.Replies{}, nil
				add(&sessionv1.SessionResponse{Channel: channel, Frame: &sessionv1.SessionResponse_Replies{Replies: replies}})
			}
			replies.Replies = append(replies.Replies, encodeReply(a.reply))
		default:
			if pushes == nil {
				pushes, replies = &sessionv1.Pushes{}, nil
				add(&sessionv1.SessionResponse{Channel: channel, Frame: &sessionv1.SessionResponse_Pushes{Pushes: pushes}})
			}
			pushes.Pushes = append(pushes.Pushes, encodePush(a.push))
		}
	}
}

func decodeResponses(p *sessionv1.SessionResponse) []response {
	return brokerrpc.Unnest(p, p.GetMore(), func(p *sessionv1.SessionResponse) response {
		var c brokerrpc.Check
		f := response{Channel: p.GetChannel()}
		switch x := p.GetFrame().(type) {
		case *sessionv1.SessionResponse_Opened:
			f.Open = c.Opened(x.Opened)
		case *sessionv1.SessionResponse_Replies:
			f.Items = brokerrpc.ReadAll(x.Replies.GetReplies(), func(p *sessionv1.Reply) answer { return answer{reply: decodeReply(&c, p)} })
		case *sessionv1.SessionResponse_Pushes:
			f.Items = brokerrpc.ReadAll(x.Pushes.GetPushes(), func(p *sessionv1.Push) answer { return answer{push: decodePush(&c, p)} })
		case *sessionv1.SessionResponse_Credit:
			f.Credit = c.Count(x.Credit)
		case *sessionv1.SessionResponse_Closed:
			f.End = brokerrpc.DecodeEnd(x.Closed)
		default:
			c.Fail("empty frame")
		}
		f.Bad = c.Err()
		return f
	})
}
