package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a span of time written with units: "100ms", "10s", "1h30m",
// "1d", "2w". A number without a unit is refused, except 0.
type Duration time.Duration

// Std returns the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

var durationUnits = []struct {
	name string
	span time.Duration
}{
	{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute},
	{"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", time.Nanosecond},
}

// ParseDuration reads the syntax of Duration. Negative spans, overflow and
// repeated or missing units are errors.
func ParseDuration(text string) (Duration, error) {
	s := strings.TrimSpace(text)
	if s == "0" {
		return 0, nil
	}
	if s == "" {
		return 0, errors.New("empty")
	}
	var total time.Duration
	seen := make(map[string]bool)
	for s != "" {
		number, rest := cutNumber(s)
		unit, rest := cutLetters(rest)
		if number == "" || unit == "" || seen[unit] {
			return 0, fmt.Errorf("%q is no duration", text)
		}
		seen[unit] = true
		part, err := span(number, unit)
		if err != nil || total > math.MaxInt64-part {
			return 0, fmt.Errorf("%q is no duration", text)
		}
		total += part
		s = rest
	}
	return Duration(total), nil
}

// span multiplies a decimal number with a unit.
func span(number, unit string) (time.Duration, error) {
	for _, u := range durationUnits {
		if u.name != unit {
			continue
		}
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			if n > math.MaxInt64/int64(u.span) {
				return 0, errors.New("overflow")
			}
			return time.Duration(n) * u.span, nil
		}
		f, err := strconv.ParseFloat(number, 64)
		if err != nil || f*float64(u.span) >= math.MaxInt64 {
			return 0, errors.New("overflow")
		}
		return time.Duration(math.Round(f * float64(u.span))), nil
	}
	return 0, errors.New("unknown unit")
}

// cutNumber splits leading digits and a decimal point from s.
func cutNumber(s string) (number, rest string) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
		i++
	}
	return s[:i], s[i:]
}

// cutLetters splits leading ASCII letters from s.
func cutLetters(s string) (letters, rest string) {
	i := 0
	for i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z') {
		i++
	}
	return s[:i], s[i:]
}

// String gives the shortest spelling that reads back to the same value, with
// days as the largest unit: "2h", "1m30s", "14d".
func (d Duration) String() string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	left := time.Duration(d)
	for _, u := range durationUnits[1:] {
		if n := left / u.span; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			left -= n * u.span
		}
	}
	return b.String()
}

// UnmarshalText reads the syntax of ParseDuration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	if err == nil {
		*d = v
	}
	return err
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (Duration) describe() (name, example string) {
	return "duration", "a duration with its unit, such as 10s, 1h30m or 2w"
}
