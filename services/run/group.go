package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	defaultStartTimeout = 60 * time.Second
	defaultStopTimeout  = 15 * time.Second
	// grace is what a service gets to notice the end of its context before it
	// is left behind.
	grace = time.Second
)

// Options of a group. The zero value is useful: no log, 60 s to start and 15 s
// to stop for each service.
type Options struct {
	Logger       *slog.Logger  // Logger gets one info line per change of state; nil means silence.
	StartTimeout time.Duration // StartTimeout is the time one service has to become ready; 0 means 60 s.
	StopTimeout  time.Duration // StopTimeout is the time one service has to drain; 0 means 15 s.
	Ready        func()        // Ready is called when every service has started; nil: nothing is.
}

// Group runs services in the order in which they were added.
type Group struct {
	opts    Options
	members []member
}

type member struct {
	name    string
	service Service
}

// NewGroup makes an empty group.
func NewGroup(o Options) *Group {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.StartTimeout <= 0 {
		o.StartTimeout = defaultStartTimeout
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = defaultStopTimeout
	}
	return &Group{opts: o}
}

// Add appends a service. The name is for logs and errors. It must not be
// called after Run.
func (g *Group) Add(name string, s Service) {
	g.members = append(g.members, member{name, s})
}

// Run starts every service in order, waits until the context ends or a service
// fails, and stops what was started in reverse order. It returns nil after a
// clean life that the context ended; otherwise the errors of the failure and
// of the drain, joined, each with the name of its service.
func (g *Group) Run(ctx context.Context) error {
	w := newWatch()
	started, err := g.start(ctx, w)
	if err == nil {
		g.opts.Logger.Info("all services are ready", "count", started)
		if g.opts.Ready != nil {
			g.opts.Ready()
		}
		select {
		case <-ctx.Done():
			g.opts.Logger.Info("stopping", "reason", context.Cause(ctx).Error())
		case err = <-w.failed:
			g.opts.Logger.Error("stopping because a service failed", "error", err)
		}
	} else if ctx.Err() != nil {
		// The start was interrupted: that is a wish, not a failure.
		g.opts.Logger.Info("start was interrupted", "reason", context.Cause(ctx).Error())
		err = nil
	}
	w.stop()
	return errors.Join(err, g.drain(context.WithoutCancel(ctx), started))
}

// start returns how many services are up, and why the next one is not.
func (g *Group) start(ctx context.Context, w *watch) (int, error) {
	for i, m := range g.members {
		select {
		case err := <-w.failed:
			return i, err
		default:
		}
		if ctx.Err() != nil {
			return i, ctx.Err()
		}
		begin := time.Now()
		if err := bounded(ctx, g.opts.StartTimeout, m.service.Start); err != nil {
			return i, fmt.Errorf("start %s: %w", m.name, err)
		}
		g.opts.Logger.Info("service is ready", "service", m.name, "duration", time.Since(begin))
		if f, ok := m.service.(Failer); ok {
			w.add(m.name, f.Failed())
		}
	}
	return len(g.members), nil
}

// drain stops the first n services, the last one first.
func (g *Group) drain(ctx context.Context, n int) error {
	var errs []error
	for i := n - 1; i >= 0; i-- {
		m, begin := g.members[i], time.Now()
		if err := bounded(ctx, g.opts.StopTimeout, m.service.Stop); err != nil {
			g.opts.Logger.Error("service did not stop cleanly", "service", m.name, "error", err)
			errs = append(errs, fmt.Errorf("stop %s: %w", m.name, err))
			continue
		}
		g.opts.Logger.Info("service stopped", "service", m.name, "duration", time.Since(begin))
	}
	return errors.Join(errs...)
}

// bounded calls fn with a deadline. A call that ignores the end of its context
// is left behind after the grace: at that point the process is about to end.
func bounded(ctx context.Context, d time.Duration, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- fn(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	t := time.NewTimer(grace)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
		return fmt.Errorf("left behind, it ignored the end of its context: %w", ctx.Err())
	}
}

// watch merges the failure channels of the services that run.
type watch struct {
	failed chan error
	quit   chan struct{}
	wg     sync.WaitGroup
}

func newWatch() *watch {
	return &watch{failed: make(chan error, 1), quit: make(chan struct{})}
}

func (w *watch) add(name string, c <-chan error) {
	w.wg.Go(func() {
		select {
		case err, ok := <-c:
			if !ok {
				return
			}
			select {
			case w.failed <- fmt.Errorf("service %s failed: %w", name, err):
			default: // another one was first; the drain is on its way
			}
		case <-w.quit:
		}
	})
}

func (w *watch) stop() {
	close(w.quit)
	w.wg.Wait()
}
