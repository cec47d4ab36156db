package run

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// OnHangup is a service that calls fn for each SIGHUP, one call after the other; hang-ups that come during a call are one. Systems without that signal never
// call it.
func OnHangup(fn func()) Service {
	signals := make(chan os.Signal, 1)
	return &hangup{fn: fn, signals: signals, listen: func() (stop func()) {
		signal.Notify(signals, syscall.SIGHUP)
		return func() { signal.Stop(signals) }
	}}
}

// hangup is OnHangup, with the signals of a test if need be.
type hangup struct {
	fn      func()
	signals chan os.Signal
	listen  func() (stop func())

	over chan struct{}
	wg   sync.WaitGroup
}

// Start begins to listen.
func (h *hangup) Start(context.Context) error {
	stop := h.listen()
	h.over = make(chan struct{})
	h.wg.Go(func() {
		defer stop()
		for {
			select {
			case <-h.signals:
				h.fn()
			case <-h.over:
				return
			}
		}
	})
	return nil
}

// Stop waits for the call under way.
func (h *hangup) Stop(ctx context.Context) error {
	close(h.over)
	done := make(chan struct{})
	go func() { // ends with the call under way
		h.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
