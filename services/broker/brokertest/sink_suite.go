package brokertest

import (
	"context"
	"slices"
	"strconv"

	"github.com/pando-mq/pando/services/broker"
)

// sinkUnderTest is a destination of deliveries, whatever service it belongs to.
type sinkUnderTest struct {
	sink      broker.Sink
	partition int
	durable   bool
	source    broker.Source // alive; a suite sets the topic partition
	dead      broker.Source // of an incarnation that is gone

	message  func(n int) *broker.Message          // one that is wanted, with the decimal n as payload
	unwanted func() *broker.Message               // one that matches nothing; nil: everything is wanted
	newest   func() string                        // payload of what was last taken, "" if nothing was
	count    func() int                           // how many were taken; nil: it cannot be seen
	hold     func() (release func())              // keeps records from becoming durable
	move     func()                               // a new owner, which knows what was durable
	routes   func(T) (broker.SnapshotInfo, error) // a snapshot of the wildcards
}

func (u *sinkUnderTest) open(topic int, epoch uint64) broker.DeliverOpen {
	return broker.DeliverOpen{Router: broker.NodeRef{ID: "router", Incarnation: 1}, Topic: topic, TopicEpoch: epoch, Partition: u.partition}
}

// baseEpoch is above what any router under test has used.
const baseEpoch = 1 << 40

// sinkSentences are about any broker.Sink.
func sinkSentences() []sentence[sinkUnderTest] {
	return []sentence[sinkUnderTest]{
		{"Deliveries of one source come in the order of their sequence numbers, with gaps (what did not match): they are taken in that order", func(t T, u sinkUnderTest) {
			d := deliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			for i, seq := range []uint64{1, 3, 7, 8} {
				d.mustSend(seq, u.message(i))
				d.wait(uint64(i + 1))
				u.wantNewest(t, strconv.Itoa(i))
			}
		}},
		{"what is not above it is a duplicate and is answered OK", func(t T, u sinkUnderTest) {
			d := deliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			d.mustSend(5, u.message(1))
			d.wait(1)
			again := deliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			again.mustSend(5, u.message(2))
			again.mustSend(4, u.message(3))
			again.wait(2)
			u.wantNewest(t, "1")
			if u.count != nil && u.count() != 1 {
				t.Errorf("%d messages were taken, one was new", u.count())
			}
			if got := again.acks.all(); slices.ContainsFunc(got, func(a broker.DeliverAck) bool { return a.Result != broker.OK }) {
				t.Errorf("duplicates were answered %+v", got)
			}
			other := u.source
			other.Kind, other.Incarnation, other.Partition = broker.FromSession, 0, 9
			fresh := deliverTo(t, u.sink, u.open(1, baseEpoch), other)
			fresh.mustSend(1, u.message(4))
			fresh.wait(1)
			u.wantNewest(t, "4") // a cursor is kept per source
		}},
		{"deliveries are numbered by the order in which they are sent, from 1.", func(t T, u sinkUnderTest) {
			d := deliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			var batch []broker.Delivery
			for i := range 50 {
				batch = append(batch, broker.Delivery{Source: d.source, Seq: uint64(100 + i), Msg: u.message(i), Plain: true})
			}
			wantNil(t, send(d.stream, batch[:20]))
			wantNil(t, send(d.stream, batch[20:]))
			d.wait(50)
			for _, a := range d.acks.all() {
				if a.No < 1 || a.No > 50 {
					t.Fatalf("answer to number %d", a.No)
				}
			}
		}},
		{"DeliverAck answers deliveries in order", func(t T, u sinkUnderTest) {
			d := deliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			for i := range 100 {
				d.mustSend(uint64(i+1), u.message(i))
			}
			d.wait(100)
			last := uint64(0)
			for _, a := range d.acks.all() {
				if a.No <= last {
					t.Fatalf("answer to %d after %d", a.No, last)
				}
				last = a.No
			}
		}},
		{"A delivery with a topic epoch lower than one seen for that topic partition ends the stream with KindStale (rule N10).", func(t T, u sinkUnderTest) {
			old := deliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			old.mustSend(1, u.message(1))
			old.wait(1)
			newer := deliverTo(t, u.sink, u.open(1, baseEpoch+1), u.source)
			newer.mustSend(2, u.message(2))
			newer.wait(1)
			_ = old.send(3, u.message(3))
			ended(t, old.stream, broker.KindStale)
			u.wantNewest(t, "2")
			late, err := tryDeliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			if err == nil {
				_ = late.send(4, u.message(4))
				ended(t, late.stream, broker.KindStale)
			} else {
				wantKind(t, err, broker.KindStale)
			}
			u.wantNewest(t, "2")
			other := deliverTo(t, u.sink, u.open(2, 1), u.source) // the epoch is that of one topic partition
			other.mustSend(1, u.message(5))
			other.wait(1)
		}},
		{"Its methods behave like those of PublishStream", func(t T, u sinkUnderTest) {
			ctx, cancel := context.WithCancel(t.Context())
			d := &deliverer{t: t, source: u.source}
			d.source.Topic = 1
			s, err := u.sink.OpenDeliver(ctx, u.open(1, baseEpoch), d.acks.take)
			wantNil(t, err)
			t.Cleanup(s.Close)
			d.stream = s
			d.acks.watch(s.Done())
			cancel() // the context is that of the opening, not of the stream
			within(t, "Send", func() { d.mustSend(1, u.message(1)) })
			d.wait(1)
			s.Close()
			eventually(t, func() bool { return closed(s.Done()) }, "Close ends the stream")
			if s.Err() == nil {
				t.Errorf("a closed stream says no reason")
			}
			if d.send(2, u.message(2)) == nil {
				t.Errorf("a closed stream takes deliveries")
			}
			never(t, func() bool { return d.acks.count() > 1 }, "an answer after Close")
			u.wantNewest(t, "1")
		}},
	}
}

// durableSentences are about a sink with a log.
func durableSentences() []sentence[sinkUnderTest] {
	return []sentence[sinkUnderTest]{
		{"OK: a durable sink: the record is durable (or nothing had to be recorded)", func(t T, u sinkUnderTest) {
			need(t, u.hold != nil, "function that holds records")
			d := deliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			d.mustSend(1, u.message(1))
			d.wait(1)
			release := u.hold()
			t.Cleanup(release)
			d.mustSend(2, u.message(2))
			never(t, func() bool { return d.answered() > 1 }, "an answer before the record is durable")
			release()
			d.wait(2)
		}},
		{"but only when the record that moved the cursor is durable (rule N5).", func(t T, u sinkUnderTest) {
			need(t, u.hold != nil, "function that holds records")
			d := deliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			d.mustSend(1, u.message(1))
			d.wait(1)
			release := u.hold()
			t.Cleanup(release)
			d.mustSend(2, u.message(2))
			again := deliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			again.mustSend(2, u.message(2))
			never(t, func() bool { return again.answered() > 0 }, "a duplicate is answered before its record is durable")
			release()
			again.wait(1)
		}},
		{"A durable sink (session, retained) keeps a cursor per source", func(t T, u sinkUnderTest) {
			need(t, u.move != nil, "function that moves the partition")
			d := deliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			d.mustSend(7, u.message(1))
			d.wait(1)
			u.move()
			ended(t, d.stream, broker.KindNotOwner, broker.KindUnavailable, broker.KindStale)
			again := u.reopen(t, 1, baseEpoch)
			again.mustSend(7, u.message(2))
			again.wait(1)
			u.wantNewest(t, "1")
			again.mustSend(8, u.message(3))
			again.wait(2)
			u.wantNewest(t, "3")
		}},
		{"Streams: Errors: KindNotOwner, KindUnavailable, KindStale.", func(t T, u sinkUnderTest) {
			o := u.open(1, baseEpoch)
			o.Partition = nowhere
			_, err := tryDeliverTo(t, u.sink, o, u.source)
			wantKind(t, err, broker.KindNotOwner, broker.KindUnavailable)
		}},
		{"from then on that incarnation is refused for ever (rule N9): KindStale: start over with the present one", func(t T, u sinkUnderTest) {
			need(t, u.dead.Incarnation != 0, "function that stops a gateway")
			d := deliverTo(t, u.sink, u.open(1, baseEpoch), u.dead)
			_ = d.send(1, u.message(1))
			ended(t, d.stream, broker.KindStale)
			if got := u.newest(); got != "" {
				t.Errorf("a message of a dead incarnation was taken: %s", got)
			}
		}},
	}
}

// wantedSentences are about a sink that knows what it wants.
func wantedSentences() []sentence[sinkUnderTest] {
	return []sentence[sinkUnderTest]{
		{"NoSub: no subscription matches any more: the route may be removed (rule N6)", func(t T, u sinkUnderTest) {
			d := deliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			d.mustSend(1, u.message(1))
			d.mustSend(2, u.unwanted())
			d.mustSend(3, u.message(3))
			d.wait(3)
			var refused []uint64
			for _, a := range d.acks.all() {
				if a.Result == broker.NoSub {
					refused = append(refused, a.No)
				}
			}
			wantSeqs(t, refused, 2)
		}},
		{"NoSub and NoReceiver answer exactly one, and carry the origin's epoch and route version at that moment: those of its snapshot", func(t T, u sinkUnderTest) {
			info, err := u.routes(t)
			wantNil(t, err)
			d := deliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			d.mustSend(1, u.unwanted())
			d.wait(1)
			if a := d.acks.all()[0]; a.Result != broker.NoSub || a.Epoch != info.Origin.Epoch || a.Version != info.Version {
				t.Errorf("answer %+v, the snapshot says %+v", a, info)
			}
		}},
	}
}

// noReceiverSentences are about a sink that leaves a copy nobody takes to the home of its group.
func noReceiverSentences() []sentence[sinkUnderTest] {
	return []sentence[sinkUnderTest]{
		{"NoReceiver: no member of the shared group can take it", func(t T, u sinkUnderTest) {
			d := deliverTo(t, u.sink, u.open(1, baseEpoch), u.source)
			wantNil(t, d.stream.Send([]broker.Delivery{{
				Source: d.source, Seq: 1, Msg: u.message(1), Shares: []broker.ShareCopy{{Share: broker.Share{Group: "nobody", Filter: "x"}}},
			}}))
			d.wait(1)
			if a := d.acks.all()[0]; a.Result != broker.NoReceiver {
				t.Errorf("answer %+v", a)
			}
		}},
	}
}

// reopen opens a stream after a move, as often as it takes.
func (u *sinkUnderTest) reopen(t T, topic int, epoch uint64) (d *deliverer) {
	t.Helper()
	var err error
	ok := poll(patienceOf(t), func() bool {
		d, err = tryDeliverTo(t, u.sink, u.open(topic, epoch), u.source)
		return err == nil
	})
	if !ok {
		t.Fatalf("the sink takes no stream after the move: %v", err)
	}
	return d
}

// wantNewest waits until the last message taken is the one with that payload.
func (u *sinkUnderTest) wantNewest(t T, want string) {
	t.Helper()
	if !poll(patienceOf(t), func() bool { return u.newest() == want }) {
		t.Fatalf("the newest message is %q, want %q", u.newest(), want)
	}
}

// adapt makes sentences about one thing sentences about another one that has it. The name says which.
func adapt[H, U any](name string, list []sentence[U], of func(T, H) U) []sentence[H] {
	var out []sentence[H]
	for _, s := range list {
		out = append(out, sentence[H]{name + ": " + s.quote, func(t T, h H) { s.check(t, of(t, h)) }})
	}
	return out
}
