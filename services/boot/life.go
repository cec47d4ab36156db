package boot

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/cluster"
)

// Life keeps the services of a process alive: when a member's lease is lost, or a service fails, everything of this incarnation ends and the next one
// begins, in the same process. It is a run.Service.
type Life struct {
	// Build registers members and makes services, with the methods of the Incarnation; it starts nothing. What it registered is left if it fails.
	Build       func(ctx context.Context, in *Incarnation) error
	Log         *slog.Logger
	Metrics     Registerer    // where the incarnations' metrics appear; nil: nowhere
	StopTimeout time.Duration // how long one service may take to stop; 0: 10 s

	mu      sync.Mutex
	current *Incarnation // nil between two lives
	cancel  context.CancelFunc
	done    chan struct{}
}

// errBetween is why a process is not ready between two lives.
var errBetween = errors.New("starting as a new incarnation")

// Start begins the first life and returns when its services are started.
func (l *Life) Start(ctx context.Context) error {
	in, err := l.begin(ctx)
	for errors.Is(err, errOver) && ctx.Err() == nil { // a lease lost while starting is no reason to give up
		l.Log.Warn("starting again as a new incarnation", slog.Any("reason", err))
		in, err = l.begin(ctx)
	}
	if err != nil {
		return err
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel, l.done = cancel, make(chan struct{})
	go func() {
		defer close(l.done)
		l.keep(life, in)
	}()
	return nil
}

// Stop drains the present life.
func (l *Life) Stop(ctx context.Context) error {
	l.cancel()
	<-l.done
	in := l.swap(nil)
	if in == nil {
		return nil
	}
	in.announceDrain(ctx, l.Log)
	return l.end(ctx, in)
}

// Ready returns why the present life cannot serve, nil if it can. It is an ops.Check.
func (l *Life) Ready(ctx context.Context) error {
	l.mu.Lock()
	in := l.current
	l.mu.Unlock()
	if in == nil {
		return errBetween
	}
	return in.ready(ctx)
}

// Current is the present life, nil between two.
func (l *Life) Current() *Incarnation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

func (l *Life) swap(in *Incarnation) (old *Incarnation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, l.current = l.current, in
	return old
}

// begin builds and starts one life.
func (l *Life) begin(ctx context.Context) (*Incarnation, error) {
	in := &Incarnation{Metrics: newScope(l.Metrics)}
	err := l.Build(ctx, in)
	if err == nil {
		err = in.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.end(ctx, in))
	}
	l.swap(in)
	return in, nil
}

// keep waits for the end of a life and begins the next one.
func (l *Life) keep(ctx context.Context, in *Incarnation) {
	for in != nil {
		why, ok := in.wait(ctx, in.services)
		if !ok {
			return
		}
		l.Log.Warn("starting again as a new incarnation", slog.Any("reason", why))
		l.swap(nil)
		in.fence()
		if err := l.end(ctx, in); err != nil && !errors.Is(err, cluster.ErrLost) {
			l.Log.Warn("the old incarnation did not end cleanly", slog.Any("error", err))
		}
		in = l.again(ctx)
	}
}

// again begins until it succeeds or ctx ends, which gives nil.
func (l *Life) again(ctx context.Context) *Incarnation {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 3*time.Second) {
		in, err := l.begin(ctx)
		if err == nil {
			return in
		}
		if ctx.Err() != nil {
			return nil
		}
		l.Log.Warn("the new incarnation did not start, trying again", slog.Any("error", err))
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil
		}
	}
}

// end stops what was started, in reverse order, and leaves the cluster. Each step has its own time, also when ctx has ended.
func (l *Life) end(ctx context.Context, in *Incarnation) error {
	limit := l.StopTimeout
	if limit == 0 {
		limit = 10 * time.Second
	}
	var errs []error
	step := func(fn func(context.Context) error) {
		c, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		errs = append(errs, fn(c))
	}
	for i := in.started - 1; i >= 0; i-- {
		step(in.services[i].Stop)
	}
	for i := len(in.members) - 1; i >= 0; i-- {
		step(in.members[i].Leave)
	}
	in.Metrics.close()
	return errors.Join(errs...)
}
