package sessionrpc

import (
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
)

// answer is what a partition says to a gateway: a reply or a push.
type answer struct {
	reply *broker.SessionReply
	push  *broker.Push
}

type (
	request  = rpc.Frame[broker.SessionOpen, broker.SessionRequest]
	response = rpc.Frame[rpc.Opened, answer]
)

// protocol is the session hop.
func protocol() rpc.Protocol[broker.SessionOpen, broker.SessionRequest, answer] {
	return rpc.Protocol[broker.SessionOpen, broker.SessionRequest, answer]{Name: "session", ItemSize: requestSize, AnswerSize: answerSize}
}

func messageSize(m *broker.Message) int {
	if m == nil {
		return 0
	}
	return m.Size()
}

func requestSize(r *broker.SessionRequest) int {
	n := 64 + len(r.Tenant) + len(r.ClientID)
	if r.Attach != nil {
		n += attachSize(r.Attach)
	}
	if r.Announce != nil {
		n += attachSize(&r.Announce.Attach) + 24*len(r.Announce.Inflight)
	}
	if r.Detach != nil {
		n += 48 + len(r.Detach.Reason)
	}
	for i := range r.Subs {
		n += 32 + len(r.Subs[i].Filter)
	}
	if r.Publish2 != nil {
		n += 8 + messageSize(r.Publish2.Msg)
	}
	return n
}

func attachSize(a *broker.Attach) int {
	id := &a.Identity
	n := 160 + len(id.Tenant) + len(id.ClientID) + len(id.Username) + len(id.Protocol) + len(id.Listener) + len(id.CertCN) + len(id.CertDN)
	if a.Will != nil {
		n += 16 + messageSize(a.Will.Msg)
	}
	return n
}

func answerSize(a *answer) int {
	if r := a.reply; r != nil {
		n := 32 + 16*len(r.Subs)
		if r.Attach != nil {
			n += 48
			for i := range r.Attach.Subs {
				n += 32 + len(r.Attach.Subs[i].Filter)
			}
		}
		return n
	}
	p := a.push
	n := 80 + len(p.Tenant) + len(p.ClientID) + len(p.Reason) + 4*len(p.SubIDs) + messageSize(p.Msg)
	for _, f := range p.Filters {
		n += 16 + len(f)
	}
	return n
}

// upward is the handler that an implementation calls on the server: it puts replies and pushes into one order.
type upward struct{ to *rpc.Answers[answer] }

// Replies queues replies.
func (u upward) Replies(list []broker.SessionReply) {
	answers := make([]answer, len(list))
	for i := range list {
		answers[i].reply = &list[i]
	}
	u.to.Send(answers)
}

// Pushes queues pushes, without those at QoS 0 when the queue is half full: they are delivered at most once.
func (u upward) Pushes(list []broker.Push) {
	pressed, dropped := u.to.Pressed(), 0
	answers := make([]answer, 0, len(list))
	for i := range list {
		p := &list[i]
		if pressed && p.Op == broker.PushPublish && p.QoS == 0 {
			dropped++
			continue
		}
		answers = append(answers, answer{push: p})
	}
	if dropped > 0 {
		u.to.Dropped(dropped)
	}
	if len(answers) > 0 {
		u.to.Send(answers)
	}
}

// downward passes what came to the gateway's handler, in runs of one kind.
func downward(h broker.SessionHandler) func([]answer) {
	return func(answers []answer) {
		for len(answers) > 0 {
			n := 1
			for n < len(answers) && (answers[n].reply == nil) == (answers[0].reply == nil) {
				n++
			}
			run := answers[:n]
			answers = answers[n:]
			if run[0].reply == nil {
				pushes := make([]broker.Push, n)
				for i := range run {
					pushes[i] = *run[i].push
				}
				h.Pushes(pushes)
				continue
			}
			replies := make([]broker.SessionReply, n)
			for i := range run {
				replies[i] = *run[i].reply
			}
			h.Replies(replies)
		}
	}
}
