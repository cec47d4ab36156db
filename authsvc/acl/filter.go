package acl

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTopic is the longest topic or filter MQTT can carry, in bytes (MQTT 5.0 §1.5.4).
const maxTopic = 65535

// levelKind tells the levels of a rule's filter apart.
type levelKind uint8

const (
	levelText levelKind = iota
	levelPlus
	levelHash
	levelUser
	levelClient
)

// level is one level of a rule's filter, split once when the rule is compiled.
type level struct {
	kind levelKind
	text string // levelText only
}

// filter is one topic of a rule: levels, or a text compared as it is (eq).
type filter struct {
	eq     bool
	text   string
	levels []level
}

// newFilter compiles the filter s. %u and %c are placeholders when they are a
// whole level; inside a level they are ordinary characters (§6.12).
func newFilter(s string) (filter, error) {
	if !validFilter(s) {
		return filter{}, errors.New("not a topic filter: wildcards take a whole level, # is last, 1 to 65535 bytes")
	}
	f := filter{text: s, levels: make([]level, 0, strings.Count(s, "/")+1)}
	for part := range strings.SplitSeq(s, "/") {
		l := level{}
		switch part {
		case "+":
			l.kind = levelPlus
		case "#":
			l.kind = levelHash
		case "%u":
			l.kind = levelUser
		case "%c":
			l.kind = levelClient
		default:
			l.text = part
		}
		f.levels = append(f.levels, l)
	}
	return f, nil
}

// newEqual compiles {eq, s}: no wildcard and no placeholder in it means anything.
func newEqual(s string) (filter, error) {
	if s == "" || len(s) > maxTopic || strings.IndexByte(s, 0) >= 0 {
		return filter{}, errors.New("not a topic: 1 to 65535 bytes without NUL")
	}
	return filter{eq: true, text: s}, nil
}

func (f *filter) render(b *strings.Builder) {
	if f.eq {
		renderPair(b, "eq", f.text)
		return
	}
	renderText(b, f.text)
}

// matches reports whether the rule's filter matches the topic, or covers it if
// the topic is a subscription filter. Both are one walk, because a valid
// publish topic has no level "+" or "#". The topic has been validated.
func (f *filter) matches(topic string, ids *identities) bool {
	if f.eq {
		return f.text == topic
	}
	dollar := topic[0] == '$'
	rest, more := topic, true
	for i := range f.levels {
		l := &f.levels[i]
		if l.kind == levelHash {
			return i > 0 || !dollar
		}
		if !more {
			return false
		}
		var name string
		name, rest, more = strings.Cut(rest, "/")
		if !l.matches(name, i == 0, dollar, ids) {
			// The subscription # is what +/# names: one level or more.
			return name == "#" && i == 0 && l.kind == levelPlus &&
				len(f.levels) == 2 && f.levels[1].kind == levelHash
		}
	}
	return !more
}

// matches compares one level of the rule with one of the topic.
func (l *level) matches(name string, first, dollar bool, ids *identities) bool {
	switch l.kind {
	case levelText:
		return name == l.text
	case levelPlus:
		return name != "#" && (!first || !dollar)
	case levelUser:
		return ids.user.fills(name, first, ids)
	case levelClient:
		return ids.client.fills(name, first, ids)
	default:
		return false
	}
}

// identity is a name the client chose, examined when a rule first needs it.
type identity struct {
	name    string
	checked bool
	usable  bool
}

// identities are those of one request; refused is set when a rule's
// placeholder would have been filled by one that cannot be a level.
type identities struct {
	user, client identity
	refused      bool
}

// fills reports whether the identity, as one whole level, equals name.
func (d *identity) fills(name string, first bool, ids *identities) bool {
	if !d.checked {
		d.checked, d.usable = true, isLevel(d.name)
	}
	if !d.usable || (first && d.name[0] == '$') {
		ids.refused = true
		return false
	}
	return d.name == name
}

// isLevel reports whether an identity may stand for a topic level: not empty,
// valid UTF-8, no separator, wildcard or control character.
func isLevel(s string) bool {
	if s == "" || len(s) > maxTopic || !utf8.ValidString(s) || strings.ContainsAny(s, "+#/") {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}

// validName reports whether s can be published to (MQTT 5.0 §4.7.1, §4.7.3).
func validName(s string) bool {
	return s != "" && len(s) <= maxTopic && !strings.ContainsAny(s, "+#\x00")
}

// validFilter reports whether s is a subscription filter (MQTT 5.0 §4.7.1).
func validFilter(s string) bool {
	if s == "" || len(s) > maxTopic {
		return false
	}
	for i := range len(s) {
		switch s[i] {
		case 0:
			return false
		case '+':
			if (i > 0 && s[i-1] != '/') || (i+1 < len(s) && s[i+1] != '/') {
				return false
			}
		case '#':
			if (i > 0 && s[i-1] != '/') || i+1 < len(s) {
				return false
			}
		}
	}
	return true
}
