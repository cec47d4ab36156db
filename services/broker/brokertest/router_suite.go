package brokertest

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// RouterHarness is a tier of routers to be tested. The router must send to Sinks and take its snapshots there.
type RouterHarness struct {
	Router broker.Router
	Node   broker.RouterNode  // the process that owns every topic and retained partition
	Admin  broker.RouterAdmin // of that process
	Sinks  *Sinks

	TopicPartition    func(tenant, topic string) int
	RetainedPartition func(tenant, topic string) int

	StartGateway  func(id string) broker.NodeRef // a gateway incarnation that the router sees, with the sink Sinks.Gateway(ref); no id comes twice
	StopGateway   func(ref broker.NodeRef)       // returns when the router sees that it is gone
	UnseenGateway func() broker.NodeRef          // an incarnation that the router may see later

	MoveTopic    func(partition int)                  // the partition gets a new epoch; returns when streams can be opened (rules N1 to N3: maybe syncing)
	ReleaseTopic func(partition int)                  // nobody owns the partition any more, Node is still there
	MoveRetained func(partition int)                  // the retained partition gets a new owner, which knows what was durable
	HoldRetained func(partition int) (release func()) // nothing of the partition becomes durable until release
}

// TestRouter checks an implementation of broker.Router, RouterNode and RouterAdmin. open makes a fresh one for each sentence.
func TestRouter(t *testing.T, open func(t *testing.T) RouterHarness) {
	routerSuite(tested{t}, opener(open))
}

func routerSuite(t T, open func(T) RouterHarness) {
	runSentences(t, func(t T) *routed {
		h := open(t)
		for p := range 64 {
			h.Sinks.session(p).set(func(d *sink) {
				d.place = func(tenant, filter string, partition int) bool { return h.TopicPartition(tenant, filter) == partition }
			})
		}
		h.StartGateway = numbered(h.StartGateway)
		return &routed{t: t, RouterHarness: h}
	}, publishSentences(), promiseSentences(), failureSentences(), routeSentences(), retainedSentences(),
		adapt("retained partition", sinkSentences(), retainedSink), adapt("retained partition", durableSentences(), retainedSink))
}

// routed is a RouterHarness with what the sentences share.
type routed struct {
	t T
	RouterHarness
	streams atomic.Uint64
}

// subscribe puts a route of a session partition in force.
func (h *routed) subscribe(partition int, filter, group string) {
	h.t.Helper()
	wantNil(h.t, h.Node.UpdateRoutes(h.t.Context(), h.Sinks.session(partition).change(filter, group, 1)))
}

// subscribeGateway puts a route of a gateway in force.
func (h *routed) subscribeGateway(ref broker.NodeRef, filter, group string) {
	h.t.Helper()
	wantNil(h.t, h.Node.UpdateRoutes(h.t.Context(), h.Sinks.gateway(ref).change(filter, group, 1)))
}

// publisher is one source, publishing to one topic, over one stream at a time.
type publisher struct {
	h      *routed
	ref    broker.NodeRef
	topic  string
	seq    uint64
	stream broker.PublishStream
	acks   *answers[broker.PublishAck]
}

// publisher makes a source in a new gateway, with an open stream.
func (h *routed) publisher(topic string) *publisher {
	h.t.Helper()
	return h.publisherOf(h.StartGateway("publisher"), topic)
}

func (h *routed) publisherOf(ref broker.NodeRef, topic string) *publisher {
	h.t.Helper()
	p := &publisher{h: h, ref: ref, topic: topic}
	p.open()
	return p
}

func (p *publisher) request() broker.PublishOpen {
	return broker.PublishOpen{
		Source: broker.Source{Incarnation: p.ref.Incarnation, Topic: p.h.TopicPartition("", p.topic)},
		From:   p.ref, Stream: p.h.streams.Add(1), First: p.seq + 1,
	}
}

func (p *publisher) tryOpen(o broker.PublishOpen) error {
	acks := &answers[broker.PublishAck]{}
	s, err := p.h.Router.OpenPublish(p.h.t.Context(), o, acks.take)
	if err != nil {
		return err
	}
	acks.watch(s.Done())
	p.h.t.Cleanup(s.Close)
	p.stream, p.acks = s, acks
	return nil
}

// open opens the next stream; while a partition moves it is tried again, as the contract asks.
func (p *publisher) open() {
	p.h.t.Helper()
	var err error
	ok := poll(patienceOf(p.h.t), func() bool {
		err = p.tryOpen(p.request())
		return err == nil || !broker.KindOf(err).Retryable()
	})
	if !ok || err != nil {
		p.h.t.Fatalf("open publish: %v", err)
	}
}

func (p *publisher) message(qos broker.QoS) *broker.Message {
	return &broker.Message{Topic: p.topic, Payload: fmt.Appendf(nil, "%d", p.seq), QoS: qos, From: "publisher", Published: time.Now()}
}

// batch makes n publishes with the next numbers.
func (p *publisher) batch(n int, qos broker.QoS, change ...func(*broker.Publish)) []broker.Publish {
	var list []broker.Publish
	for range n {
		p.seq++
		x := broker.Publish{Seq: p.seq, Msg: p.message(qos)}
		for _, fn := range change {
			fn(&x)
		}
		list = append(list, x)
	}
	return list
}

// send publishes n messages in one batch.
func (p *publisher) send(n int, qos broker.QoS, change ...func(*broker.Publish)) {
	p.h.t.Helper()
	wantNil(p.h.t, send(p.stream, p.batch(n, qos, change...)))
}

// acked is the sequence numbers acked on the present stream.
func (p *publisher) acked() (list []uint64) {
	for _, a := range p.acks.all() {
		list = append(list, a.Seq)
	}
	return list
}

// wait waits until a number is acked.
func (p *publisher) wait(seq uint64) {
	p.h.t.Helper()
	eventually(p.h.t, func() bool { return slices.Contains(p.acked(), seq) }, "publish %d is acked", seq)
	p.acks.sane(p.h.t)
}

// persist publishes one message and does so again, on the next stream, until it is acked.
func (p *publisher) persist() {
	p.h.t.Helper()
	x := p.batch(1, 1)
	var sent broker.PublishStream
	ok := poll(patienceOf(p.h.t), func() bool {
		if closed(p.stream.Done()) {
			p.open()
		}
		if p.stream != sent {
			sent = p.stream
			_ = sent.Send(x)
		}
		return p.acks.count() > 0
	})
	if !ok {
		p.h.t.Fatalf("publish %d is never acked", p.seq)
	}
}

// noAck checks that nothing is acked.
func (p *publisher) noAck(why string) {
	p.h.t.Helper()
	never(p.h.t, func() bool { return p.acks.count() > 0 }, "an ack %s", why)
}

// holding makes a session partition with a matching route that does not answer yet.
func (h *routed) holding(partition int, filter string) *sink {
	h.t.Helper()
	h.subscribe(partition, filter, "")
	d := h.Sinks.session(partition)
	d.set(func(d *sink) { d.hold = true })
	return d
}

// arrives waits until a sink got n deliveries.
func arrives(t T, d *sink, n int) {
	t.Helper()
	eventually(t, func() bool { return len(d.deliveries()) >= n }, "%d deliveries arrive, of %d", n, len(d.deliveries()))
}

func wantSeqs(t T, got []uint64, want ...uint64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("numbers %v, want %v", got, want)
	}
}
