package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// maxSecret bounds the file a secret is read from, bytes.
const maxSecret = 64 << 10

// masked is shown in place of a secret.
const masked = "******"

// Secret is a value that is never shown: a literal, "file:///path" (the file's
// content without its last line end) or "env:NAME". Load resolves it once.
// Formatting, logging and marshalling show the reference, or stars for a
// literal.
type Secret struct{ text, value string }

// NewSecret makes a Secret from a value, for code and tests.
func NewSecret(value string) Secret { return Secret{text: masked, value: value} }

// Value returns the secret itself; "" if none is set.
func (s Secret) Value() string { return s.value }

// String gives the reference, stars for a literal, "" if none is set.
func (s Secret) String() string {
	if s.text == "" || isReference(s.text) {
		return s.text
	}
	return masked
}

// Format keeps every verb of fmt from looking inside.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue keeps slog from looking inside.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// isReference reports whether text names another place.
func isReference(text string) bool {
	return strings.HasPrefix(text, "file://") || strings.HasPrefix(text, "env:")
}

// resolveSecret reads the place a secret's text names.
func resolveSecret(text string, lookup func(string) (string, bool)) (Secret, error) {
	if name, ok := strings.CutPrefix(text, "env:"); ok {
		value, ok := lookup(name)
		if !ok {
			return Secret{}, fmt.Errorf("the environment has no %s", name)
		}
		return Secret{text: text, value: value}, nil
	}
	path, ok := strings.CutPrefix(text, "file://")
	if !ok {
		return Secret{text: text, value: text}, nil
	}
	if !strings.HasPrefix(path, "/") {
		return Secret{}, errors.New("a secret's file is written file:///absolute/path")
	}
	value, err := readBounded(path, maxSecret)
	if err != nil {
		return Secret{}, err
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(value), "\n"), "\r")
	return Secret{text: text, value: line}, nil
}

// readBounded reads a whole file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %s", path, Size(limit))
	}
	return data, nil
}
