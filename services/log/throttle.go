package log

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// maxMessages bounds the messages that one throttle tells apart. Messages are
// sentences of the source, so a program never comes near it; those that do not
// fit share one budget.
const maxMessages = 1024

// Throttle writes warnings, at most n per second for each message, and says
// with the next one how many were left out. It needs no goroutine and is safe
// for concurrent use.
type Throttle struct {
	logger *slog.Logger
	limit  int

	mu      sync.Mutex // guards the rest; not held while a line is written
	windows map[string]*window
	total   uint64
}

// window counts the lines of one message in the current second.
type window struct {
	began      time.Time
	written    int
	suppressed uint64
}

// NewThrottle makes a throttle over a logger; perSecond below 1 means 1.
func NewThrottle(l *slog.Logger, perSecond int) *Throttle {
	return &Throttle{logger: l, limit: max(perSecond, 1), windows: map[string]*window{}}
}

// Warn writes one warning unless its message has used up its second.
func (t *Throttle) Warn(ctx context.Context, msg string, args ...any) {
	if !t.logger.Enabled(ctx, slog.LevelWarn) {
		return
	}
	suppressed, ok := t.admit(msg, time.Now())
	if !ok {
		return
	}
	if suppressed > 0 {
		args = append(args[:len(args):len(args)], KeySuppressed, suppressed)
	}
	t.logger.WarnContext(ctx, msg, args...)
}

// Suppressed is the number of warnings left out so far.
func (t *Throttle) Suppressed() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

func (t *Throttle) admit(msg string, now time.Time) (suppressed uint64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.windows[msg]
	if w == nil {
		if len(t.windows) >= maxMessages {
			msg = ""
		}
		if w = t.windows[msg]; w == nil {
			w = &window{}
			t.windows[msg] = w
		}
	}
	if now.Sub(w.began) >= time.Second {
		w.began, w.written = now, 0
	}
	if w.written >= t.limit {
		w.suppressed++
		t.total++
		return 0, false
	}
	w.written++
	suppressed, w.suppressed = w.suppressed, 0
	return suppressed, true
}
