package brokertest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"
)

// recorder is a T that notes what fails instead of failing. It runs the sentences that only names, all if it is empty.
type recorder struct {
	name string
	only string
	wait time.Duration // patience

	mu       sync.Mutex
	failures []string
	cleanups []func()
	ctx      context.Context
	cancel   context.CancelFunc
	subs     []*recorder
}

func newRecorder(name, only string, wait time.Duration) *recorder {
	r := &recorder{name: name, only: only, wait: wait}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

func (r *recorder) Helper()                  {}
func (r *recorder) Parallel()                {}
func (r *recorder) Name() string             { return r.name }
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) patience() time.Duration  { return r.wait }

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Cleanup(fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, fn)
}

// Run runs one sentence to its end, in a goroutine of its own so that Fatalf can end it; a panic is a failure.
func (r *recorder) Run(name string, fn func(T)) bool {
	if r.only != "" && name != r.only {
		return true
	}
	sub := newRecorder(name, "", r.wait)
	r.subs = append(r.subs, sub)
	sub.guard(func() { fn(sub) })
	sub.cancel()
	for _, c := range slices.Backward(sub.cleanups) {
		sub.guard(c)
	}
	return len(sub.failures) == 0
}

func (r *recorder) guard(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if x := recover(); x != nil {
				r.Errorf("panic: %v", x)
			}
		}()
		fn()
	}()
	<-done
}

// failed lists the sentences that failed, each with its first failure.
func (r *recorder) failed() (list []string) {
	for _, s := range r.subs {
		if len(s.failures) > 0 {
			list = append(list, s.name+": "+s.failures[0])
		}
	}
	return list
}
