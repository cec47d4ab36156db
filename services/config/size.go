package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes: "65536", "64KB", "1MB", "16MiB", "2GB". As the
// seed's files do, KB and KiB both mean 1024 bytes, and so on upwards.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}}

// ParseSize reads the syntax of Size; the unit's case does not matter.
func ParseSize(text string) (Size, error) {
	number, unit := cutNumber(strings.TrimSpace(text))
	factor, ok := sizeFactor(strings.TrimSpace(unit))
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !ok || f*float64(factor) >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is no size", text)
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		return Size(n * factor), nil
	}
	return Size(math.Round(f * float64(factor))), nil
}

// sizeFactor gives the bytes of a unit; B and no unit are 1.
func sizeFactor(unit string) (int64, bool) {
	unit = strings.ToUpper(unit)
	if unit == "" || unit == "B" {
		return 1, true
	}
	for _, u := range sizeUnits {
		if unit == u.name || unit == u.name[:1] || unit == u.name[:1]+"IB" {
			return u.bytes, true
		}
	}
	return 0, false
}

// String gives the largest unit that divides the value: "64KB", "1500".
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// UnmarshalText reads the syntax of ParseSize.
func (s *Size) UnmarshalText(text []byte) error {
	v, err := ParseSize(string(text))
	if err == nil {
		*s = v
	}
	return err
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (Size) describe() (name, example string) {
	return "size", "a size in bytes, such as 64KB, 1MB or 65536"
}

// Percent is a share of a whole in hundredths: "20%" is Percent(20).
type Percent float64

// ParsePercent reads "20%" or "0.5%", from 0% to 100%; the sign is required.
func ParsePercent(text string) (Percent, error) {
	number, ok := strings.CutSuffix(strings.TrimSpace(text), "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !ok || !(f >= 0 && f <= 100) {
		return 0, fmt.Errorf("%q is no percentage", text)
	}
	return Percent(f), nil
}

// Of returns the share of n, rounded down.
func (p Percent) Of(n int) int { return int(float64(n) * float64(p) / 100) }

// String gives "20%".
func (p Percent) String() string { return strconv.FormatFloat(float64(p), 'f', -1, 64) + "%" }

// UnmarshalText reads the syntax of ParsePercent.
func (p *Percent) UnmarshalText(text []byte) error {
	v, err := ParsePercent(string(text))
	if err == nil {
		*p = v
	}
	return err
}

// MarshalText is String.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (Percent) describe() (name, example string) {
	return "percentage", "a percentage, such as 20%"
}

// Rate is events, or bytes, per second: "1000/s", "60/m", "10KB/s". 0 usually
// means unlimited; the key's doc says so.
type Rate float64

// ParseRate reads the syntax of Rate: a number or a size, then /s, /m or /h.
func ParseRate(text string) (Rate, error) {
	s := strings.TrimSpace(text)
	if s == "0" {
		return 0, nil
	}
	amount, per, ok := strings.Cut(s, "/")
	seconds := map[string]float64{"s": 1, "m": 60, "h": 3600}[strings.TrimSpace(per)]
	number, unit := cutNumber(strings.TrimSpace(amount))
	factor, known := sizeFactor(strings.TrimSpace(unit))
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !ok || !known || seconds == 0 || math.IsInf(f*float64(factor), 0) {
		return 0, fmt.Errorf("%q is no rate", text)
	}
	return Rate(f * float64(factor) / seconds), nil
}

// String gives events per second: "1000/s"; whole KB, MB... as such.
func (r Rate) String() string {
	for _, u := range sizeUnits {
		if n := float64(r) / float64(u.bytes); r > 0 && n == math.Trunc(n) {
			return strconv.FormatFloat(n, 'f', -1, 64) + u.name + "/s"
		}
	}
	return strconv.FormatFloat(float64(r), 'f', -1, 64) + "/s"
}

// UnmarshalText reads the syntax of ParseRate.
func (r *Rate) UnmarshalText(text []byte) error {
	v, err := ParseRate(string(text))
	if err == nil {
		*r = v
	}
	return err
}

// MarshalText is String.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (Rate) describe() (name, example string) {
	return "rate", "a rate, such as 1000/s or 10KB/s"
}
