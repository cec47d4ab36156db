// Package hook runs the code that extends the suite at eleven points of a client's and a message's life (the hook points of EMQ 2.x).
//
// A [Chain] is an ordered list of hooks: lower priority first, those of equal priority in the order they were added. Each hook sees the arguments and
// an accumulator, and says with its [Verdict] whether the chain goes on and whether the accumulator is replaced. A hook answers at once (Run) or later
// (Ask); who runs the chain learns of a late answer by a callback, so an event loop never waits.
//
// It promises that a chain without hooks costs one atomic load and no allocation, that each hook of a run answers exactly once as far as the
// caller can tell, and that a hook that panics or is late is skipped or makes the run refuse, as its registration says, and is counted.
// It never retries a hook and knows nothing of the network.
//
// # Locks
//
// Chain.mu guards changes of the list, question.mu one pending answer. Both are leaves; hooks and callbacks run without them.
package hook
