package sessionrpc

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	sessionv1 "github.com/pando-mq/pando/proto/gen/pando/session/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
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

func ptr[T any](v T) *T { return &v }

// anyRequest makes a request with exactly the fields that its op names.
func anyRequest(t *rapid.T) broker.SessionRequest {
	all := rpctest.Fill[broker.SessionRequest](t)
	r := broker.SessionRequest{ID: all.ID, Op: all.Op, Tenant: all.Tenant, ClientID: all.ClientID, Conn: all.Conn, Epoch: all.Epoch}
	switch r.Op {
	case broker.OpAttach:
		r.Attach = ptr(rpctest.Fill[broker.Attach](t))
	case broker.OpAnnounce:
		r.Announce = ptr(rpctest.Fill[broker.Announce](t))
	case broker.OpDetach, broker.OpKicked:
		r.Detach = ptr(rpctest.Fill[broker.Detach](t))
		if !r.Detach.HasExpiry {
			r.Detach.Expiry = 0
		}
	case broker.OpSubscribe:
		r.Subs = all.Subs
	case broker.OpUnsubscribe:
		for _, s := range all.Subs {
			r.Subs = append(r.Subs, broker.Subscription{Filter: s.Filter})
		}
	case broker.OpAck:
		r.Ack = ptr(rpctest.Fill[broker.ClientAck](t))
	case broker.OpPublish2:
		r.Publish2 = ptr(rpctest.Fill[broker.Publish2](t))
	case broker.OpRelease:
		r.PacketID = all.PacketID
	case broker.OpSetExpiry:
		r.Expiry = all.Expiry
	}
	return r
}

func TestConversionIsTheIdentity(t *testing.T) {
	t.Parallel()
	rpctest.Identity(t, "request", anyRequest, encodeRequest, read(decodeRequest))
	rpctest.Identity(t, "reply", rpctest.Fill[broker.SessionReply], encodeReply, func(p *sessionv1.Reply) (broker.SessionReply, error) {
		var c brokerrpc.Check
		return *decodeReply(&c, p), c.Err()
	})
	rpctest.Identity(t, "push", rpctest.Fill[broker.Push], encodePush, func(p *sessionv1.Push) (broker.Push, error) {
		var c brokerrpc.Check
		return *decodePush(&c, p), c.Err()
	})
	rpctest.Identity(t, "open", rpctest.Fill[broker.SessionOpen], encodeOpen, func(p *sessionv1.SessionOpen) (broker.SessionOpen, error) {
		var c brokerrpc.Check
		return *decodeOpen(&c, p), c.Err()
	})
}

func TestPushWithoutMessage(t *testing.T) {
	t.Parallel()
	want := broker.Push{Op: broker.PushKick, ClientID: "c", Conn: 4, Epoch: broker.ConnEpoch{Partition: 1, Counter: 2}, Reason: "conflict"}
	var c brokerrpc.Check
	got := decodePush(&c, encodePush(&want))
	if d := rpctest.Diff(&want, got); d != "" || c.Err() != nil {
		t.Errorf("error %v, difference %s", c.Err(), d)
	}
}

// answerOf flattens an answer for comparison.
type answerOf struct {
	Reply *broker.SessionReply
	Push  *broker.Push
}

func TestAnswersKeepTheirOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var answers []answer
		var want, got []answerOf
		for range rapid.IntRange(1, 8).Draw(t, "n") {
			a := answerOf{}
			if rapid.Bool().Draw(t, "reply") {
				a.Reply = ptr(rpctest.Fill[broker.SessionReply](t))
			} else {
				a.Push = ptr(rpctest.Fill[broker.Push](t))
			}
			want, answers = append(want, a), append(answers, answer{a.Reply, a.Push})
		}
		frames := decodeResponses(encodeResponses([]response{{Channel: 3, Open: &rpc.Opened{Epoch: 1}, Items: answers, Credit: 9, End: &rpc.End{}}}))
		for _, f := range frames {
			if f.Channel != 3 || f.Bad != nil {
				t.Fatalf("frame %+v", f)
			}
			for _, a := range f.Items {
				got = append(got, answerOf{a.reply, a.push})
			}
		}
		if d := rpctest.Diff(want, got); d != "" {
			t.Fatal(d)
		}
		if frames[0].Open == nil || frames[len(frames)-1].End == nil {
			t.Fatal("opened is not first or closed is not last")
		}
	})
}

func TestSizesAreTheSameOnBothSides(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := anyRequest(t)
		var c brokerrpc.Check
		if got := decodeRequest(&c, encodeRequest(&r)); requestSize(&got) != requestSize(&r) {
			t.Fatalf("size %d, was %d", requestSize(&got), requestSize(&r))
		}
	})
}

func TestBadRequestsAreRefused(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*sessionv1.Request{
		"no operation":           {},
		"attach of nobody":       {Op: &sessionv1.Request_Attach{Attach: &sessionv1.Attach{}}},
		"announce of nothing":    {Op: &sessionv1.Request_Announce{}},
		"will without message":   {Op: &sessionv1.Request_Attach{Attach: &sessionv1.Attach{Identity: brokerrpc.EncodeIdentity(&broker.Identity{}), Will: &sessionv1.Will{}}}},
		"unknown ack":            {Op: &sessionv1.Request_Ack{Ack: &sessionv1.Ack{Kind: 77}}},
		"ack of nothing":         {Op: &sessionv1.Request_Ack{}},
		"packet id":              {Op: &sessionv1.Request_Release{Release: &sessionv1.Release{PacketId: 65536}}},
		"publish of nothing":     {Op: &sessionv1.Request_Publish2{}},
		"subscribe at qos three": {Op: &sessionv1.Request_Subscribe{Subscribe: &sessionv1.Subscribe{Subscriptions: brokerrpc.EncodeSubscriptions([]broker.Subscription{{QoS: 3}})}}},
	} {
		var c brokerrpc.Check
		decodeRequest(&c, p)
		if c.Err() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	var c brokerrpc.Check
	if decodePush(&c, &sessionv1.Push{Op: sessionv1.PushOp_PUSH_OP_PUBLISH}); c.Err() == nil {
		t.Error("a push without a message was accepted")
	}
}

func FuzzDecodeSession(f *testing.F) {
	seed := func(m proto.Message) {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	attach := &broker.Attach{Identity: broker.Identity{ClientID: "c"}, Expiry: broker.Forever, Window: 10, Will: &broker.Will{Msg: &broker.Message{Topic: "w"}}}
	for _, r := range []broker.SessionRequest{
		{ID: 1, Op: broker.OpAttach, ClientID: "c", Attach: attach},
		{ID: 2, Op: broker.OpAnnounce, Announce: &broker.Announce{Attach: *attach, Inflight: []broker.Inflight{{Index: 3, PacketID: 4, QoS: 2}}}},
		{ID: 3, Op: broker.OpPublish2, Publish2: &broker.Publish2{PacketID: 5, Msg: &broker.Message{Topic: "a"}}},
		{ID: 4, Op: broker.OpSubscribe, Subs: []broker.Subscription{{Filter: "a/#"}}},
	} {
		seed(encodeRequest(&r))
		seed(encodeRequests([]request{{Channel: 1, Items: []broker.SessionRequest{r}}, {Channel: 2, End: &rpc.End{}}}))
	}
	seed(encodePush(&broker.Push{Op: broker.PushPublish, Msg: &broker.Message{Topic: "a"}, SubIDs: []uint32{1, 2}, Filters: []string{"a"}}))
	seed(encodeReply(&broker.SessionReply{ID: 1, Attach: &broker.AttachReply{Present: true}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		rpctest.Stable(t, data, func(r broker.SessionRequest) *sessionv1.Request { return encodeRequest(&r) }, read(decodeRequest))
		rpctest.Stable(t, data, encodePush, read(decodePush))
		rpctest.Stable(t, data, encodeReply, read(decodeReply))
		var up sessionv1.SessionRequest
		if proto.Unmarshal(data, &up) == nil {
			decodeRequests(&up)
		}
		var down sessionv1.SessionResponse
		if proto.Unmarshal(data, &down) == nil {
			decodeResponses(&down)
		}
	})
}
