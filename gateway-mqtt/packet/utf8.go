package packet

import (
	"bytes"
	"unicode/utf8"
)

// validText reports whether b may be the content of a UTF-8 encoded string
// (MQTT 5.0 §1.5.4): well-formed, which excludes surrogates, overlong forms
// and code points above U+10FFFF, and without U+0000. Control characters and
// non-characters are allowed ("should not"), and U+FEFF is an ordinary
// character that nobody may strip (MQTT-1.5.4-3).
func validText(b []byte) bool {
	return bytes.IndexByte(b, 0) < 0 && utf8.Valid(b)
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
