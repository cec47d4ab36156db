package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/pando-mq/pando/services/log"
)

// flushTimeout bounds the round trip that makes a subscription known.
const flushTimeout = 5 * time.Second

// NATS is the bus between processes. It borrows its connection.
type NATS struct {
	conn   *nats.Conn
	prefix string
	opts   Options
	warn   *log.Throttle

	mu     sync.Mutex // guards subs and closed; not held across a network call
	subs   map[*natsSubscription]struct{}
	closed bool
}

// natsSubscription feeds a subscriber, whose queue is the bounded one: the
// library's own stays empty because nothing blocks its callback.
type natsSubscription struct {
	sub   *nats.Subscription
	local *subscriber
}

var _ Bus = (*NATS)(nil)

// NewNATS makes a bus over a connection, which must outlive it. Cluster names
// are letters, digits, '_' and '-'.
func NewNATS(conn *nats.Conn, cluster string, o Options) (*NATS, error) {
	p, err := prefix(cluster)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	return &NATS{
		conn: conn, prefix: p, opts: o, warn: log.NewThrottle(o.Logger, warningsPerSecond),
		subs: map[*natsSubscription]struct{}{},
	}, nil
}

// Publish writes the event to the connection's buffer.
func (n *NATS) Publish(ctx context.Context, e Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := Encode(e)
	if err != nil {
		return err
	}
	n.mu.Lock()
	closed := n.closed
	n.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if err := n.conn.Publish(n.prefix+string(e.Subject), b); err != nil {
		return fmt.Errorf("publish event %s: %w", e.Subject, err)
	}
	n.opts.Metrics.published.Inc()
	return nil
}

// Subscribe waits until the server knows the subscription.
func (n *NATS) Subscribe(pattern string, fn func(Event)) (stop func(), err error) {
	if err := ValidatePattern(pattern); err != nil {
		return nil, err
	}
	s := &natsSubscription{local: newSubscriber(pattern, fn, n.opts, n.warn)}
	if err := n.add(s, pattern); err != nil {
		s.local.stop()
		return nil, err
	}
	return func() { n.remove(s) }, nil
}

func (n *NATS) add(s *natsSubscription, pattern string) error {
	n.mu.Lock()
	closed := n.closed
	n.mu.Unlock()
	if closed {
		return ErrClosed
	}
	sub, err := n.conn.Subscribe(n.prefix+pattern, func(m *nats.Msg) { n.receive(s.local, m) })
	if err != nil {
		return fmt.Errorf("subscribe to events %s: %w", pattern, err)
	}
	s.sub = sub
	if err := n.conn.FlushTimeout(flushTimeout); err != nil {
		return errors.Join(fmt.Errorf("subscribe to events %s: %w", pattern, err), sub.Unsubscribe())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return errors.Join(ErrClosed, sub.Unsubscribe())
	}
	n.subs[s] = struct{}{}
	return nil
}

// receive decodes on the connection's goroutine of this subscription.
func (n *NATS) receive(s *subscriber, m *nats.Msg) {
	e, err := Decode(m.Data)
	if err == nil && n.prefix+string(e.Subject) != m.Subject {
		err = fmt.Errorf("event %s came on subject %s", e.Subject, m.Subject)
	}
	if err != nil {
		n.opts.Metrics.dropped.WithLabelValues(reasonMalformed).Inc()
		n.warn.Warn(context.Background(), "an event on the bus cannot be read", slog.Any(log.KeyError, err))
		return
	}
	s.offer(e, len(m.Data))
}

func (n *NATS) remove(s *natsSubscription) {
	n.mu.Lock()
	delete(n.subs, s)
	n.mu.Unlock()
	s.end()
}

// end may be called again: the library's error for that, and for a connection
// that is gone, changes nothing.
func (s *natsSubscription) end() {
	_ = s.sub.Unsubscribe()
	s.local.stop()
}

// Close ends all subscriptions; the connection stays open.
func (n *NATS) Close() error {
	n.mu.Lock()
	n.closed = true
	subs := n.subs
	n.subs = nil
	n.mu.Unlock()
	for s := range subs {
		s.end()
	}
	return nil
}
