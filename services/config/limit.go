package config

import (
	"fmt"
	"strings"
)

// Limit is a rate with the amount that may come at once: "1MB,100KB/s" is a
// bucket of 1 MB that gains 100 KB per second. The rate alone, "100KB/s", is a
// bucket of one second of it. 0 means no limit.
type Limit struct {
	Burst int64 // 0: one second of Rate
	Rate  Rate
}

// ParseLimit reads the syntax of Limit: a rate, or a size and a rate.
func ParseLimit(text string) (Limit, error) {
	burst, rate, both := strings.Cut(text, ",")
	if !both {
		burst, rate = "0", text
	}
	size, err := ParseSize(burst)
	if err != nil {
		return Limit{}, fmt.Errorf("%q is no limit", text)
	}
	r, err := ParseRate(rate)
	if err != nil || r < 0 || size < 0 || both && (size == 0 || r == 0) {
		return Limit{}, fmt.Errorf("%q is no limit", text)
	}
	return Limit{Burst: int64(size), Rate: r}, nil
}

// String gives "1MB,100KB/s", "100KB/s" or "0".
func (l Limit) String() string {
	switch {
	case l.Rate == 0:
		return "0"
	case l.Burst == 0:
		return l.Rate.String()
	}
	return Size(l.Burst).String() + "," + l.Rate.String()
}

// Set is the rate and the burst as numbers; a rate of 0 means no limit.
func (l Limit) Set() (rate, burst float64) { return float64(l.Rate), float64(l.Burst) }

// UnmarshalText reads the syntax of ParseLimit.
func (l *Limit) UnmarshalText(text []byte) error {
	v, err := ParseLimit(string(text))
	if err == nil {
		*l = v
	}
	return err
}

// MarshalText is String.
func (l Limit) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

func (Limit) describe() (name, example string) {
	return "limit", "a rate, such as 100KB/s, or what may come at once and a rate, such as 1MB,100KB/s"
}
