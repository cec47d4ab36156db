package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// Exit codes of every program of the suite.
const (
	CodeOK         = 0   // CodeOK: done, or stopped as asked.
	CodeFailure    = 1   // CodeFailure: any error without a code of its own.
	CodeUsage      = 2   // CodeUsage: wrong arguments or wrong configuration.
	CodeNotRunning = 3   // CodeNotRunning: stop, status and ping found no process (as LSB init scripts say).
	CodeRunning    = 4   // CodeRunning: start found another process on the same data directory.
	CodeForced     = 130 // CodeForced: a second signal cut the drain short.
)

// exitError carries the code that Main hands to the operating system.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// WithCode attaches an exit code to an error. A nil error stays nil.
func WithCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code, err}
}

// Code says which exit code an error stands for: CodeOK for nil, the code of
// the outermost WithCode, CodeRunning for a *RunningError, else CodeFailure.
func Code(err error) int {
	var e *exitError
	var r *RunningError
	switch {
	case err == nil:
		return CodeOK
	case errors.As(err, &e):
		return e.code
	case errors.As(err, &r):
		return CodeRunning
	}
	return CodeFailure
}

// ErrSilent is for programs that have already told the user what is wrong:
// Main exits with the code and prints nothing.
var ErrSilent = errors.New("already reported")

// ErrSignal is in the chain of the context's cause when a signal ended it.
var ErrSignal = errors.New("signal")

// Main is the body of every main function. It calls fn with a context that
// the first SIGINT or SIGTERM cancels (its cause names the signal), prints
// what fn returns to standard error and ends the process with Code(err). A
// second signal does not wait for fn and exits with CodeForced.
func Main(fn func(ctx context.Context) error) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	pace()
	os.Exit(supervise(fn, signals, os.Stderr))
}

// supervise is Main without the process around it.
func supervise(fn func(context.Context) error, signals <-chan os.Signal, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- fn(ctx) }()
	name := filepath.Base(os.Args[0])
	for asked := false; ; {
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, ErrSilent) {
				fmt.Fprintf(stderr, "%s: %v\n", name, err)
			}
			return Code(err)
		case s := <-signals:
			if asked {
				fmt.Fprintf(stderr, "%s: second %v, exit without draining\n", name, s)
				return CodeForced
			}
			asked = true
			cancel(fmt.Errorf("%w: %v", ErrSignal, s))
		}
	}
}
