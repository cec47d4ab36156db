//go:build !long

package integration_test

import "time"

// The sizes of TestRetainedReplayIsPaced in every run of the tests; replay_long_test.go has the full ones.
var replays = []replay{
	{messages: 20_000, quick: 15, stopped: 5},
	{messages: 2_000, quick: 4, stopped: 200, leave: true},
}

const (
	replayBudget   = 1 << 20 // bytes of the heap, per reader
	replayPatience = 5 * time.Minute
)

// The size of TestDelayedMessagesComeOnTime.
const (
	delayedMessages = 2_000
	delayedBound    = time.Minute // printed, not asserted
)
