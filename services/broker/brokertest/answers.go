package brokertest

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pando-mq/pando/services/broker"
)

// answers collects what a stream's callback gets, and notes what no callback may see: two calls at once, and a call after Done.
type answers[A any] struct {
	inside atomic.Int32

	mu      sync.Mutex
	list    []A
	done    <-chan struct{}
	overlap bool
	late    bool
	hook    func() // runs inside the callback
}

func (a *answers[A]) take(batch []A) {
	overlap := a.inside.Add(1) > 1
	defer a.inside.Add(-1)
	a.mu.Lock()
	a.overlap = a.overlap || overlap
	a.late = a.late || a.done != nil && closed(a.done)
	a.list = append(a.list, batch...)
	hook := a.hook
	a.mu.Unlock()
	if hook != nil {
		hook()
	}
}

// watch says when the stream has ended.
func (a *answers[A]) watch(done <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done = done
}

func (a *answers[A]) all() []A {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.list)
}

func (a *answers[A]) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.list)
}

// sane fails the test if the callback was misused.
func (a *answers[A]) sane(t T) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.overlap {
		t.Errorf("the callback was called while it was running")
	}
	if a.late {
		t.Errorf("the callback was called after Done was closed")
	}
}

// deliverer is one stream into a sink, driven by a suite.
type deliverer struct {
	t      T
	stream broker.DeliverStream
	acks   answers[broker.DeliverAck]
	source broker.Source
}

// deliverTo opens a stream into a sink.
func deliverTo(t T, to broker.Sink, o broker.DeliverOpen, source broker.Source) *deliverer {
	t.Helper()
	d, err := tryDeliverTo(t, to, o, source)
	wantNil(t, err)
	return d
}

func tryDeliverTo(t T, to broker.Sink, o broker.DeliverOpen, source broker.Source) (*deliverer, error) {
	source.Topic = o.Topic
	d := &deliverer{t: t, source: source}
	s, err := to.OpenDeliver(t.Context(), o, d.acks.take)
	if err != nil {
		return nil, err
	}
	d.stream = s
	d.acks.watch(s.Done())
	t.Cleanup(s.Close)
	return d, nil
}

// send sends one delivery with the present number of the source.
func (d *deliverer) send(seq uint64, m *broker.Message) error {
	return send(d.stream, []broker.Delivery{{Source: d.source, Seq: seq, Msg: m, Plain: true}})
}

func (d *deliverer) mustSend(seq uint64, m *broker.Message) {
	d.t.Helper()
	wantNil(d.t, d.send(seq, m))
}

// answered is up to which number everything is answered: OK answers all before it, others one.
func (d *deliverer) answered() uint64 {
	single := map[uint64]bool{}
	upTo := uint64(0)
	for _, a := range d.acks.all() {
		if a.Result == broker.OK {
			upTo = max(upTo, a.No)
		}
		single[a.No] = true
	}
	for single[upTo+1] {
		upTo++
	}
	return upTo
}

// wait waits until everything up to a number is answered.
func (d *deliverer) wait(no uint64) {
	d.t.Helper()
	eventually(d.t, func() bool { return d.answered() >= no }, "delivery %d is answered", no)
	d.acks.sane(d.t)
}

// send passes a batch on, and uses its memory for something else at once.
func send[I any](s interface{ Send([]I) error }, batch []I) error {
	err := s.Send(batch)
	clear(batch)
	return err
}
