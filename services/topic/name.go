package topic

import (
	"cmp"
	"errors"
	"strings"
	"unicode/utf8"
)

const (
	// MaxBytes is the length limit of a name and of a full filter: what a two-byte length field can say (MQTT 5.0 §1.5.4).
	MaxBytes = 65535
	// MaxLevels is how many levels a filter with a wildcard may have. Names and filters without wildcards may have as many as fit into MaxBytes:
	// a deeper name is matched by exact filters, and by filters that end in # within these levels, exactly as §4.7 says.
	MaxLevels = 128
)

// What can be wrong with a name or a filter. All are the client's doing.
var (
	ErrEmpty    = errors.New("empty topic")
	ErrTooLong  = errors.New("topic longer than 65535 bytes")
	ErrUTF8     = errors.New("topic is not UTF-8 or holds U+0000")
	ErrWildcard = errors.New("wildcard not allowed there")
	ErrTooDeep  = errors.New("wildcard filter with more than 128 levels")
	ErrGroup    = errors.New("bad group in a shared subscription")
	ErrPrefix   = errors.New("subscription prefix repeated")
)

// ValidateName checks a name that is published to (MQTT 5.0 §4.7.3, §3.3.2.1): 1 to 65,535 bytes of UTF-8 without U+0000, + and #.
func ValidateName(s string) error {
	if err := validateText(s); err != nil {
		return err
	}
	if HasWildcard(s) {
		return ErrWildcard
	}
	return nil
}

// ValidateFilter checks an inner filter (MQTT 5.0 §4.7.1): + and # fill whole levels, # is the last one. Prefixes get no special treatment: see [Parse].
func ValidateFilter(s string) error {
	if err := validateText(s); err != nil {
		return err
	}
	wild, levels := false, 1
	for i := range len(s) {
		switch s[i] {
		case '/':
			levels++
		case '+':
			if !wholeLevel(s, i) {
				return ErrWildcard
			}
			wild = true
		case '#':
			if !wholeLevel(s, i) || i != len(s)-1 {
				return ErrWildcard
			}
			wild = true
		}
	}
	if wild && levels > MaxLevels {
		return ErrTooDeep
	}
	return nil
}

// wholeLevel reports whether the byte at i has a level of its own.
func wholeLevel(s string, i int) bool {
	return (i == 0 || s[i-1] == '/') && (i == len(s)-1 || s[i+1] == '/')
}

// validateText checks what names and filters have in common (MQTT 5.0 §1.5.4). utf8.ValidString refuses surrogates, as the standard asks.
func validateText(s string) error {
	switch {
	case s == "":
		return ErrEmpty
	case len(s) > MaxBytes:
		return ErrTooLong
	case strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s):
		return ErrUTF8
	}
	return nil
}

// HasWildcard reports whether s holds + or #. For valid filters that is whether it can match more than one name.
func HasWildcard(s string) bool {
	for i := range len(s) {
		if s[i] == '+' || s[i] == '#' {
			return true
		}
	}
	return false
}

// Levels counts the levels of a name or a filter: one more than it has slashes.
func Levels(s string) int { return strings.Count(s, "/") + 1 }

// CompareNames orders names by their levels, compared one after the other byte by byte: the order in which [Retained] gives them.
func CompareNames(a, b string) int {
	for i := range min(len(a), len(b)) {
		switch x, y := a[i], b[i]; {
		case x == y:
		case x == '/':
			return -1
		case y == '/':
			return 1
		default:
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}
