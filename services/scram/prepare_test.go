package scram

import "testing"

func TestPrepare(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"I\u00adX": "IX", "user": "user", "\u00aa": "a", "\u2168": "IX", // RFC 4013 §3
		"\u0007": "\u0007", "é\u0007": "é\u0007", // forbidden: as it is
		"a\u2003b": "a b", "\xff\xfe": "\xff\xfe", "": "",
	} {
		if got := string(prepare([]byte(in))); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
