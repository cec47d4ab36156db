package edge

import "sync"

// tasks owns goroutines: close waits for all of them and refuses new ones.
type tasks struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

// spawn runs fn in a goroutine; false after close.
func (t *tasks) spawn(fn func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.wg.Go(fn)
	return true
}

func (t *tasks) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.wg.Wait()
}

// pool runs jobs that block, at most workers at once; as many as waiting wait. It keeps no goroutine while there is nothing to do.
type pool struct {
	tasks   *tasks
	workers int
	waiting int

	mu    sync.Mutex
	busy  int
	queue []func()
}

// submit runs fn soon; false if too many wait already, or the edge is closed.
func (p *pool) submit(fn func()) bool {
	p.mu.Lock()
	if p.busy >= p.workers {
		ok := len(p.queue) < p.waiting
		if ok {
			p.queue = append(p.queue, fn)
		}
		p.mu.Unlock()
		return ok
	}
	p.busy++
	p.mu.Unlock()
	if p.tasks.spawn(func() { p.work(fn) }) {
		return true
	}
	p.mu.Lock()
	p.busy--
	p.mu.Unlock()
	return false
}

// work runs fn and then what waits.
func (p *pool) work(fn func()) {
	for fn != nil {
		fn()
		p.mu.Lock()
		fn = nil
		if len(p.queue) > 0 {
			fn = p.queue[0]
			p.queue[0] = nil
			p.queue = p.queue[1:]
		} else {
			p.busy--
			p.queue = nil
		}
		p.mu.Unlock()
	}
}
