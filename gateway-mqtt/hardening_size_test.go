//go:build !long

package gatewaymqtt_test

// The sizes of the hardening cases in every run of the tests; hardening_size_long_test.go has the full ones.
const (
	explosionFilters    = 20_000 // case 15: filters of one client
	mutePublishes       = 5_000  // case 17: messages for a client that does not acknowledge
	fanOutMessages      = 1_024  // case 18: of 32 KiB
	retainedTopics      = 200    // case 22
	retainedSubscribers = 100
)
