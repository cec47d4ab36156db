package brokertest

import (
	"context"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

const (
	patience = 20 * time.Second       // for what must happen: far above what a busy machine needs
	shortly  = 100 * time.Millisecond // for a call that may wait for something which never comes
	quiet    = 15 * time.Millisecond  // for what must not happen: a wrong implementation is given this time to show it
)

// patienceOf is how long a sentence waits on t. A recorder of failures is impatient.
func patienceOf(t T) time.Duration {
	if p, ok := t.(interface{ patience() time.Duration }); ok {
		return p.patience()
	}
	return patience
}

// eventually waits until cond holds and fails the test if it never does.
func eventually(t T, cond func() bool, what string, args ...any) {
	t.Helper()
	if !poll(patienceOf(t), cond) {
		t.Fatalf("waited in vain: "+what, args...)
	}
}

// never fails the test if cond holds at once or within a short time.
func never(t T, cond func() bool, what string, args ...any) {
	t.Helper()
	if poll(quiet, cond) {
		t.Fatalf("it must not happen: "+what, args...)
	}
}

// poll looks at cond until it holds (true) or the time is over (false).
func poll(limit time.Duration, cond func() bool) bool {
	if cond() {
		return true
	}
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if cond() {
				return true
			}
		case <-end.C:
			return cond()
		}
	}
}

// within calls fn and fails the test if it does not return.
func within(t T, what string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	eventually(t, func() bool { return closed(done) }, "%s returns", what)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// ended waits for the end of a stream and checks why.
func ended(t T, s interface {
	Done() <-chan struct{}
	Err() error
}, kinds ...broker.Kind) {
	t.Helper()
	eventually(t, func() bool { return closed(s.Done()) }, "the stream ends")
	wantKind(t, s.Err(), kinds...)
}

// wantKind fails the test unless err has one of the kinds.
func wantKind(t T, err error, kinds ...broker.Kind) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v", kinds)
	}
	got := broker.KindOf(err)
	for _, k := range kinds {
		if got == k {
			return
		}
	}
	t.Fatalf("error %q is %v, want %v", err, got, kinds)
}

func wantNil(t T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("unexpected error: %v", err)
	}
}

// overContext is a context that has ended.
func overContext(t T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
