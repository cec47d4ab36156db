package hash

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// Pool bounds how many expensive computations run at once and how many wait.
// It has no goroutines of its own: the caller's computes while it holds a slot.
type Pool struct {
	slots chan struct{}
	queue int // callers
	bytes int

	mu           sync.Mutex // guards what follows
	waiting      int
	waitingBytes int
}

// newPool returns a pool of min(workers, GOMAXPROCS) slots; 0 workers: of one
// less than GOMAXPROCS, and at least one. A computation keeps its processor for
// tens of milliseconds, so with a slot for each of them a flood of wrong
// passwords would hold up everything else that the process does.
func newPool(workers, queue, bytes int) *Pool {
	procs := runtime.GOMAXPROCS(0)
	if workers == 0 {
		workers = max(1, procs-1)
	}
	return &Pool{slots: make(chan struct{}, min(workers, procs)), queue: queue, bytes: bytes}
}

// Do runs f in the caller's goroutine when a slot is free. size is what the
// caller keeps in memory while it waits, in bytes. It returns ErrBusy at once
// if the queue is full, and the context's error if that ends before f began;
// else nil after f has returned. Waiting callers are served in their order.
func (p *Pool) Do(ctx context.Context, size int, f func()) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("wait for a password slot: %w", err)
	}
	select {
	case p.slots <- struct{}{}:
	default:
		if err := p.wait(ctx, size); err != nil {
			return err
		}
	}
	defer func() { <-p.slots }()
	f()
	return nil
}

// wait takes a slot from the queue's end.
func (p *Pool) wait(ctx context.Context, size int) error {
	if !p.enter(size) {
		return ErrBusy
	}
	defer p.leave(size)
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for a password slot: %w", ctx.Err())
	}
	if err := ctx.Err(); err != nil { // both came at once
		<-p.slots
		return fmt.Errorf("wait for a password slot: %w", err)
	}
	return nil
}

func (p *Pool) enter(size int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting >= p.queue || p.waitingBytes+size > p.bytes {
		return false
	}
	p.waiting++
	p.waitingBytes += size
	return true
}

func (p *Pool) leave(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting--
	p.waitingBytes -= size
}

// load returns how many computations run and how many callers wait.
func (p *Pool) load() (running, waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.slots), p.waiting
}
