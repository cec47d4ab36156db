//go:build long

package chaos_test

import "time"

// more counts to 50.
func more(killed int, _ time.Duration) bool { return killed < 50 }
