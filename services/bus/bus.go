package bus

import (
	"context"
	"errors"
	"log/slog"
)

// Bus publishes events to whoever listens. All methods are safe for concurrent
// use.
type Bus interface {
	// Publish hands an event over and does not wait for subscribers. A nil error
	// does not promise delivery. It refuses an invalid subject, data that is no
	// JSON, and an event above MaxEvent. A full queue of a subscriber is no
	// error: that subscriber misses the event, and the drop is counted.
	Publish(ctx context.Context, e Event) error
	// Subscribe calls fn for each event whose subject matches the pattern (see
	// ValidatePattern), one at a time, on a goroutine of its own; the events of
	// one publisher come in the order of their publishing. An event that is
	// published on the same server after Subscribe returned is seen. Stop ends
	// the subscription: once it returned, fn is not running and is not called
	// again. It may be called twice, but not from inside fn.
	Subscribe(pattern string, fn func(Event)) (stop func(), err error)
	// Close ends all subscriptions and waits for their functions. Publish and
	// Subscribe then return ErrClosed.
	Close() error
}

// ErrClosed is returned after Close.
var ErrClosed = errors.New("bus is closed")

// defaultQueueBytes of a subscriber.
const defaultQueueBytes = 1 << 20

// Options of a bus. The zero value is useful.
type Options struct {
	QueueBytes int          // QueueBytes bounds the encoded events that wait for one subscriber; 0 means 1 MiB.
	Metrics    *Metrics     // Metrics; nil means none.
	Logger     *slog.Logger // Logger gets throttled warnings about drops; nil means silence.
}

func (o Options) withDefaults() Options {
	if o.QueueBytes <= 0 {
		o.QueueBytes = defaultQueueBytes
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
