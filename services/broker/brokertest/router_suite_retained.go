package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// retainedSentences are about retained messages as a reader sees them.
func retainedSentences() []sentence[*routed] {
	return []sentence[*routed]{
		{"ReadRetained yields the retained messages that match filter (for an exact filter one at most), expired ones left out", func(t T, h *routed) {
			h.retain("r/1", "one", time.Time{})
			h.retain("r/2", "two", time.Time{})
			h.retain("s", "three", time.Now().Add(-time.Minute))
			h.retain("r/1", "new", time.Time{})
			h.retain("r/3", "gone", time.Time{})
			h.retain("r/3", "", time.Time{})
			for filter, want := range map[string][]string{"r/+": {"r/1=new", "r/2=two"}, "#": {"r/1=new", "r/2=two"}, "r/1": {"r/1=new"}, "s": nil, "x": nil} {
				if got := h.read(broker.RetainedQuery{Filter: filter}); !slices.Equal(got, want) {
					t.Errorf("%s: %v, want %v", filter, got, want)
				}
			}
		}},
		{"Limit: 0: all", func(t T, h *routed) {
			for n := range 12 {
				h.retain(fmt.Sprintf("r/%02d", n), "x", time.Time{})
			}
			if got := len(h.read(broker.RetainedQuery{Filter: "r/+", Limit: 5})); got != 5 {
				t.Errorf("%d messages with a limit of 5", got)
			}
			if got := len(h.read(broker.RetainedQuery{Filter: "r/+"})); got != 12 {
				t.Errorf("%d messages without limit, want 12", got)
			}
		}},
		{"in batches of at most 64 KiB; it reads no further until yield returns, so a slow reader slows nobody else.", func(t T, h *routed) {
			for n := range 24 {
				h.retain(fmt.Sprintf("r/%02d", n), string(make([]byte, 20<<10)), time.Time{})
			}
			inside, got := false, 0
			err := h.Router.ReadRetained(t.Context(), broker.RetainedQuery{Filter: "#"}, func(batch []*broker.Message) error {
				if inside {
					t.Errorf("yield was called while it was running")
				}
				inside = true
				defer func() { inside = false }()
				size := 0
				for _, m := range batch {
					size += len(m.Payload)
				}
				if size > 64<<10 {
					t.Errorf("a batch of %d bytes", size)
				}
				if got == 0 { // a reader stands still: others read, and publish
					if other := h.read(broker.RetainedQuery{Filter: "r/00"}); len(other) != 1 {
						t.Errorf("a slow reader stops others: %v", other)
					}
					h.retain("other", "x", time.Time{})
				}
				got += len(batch)
				return nil
			})
			wantNil(t, err)
			if got < 24 {
				t.Errorf("%d messages, want 24", got)
			}
		}},
		{"yield returning an error ends the call with that error.", func(t T, h *routed) {
			for n := range 8 {
				h.retain(fmt.Sprintf("r/%02d", n), string(make([]byte, 40<<10)), time.Time{})
			}
			enough, calls := errors.New("enough"), 0
			err := h.Router.ReadRetained(t.Context(), broker.RetainedQuery{Filter: "#"}, func([]*broker.Message) error { calls++; return enough })
			if !errors.Is(err, enough) || calls != 1 {
				t.Errorf("ended after %d calls with %v", calls, err)
			}
		}},
		{"A message whose retained publish was acked before the call is seen", func(t T, h *routed) {
			p := h.publisher("r")
			for n := range 20 {
				text := fmt.Sprint(n)
				p.send(1, 1, func(x *broker.Publish) { x.Msg.Retain, x.Msg.Payload = true, []byte(text) })
				p.wait(p.seq)
				if got := h.read(broker.RetainedQuery{Filter: "r"}); !slices.Equal(got, []string{"r=" + text}) {
					t.Fatalf("acked %s, read %v", text, got)
				}
			}
		}},
		{"while partitions move the call waits or fails with KindUnavailable.", func(t T, h *routed) {
			need(t, h.MoveRetained != nil, "MoveRetained")
			h.retain("r", "kept", time.Time{})
			h.MoveRetained(h.RetainedPartition("", "r"))
			var got []string
			eventually(t, func() bool {
				got = nil
				err := h.Router.ReadRetained(t.Context(), broker.RetainedQuery{Filter: "r"}, func(batch []*broker.Message) error {
					for _, m := range batch {
						got = append(got, string(m.Payload))
					}
					return nil
				})
				if err != nil {
					wantKind(t, err, broker.KindUnavailable, broker.KindNotOwner)
				}
				return err == nil
			}, "the partition is read again")
			if !slices.Equal(got, []string{"kept"}) {
				t.Errorf("after the move: %q", got)
			}
		}},
		{"ReadRetainedPartition is ReadRetained on one retained partition of this process. KindNotOwner: it is not here.", func(t T, h *routed) {
			h.retain("r", "x", time.Time{})
			n, got := h.RetainedPartition("", "r"), 0
			count := func(batch []*broker.Message) error { got += len(batch); return nil }
			wantNil(t, h.Node.ReadRetainedPartition(t.Context(), n, broker.RetainedQuery{Filter: "#"}, count))
			if got != 1 {
				t.Errorf("%d messages in the partition", got)
			}
			wantKind(t, h.Node.ReadRetainedPartition(t.Context(), nowhere, broker.RetainedQuery{Filter: "#"}, count), broker.KindNotOwner)
		}},
		{"KindCanceled: the caller's context ended; the outcome is unknown (while retained messages are read)", func(t T, h *routed) {
			for n := range 8 {
				h.retain(fmt.Sprintf("r/%02d", n), string(make([]byte, 40<<10)), time.Time{})
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			calls := 0
			err := h.Router.ReadRetained(ctx, broker.RetainedQuery{Filter: "#"}, func([]*broker.Message) error {
				calls++
				cancel()
				return nil
			})
			wantKind(t, err, broker.KindCanceled)
			if calls > 7 {
				t.Errorf("%d pages were read after the end of the context", calls-1)
			}
		}},
	}
}

// retain publishes a retained message and waits for its ack.
func (h *routed) retain(topic, text string, expires time.Time) {
	h.t.Helper()
	p := h.publisher(topic)
	p.send(1, 1, func(x *broker.Publish) { x.Msg.Retain, x.Msg.Payload, x.Msg.Expires = true, []byte(text), expires })
	p.wait(1)
}

// read is "topic=payload" of what a query finds, sorted.
func (h *routed) read(q broker.RetainedQuery) (got []string) {
	h.t.Helper()
	wantNil(h.t, h.Router.ReadRetained(h.t.Context(), q, func(batch []*broker.Message) error {
		for _, m := range batch {
			got = append(got, m.Topic+"="+string(m.Payload))
		}
		return nil
	}))
	slices.Sort(got)
	return got
}

// retainedSink is a retained partition as a sink.
func retainedSink(t T, h *routed) sinkUnderTest {
	ref := h.StartGateway("source")
	n := h.RetainedPartition("", "r")
	u := sinkUnderTest{
		sink: h.Router, partition: n, durable: true, source: broker.Source{Incarnation: ref.Incarnation},
		message: func(i int) *broker.Message {
			return &broker.Message{Topic: "r", Payload: fmt.Appendf(nil, "%d", i), QoS: 1, Retain: true, Published: time.Now()}
		},
		newest: func() string {
			list := h.read(broker.RetainedQuery{Filter: "r"})
			if len(list) == 0 {
				return ""
			}
			return list[0][len("r="):]
		},
	}
	if h.HoldRetained != nil {
		u.hold = func() func() { return h.HoldRetained(n) }
	}
	if h.MoveRetained != nil {
		u.move = func() { h.MoveRetained(n) }
	}
	if h.StopGateway != nil {
		dead := h.StartGateway("dead")
		h.StopGateway(dead)
		u.dead = broker.Source{Incarnation: dead.Incarnation}
	}
	return u
}
