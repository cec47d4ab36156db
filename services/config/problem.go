package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// OriginKind says which kind of source a value came from.
type OriginKind uint8

// The sources of a value, in the order in which they are laid over each other.
const (
	Default     OriginKind = iota // the default tag, or what the caller had put into the struct
	File                          // a file: the YAML file, or one that a Layer was read from
	Environment                   // an environment variable
	Override                      // an explicit override, usually a flag
)

// Origin is the place a value came from.
type Origin struct {
	Kind OriginKind
	Name string // file, variable or the override's key; "" for Default
	Line int    // from 1; 0 = the whole file
	Col  int    // from 1; 0 = the whole line
}

// String gives "file:line:column", the variable's name, "override key" or "default".
func (o Origin) String() string {
	switch o.Kind {
	case File:
		s := o.Name
		if o.Line > 0 {
			s += fmt.Sprintf(":%d", o.Line)
			if o.Col > 0 {
				s += fmt.Sprintf(":%d", o.Col)
			}
		}
		return s
	case Environment:
		return o.Name
	case Override:
		return "override " + o.Name
	}
	return "default"
}

// Problem is one reason why a configuration is refused.
type Problem struct {
	Origin Origin
	Key    string // full path of the key, "" if it concerns the whole file
	Text   string // what was found, what is expected
}

// Error gives one line: place, key, text.
func (p Problem) Error() string {
	var b strings.Builder
	if p.Origin.Kind != Default {
		b.WriteString(p.Origin.String())
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key)
		b.WriteString(": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems is every reason at once, one line each.
type Problems []Problem

// Error joins the lines.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// ErrorOrNil returns nil when there is no problem, else ps in the order of
// kinds, names and lines.
func (ps Problems) ErrorOrNil() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if a.Origin.Kind != b.Origin.Kind {
			return int(a.Origin.Kind) - int(b.Origin.Kind)
		}
		if c := strings.Compare(a.Origin.Name, b.Origin.Name); c != 0 {
			return c
		}
		if a.Origin.Line != b.Origin.Line {
			return a.Origin.Line - b.Origin.Line
		}
		return a.Origin.Col - b.Origin.Col
	})
	return ps
}

// invalidKey is what Invalid returns.
type invalidKey struct {
	key  string
	text string
}

func (e *invalidKey) Error() string { return e.key + ": " + e.text }

// Invalid is for Validate methods: it names the key, relative to the struct
// that is validated ("tls.keyfile"), and Load reports the place where that
// key's value came from. Several are joined with errors.Join.
func Invalid(key, format string, args ...any) error {
	return &invalidKey{key: key, text: fmt.Sprintf(format, args...)}
}

// problemsOf turns what a Validate method returned into problems of the
// section at path.
func problemsOf(err error, path string, origin func(key string) Origin) Problems {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var ps Problems
		for _, e := range joined.Unwrap() {
			ps = append(ps, problemsOf(e, path, origin)...)
		}
		return ps
	}
	var at *invalidKey
	if errors.As(err, &at) {
		key := join(path, at.key)
		return Problems{{Origin: origin(key), Key: key, Text: at.text}}
	}
	return Problems{{Origin: origin(path), Key: path, Text: err.Error()}}
}

// join appends a segment to a dotted path.
func join(path, segment string) string {
	if path == "" {
		return segment
	}
	return path + "." + segment
}
