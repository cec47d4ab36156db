package bus

import (
	"context"
	"slices"
	"sync"

	"github.com/pando-mq/pando/services/log"
)

// warningsPerSecond of one bus, for each message.
const warningsPerSecond = 1

// Memory is the bus inside one process.
type Memory struct {
	opts Options
	warn *log.Throttle

	mu     sync.Mutex    // guards subs and closed
	subs   []*subscriber // replaced, never changed: publishers go through it without the lock
	closed bool
}

var _ Bus = (*Memory)(nil)

// NewMemory makes an empty bus.
func NewMemory(o Options) *Memory {
	o = o.withDefaults()
	return &Memory{opts: o, warn: log.NewThrottle(o.Logger, warningsPerSecond)}
}

// Publish offers the event to every matching subscriber.
func (m *Memory) Publish(ctx context.Context, e Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// Encoding is what finds bad data, and gives the size.
	b, err := Encode(e)
	if err != nil {
		return err
	}
	m.mu.Lock()
	subs, closed := m.subs, m.closed
	m.mu.Unlock()
	if closed {
		return ErrClosed
	}
	m.opts.Metrics.published.Inc()
	for _, s := range subs {
		if Match(s.pattern, e.Subject) {
			s.offer(e, len(b))
		}
	}
	return nil
}

// Subscribe adds a subscriber.
func (m *Memory) Subscribe(pattern string, fn func(Event)) (stop func(), err error) {
	if err := ValidatePattern(pattern); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	s := newSubscriber(pattern, fn, m.opts, m.warn)
	m.subs = append(slices.Clip(m.subs), s)
	return func() { m.remove(s) }, nil
}

func (m *Memory) remove(s *subscriber) {
	m.mu.Lock()
	if i := slices.Index(m.subs, s); i >= 0 {
		m.subs = slices.Concat(m.subs[:i], m.subs[i+1:])
	}
	m.mu.Unlock()
	s.stop()
}

// Close ends all subscriptions.
func (m *Memory) Close() error {
	m.mu.Lock()
	m.closed = true
	subs := m.subs
	m.subs = nil
	m.mu.Unlock()
	for _, s := range subs {
		s.stop()
	}
	return nil
}
