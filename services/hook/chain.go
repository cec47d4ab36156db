package hook

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// What Add and Remove can report.
var (
	ErrHooked   = errors.New("already_hooked")
	ErrNotFound = errors.New("not_found")
	ErrInvalid  = errors.New("hook needs a name and either Run or Ask")
)

// Verdict is what a hook answers.
type Verdict uint8

// The verdicts. Any other value counts as OK.
const (
	OK       Verdict = iota // go on, the accumulator stays
	OKWith                  // go on with the returned accumulator
	Stop                    // end the chain, the accumulator stays
	StopWith                // end the chain with the returned accumulator
)

// Result is how a run ended.
type Result uint8

// The results.
const (
	Passed  Result = iota // every hook was asked
	Stopped               // a hook ended the chain
	Refused               // a hook with Refuse set panicked or was late
)

// DefaultTimeout is the time of hooks that name none.
const DefaultTimeout = 5 * time.Second

// Hook is one registration on a chain with arguments A and accumulator V. Exactly one of Run and Ask is set.
type Hook[A, V any] struct {
	Name     string // unique on its chain
	Tag      string // groups what one extension added, for RemoveTag; may be empty
	Priority int    // lower runs first
	// Run answers at once. It runs on the caller's executor: it must be quick. An answer after Timeout is thrown away.
	Run func(args A, acc V) (V, Verdict)
	// Ask answers by calling answer, once, from any goroutine; further calls do nothing.
	Ask     func(args A, acc V, answer func(V, Verdict))
	Timeout time.Duration // 0: DefaultTimeout
	Refuse  bool          // a panic or a late answer ends the run as Refused; otherwise the hook is skipped
}

// Chain is one hook point. Its zero value is an empty chain; safe for use by many goroutines.
type Chain[A, V any] struct {
	mu    sync.Mutex // guards changes of list
	list  atomic.Pointer[[]*Hook[A, V]]
	count counts
}

type counts struct{ panics, timeouts, refused atomic.Uint64 }

// Failures is what went wrong on a chain since the start.
type Failures struct {
	Panics   uint64
	Timeouts uint64
	Refused  uint64 // runs that ended as Refused
}

// Failures returns the counters.
func (c *Chain[A, V]) Failures() Failures {
	return Failures{c.count.panics.Load(), c.count.timeouts.Load(), c.count.refused.Load()}
}

// Empty reports whether no hook is there: building the arguments can be left out then.
func (c *Chain[A, V]) Empty() bool {
	l := c.list.Load()
	return l == nil || len(*l) == 0
}

// Add registers a hook. ErrHooked: its name is taken. Runs under way do not see it.
func (c *Chain[A, V]) Add(h Hook[A, V]) error {
	if h.Name == "" || (h.Run == nil) == (h.Ask == nil) {
		return ErrInvalid
	}
	if h.Timeout == 0 {
		h.Timeout = DefaultTimeout
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.hooks()
	if slices.ContainsFunc(list, func(o *Hook[A, V]) bool { return o.Name == h.Name }) {
		return fmt.Errorf("hook %q: %w", h.Name, ErrHooked)
	}
	list = append(slices.Clone(list), &h)
	slices.SortStableFunc(list, func(a, b *Hook[A, V]) int { return cmp.Compare(a.Priority, b.Priority) })
	c.list.Store(&list)
	return nil
}

// Remove takes the hook of a name out. Runs under way may still ask it.
func (c *Chain[A, V]) Remove(name string) error {
	if c.removeIf(func(h *Hook[A, V]) bool { return h.Name == name }) == 0 {
		return fmt.Errorf("hook %q: %w", name, ErrNotFound)
	}
	return nil
}

// RemoveTag takes out every hook with a tag and returns how many there were.
func (c *Chain[A, V]) RemoveTag(tag string) int {
	return c.removeIf(func(h *Hook[A, V]) bool { return h.Tag == tag })
}

// Names lists the hooks in the order they run.
func (c *Chain[A, V]) Names() []string {
	list := c.hooks()
	names := make([]string, len(list))
	for i, h := range list {
		names[i] = h.Name
	}
	return names
}

func (c *Chain[A, V]) hooks() []*Hook[A, V] {
	if l := c.list.Load(); l != nil {
		return *l
	}
	return nil
}

func (c *Chain[A, V]) removeIf(match func(*Hook[A, V]) bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.hooks()
	list := slices.DeleteFunc(slices.Clone(old), match)
	c.list.Store(&list)
	return len(old) - len(list)
}
