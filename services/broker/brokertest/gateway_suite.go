package brokertest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// GatewayHarness is a gateway to be tested. It must use Upstream as its router, the one router process in view, which owns every topic partition.
// Everything is allowed to everybody until Deny is called.
type GatewayHarness struct {
	Gateway  broker.Gateway
	Ref      broker.NodeRef
	Name     string // of the node
	Upstream *Upstream

	TopicPartition func(tenant, topic string) int
	Connect        func(clientID, username string) GatewayClient // a device with a clean session; it acknowledges what it takes

	StartGateway func(id string) broker.NodeRef                         // another gateway that this one sees; no id comes twice
	StartRouter  func(id string, node broker.RouterNode) broker.NodeRef // one more router process in view, which owns no topic partition
	Deny         func(filter string)                                    // from now on only superusers may publish there
}

// GatewayClient is a device connected to the gateway under test.
type GatewayClient interface {
	// Subscribe returns when the subscriptions are answered (SUBACK), or ctx ends.
	Subscribe(ctx context.Context, subs ...broker.Subscription) ([]broker.SubscribeReply, error)
	Received() []*broker.Message // what it took, in order
	Stall(stalled bool)          // take nothing, or everything again
	Ended() string               // why the connection is over; "" while it is not
}

// TestGateway checks an implementation of broker.Gateway. open makes a fresh one for each sentence.
func TestGateway(t *testing.T, open func(t *testing.T) GatewayHarness) {
	gatewaySuite(tested{t}, opener(open))
}

func gatewaySuite(t T, open func(T) GatewayHarness) {
	runSentences(t, func(t T) *gated {
		h := open(t)
		h.StartGateway = numbered(h.StartGateway)
		return &gated{t: t, GatewayHarness: h}
	}, deliverySentences(), gatewayRouteSentences(), gatewayAdminSentences(),
		adapt("gateway", sinkSentences(), gatewaySink), adapt("gateway", wantedSentences(), gatewaySink))
}

// gated is a GatewayHarness with what the sentences share.
type gated struct {
	t T
	GatewayHarness
}

// client connects a device that subscribes.
func (h *gated) client(id string, filters ...string) GatewayClient {
	h.t.Helper()
	c := h.Connect(id, "user-"+id)
	if len(filters) > 0 {
		var subs []broker.Subscription
		for _, f := range filters {
			subs = append(subs, broker.Subscription{Filter: f, QoS: 1, RetainHandling: 2})
		}
		_, err := c.Subscribe(h.t.Context(), subs...)
		wantNil(h.t, err)
	}
	return c
}

// takes waits until a client took n messages and returns their payloads.
func takes(t T, c GatewayClient, n int) (list []string) {
	t.Helper()
	if !poll(patienceOf(t), func() bool { return len(c.Received()) >= n }) {
		t.Fatalf("the client took %d messages, want %d", len(c.Received()), n)
	}
	for _, m := range c.Received() {
		list = append(list, string(m.Payload))
	}
	return list
}

// gatewaySink is a gateway as a sink: one client takes everything at w/#.
func gatewaySink(t T, h *gated) sinkUnderTest {
	c := h.client("taker", "w/#")
	ref := h.StartGateway("source")
	return sinkUnderTest{
		sink: h.Gateway, source: broker.Source{Incarnation: ref.Incarnation},
		message: func(i int) *broker.Message {
			return &broker.Message{Topic: "w/1", Payload: fmt.Appendf(nil, "%d", i), QoS: 1, Published: time.Now()}
		},
		unwanted: func() *broker.Message { return &broker.Message{Topic: "x", QoS: 1, Published: time.Now()} },
		newest: func() string {
			got := c.Received()
			if len(got) == 0 {
				return ""
			}
			return string(got[len(got)-1].Payload)
		},
		count: func() int { return len(c.Received()) },
		routes: func(t T) (broker.SnapshotInfo, error) {
			q := broker.SnapshotQuery{Router: broker.NodeRef{ID: "reader", Incarnation: 1}, Wildcards: true}
			return h.Gateway.SnapshotRoutes(t.Context(), q, func([]broker.RouteDelta) error { return nil })
		},
	}
}

// router opens a stream of deliveries.
func (h *gated) router(epoch uint64) *deliverer {
	h.t.Helper()
	ref := h.StartGateway("publisher")
	return deliverTo(h.t, h.Gateway, broker.DeliverOpen{Router: broker.NodeRef{ID: "router", Incarnation: 1}, Topic: 1, TopicEpoch: epoch},
		broker.Source{Incarnation: ref.Incarnation})
}

// deliver sends n messages to a topic, with payloads "1", "2", ...
func (d *deliverer) deliver(topic string, n int, qos broker.QoS) {
	d.t.Helper()
	for i := range n {
		d.mustSend(uint64(i+1), &broker.Message{Topic: topic, Payload: []byte(strconv.Itoa(i + 1)), QoS: qos, Published: time.Now()})
	}
}

// deliverySentences are about what clean sessions get.
func deliverySentences() []sentence[*gated] {
	return []sentence[*gated]{
		{"deliveries for its clean sessions; acked OK when taken over into bounded per-client queues", func(t T, h *gated) {
			slow, fast := h.client("slow", "a"), h.client("fast", "a")
			slow.Stall(true)
			d := h.router(baseEpoch)
			d.deliver("a", 5, 1)
			d.wait(5) // the slow one is not waited for
			wantTexts(t, takes(t, fast, 5), "1", "2", "3", "4", "5")
			slow.Stall(false)
			wantTexts(t, takes(t, slow, 5), "1", "2", "3", "4", "5")
		}},
		{"A gateway keeps the same cursors in memory, so that a router's fail-over repeats nothing.", func(t T, h *gated) {
			c := h.client("c", "a")
			d := h.router(baseEpoch)
			d.deliver("a", 3, 1)
			d.wait(3)
			next := deliverTo(t, h.Gateway, broker.DeliverOpen{Router: broker.NodeRef{ID: "router2", Incarnation: 2}, Topic: 1, TopicEpoch: baseEpoch + 1}, d.source)
			next.deliver("a", 4, 1)
			next.wait(4)
			wantTexts(t, takes(t, c, 4), "1", "2", "3", "4")
			never(t, func() bool { return len(c.Received()) > 4 }, "a message comes twice")
		}},
		{"Which subscriptions it matches is found at the destination.", func(t T, h *gated) {
			one, two, none := h.client("one", "a", "#"), h.client("two", "+"), h.client("none", "b")
			d := h.router(baseEpoch)
			d.deliver("a", 1, 1)
			d.wait(1)
			takes(t, one, 1)
			takes(t, two, 1)
			never(t, func() bool { return len(one.Received())+len(two.Received()) > 2 || len(none.Received()) > 0 }, "a copy too many")
		}},
		{"A gateway that gets a copy picks a member itself and ignores them.", func(t T, h *gated) {
			one, two := h.client("one", "$share/g/a"), h.client("two", "$share/g/a")
			d := h.router(baseEpoch)
			for i := range 6 {
				wantNil(t, d.stream.Send([]broker.Delivery{{
					Source: d.source, Seq: uint64(i + 1), Msg: &broker.Message{Topic: "a", QoS: 1, Published: time.Now()},
					Shares: []broker.ShareCopy{{Share: broker.Share{Group: "g", Filter: "a"}, Candidates: []broker.Candidate{{Session: 3, Members: 9}}}},
				}}))
			}
			d.wait(6)
			total := func() int { return len(one.Received()) + len(two.Received()) }
			eventually(t, func() bool { return total() >= 6 }, "six copies are taken")
			never(t, func() bool { return total() > 6 }, "a copy reaches two members")
		}},
		{"QoS 0: at most once. Dropped under pressure; never logged.", func(t T, h *gated) {
			c := h.client("c", "a")
			d := h.router(baseEpoch)
			d.deliver("a", 3, 0)
			d.wait(3)
			wantTexts(t, takes(t, c, 3), "1", "2", "3")
		}},
	}
}

// gatewayRouteSentences are about a gateway as a source of routes.
func gatewayRouteSentences() []sentence[*gated] {
	return []sentence[*gated]{
		{"routes of its clean sessions", func(t T, h *gated) {
			c := h.client("c")
			h.Upstream.set(func(u *Upstream) { u.refuse = true })
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				_, _ = c.Subscribe(ctx, broker.Subscription{Filter: "a", RetainHandling: 2})
			}()
			never(t, func() bool { return closed(answered) }, "an answer to SUBSCRIBE while the router does not have the route")
			h.Upstream.set(func(u *Upstream) { u.refuse = false })
			eventually(t, func() bool { return closed(answered) }, "SUBSCRIBE is answered")
			if h.Upstream.members("a", "") != 1 {
				t.Errorf("no route")
			}
		}},
		{"SnapshotRoutes yields all routes of the origin that q selects, in batches, and then returns the origin with its version at that moment.", func(t T, h *gated) {
			h.client("c", "a", "b/+", "$share/g/s", "z")
			read := func(q broker.SnapshotQuery) (filters []string, info broker.SnapshotInfo) {
				q.Router = broker.NodeRef{ID: "reader", Incarnation: 1}
				info, err := h.Gateway.SnapshotRoutes(t.Context(), q, func(batch []broker.RouteDelta) error {
					for _, x := range batch {
						filters = append(filters, x.Group+":"+x.Filter)
					}
					return nil
				})
				wantNil(t, err)
				slices.Sort(filters)
				return filters, info
			}
			wild, info := read(broker.SnapshotQuery{Wildcards: true})
			wantTexts(t, wild, ":b/+", "g:s")
			if o := info.Origin; o.Kind != broker.FromGateway || o.Node != h.Ref || o.Epoch != h.Ref.Incarnation || info.Version == 0 {
				t.Errorf("origin %+v version %d", o, info.Version)
			}
			exact, _ := read(broker.SnapshotQuery{Topic: h.TopicPartition("", "a")})
			if !slices.Contains(exact, ":a") || slices.Contains(exact, ":b/+") || h.TopicPartition("", "z") != h.TopicPartition("", "a") && slices.Contains(exact, ":z") {
				t.Errorf("topic partition of a has %q", exact)
			}
		}},
		{"Answering registers q.Router in the same step (rule N1): from then on every subscription of the origin that q selects also waits for that router's ack of its delta", func(t T, h *gated) {
			need(t, h.StartRouter != nil, "StartRouter")
			late := NewUpstream()
			late.set(func(u *Upstream) { u.refuse = true })
			ref := h.StartRouter("late", late)
			c := h.client("c", "a")
			_, err := h.Gateway.SnapshotRoutes(t.Context(), broker.SnapshotQuery{Router: ref, Topic: h.TopicPartition("", "x"), Revision: 1 << 50},
				func([]broker.RouteDelta) error { return nil })
			wantNil(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), quiet)
			defer cancel()
			if _, err := c.Subscribe(ctx, broker.Subscription{Filter: "x", RetainHandling: 2}); err == nil {
				t.Errorf("answered before the registered router has the route")
			}
			late.set(func(u *Upstream) { u.refuse = false })
			eventually(t, func() bool { return late.members("x", "") == 1 }, "the registered router gets the route")
		}},
	}
}
