//go:build !long

package flood_test

import "time"

// Each flood lasts so many windows. full: what is printed is asserted, too.
const (
	windows = 3
	window  = time.Second
	full    = false
)
