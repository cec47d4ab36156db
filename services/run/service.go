package run

import "context"

// Service is a part of a process with a life of its own. Implementations are
// plain objects whose constructor starts no goroutine.
type Service interface {
	// Start returns nil when the service is ready to serve. The context bounds
	// the start only: what Start leaves running must not hang on it. A Start
	// that returns an error has released everything it took; Stop is not called.
	Start(ctx context.Context) error
	// Stop drains and releases everything. It returns when no goroutine of the
	// service is left, or with the context's error when that takes too long.
	Stop(ctx context.Context) error
}

// Failer is a Service that can die by itself after it was ready, for example a
// server whose listener broke.
type Failer interface {
	Service
	// Failed delivers at most one error, which makes the whole group drain. A
	// closed channel means that there is nothing to report any more. It is
	// called once, after Start.
	Failed() <-chan error
}

// Func is a Service made of two functions, either of which may be nil. It is
// for the small steps between services, such as "announce that we are ready".
type Func struct {
	OnStart func(ctx context.Context) error // OnStart is called by Start.
	OnStop  func(ctx context.Context) error // OnStop is called by Stop.
}

// Start calls OnStart.
func (f Func) Start(ctx context.Context) error {
	if f.OnStart == nil {
		return nil
	}
	return f.OnStart(ctx)
}

// Stop calls OnStop.
func (f Func) Stop(ctx context.Context) error {
	if f.OnStop == nil {
		return nil
	}
	return f.OnStop(ctx)
}
