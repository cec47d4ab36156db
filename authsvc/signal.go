package authsvc

import (
	"context"
	"sync"
)

// signal tells everybody who waits that something changed.
type signal struct {
	mu sync.Mutex
	c  chan struct{} // closed at the next change; nil: nobody waits
}

// wait returns a channel that is closed at the next change. Look at the state
// after calling it.
func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c
}

func (s *signal) raise() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}

// until waits for a condition that changes only before the signal is raised.
func (s *signal) until(ctx context.Context, ok func() bool) error {
	for {
		changed := s.wait()
		if ok() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
