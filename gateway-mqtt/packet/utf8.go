package packet

import (
	"bytes"
	"unicode/utf8"
)

// validText reports whether b may be the content of a UTF-8 encoded string
// (MQTT 5.0 §1.5.4): well-formed, which excludes surrogates, overlong forms
// and code points above U+10FFFF, and without U+0000. Of what "should not" be
// there, which a receiver may refuse, non-characters are refused and control
// characters allowed: people put line ends into user properties. U+FEFF is an
// ordinary character that nobody may strip (MQTT-1.5.4-3).
func validText(b []byte) bool {
	return bytes.IndexByte(b, 0) < 0 && utf8.Valid(b) && !hasNonCharacter(b)
}

// hasNonCharacter reports whether valid UTF-8 holds one of the 66 code points
// that Unicode will never assign:
//
//	U+FDD0 to U+FDEF     EF B7 90 to EF B7 AF
//	U+FFFE, U+FFFF       EF BF BE, EF BF BF
//	the last two of the  F0 9F BF BE, F0 9F BF BF, ..., F4 8F BF BF
//	other 16 planes      (second byte xF)
func hasNonCharacter(b []byte) bool {
	for i := range len(b) {
		switch c := b[i]; {
		case c < 0xef:
		case c == 0xef && (b[i+1] == 0xb7 && b[i+2] >= 0x90 && b[i+2] <= 0xaf || b[i+1] == 0xbf && b[i+2] >= 0xbe):
			return true
		case c > 0xef && b[i+1]&0x0f == 0x0f && b[i+2] == 0xbf && b[i+3] >= 0xbe:
			return true
		}
	}
	return false
}

// hasWildcard reports whether a topic name contains '#' or '+', which belong
// to filters (MQTT 5.0 §4.7.1). Two vector searches beat one loop over bytes.
func hasWildcard(topic []byte) bool {
	return bytes.IndexByte(topic, '#') >= 0 || bytes.IndexByte(topic, '+') >= 0
}

// validPayload reports whether a payload is what its payload format indicator
// says (MQTT 5.0 §3.3.2.3.2): 1 is UTF-8 text, in which U+0000 is allowed.
func validPayload(format Opt[byte], payload []byte) bool {
	return format.Value != 1 || !format.Present || utf8.Valid(payload)
}
