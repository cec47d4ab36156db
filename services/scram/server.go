package scram

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pando-mq/pando/services/broker"
)

const (
	header   = "n,,"
	bound    = "biws" // the header in Base64, as the last message repeats it
	maxText  = 4096   // bytes of a message, and of a state
	maxNonce = 256    // bytes of the client's part
	newNonce = 24     // random bytes of the server's part
)

// First is the client's first message.
type First struct {
	User  string // as it was sent, with =2C and =3D decoded
	nonce string
	bare  string
}

// ParseFirst reads the client's first message (RFC 5802 §7, client-first-message). Errors: ErrMalformed, ErrBinding.
func ParseFirst(message []byte) (First, error) {
	text := string(message)
	if len(text) > maxText || !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		return First{}, fmt.Errorf("first message: %w", ErrMalformed)
	}
	bare, ok := strings.CutPrefix(text, header)
	if !ok {
		if strings.HasPrefix(text, "y,") || strings.HasPrefix(text, "n,a=") || strings.HasPrefix(text, "p=") {
			return First{}, fmt.Errorf("first message: %w", ErrBinding)
		}
		return First{}, fmt.Errorf("first message: %w", ErrMalformed)
	}
	attributes := strings.Split(bare, ",")
	if len(attributes) < 2 || !isExtended(attributes[2:]) {
		return First{}, fmt.Errorf("first message: %w", ErrMalformed)
	}
	name, hasName := strings.CutPrefix(attributes[0], "n=")
	nonce, hasNonce := strings.CutPrefix(attributes[1], "r=")
	user, valid := unescape(name)
	if !hasName || !hasNonce || !valid || user == "" || !isNonce(nonce) || len(nonce) > maxNonce {
		return First{}, fmt.Errorf("first message: %w", ErrMalformed)
	}
	return First{User: user, nonce: nonce, bare: bare}, nil
}

// Challenge is the answer to the first message, and the state that Finish wants with the last one.
func (f *First) Challenge(k broker.SCRAM) (message, state []byte) {
	random := make([]byte, newNonce)
	_, _ = rand.Read(random) // never fails
	return f.challenge(k, base64.StdEncoding.EncodeToString(random))
}

func (f *First) challenge(k broker.SCRAM, nonce string) (message, state []byte) {
	text := "r=" + f.nonce + nonce + ",s=" + base64.StdEncoding.EncodeToString(k.Salt) + ",i=" + strconv.Itoa(k.Iterations)
	return []byte(text), []byte(f.bare + "\x00" + text)
}

// UserOf is the user of a state. ErrMalformed: Challenge did not make it.
func UserOf(state []byte) (string, error) {
	bare, _, ok := strings.Cut(string(state), "\x00")
	if !ok || len(state) > 2*maxText {
		return "", fmt.Errorf("state: %w", ErrMalformed)
	}
	f, err := ParseFirst([]byte(header + bare))
	return f.User, err
}

// Finish checks the last message of the client (client-final-message) against the state that Challenge left and the keys of its user, and returns the
// server's signature for the client. Errors: ErrMalformed, ErrBinding, ErrProof, ErrKeys.
func Finish(k broker.SCRAM, state, message []byte) (answer []byte, err error) {
	if err := Validate(k); err != nil {
		return nil, err
	}
	bare, first, ok := strings.Cut(string(state), "\x00")
	if !ok {
		return nil, fmt.Errorf("state: %w", ErrMalformed)
	}
	last, err := parseLast(message)
	if err != nil {
		return nil, err
	}
	nonce, _, _ := strings.Cut(strings.TrimPrefix(first, "r="), ",")
	h := hashOf(k.Method)
	text := bare + "," + first + "," + last.without
	signature := mac(h, k.StoredKey, text)
	key := make([]byte, len(signature))
	same := subtle.ConstantTimeCompare([]byte(nonce), []byte(last.nonce))
	if len(last.proof) != len(signature) {
		return nil, fmt.Errorf("last message: %w", ErrMalformed)
	}
	subtle.XORBytes(key, last.proof, signature)
	same &= subtle.ConstantTimeCompare(sum(h, key), k.StoredKey)
	if same != 1 {
		return nil, ErrProof
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(mac(h, k.ServerKey, text))), nil
}

// last is the client's last message.
type last struct {
	nonce   string
	proof   []byte
	without string // the message without its proof
}

func parseLast(message []byte) (last, error) {
	text := string(message)
	malformed := fmt.Errorf("last message: %w", ErrMalformed)
	if len(text) > maxText || !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		return last{}, malformed
	}
	at := strings.LastIndex(text, ",p=")
	if at < 0 {
		return last{}, malformed
	}
	attributes := strings.Split(text[:at], ",")
	if len(attributes) < 2 || !isExtended(attributes[2:]) {
		return last{}, malformed
	}
	binding, hasBinding := strings.CutPrefix(attributes[0], "c=")
	nonce, hasNonce := strings.CutPrefix(attributes[1], "r=")
	proof, err := base64.StdEncoding.Strict().DecodeString(text[at+len(",p="):])
	switch {
	case !hasBinding || !hasNonce || !isNonce(nonce) || err != nil:
		return last{}, malformed
	case binding != bound:
		return last{}, fmt.Errorf("last message: %w", ErrBinding)
	}
	return last{nonce: nonce, proof: proof, without: text[:at]}, nil
}

// isExtended reports whether attributes may stand behind those that must be there. "m" is none of them: it asks for what the server does not know (§5.1).
func isExtended(attributes []string) bool {
	for _, a := range attributes {
		if len(a) < 2 || a[1] != '=' || a[0] == 'm' || !('a' <= a[0] && a[0] <= 'z' || 'A' <= a[0] && a[0] <= 'Z') {
			return false
		}
	}
	return true
}

// isNonce reports whether s is one or more printable characters of ASCII without comma.
func isNonce(s string) bool {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e || s[i] == ',' {
			return false
		}
	}
	return s != ""
}

// unescape decodes =2C and =3D of a name; any other = is not allowed.
func unescape(s string) (string, bool) {
	out := strings.NewReplacer("=2C", ",", "=3D", "=").Replace(s)
	return out, strings.Count(s, "=") == strings.Count(s, "=2C")+strings.Count(s, "=3D")
}
