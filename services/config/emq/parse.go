package emq

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pando-mq/pando/services/config"
)

// maxFile bounds each file that is read, bytes.
const maxFile = 1 << 20

// Setting is one "key = value" of a configuration file or the environment.
type Setting struct {
	Key    string // as written
	Value  string // without quotes and blanks around it; placeholders untouched
	Origin config.Origin
}

// Parse reads the text of a file in cuttlefish format:
//
//	## a comment       %% a comment
//	key.with.dots = a value; with = and ; and blanks
//	key = "quoted "    ## a comment after a blank and ##
//
// Lines end with LF or CRLF, the last one may lack its end. A line that starts
// with the wrap marks of the printed manual (the arrows U+21AA and U+21B5)
// continues the one before. Keys may occur several times. All problems are
// returned, with their lines.
func Parse(name string, text []byte) ([]Setting, config.Problems) {
	var out []Setting
	var problems config.Problems
	for _, l := range logicalLines(string(text)) {
		origin := config.Origin{Kind: config.File, Name: name, Line: l.number}
		s, ok, why := parseLine(l.text)
		switch {
		case why != "":
			problems = append(problems, config.Problem{Origin: origin, Text: why})
		case ok:
			s.Origin = origin
			out = append(out, s)
		}
	}
	return out, problems
}

// line is a line of a file after wrapped ones were joined.
type line struct {
	number int
	text   string
}

const wrapMarks = "\u21aa\u21b5"

// logicalLines splits a text and joins wrapped lines.
func logicalLines(text string) []line {
	var out []line
	var parts []string // of the last line
	finish := func() {
		if len(parts) > 1 {
			out[len(out)-1].text = strings.Join(parts, " ")
		}
	}
	text = strings.TrimPrefix(text, "\ufeff")
	number := 0
	for raw := range strings.SplitSeq(text, "\n") {
		number++
		whole := strings.Trim(raw, " \t\r")
		rest := strings.TrimLeft(whole, wrapMarks)
		part := strings.TrimRight(strings.TrimSpace(rest), " "+wrapMarks)
		if rest != whole && len(out) > 0 {
			parts = append(parts, part)
			continue
		}
		finish()
		out, parts = append(out, line{number, whole}), []string{part}
	}
	finish()
	return out
}

// parseLine reads one line; ok is false for a comment or a blank line.
func parseLine(text string) (s Setting, ok bool, why string) {
	if text == "" || text[0] == '#' || text[0] == '%' {
		return s, false, ""
	}
	if !utf8.ValidString(text) {
		return s, false, "the line is not UTF-8"
	}
	key, value, ok := strings.Cut(text, "=")
	key = strings.TrimSpace(key)
	if !ok {
		return s, false, fmt.Sprintf("found %q, expected key = value", clip(text))
	}
	if !validKey(key) {
		return s, false, fmt.Sprintf("%q is no key", clip(key))
	}
	value = strings.TrimRight(strings.TrimSpace(stripComment(value)), wrapMarks)
	return Setting{Key: key, Value: unquote(strings.TrimSpace(value))}, true, ""
}

// validKey checks that a key is words joined by dots; $ { } come from the
// manual's examples.
func validKey(key string) bool {
	for segment := range strings.SplitSeq(key, ".") {
		if segment == "" {
			return false
		}
		for _, r := range segment {
			if r <= ' ' || r == utf8.RuneError || strings.ContainsRune(`"'#%,;()[]\`, r) {
				return false
			}
		}
	}
	return true
}

// stripComment cuts a comment that follows a value: a blank, then # and a
// blank or another #. A # inside a word is part of the value ("x/#").
func stripComment(value string) string {
	if t := strings.TrimSpace(value); strings.HasPrefix(t, `"`) && strings.HasSuffix(t, `"`) {
		return value
	}
	for i := range len(value) - 1 {
		if value[i] != '#' || i == 0 || value[i-1] != ' ' && value[i-1] != '\t' {
			continue
		}
		if strings.TrimSpace(value[:i]) != "" && strings.IndexByte("# \t", value[i+1]) >= 0 {
			return value[:i]
		}
	}
	return value
}

// unquote takes one pair of quotes off.
func unquote(s string) string {
	if len(s) >= 2 && s[0] == s[len(s)-1] && (s[0] == '"' || s[0] == '\'') {
		if inner := s[1 : len(s)-1]; strings.IndexByte(inner, s[0]) < 0 {
			return inner
		}
	}
	return s
}

// clip shortens a text for a message.
func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "..."
	}
	return s
}

// isTerms recognises a file of Erlang terms, the format of older plugins.
func isTerms(text []byte) bool {
	for _, l := range logicalLines(string(text)) {
		if l.text != "" && l.text[0] != '%' && l.text[0] != '#' {
			return l.text[0] == '[' || l.text[0] == '{'
		}
	}
	return false
}

// ParseLoaded reads the names in data/loaded_plugins: Erlang terms that end
// with a dot, as "name." lines, as "[a, b]." or with a flag "{name, true}.".
// Names keep their order; repeated ones are dropped.
func ParseLoaded(name string, text []byte) ([]string, config.Problems) {
	var out []string
	for i, raw := range strings.Split(string(text), "\n") {
		code, _, _ := strings.Cut(raw, "%")
		words := strings.FieldsFunc(code, func(r rune) bool { return strings.ContainsRune(" \t\r.,[]{}'\"", r) })
		for _, w := range words {
			switch {
			case w == "true":
			case w == "false":
				out = out[:max(0, len(out)-1)]
			case !validPlugin(w):
				return nil, config.Problems{{Origin: config.Origin{Kind: config.File, Name: name, Line: i + 1}, Text: fmt.Sprintf("found %q, expected the name of a plugin and a dot", clip(w))}}
			case !slices.Contains(out, w):
				out = append(out, w)
			}
		}
	}
	return out, nil
}

// validPlugin checks that a word is an Erlang atom.
func validPlugin(w string) bool {
	for i, r := range w {
		letter := r >= 'a' && r <= 'z'
		if !letter && (i == 0 || r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z')) {
			return false
		}
	}
	return w != ""
}
