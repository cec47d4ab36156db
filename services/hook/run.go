package hook

import (
	"sync"
	"time"
)

// Run asks the hooks in their order. If all of them answered at once, ready is true and the outcome is returned; done is not called. Otherwise
// done is called later, once, with the outcome, from the goroutine of the last answer (or of a timer): it must not block.
func (c *Chain[A, V]) Run(args A, acc V, done func(V, Result)) (out V, r Result, ready bool) {
	l := c.list.Load()
	if l == nil {
		return acc, Passed, true
	}
	return c.from(*l, args, acc, done)
}

// from runs the hooks of list and returns as Run does.
func (c *Chain[A, V]) from(list []*Hook[A, V], args A, acc V, done func(V, Result)) (V, Result, bool) {
	for i, h := range list {
		var a answer[V]
		if h.Run != nil {
			a = c.call(h, args, acc)
		} else {
			rest := list[i+1:]
			q := &question[V]{later: func(a answer[V]) { c.resume(h, rest, args, acc, a, done) }}
			var ready bool
			if a, ready = c.ask(q, h, args, acc); !ready {
				return acc, Passed, false
			}
		}
		var end bool
		var r Result
		if acc, r, end = c.apply(h, acc, a); end {
			return acc, r, true
		}
	}
	return acc, Passed, true
}

// resume goes on after a late answer.
func (c *Chain[A, V]) resume(h *Hook[A, V], rest []*Hook[A, V], args A, acc V, a answer[V], done func(V, Result)) {
	acc, r, end := c.apply(h, acc, a)
	if !end {
		var ready bool
		if acc, r, ready = c.from(rest, args, acc, done); !ready {
			return
		}
	}
	done(acc, r)
}

// answer is what came of one hook.
type answer[V any] struct {
	acc     V
	verdict Verdict
	failed  bool
}

// apply takes an answer into account; end says that the run is over.
func (c *Chain[A, V]) apply(h *Hook[A, V], acc V, a answer[V]) (V, Result, bool) {
	switch {
	case a.failed && h.Refuse:
		c.count.refused.Add(1)
		return acc, Refused, true
	case a.failed:
		return acc, Passed, false
	}
	switch a.verdict {
	case OKWith:
		return a.acc, Passed, false
	case Stop:
		return acc, Stopped, true
	case StopWith:
		return a.acc, Stopped, true
	}
	return acc, Passed, false
}

// call runs a hook that answers at once.
func (c *Chain[A, V]) call(h *Hook[A, V], args A, acc V) (a answer[V]) {
	start := time.Now()
	defer func() {
		if recover() != nil {
			c.count.panics.Add(1)
			a = answer[V]{failed: true}
		}
	}()
	a.acc, a.verdict = h.Run(args, acc)
	if time.Since(start) > h.Timeout {
		c.count.timeouts.Add(1)
		a = answer[V]{failed: true}
	}
	return a
}

// question is one pending answer of a hook that answers later.
type question[V any] struct {
	later func(answer[V]) // continues the run when the answer was not there at once

	mu       sync.Mutex
	answered bool
	waiting  bool // Ask returned without an answer: later continues
	got      answer[V]
	timer    *time.Timer
}

// ask puts the question; ready is false if the answer comes through q.later.
func (c *Chain[A, V]) ask(q *question[V], h *Hook[A, V], args A, acc V) (answer[V], bool) {
	c.invoke(q, h, args, acc)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.answered {
		return q.got, true
	}
	q.waiting = true
	q.timer = time.AfterFunc(h.Timeout, func() { q.settle(answer[V]{failed: true}, func() { c.count.timeouts.Add(1) }) })
	return answer[V]{}, false
}

// invoke calls Ask; a panic is an answer.
func (c *Chain[A, V]) invoke(q *question[V], h *Hook[A, V], args A, acc V) {
	defer func() {
		if recover() != nil {
			q.settle(answer[V]{failed: true}, func() { c.count.panics.Add(1) })
		}
	}()
	h.Ask(args, acc, func(acc V, v Verdict) { q.settle(answer[V]{acc: acc, verdict: v}, nil) })
}

// settle takes the first answer; counted runs if this is it.
func (q *question[V]) settle(a answer[V], counted func()) {
	q.mu.Lock()
	if q.answered {
		q.mu.Unlock()
		return
	}
	q.answered, q.got = true, a
	waiting := q.waiting
	if q.timer != nil {
		q.timer.Stop()
	}
	q.mu.Unlock()
	if counted != nil {
		counted()
	}
	if waiting {
		q.later(a)
	}
}
