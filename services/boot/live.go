package boot

import "sync"

// Live is the part of a configuration that may change while the services of a process run: each new life is built with the present value, and follows it from
// then on. Safe for use by many goroutines.
type Live[T any] struct {
	mu      sync.Mutex
	now     T
	version uint64
	use     func(T) error
}

// NewLive begins with a value.
func NewLive[T any](now T) *Live[T] { return &Live[T]{now: now} }

// Get is the present value.
func (l *Live[T]) Get() T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// Set changes the value and hands it to who follows.
func (l *Live[T]) Set(now T) error {
	l.mu.Lock()
	l.now = now
	l.version++
	l.mu.Unlock()
	return l.apply()
}

// Follow hands the present value to use, and each later one. It replaces who followed before.
func (l *Live[T]) Follow(use func(T) error) error {
	l.mu.Lock()
	l.use = use
	l.version++
	l.mu.Unlock()
	return l.apply()
}

// apply hands the value over until the newest was handed over last, whoever else does so at the same time.
func (l *Live[T]) apply() error {
	for {
		l.mu.Lock()
		now, use, version := l.now, l.use, l.version
		l.mu.Unlock()
		if use == nil {
			return nil
		}
		err := use(now)
		l.mu.Lock()
		last := version == l.version
		l.mu.Unlock()
		if last || err != nil {
			return err
		}
	}
}
