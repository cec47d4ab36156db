//go:build long

package gatewaymqtt_test

// The sizes of the hardening cases in full.
const (
	explosionFilters    = 1_000_000 // case 15: filters of one client
	mutePublishes       = 100_000   // case 17: messages for a client that does not acknowledge
	fanOutMessages      = 32_768    // case 18: of 32 KiB, 1 GiB
	retainedTopics      = 2_000     // case 22; deploy/integration has 1,000,000, without sockets
	retainedSubscribers = 1_000
)
