//go:build !long

package chaos_test

import "time"

// more reports whether there is time for another kill: as many as fit, and 12 in any case.
func more(killed int, since time.Duration) bool { return killed < 12 || since < 60*time.Second }
