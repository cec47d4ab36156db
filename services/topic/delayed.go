package topic

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// MaxDelay is the longest delay of a delayed publish: 4,294,967 seconds, nearly 50 days, as in the seed.
const MaxDelay = 4294967 * time.Second

// ErrDelay refuses a delayed publish whose time is too far ahead, or whose target is delayed once more.
var ErrDelay = errors.New("delay of more than 4294967 seconds, or delayed twice")

const delayedPrefix = "$delayed/"

// SplitDelayed takes "$delayed/<seconds>/" off a name: the rest is the topic that a message is published to later, and that counts for access rules and
// mount points. A name without a number and a topic behind the prefix is an ordinary one; its prefix is "".
func SplitDelayed(name string) (prefix, rest string) {
	after, ok := strings.CutPrefix(name, delayedPrefix)
	if !ok {
		return "", name
	}
	seconds, rest, ok := strings.Cut(after, "/")
	if !ok || seconds == "" || rest == "" || strings.Trim(seconds, "0123456789") != "" {
		return "", name
	}
	return name[:len(name)-len(rest)], rest
}

// DelayedUntil is when a message that was accepted at from, under a name with this prefix, is to be published: a number up to that of MaxDelay counts
// seconds from then on, a higher one is a Unix time, which may be over. ErrDelay: it is more than MaxDelay ahead.
func DelayedUntil(prefix string, from time.Time) (time.Time, error) {
	digits := strings.TrimSuffix(strings.TrimPrefix(prefix, delayedPrefix), "/")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return time.Time{}, ErrDelay
	}
	if n <= int64(MaxDelay/time.Second) {
		return from.Add(time.Duration(n) * time.Second), nil
	}
	if n > from.Add(MaxDelay).Unix() {
		return time.Time{}, ErrDelay
	}
	return time.Unix(n, 0), nil
}

// CheckDelayed refuses names that look delayed and cannot be: too far ahead of now, or with a target that is delayed itself. Such a target would be
// published to a topic that no access rule was asked about.
func CheckDelayed(name string, now time.Time) error {
	prefix, rest := SplitDelayed(name)
	if prefix == "" {
		return nil
	}
	if twice, _ := SplitDelayed(rest); twice != "" {
		return ErrDelay
	}
	_, err := DelayedUntil(prefix, now)
	return err
}
