package acl

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SyntaxError says where a rule file stops being one.
type SyntaxError struct {
	File         string // as given to Parse
	Line, Column int    // 1-based; columns count characters
	Reason       string
}

// Error implements error in the form file:line:column: reason.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Reason)
}

// tokenKind tells the tokens of the grammar apart.
type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenPunct            // one of { } [ ] ,
	tokenDot              // the end of a rule
	tokenAtom             // a bare or 'quoted' word
	tokenText             // "..."
	tokenBinary           // <<"...">>
)

// token is one word of a rule file; text is unescaped.
type token struct {
	kind tokenKind
	text string
	pos  int // byte offset
}

// String names the token in an error.
func (t token) String() string {
	switch t.kind {
	case tokenEnd:
		return "the end of the file"
	case tokenText, tokenBinary:
		return strconv.Quote(t.text)
	default:
		return "'" + t.text + "'"
	}
}

// scanner cuts a rule file into tokens.
type scanner struct {
	file string
	src  string
	pos  int
}

// errorAt makes the error for byte offset pos.
func (s *scanner) errorAt(pos int, format string, args ...any) error {
	before := s.src[:pos]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return &SyntaxError{File: s.file, Line: line, Column: column, Reason: fmt.Sprintf(format, args...)}
}

// skip moves over blanks and comments.
func (s *scanner) skip() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\r', '\n', '\f':
			s.pos++
		case '%':
			if n := strings.IndexByte(s.src[s.pos:], '\n'); n >= 0 {
				s.pos += n + 1
			} else {
				s.pos = len(s.src)
			}
		default:
			return
		}
	}
}

// next returns the next token; at the end of the file one of kind tokenEnd.
func (s *scanner) next() (token, error) {
	s.skip()
	start := s.pos
	if start == len(s.src) {
		return token{kind: tokenEnd, pos: start}, nil
	}
	switch c := s.src[start]; {
	case strings.IndexByte("{}[],", c) >= 0:
		s.pos++
		return token{kind: tokenPunct, text: s.src[start:s.pos], pos: start}, nil
	case c == '.':
		return s.dot()
	case c == '"':
		text, err := s.quoted('"')
		return token{kind: tokenText, text: text, pos: start}, err
	case c == '\'':
		text, err := s.quoted('\'')
		return token{kind: tokenAtom, text: text, pos: start}, err
	case strings.HasPrefix(s.src[start:], `<<"`):
		return s.binary()
	case c >= 'a' && c <= 'z':
		for s.pos < len(s.src) && isWord(s.src[s.pos]) {
			s.pos++
		}
		return token{kind: tokenAtom, text: s.src[start:s.pos], pos: start}, nil
	}
	r, _ := utf8.DecodeRuneInString(s.src[start:])
	return token{}, s.errorAt(start, "unexpected character %q", r)
}

func isWord(c byte) bool {
	return c == '_' || c == '@' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
}

// dot reads the full stop of a rule, which a blank, a comment or the end follows.
func (s *scanner) dot() (token, error) {
	start := s.pos
	s.pos++
	if s.pos < len(s.src) && strings.IndexByte(" \t\r\n\f%", s.src[s.pos]) < 0 {
		return token{}, s.errorAt(start, "a rule's final '.' is followed by a blank or the end of the line")
	}
	return token{kind: tokenDot, text: ".", pos: start}, nil
}

func (s *scanner) binary() (token, error) {
	start := s.pos
	s.pos += len("<<")
	text, err := s.quoted('"')
	if err != nil {
		return token{}, err
	}
	if !strings.HasPrefix(s.src[s.pos:], ">>") {
		return token{}, s.errorAt(s.pos, "expected >> after the text that << opened")
	}
	s.pos += len(">>")
	return token{kind: tokenBinary, text: text, pos: start}, nil
}

// quoted reads a text that starts with the quote character at pos.
func (s *scanner) quoted(quote byte) (string, error) {
	start := s.pos
	s.pos++
	var b strings.Builder
	for s.pos < len(s.src) {
		if s.src[s.pos] == quote {
			s.pos++
			return b.String(), nil
		}
		r, err := s.char()
		if err != nil {
			return "", err
		}
		b.WriteRune(r)
	}
	return "", s.errorAt(start, "the text that starts here has no closing %c", quote)
}

// char reads one character of a text, unescaped.
func (s *scanner) char() (rune, error) {
	start := s.pos
	r, size := utf8.DecodeRuneInString(s.src[start:])
	if r == utf8.RuneError && size <= 1 {
		return 0, s.errorAt(start, "text is not valid UTF-8")
	}
	s.pos += size
	if r == '\\' {
		var err error
		if r, err = s.escape(start); err != nil {
			return 0, err
		}
	}
	if unicode.IsControl(r) {
		return 0, s.errorAt(start, "text holds the control character %U", r)
	}
	return r, nil
}

// escape reads what follows a backslash at byte offset start.
func (s *scanner) escape(start int) (rune, error) {
	rest := s.src[s.pos:]
	switch {
	case rest == "":
		return 0, s.errorAt(start, "the file ends inside a text")
	case strings.IndexByte(`"'\`, rest[0]) >= 0:
		s.pos++
		return rune(rest[0]), nil
	case rest[0] == 's':
		s.pos++
		return ' ', nil
	case strings.HasPrefix(rest, "x{"):
		if digits, _, ok := strings.Cut(rest[2:], "}"); ok {
			s.pos += len("x{}") + len(digits)
			return s.hex(start, digits)
		}
	case rest[0] == 'x' && len(rest) >= 3:
		s.pos += 3
		return s.hex(start, rest[1:3])
	}
	return 0, s.errorAt(start, `unknown escape; \" \' \\ \s \xHH and \x{H...} are known`)
}

func (s *scanner) hex(start int, digits string) (rune, error) {
	n, err := strconv.ParseUint(digits, 16, 21)
	if err != nil || !utf8.ValidRune(rune(n)) {
		return 0, s.errorAt(start, "not a hexadecimal character code: %q", digits)
	}
	return rune(n), nil
}

// validText reports whether s could stand between quotes in a rule file.
func validText(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}
