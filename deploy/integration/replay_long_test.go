//go:build long

package integration_test

import "time"

// The sizes of TestRetainedReplayIsPaced in full: those of the promise, and case 22 of bad input: 1,000 subscribers of as many messages as are kept at all.
var replays = []replay{
	{messages: 100_000, quick: 75, stopped: 25},
	{messages: 1_000_000, quick: 4, stopped: 996, leave: true},
}

const (
	replayBudget   = 1 << 20 // bytes of the heap, per reader
	replayPatience = 30 * time.Minute
)

// The size of TestDelayedMessagesComeOnTime.
const (
	delayedMessages = 30_000
	delayedBound    = 50 * time.Millisecond
)
