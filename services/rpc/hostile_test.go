package rpc_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	brokerv1 "github.com/pando-mq/pando/proto/gen/pando/broker/v1"
	routerv1 "github.com/pando-mq/pando/proto/gen/pando/router/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/rpc"
)

// rawStream speaks the wire itself, as a client that keeps no rule does.
type rawStream struct {
	t      *testing.T
	stream grpc.BidiStreamingClient[routerv1.PublishRequest, routerv1.PublishResponse]
	queue  []*routerv1.PublishResponse
}

func newRawStream(t *testing.T, server rpc.ServerConfig, impl *fakeRouter) *rawStream {
	t.Helper()
	r := newRig(t, func(r *rigT) { r.server = server })
	l, addr := r.net.listen(t, "")
	r.serve(l, impl)
	raw := &rawStream{t: t}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	err := r.dialer.Call(cluster.Node{Addr: addr}, func(c grpc.ClientConnInterface) (err error) {
		raw.stream, err = routerv1.NewRouterServiceClient(c).Publish(ctx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (s *rawStream) send(channel uint32, frame *routerv1.PublishRequest) {
	s.t.Helper()
	frame.Channel = channel
	if err := s.stream.Send(frame); err != nil {
		s.t.Fatal(err)
	}
}

// next is the next frame of a channel that is no credit.
func (s *rawStream) next(channel uint32) *routerv1.PublishResponse {
	s.t.Helper()
	for {
		for len(s.queue) > 0 {
			p := s.queue[0]
			s.queue = s.queue[1:]
			if p.GetChannel() == channel && p.GetCredit() == 0 {
				return p
			}
		}
		p, err := s.stream.Recv()
		if err != nil {
			s.t.Fatalf("the physical stream ended: %v", err)
		}
		s.queue = append([]*routerv1.PublishResponse{p}, p.GetMore()...)
	}
}

func openFrame() *routerv1.PublishRequest {
	open := &routerv1.PublishOpen{Source: &brokerv1.Source{Kind: brokerv1.SourceKind_SOURCE_KIND_GATEWAY}}
	return &routerv1.PublishRequest{Frame: &routerv1.PublishRequest_Open{Open: open}}
}

func batchFrame(messages ...*brokerv1.Message) *routerv1.PublishRequest {
	batch := &routerv1.PublishBatch{}
	for i, m := range messages {
		batch.Publishes = append(batch.Publishes, &routerv1.Publish{Seq: uint64(i + 1), Msg: m})
	}
	return &routerv1.PublishRequest{Frame: &routerv1.PublishRequest_Batch{Batch: batch}}
}

// Each case breaks a rule on channel 1; channel 2 of the same physical stream works on.
func TestStreamHostileClient(t *testing.T) {
	t.Parallel()
	good := &brokerv1.Message{Topic: "t"}
	big := &brokerv1.Message{Topic: "t", Payload: make([]byte, 40<<10)}
	for _, c := range []struct {
		name   string
		opened bool
		frames []*routerv1.PublishRequest
	}{
		{"opens twice", true, []*routerv1.PublishRequest{openFrame()}},
		{"sends a bad message", true, []*routerv1.PublishRequest{batchFrame(&brokerv1.Message{})}},
		{"sends nothing", true, []*routerv1.PublishRequest{{}}},
		{"sends without credit", true, []*routerv1.PublishRequest{batchFrame(big, big, big)}},
		{"opens for nobody", false, []*routerv1.PublishRequest{{Frame: &routerv1.PublishRequest_Open{Open: &routerv1.PublishOpen{}}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newRawStream(t, rpc.ServerConfig{Credit: 64 << 10}, &fakeRouter{})
			s.send(7, batchFrame(good)) // a channel that is not open: late, ignored
			if c.opened {
				s.send(1, openFrame())
				if f := s.next(1).GetOpened(); f == nil || f.GetFailure() != nil || f.GetCredit() != 64<<10 || f.GetEpoch() != 7 {
					t.Fatalf("opened: %v", f)
				}
			}
			for _, f := range c.frames {
				s.send(1, f)
			}
			p := s.next(1)
			failure := p.GetClosed().GetFailure()
			if !c.opened {
				failure = p.GetOpened().GetFailure()
			}
			wantKind(t, rpc.DecodeFailure(failure), broker.KindInvalid)
			s.send(1, batchFrame(good)) // late
			s.send(2, openFrame())
			s.next(2)
			s.send(2, batchFrame(good))
			if acks := s.next(2).GetAcks().GetAcks(); len(acks) != 1 || acks[0].GetSeq() != 1 {
				t.Errorf("acks of a channel that kept the rules: %v", acks)
			}
		})
	}
}
