package brokerrpc

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	brokerv1 "github.com/pando-mq/pando/proto/gen/pando/broker/v1"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/rpc"
	"github.com/pando-mq/pando/services/rpc/rpctest"
)

// read makes a decoder with an error of a method of Check.
func read[P, T any](get func(*Check, P) T) func(P) (T, error) {
	return func(p P) (T, error) {
		var c Check
		v := get(&c, p)
		return v, c.Err()
	}
}

func TestConversionIsTheIdentity(t *testing.T) {
	t.Parallel()
	rpctest.Identity(t, "message", rpctest.Fill[broker.Message], EncodeMessage, func(p *brokerv1.Message) (broker.Message, error) {
		var c Check
		m := c.Message(p)
		return *m, c.Err()
	})
	rpctest.Identity(t, "identity", rpctest.Fill[broker.Identity], EncodeIdentity, func(p *brokerv1.Identity) (broker.Identity, error) {
		var c Check
		id := c.Identity(p)
		return *id, c.Err()
	})
	rpctest.Identity(t, "subscription", rpctest.Fill[broker.Subscription], EncodeSubscription, read((*Check).Subscription))
	rpctest.Identity(t, "delivery", rpctest.Fill[broker.Delivery], encodeDelivery, read((*Check).delivery))
	rpctest.Identity(t, "deliver open", rpctest.Fill[broker.DeliverOpen], encodeDeliverOpen, read((*Check).deliverOpen))
	rpctest.Identity(t, "deliver ack", rpctest.Fill[broker.DeliverAck], encodeDeliverAck, read((*Check).deliverAck))
	rpctest.Identity(t, "delta", rpctest.Fill[broker.RouteDelta], EncodeDelta, read((*Check).Delta))
	rpctest.Identity(t, "snapshot query", rpctest.Fill[broker.SnapshotQuery], byValue(EncodeSnapshotQuery), read((*Check).SnapshotQuery))
	rpctest.Identity(t, "snapshot info", rpctest.Fill[broker.SnapshotInfo], byValue(encodeSnapshotInfo), read((*Check).snapshotInfo))
	rpctest.Identity(t, "page", rpctest.Fill[broker.ClientQuery], byValue(EncodePage), read((*Check).Page))
	rpctest.Identity(t, "session row", rpctest.Fill[broker.SessionInfo], EncodeSession, read((*Check).Session))
	rpctest.Identity(t, "subscription row", rpctest.Fill[broker.SubscriptionInfo], EncodeSubscriptionRow, read((*Check).SubscriptionRow))
	rpctest.Identity(t, "source", rpctest.Fill[broker.Source], byValue(EncodeSource), read((*Check).Source))
	rpctest.Identity(t, "opened", func(t *rapid.T) rpc.Opened { return rpctest.Fill[rpc.Opened](t) }, EncodeOpened, func(p *brokerv1.Opened) (rpc.Opened, error) {
		var c Check
		o := c.Opened(p)
		return *o, c.Err()
	})
}

func byValue[T, M any](encode func(T) M) func(*T) M { return func(v *T) M { return encode(*v) } }

func TestResultsAreTheIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := rpctest.Fill[[]broker.SubscribeReply](t)
		if d := rpctest.Diff(want, DecodeResults(EncodeResults(want))); d != "" {
			t.Fatal(d)
		}
	})
}

func TestTimesAndDurations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		in, want time.Duration
	}{
		{"zero", 0, 0},
		{"for ever", broker.Forever, broker.Forever},
		{"negative", -time.Second, 0},
		{"rounded up to what is not zero", 1, time.Millisecond},
		{"rounded up", 1500*time.Microsecond + 1, 2 * time.Millisecond},
		{"whole", time.Hour, time.Hour},
	} {
		if got := DecodeDuration(EncodeDuration(c.in)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	for ms, want := range map[int64]time.Duration{-2: 0, math.MinInt64: 0, math.MaxInt64: broker.Forever, 1 << 44: broker.Forever, 1 << 43: 1 << 43 * time.Millisecond} {
		if got := DecodeDuration(ms); got != want {
			t.Errorf("%d ms: %v, want %v", ms, got, want)
		}
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_999_999, time.UTC)
	if got, want := DecodeTime(EncodeTime(at)), at.Truncate(time.Millisecond); !got.Equal(want) {
		t.Errorf("time %v, want %v", got, want)
	}
	if !DecodeTime(EncodeTime(time.Time{})).IsZero() {
		t.Error("no time became a time")
	}
}

func TestEmptyComesBackAsNil(t *testing.T) {
	t.Parallel()
	var c Check
	m := c.Message(EncodeMessage(&broker.Message{Topic: "t", Payload: []byte{}, Props: &broker.Properties{CorrelationData: []byte{}, User: []broker.UserProperty{}}}))
	if m.Payload != nil || m.Props == nil || m.Props.CorrelationData != nil || m.Props.User != nil || c.Err() != nil {
		t.Errorf("message %+v, properties %+v, error %v", m, m.Props, c.Err())
	}
	if EncodeMessage(nil) != nil || c.MaybeMessage(nil) != nil {
		t.Error("no message became a message")
	}
}

func TestHostileValuesAreRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxText+1)
	good := func(change func(*brokerv1.Message)) *brokerv1.Message {
		m := &brokerv1.Message{Topic: "t"}
		change(m)
		return m
	}
	for name, p := range map[string]proto.Message{
		"no topic":                good(func(m *brokerv1.Message) { m.Topic = "" }),
		"long topic":              good(func(m *brokerv1.Message) { m.Topic = long }),
		"qos 3":                   good(func(m *brokerv1.Message) { m.Qos = 3 }),
		"short id":                good(func(m *brokerv1.Message) { m.Id = make([]byte, 15) }),
		"long id":                 good(func(m *brokerv1.Message) { m.Id = make([]byte, 17) }),
		"long client id":          good(func(m *brokerv1.Message) { m.From = long }),
		"long property":           good(func(m *brokerv1.Message) { m.Props = &brokerv1.Properties{User: []*brokerv1.UserProperty{{Key: long}}} }),
		"long correlation":        good(func(m *brokerv1.Message) { m.Props = &brokerv1.Properties{CorrelationData: []byte(long)} }),
		"no message":              &brokerv1.Delivery{Source: &brokerv1.Source{Kind: 1}},
		"no source kind":          &brokerv1.Delivery{Msg: &brokerv1.Message{Topic: "t"}},
		"unknown source kind":     &brokerv1.Source{Kind: 99},
		"partition":               &brokerv1.Source{Kind: 1, Partition: 4096},
		"topic partition":         &brokerv1.Source{Kind: 1, Topic: math.MaxUint32},
		"candidate":               &brokerv1.Candidate{Session: -2},
		"no result":               &brokerv1.DeliverAck{},
		"unknown result":          &brokerv1.DeliverAck{Result: 9},
		"peer":                    &brokerv1.Identity{Peer: "nonsense"},
		"version":                 &brokerv1.Identity{Version: 256},
		"retain handling":         &brokerv1.Subscription{RetainHandling: 3},
		"long filter":             &brokerv1.Subscription{Filter: strings.Repeat("x", MaxFilter+1)},
		"count above 31 bits":     &brokerv1.RouteDelta{Members: math.MaxUint32},
		"snapshot without origin": &brokerv1.SnapshotInfo{},
	} {
		t.Run(name, func(t *testing.T) {
			var c Check
			switch p := p.(type) {
			case *brokerv1.Message:
				c.Message(p)
			case *brokerv1.Delivery:
				c.delivery(p)
			case *brokerv1.Source:
				c.Source(p)
			case *brokerv1.Candidate:
				c.candidate(p)
			case *brokerv1.DeliverAck:
				c.deliverAck(p)
			case *brokerv1.Identity:
				c.Identity(p)
			case *brokerv1.Subscription:
				c.Subscription(p)
			case *brokerv1.RouteDelta:
				c.Delta(p)
			case *brokerv1.SnapshotInfo:
				c.snapshotInfo(p)
			}
			if c.Err() == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestDeliverFramesAreTheIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := []DeliverRequest{
			{Channel: 1, Open: ptr(rpctest.Fill[broker.DeliverOpen](t))},
			{Channel: 2, Items: []broker.Delivery{rpctest.Fill[broker.Delivery](t), rpctest.Fill[broker.Delivery](t)}},
			{Channel: 3, End: &rpc.End{}},
		}
		if d := rpctest.Diff(want, DecodeDeliverRequests(EncodeDeliverRequests(want))); d != "" {
			t.Fatal(d)
		}
		back := []DeliverResponse{
			{Channel: 1, Open: ptr(rpctest.Fill[rpc.Opened](t))},
			{Channel: 2, Items: []broker.DeliverAck{rpctest.Fill[broker.DeliverAck](t)}},
			{Channel: 2, Credit: 4711},
			{Channel: 3, End: ptr(rpctest.Fill[rpc.End](t))},
		}
		if d := rpctest.Diff(back, DecodeDeliverResponses(EncodeDeliverResponses(back))); d != "" {
			t.Fatal(d)
		}
	})
}

// The steps of one frame become messages of the wire in the order of its fields.
func TestDeliverFrameSteps(t *testing.T) {
	t.Parallel()
	p := EncodeDeliverResponses([]DeliverResponse{{Channel: 5, Open: &rpc.Opened{Credit: 1}, Items: []broker.DeliverAck{{No: 1}}, Credit: 2, End: &rpc.End{}}})
	got := DecodeDeliverResponses(p)
	if len(got) != 4 || got[0].Open == nil || len(got[1].Items) != 1 || got[2].Credit != 2 || got[3].End == nil {
		t.Fatalf("steps %+v", got)
	}
	for _, f := range got {
		if f.Channel != 5 || f.Bad != nil {
			t.Errorf("frame %+v", f)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// readable gives the frames that say something, if none is bad.
func readable(frames []DeliverRequest) ([]DeliverRequest, error) {
	var out []DeliverRequest
	for _, f := range frames {
		if f.Bad != nil {
			return nil, f.Bad
		}
		if f.Open != nil || f.Items != nil || f.End != nil {
			out = append(out, f)
		}
	}
	if out == nil {
		return nil, errors.New("nothing was said")
	}
	return out, nil
}

func FuzzDecodeDeliver(f *testing.F) {
	for _, frames := range [][]DeliverRequest{
		{{Channel: 1, Open: &broker.DeliverOpen{Router: broker.NodeRef{ID: "r", Incarnation: 3}, Topic: 5, TopicEpoch: 9}}},
		{{Channel: 1, Items: []broker.Delivery{{Seq: 1, Msg: &broker.Message{Topic: "a", Payload: []byte("x")}, Plain: true}}}, {Channel: 2, End: &rpc.End{}}},
		{{Channel: 1, Items: []broker.Delivery{{Msg: &broker.Message{Topic: "a"}, Shares: []broker.ShareCopy{{Candidates: []broker.Candidate{{Session: -1}}}}}}}},
	} {
		b, err := proto.Marshal(EncodeDeliverRequests(frames))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	b, err := proto.Marshal(EncodeDeliverResponses([]DeliverResponse{{Channel: 1, Open: &rpc.Opened{}, Items: []broker.DeliverAck{{No: 4}}, Credit: 3, End: &rpc.End{}}}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, data []byte) {
		rpctest.Stable(t, data, EncodeDeliverRequests, func(p *brokerv1.DeliverRequest) ([]DeliverRequest, error) {
			return readable(DecodeDeliverRequests(p))
		})
		var p brokerv1.DeliverResponse
		if proto.Unmarshal(data, &p) == nil {
			DecodeDeliverResponses(&p)
		}
	})
}

func FuzzDecodeVocabulary(f *testing.F) {
	seed := func(m proto.Message) {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	seed(EncodeMessage(&broker.Message{ID: broker.MessageID{1}, Topic: "a/b", QoS: 2, Props: &broker.Properties{User: []broker.UserProperty{{Key: "k"}}}}))
	seed(EncodeIdentity(&broker.Identity{ClientID: "c", Version: 5}))
	seed(EncodeSubscription(&broker.Subscription{Filter: "$share/g/#", RetainHandling: 1}))
	seed(EncodeSession(&broker.SessionInfo{ClientID: "c", QueuedBytes: 1 << 30}))
	f.Fuzz(func(t *testing.T, data []byte) {
		rpctest.Stable(t, data, func(m *broker.Message) *brokerv1.Message { return EncodeMessage(m) }, read((*Check).Message))
		rpctest.Stable(t, data, func(id *broker.Identity) *brokerv1.Identity { return EncodeIdentity(id) }, read((*Check).Identity))
		rpctest.Stable(t, data, func(s broker.Subscription) *brokerv1.Subscription { return EncodeSubscription(&s) }, read((*Check).Subscription))
		rpctest.Stable(t, data, func(s broker.SessionInfo) *brokerv1.SessionRow { return EncodeSession(&s) }, read((*Check).Session))
		rpctest.Stable(t, data, func(i broker.SnapshotInfo) *brokerv1.SnapshotInfo { return encodeSnapshotInfo(i) }, read((*Check).snapshotInfo))
	})
}
