//go:build !long

package integration_test

import "time"

// The size of TestRetainedReplayIsPaced in every run of the tests; replay_long_test.go has the full one.
const (
	replayMessages = 20_000
	replayReaders  = 20
	replayBudget   = 1 << 20 // bytes of the heap, per reader
	replayPatience = 5 * time.Minute
)

// The size of TestDelayedMessagesComeOnTime.
const (
	delayedMessages = 2_000
	delayedBound    = time.Minute // printed, not asserted
)
