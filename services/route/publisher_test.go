package route_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/route"
)

// lossyRouter answers publishes of one topic partition, and breaks streams when the test says so.
type lossyRouter struct {
	broker.Router // the methods that a Publisher does not use

	mu      sync.Mutex
	opens   []broker.PublishOpen
	streams []*lossyStream
	refuse  int
	answer  bool // ack inside Send
}

func (r *lossyRouter) OpenPublish(_ context.Context, o broker.PublishOpen, acks func([]broker.PublishAck)) (broker.PublishStream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opens = append(r.opens, o)
	if r.refuse > 0 {
		r.refuse--
		return nil, broker.E(broker.KindUnavailable, "no owner", nil)
	}
	s := &lossyStream{acks: acks, answer: r.answer, done: make(chan struct{})}
	r.streams = append(r.streams, s)
	return s, nil
}

func (r *lossyRouter) stream(i int) *lossyStream {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i >= len(r.streams) {
		return nil
	}
	return r.streams[i]
}

type lossyStream struct {
	acks   func([]broker.PublishAck)
	answer bool
	once   sync.Once
	done   chan struct{}

	mu  sync.Mutex
	got []broker.Publish
}

func (s *lossyStream) Epoch() uint64         { return 1 }
func (s *lossyStream) Done() <-chan struct{} { return s.done }
func (s *lossyStream) Err() error            { return broker.E(broker.KindUnavailable, "broken", nil) }
func (s *lossyStream) Close()                { s.once.Do(func() { close(s.done) }) }
func (s *lossyStream) Send(batch []broker.Publish) error {
	s.mu.Lock()
	s.got = append(s.got, batch...)
	s.mu.Unlock()
	if s.answer {
		for _, p := range batch {
			s.acks([]broker.PublishAck{{Seq: p.Seq, Matched: true}})
		}
	}
	return nil
}

func (s *lossyStream) received() []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var seqs []uint64
	for _, p := range s.got {
		seqs = append(seqs, p.Seq)
	}
	return seqs
}

func newPublisher(r broker.Router, maxBytes int) *route.Publisher {
	return route.NewPublisher(route.PublisherConfig{
		Router: r, Topics: 1, MaxBytes: maxBytes, From: broker.NodeRef{ID: "g", Incarnation: 7},
		Source: func(t int) broker.Source { return broker.Source{Incarnation: 7, Topic: t} },
	})
}

func message(qos broker.QoS, n int) *broker.Message {
	return &broker.Message{Topic: "t", Payload: fmt.Appendf(nil, "%d", n), QoS: qos}
}

func TestPublisherAnswersInOrderInsideSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &lossyRouter{answer: true}
		p := newPublisher(r, 0)
		defer p.Close()
		var got []uint64
		for i := range 1000 {
			if err := p.Publish(message(1, i), nil, func(a broker.PublishAck) { got = append(got, a.Seq) }); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if len(got) != 1000 || !slices.IsSorted(got) {
			t.Fatalf("%d answers, sorted %v", len(got), slices.IsSorted(got))
		}
		if p.Bytes() != 0 {
			t.Fatalf("%d bytes left after the last answer", p.Bytes())
		}
	})
}

// Rule N4: after a broken stream everything unanswered is sent again, in order, and QoS 0 that was sent is not.
func TestPublisherSendsAgainFromFirstUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &lossyRouter{}
		p := newPublisher(r, 0)
		defer p.Close()
		answered := 0
		for i, qos := range []broker.QoS{1, 0, 1, 2, 0} {
			if err := p.Publish(message(qos, i), nil, func(broker.PublishAck) { answered++ }); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		first := r.stream(0)
		if want := []uint64{1, 2, 3, 4, 5}; !slices.Equal(first.received(), want) {
			t.Fatalf("first stream got %v", first.received())
		}
		first.acks([]broker.PublishAck{{Seq: 1}})
		r.mu.Lock()
		r.refuse = 2
		r.mu.Unlock()
		first.Close()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		second := r.stream(1)
		if want := []uint64{3, 4}; second == nil || !slices.Equal(second.received(), want) {
			t.Fatalf("second stream got %v, want %v", second.received(), want)
		}
		last := r.opens[len(r.opens)-1]
		if last.First != 3 || last.Stream != 4 {
			t.Fatalf("opened with first %d stream %d", last.First, last.Stream)
		}
		first.acks([]broker.PublishAck{{Seq: 4}}) // an answer of the dead stream changes nothing
		if answered != 3 {
			t.Fatalf("%d answered, want 1 acked and 2 QoS 0 given up", answered)
		}
		second.acks([]broker.PublishAck{{Seq: 3}, {Seq: 4}})
		if answered != 5 || p.Bytes() != 0 {
			t.Fatalf("%d answered, %d bytes", answered, p.Bytes())
		}
	})
}

func TestPublisherRefusesAboveItsBoundAndTellsOfRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &lossyRouter{}
		p := newPublisher(r, 1000)
		defer p.Close()
		n := 0
		for {
			if err := p.Publish(message(1, n), nil, nil); err != nil {
				if broker.KindOf(err) != broker.KindBusy {
					t.Fatal(err)
				}
				break
			}
			n++
		}
		if p.Bytes() > 1000 {
			t.Fatalf("%d bytes queued above the bound", p.Bytes())
		}
		room := false
		p.NotifyRoom(func() { room = true })
		if room {
			t.Fatal("told of room while full")
		}
		synctest.Wait()
		r.stream(0).acks([]broker.PublishAck{{Seq: uint64(n)}})
		synctest.Wait()
		if !room || p.Publish(message(1, n), nil, nil) != nil {
			t.Fatal("no room after everything was answered")
		}
	})
}

func TestPublisherSendsOnlyItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &lossyRouter{}
		p := newPublisher(r, 64<<20)
		defer p.Close()
		big := &broker.Message{Topic: "t", Payload: make([]byte, 1<<20), QoS: 1}
		for range 12 {
			if err := p.Publish(big, nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := len(r.stream(0).received()); n < 3 || n > 5 {
			t.Fatalf("%d of 1 MiB each under way, the window is 4 MiB", n)
		}
		for len(r.stream(0).received()) < 12 {
			seqs := r.stream(0).received()
			r.stream(0).acks([]broker.PublishAck{{Seq: seqs[len(seqs)-1]}})
			synctest.Wait()
		}
	})
}

func TestPublisherCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &lossyRouter{refuse: 1 << 30}
		p := newPublisher(r, 0)
		if err := p.Publish(message(1, 0), nil, func(broker.PublishAck) { t.Error("answered") }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		p.Close()
		if err := p.Publish(message(1, 1), nil, nil); broker.KindOf(err) != broker.KindUnavailable {
			t.Fatalf("publish after close: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if p.Drain(ctx) == nil {
			t.Fatal("drained with an unanswered publish")
		}
	})
}

// A message of a slab that cannot be sent at once has memory of its own: otherwise one that waits long keeps all that was made with it.
func TestWhatWaitsIsNoSlab(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &lossyRouter{answer: true}
		p := newPublisher(r, 0)
		defer p.Close()
		var slab broker.Slab
		var b route.Batch
		publish := func() {
			t.Helper()
			m := slab.New([]byte("x"))
			m.Topic = "t"
			if err := p.Gather(&b, m, nil); err != nil {
				t.Fatal(err)
			}
			b.Send()
		}
		publish() // there is no stream yet
		publish()
		synctest.Wait()
		s := r.stream(0)
		if s == nil || len(s.received()) != 2 {
			t.Fatal("what waited was not sent")
		}
		for _, got := range s.got {
			if got.Msg.Slab || string(got.Msg.Payload) != "x" || got.Msg.Topic != "t" {
				t.Errorf("what waited is %+v", got.Msg)
			}
		}
		publish()
		synctest.Wait()
		if !s.got[2].Msg.Slab {
			t.Error("what goes at once was copied")
		}
	})
}
