//go:build long

package integration_test

import "time"

// The size of TestRetainedReplayIsPaced in full.
const (
	replayMessages = 100_000
	replayReaders  = 100
	replayBudget   = 1 << 20 // bytes of the heap, per reader
	replayPatience = 30 * time.Minute
)

// The size of TestDelayedMessagesComeOnTime.
const (
	delayedMessages = 30_000
	delayedBound    = 50 * time.Millisecond
)
