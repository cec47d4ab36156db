package routerrpc

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	routerv1 "github.com/pando-mq/pando/proto/gen/pando/router/v1"
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

func TestConversionIsTheIdentity(t *testing.T) {
	t.Parallel()
	rpctest.Identity(t, "publish", rpctest.Fill[broker.Publish], encodePublish, read(decodePublish))
	rpctest.Identity(t, "publish open", rpctest.Fill[broker.PublishOpen], encodeOpen, func(p *routerv1.PublishOpen) (broker.PublishOpen, error) {
		var c brokerrpc.Check
		return *decodeOpen(&c, p), c.Err()
	})
	rpctest.Identity(t, "update", rpctest.Fill[broker.RouteUpdate], func(u *broker.RouteUpdate) *routerv1.UpdateRoutesRequest { return encodeUpdate(*u) }, read(decodeUpdate))
	rpctest.Identity(t, "route query", rpctest.Fill[broker.RouteQuery], func(q *broker.RouteQuery) *routerv1.ListRoutesRequest { return encodeRouteQuery(*q) }, read(decodeRouteQuery))
	rpctest.Identity(t, "route", rpctest.Fill[broker.RouteInfo], encodeRoute, read(decodeRoute))
	type retained struct {
		Partition int
		Query     broker.RetainedQuery
	}
	rpctest.Identity(t, "retained query", rpctest.Fill[retained], func(r *retained) *routerv1.ReadRetainedRequest { return encodeRetained(r.Partition, r.Query) },
		func(p *routerv1.ReadRetainedRequest) (retained, error) {
			var c brokerrpc.Check
			partition, q := decodeRetained(&c, p)
			return retained{partition, q}, c.Err()
		})
}

func TestFramesAreTheIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := []publishRequest{
			{Channel: 1, Open: ptr(rpctest.Fill[broker.PublishOpen](t))},
			{Channel: 2, Items: []broker.Publish{rpctest.Fill[broker.Publish](t), rpctest.Fill[broker.Publish](t)}},
			{Channel: 3, End: &rpc.End{}},
		}
		if d := rpctest.Diff(want, decodePublishRequests(encodePublishRequests(want))); d != "" {
			t.Fatal(d)
		}
		back := []publishResponse{
			{Channel: 1, Open: ptr(rpctest.Fill[rpc.Opened](t))},
			{Channel: 2, Items: []broker.PublishAck{rpctest.Fill[broker.PublishAck](t)}},
			{Channel: 2, Credit: 4711},
			{Channel: 3, End: ptr(rpctest.Fill[rpc.End](t))},
		}
		if d := rpctest.Diff(back, decodePublishResponses(encodePublishResponses(back))); d != "" {
			t.Fatal(d)
		}
	})
}

// Both sides count the same bytes for an item, or credits would drift.
func TestPublishSizeIsTheSameOnBothSides(t *testing.T) {
	t.Parallel()
	bad := broker.Publish{Msg: &broker.Message{Topic: "a\xff/b", From: "\xfe", Payload: []byte{1}}, Share: &broker.Share{Group: "\xff"}}
	var c brokerrpc.Check
	got := decodePublish(&c, encodePublish(&bad))
	if publishSize(&got) != publishSize(&bad) {
		t.Errorf("size %d, was %d", publishSize(&got), publishSize(&bad))
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rpctest.Fill[broker.Publish](t)
		var c brokerrpc.Check
		got := decodePublish(&c, encodePublish(&p))
		if publishSize(&got) != publishSize(&p) {
			t.Fatalf("size %d, was %d", publishSize(&got), publishSize(&p))
		}
	})
}

func TestBadFramesAreMarked(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]*routerv1.PublishRequest{
		"empty":           {Channel: 1},
		"no message":      {Frame: &routerv1.PublishRequest_Batch{Batch: &routerv1.PublishBatch{Publishes: []*routerv1.Publish{{}}}}},
		"no source":       {Frame: &routerv1.PublishRequest_Open{Open: &routerv1.PublishOpen{}}},
		"nothing to open": {Frame: &routerv1.PublishRequest_Open{}},
	} {
		if f := decodePublishRequests(p); f[0].Bad == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzDecodePublish(f *testing.F) {
	for _, frames := range [][]publishRequest{
		{{Channel: 1, Open: &broker.PublishOpen{Source: broker.Source{Incarnation: 3, Topic: 5}, Stream: 2, First: 9}}},
		{{Channel: 1, Items: []broker.Publish{{Seq: 1, Msg: &broker.Message{Topic: "a", Payload: []byte("x")}}}}, {Channel: 2, End: &rpc.End{}}},
		{{Channel: 1, Items: []broker.Publish{{Msg: &broker.Message{Topic: "a"}, Share: &broker.Share{Group: "g", Filter: "#"}}}}},
	} {
		b, err := proto.Marshal(encodePublishRequests(frames))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	b, err := proto.Marshal(encodePublishResponses([]publishResponse{{Channel: 1, Open: &rpc.Opened{}, Items: []broker.PublishAck{{Seq: 4}}, Credit: 3, End: &rpc.End{}}}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		rpctest.Stable(t, data, func(p broker.Publish) *routerv1.Publish { return encodePublish(&p) }, read(decodePublish))
		rpctest.Stable(t, data, encodeUpdate, read(decodeUpdate))
		var up routerv1.PublishRequest
		if proto.Unmarshal(data, &up) == nil {
			for _, f := range decodePublishRequests(&up) {
				for i := range f.Items {
					if f.Bad == nil && publishSize(&f.Items[i]) <= 0 {
						t.Error("an item without size")
					}
				}
			}
		}
		var down routerv1.PublishResponse
		if proto.Unmarshal(data, &down) == nil {
			decodePublishResponses(&down)
		}
	})
}
