package scram

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// prepare is the form of a password that a client computes with: SASLprep (RFC 4013), as far as it maps characters. Text of ASCII is its own form. A password
// that is no UTF-8, or has characters that SASLprep forbids, is taken byte by byte, as PostgreSQL does: a client that accepts it has no other choice.
func prepare(password []byte) []byte {
	if isASCII(password) || !utf8.Valid(password) {
		return password
	}
	mapped := make([]rune, 0, len(password))
	for _, r := range string(password) {
		switch {
		case isNothing(r):
		case unicode.Is(unicode.Zs, r):
			mapped = append(mapped, ' ')
		default:
			mapped = append(mapped, r)
		}
	}
	out := norm.NFKC.Bytes([]byte(string(mapped)))
	for _, r := range string(out) {
		if isForbidden(r) {
			return password
		}
	}
	return out
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// isNothing are the characters of RFC 3454, table B.1.
func isNothing(r rune) bool {
	switch {
	case r == 0x00ad, r == 0x034f, r == 0x1806, r == 0x2060, r == 0xfeff, 0x180b <= r && r <= 0x180d, 0x200b <= r && r <= 0x200d, 0xfe00 <= r && r <= 0xfe0f:
		return true
	}
	return false
}

// isForbidden are the characters of RFC 4013 §2.3: controls, private use, surrogates, non-characters, marks of direction and tags.
func isForbidden(r rune) bool {
	switch {
	case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Co, r), unicode.Is(unicode.Cs, r):
		return true
	case r == 0x06dd, r == 0x070f, r == 0x180e, 0x200e <= r && r <= 0x200f, 0x2028 <= r && r <= 0x202e, 0x2061 <= r && r <= 0x206f, 0xfff9 <= r && r <= 0xfffd:
		return true
	case 0xfdd0 <= r && r <= 0xfdef, r&0xfffe == 0xfffe, r == 0xe0001, 0xe0020 <= r && r <= 0xe007f, 0x1d173 <= r && r <= 0x1d17a, 0x2ff0 <= r && r <= 0x2ffb:
		return true
	case r == 0x0340, r == 0x0341:
		return true
	}
	return false
}
