package brokertest

import (
	"slices"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// maxFaultyBytes bounds what waits in a faulty stream.
const maxFaultyBytes = 64 << 20

// innerStream is what all streams of package broker have.
type innerStream[I any] interface {
	Send(batch []I) error
	Done() <-chan struct{}
	Err() error
	Close()
}

// faultyStream stands between an opener and a stream. One goroutine passes batches on, in order, with faults; answers go through answer.
type faultyStream[I any] struct {
	x     *faulty
	size  func(*I) int
	twice func(batch []I) // notes that a batch goes down a second time
	once  func(batch []I) // notes that a batch goes down
	wake  chan struct{}
	inner innerStream[I]

	mu     sync.Mutex
	queue  [][]I
	bytes  int
	muted  bool // answers are lost from now on
	over   bool
	err    error
	inside int // answers under way
	done   chan struct{}
}

func newFaultyStream[I any](x *faulty, size func(*I) int) *faultyStream[I] {
	return &faultyStream[I]{x: x, size: size, once: func([]I) {}, twice: func([]I) {}, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// start begins to pass batches on to an opened stream.
func (s *faultyStream[I]) start(inner innerStream[I]) error {
	s.inner = inner
	if !s.x.spawn(s.run) {
		inner.Close()
		return broker.E(broker.KindUnavailable, "the faulty wrapper is closed", nil)
	}
	return nil
}

// Send implements the stream.
func (s *faultyStream[I]) Send(batch []I) error {
	size := 0
	for i := range batch {
		size += s.size(&batch[i])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return s.err
	}
	if s.bytes > 0 && s.bytes+size > maxFaultyBytes {
		s.finish(broker.E(broker.KindBusy, "too much waits", nil))
		return s.err
	}
	s.queue = append(s.queue, slices.Clone(batch))
	s.bytes += size
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// run passes batches on until either side ends the stream.
func (s *faultyStream[I]) run() {
	defer s.inner.Close()
	for {
		batch, ok := s.take()
		if ok {
			s.pass(batch)
			continue
		}
		select {
		case <-s.wake:
		case <-s.done:
			return
		case <-s.inner.Done():
			s.end(s.inner.Err())
			return
		case <-s.x.ctx.Done():
			s.end(broker.E(broker.KindUnavailable, "the faulty wrapper is closed", nil))
			return
		}
	}
}

func (s *faultyStream[I]) take() ([]I, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || len(s.queue) == 0 {
		return nil, false
	}
	batch := s.queue[0]
	s.queue = s.queue[1:]
	for i := range batch {
		s.bytes -= s.size(&batch[i])
	}
	return batch, true
}

// pass sends one batch down with its fault. A refusal of the inner stream is seen as its end.
func (s *faultyStream[I]) pass(batch []I) {
	what, wait := s.x.next()
	switch what {
	case delayed:
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-s.done:
			return
		case <-s.x.ctx.Done():
			return
		}
	case dropped:
		s.mu.Lock()
		s.muted = true
		s.mu.Unlock()
		_ = s.inner.Send(batch)
		s.end(broker.E(broker.KindUnavailable, "stream broken by the schedule", nil))
		return
	}
	s.once(batch)
	if s.inner.Send(batch) == nil && what == duplicated {
		s.twice(batch)
		_ = s.inner.Send(batch)
	}
}

// answer passes an answer up, unless answers are lost or the stream is over.
func (s *faultyStream[I]) answer(up func()) {
	s.mu.Lock()
	if s.muted || s.over {
		s.mu.Unlock()
		return
	}
	s.inside++
	s.mu.Unlock()
	up()
	s.mu.Lock()
	s.inside--
	if s.over && s.inside == 0 {
		close(s.done)
	}
	s.mu.Unlock()
}

// end ends the stream; Done is closed behind the last answer.
func (s *faultyStream[I]) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(err)
}

func (s *faultyStream[I]) finish(err error) {
	if s.over {
		return
	}
	s.over, s.err, s.queue, s.bytes = true, err, nil, 0
	if s.inside == 0 {
		close(s.done)
	}
}

// Done implements the stream.
func (s *faultyStream[I]) Done() <-chan struct{} { return s.done }

// Err implements the stream.
func (s *faultyStream[I]) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close implements the stream.
func (s *faultyStream[I]) Close() { s.end(broker.E(broker.KindCanceled, "closed by its opener", nil)) }
