package bus

import (
	"context"
	"log/slog"
	"sync"

	"github.com/pando-mq/pando/services/log"
)

// perEvent is what an event costs in a queue beside its encoded bytes.
const perEvent = 128

// subscriber is one subscription: a queue bounded in bytes and the goroutine
// that empties it into the function. What does not fit is dropped, the newest
// first, so that what is delivered has no hole inside a burst.
type subscriber struct {
	pattern string
	fn      func(Event)
	opts    Options
	warn    *log.Throttle

	mu     sync.Mutex // guards queue, bytes, closed
	queue  []item
	bytes  int
	closed bool
	wake   chan struct{} // capacity 1: the queue changed
	done   chan struct{} // closed when the goroutine has ended
}

type item struct {
	event Event
	size  int
}

func newSubscriber(pattern string, fn func(Event), o Options, warn *log.Throttle) *subscriber {
	s := &subscriber{
		pattern: pattern, fn: fn, opts: o, warn: warn,
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go s.run()
	return s
}

// offer queues an event, or drops and counts it.
func (s *subscriber) offer(e Event, size int) {
	size += perEvent
	s.mu.Lock()
	full := !s.closed && s.bytes+size > s.opts.QueueBytes
	if !s.closed && !full {
		s.queue = append(s.queue, item{e, size})
		s.bytes += size
	}
	s.mu.Unlock()
	if full {
		s.opts.Metrics.dropped.WithLabelValues(reasonFull).Inc()
		s.warn.Warn(context.Background(), "a subscriber of the event bus is slow and misses events",
			slog.String(log.KeySubject, s.pattern), slog.Int(log.KeyLimit, s.opts.QueueBytes))
		return
	}
	s.signal()
}

func (s *subscriber) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *subscriber) run() {
	defer close(s.done)
	for range s.wake {
		for {
			e, ok, closed := s.take()
			if closed {
				return
			}
			if !ok {
				break
			}
			s.opts.Metrics.delivered.Inc()
			s.fn(e)
		}
	}
}

// take removes the oldest event.
func (s *subscriber) take() (e Event, ok, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.queue) == 0 {
		return Event{}, false, s.closed
	}
	head := s.queue[0]
	s.queue[0] = item{}
	s.queue = s.queue[1:]
	s.bytes -= head.size
	return head.event, true, false
}

// stop drops what is queued and waits for a running call of the function.
func (s *subscriber) stop() {
	s.mu.Lock()
	s.closed, s.queue = true, nil
	s.mu.Unlock()
	s.signal()
	<-s.done
}
