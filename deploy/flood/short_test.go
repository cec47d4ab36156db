//go:build !long

package flood_test

import "time"

// length of each flood.
const length = 3 * time.Second
