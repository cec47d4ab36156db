//go:build long

package flood_test

import "time"

// Each flood lasts so many windows. full: what is printed is asserted, too.
const (
	windows = 6
	window  = 10 * time.Second
	full    = true
)
