package boot

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/cluster"
	"github.com/pando-mq/pando/services/run"
)

// Incarnation is one life of the services of a process: the members they stand on, and what runs on them.
type Incarnation struct {
	Members  []cluster.Member
	Services []Named // started in order, stopped in reverse
	Fence    func()  // called first when a lease is lost: connections are dropped at once; nil: nothing to drop
}

// Named is a service with its name for logs.
type Named struct {
	Name string
	run.Service
}

// Life keeps incarnations alive: when a member's lease is lost, everything of this life ends and the next one begins. It is a run.Service.
type Life struct {
	Build       func(ctx context.Context) (*Incarnation, error) // registers members and makes services; it starts nothing
	Log         *slog.Logger
	StopTimeout time.Duration // how long one service may take to stop; 0: 10 s

	mu      sync.Mutex
	current *Incarnation
	cancel  context.CancelFunc
	done    chan struct{}
}

// Start begins the first life and returns when its services are started.
func (l *Life) Start(ctx context.Context) error {
	in, err := l.begin(ctx)
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
	l.mu.Lock()
	in := l.current
	l.mu.Unlock()
	if in == nil {
		return nil
	}
	return l.end(ctx, in, true)
}

// begin builds and starts one life.
func (l *Life) begin(ctx context.Context) (*Incarnation, error) {
	in, err := l.Build(ctx)
	if err != nil {
		return nil, err
	}
	for i, s := range in.Services {
		if err := s.Start(ctx); err != nil {
			started := *in
			started.Services = in.Services[:i]
			return nil, errors.Join(err, l.end(context.WithoutCancel(ctx), &started, false))
		}
	}
	l.mu.Lock()
	l.current = in
	l.mu.Unlock()
	return in, nil
}

// keep waits for the loss of a lease and begins again.
func (l *Life) keep(ctx context.Context, in *Incarnation) {
	for {
		lost, stop := firstLost(in.Members)
		select {
		case <-ctx.Done():
			stop()
			return
		case <-lost:
			stop()
		}
		l.Log.Warn("lease lost: starting again as a new incarnation")
		if in.Fence != nil {
			in.Fence()
		}
		if err := l.end(ctx, in, false); err != nil {
			l.Log.Warn("ending the old incarnation", slog.Any("error", err))
		}
		l.mu.Lock()
		l.current = nil
		l.mu.Unlock()
		for pause := 100 * time.Millisecond; ; pause = min(2*pause, 3*time.Second) {
			next, err := l.begin(ctx)
			if err == nil {
				in = next
				break
			}
			l.Log.Warn("starting again", slog.Any("error", err))
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

// end stops services in reverse order and leaves the cluster.
func (l *Life) end(ctx context.Context, in *Incarnation, graceful bool) error {
	limit := l.StopTimeout
	if limit == 0 {
		limit = 10 * time.Second
	}
	var errs []error
	stop := func(fn func(context.Context) error) {
		c, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
		defer cancel()
		errs = append(errs, fn(c))
	}
	for i := len(in.Services) - 1; i >= 0; i-- {
		stop(in.Services[i].Stop)
	}
	for i := len(in.Members) - 1; i >= 0; i-- {
		stop(in.Members[i].Leave)
	}
	err := errors.Join(errs...)
	if !graceful && errors.Is(err, cluster.ErrLost) {
		return nil
	}
	return err
}

// firstLost is closed when any member is lost. stop ends the waiting.
func firstLost(members []cluster.Member) (<-chan struct{}, func()) {
	lost, quit := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	for _, m := range members {
		wg.Go(func() {
			select {
			case <-m.Lost():
				once.Do(func() { close(lost) })
			case <-quit:
			}
		})
	}
	return lost, func() { close(quit); wg.Wait() }
}
