package config

import (
	"bufio"
	"encoding"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

func itoa(i int) string { return strconv.Itoa(i) }

// Loaded remembers where each effective value came from.
type Loaded struct {
	root    *schema
	value   reflect.Value
	origins map[string]Origin
	others  []string
}

// Origin says where the value of a key came from; the zero Origin is the default.
func (l *Loaded) Origin(key string) Origin {
	if o, ok := l.origins[key]; ok {
		return o
	}
	return Origin{}
}

// IsSet reports whether any source named the key, or one below it, so that
// "false" and "not said" can be told apart.
func (l *Loaded) IsSet(key string) bool {
	if _, ok := l.origins[key]; ok {
		return true
	}
	for k := range l.origins {
		if k != "" && within(k, key) {
			return true
		}
	}
	return false
}

// Print writes the effective configuration as YAML. A comment names the source
// of each value that is not the default; secrets are masked.
func (l *Loaded) Print(w io.Writer) error {
	p := printer{Writer: bufio.NewWriter(w), origins: l.origins}
	p.fields(l.value, l.root, "", 0)
	return p.Flush()
}

// printer writes YAML; errors stay in the bufio.Writer.
type printer struct {
	*bufio.Writer
	origins map[string]Origin
}

func (p printer) line(depth int, path, text string) {
	fmt.Fprint(p, strings.Repeat("  ", depth), text)
	if o, ok := p.origins[path]; ok && path != "" && o.Kind != Default {
		fmt.Fprint(p, " # ", strings.ReplaceAll(o.String(), "\n", " "))
	}
	fmt.Fprintln(p)
}

// fields writes the keys of a section.
func (p printer) fields(v reflect.Value, s *schema, path string, depth int) {
	for _, f := range s.fields {
		p.key(v.FieldByIndex(f.index), f, f.name, join(path, f.name), depth)
	}
}

// key writes one key and what is below it.
func (p printer) key(v reflect.Value, s *schema, name, path string, depth int) {
	name = yamlText(name)
	if s.pointer {
		if v.IsNil() {
			p.line(depth, path, name+": null")
			return
		}
		v = v.Elem()
	}
	switch {
	case s.shape == section:
		p.line(depth, "", name+":")
		p.fields(v, s, path, depth+1)
	case s.shape == table && v.Len() > 0:
		p.line(depth, "", name+":")
		for _, k := range sortedNames(v) {
			p.key(v.MapIndex(k), s.elem, k.String(), join(path, k.String()), depth+1)
		}
	case s.shape == list && s.elem.shape != leaf && v.Len() > 0:
		p.line(depth, path, name+":")
		for i := range v.Len() {
			p.item(v.Index(i), s.elem, fmt.Sprintf("%s[%d]", path, i), depth+1)
		}
	default:
		p.line(depth, path, name+": "+scalarText(v, s))
	}
}

// item writes one element of a list of sections.
func (p printer) item(v reflect.Value, s *schema, path string, depth int) {
	if s.shape != section || s.pointer {
		p.line(depth, path, "- "+scalarText(v, s))
		return
	}
	p.line(depth, "", "-")
	p.fields(v, s, path, depth+1)
}

func sortedNames(v reflect.Value) []reflect.Value {
	names := v.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return names
}

// scalarText writes a leaf, or a list of leaves in flow style.
func scalarText(v reflect.Value, s *schema) string {
	switch s.shape {
	case table:
		return "{}"
	case list:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = scalarText(v.Index(i), s.elem)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "null"
		}
		v = v.Elem()
	}
	if s.typ != secretType && s.secret {
		if v.IsZero() {
			return `""`
		}
		return masked
	}
	if s.read != nil {
		v = v.Convert(s.read)
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			return `""`
		}
		if number, rest := cutNumber(string(text)); v.CanInt() && rest == "" && number != "" {
			return number
		}
		return yamlText(string(text))
	}
	if v.Kind() == reflect.String {
		return yamlText(v.String())
	}
	return fmt.Sprint(v.Interface())
}

// yamlText writes a string so that YAML reads it back as the same string.
func yamlText(s string) string {
	plain := s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") == "" &&
		(s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z' || s[0] == '/' || looksMeasured(s))
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		plain = false
	}
	if plain {
		return s
	}
	quoted, err := json.Marshal(s)
	if err != nil {
		return strconv.Quote(s)
	}
	return string(quoted)
}

// looksMeasured reports a number with a unit, "10s" or "64KB", which needs no
// quotes; "1e3" and "0x10" do.
func looksMeasured(s string) bool {
	number, rest := cutNumber(s)
	if number == "" || number == "0" || rest == "" {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err != nil && strings.IndexFunc(rest, func(r rune) bool { return r == '.' || r == '-' || r == '_' }) < 0
}

// Explain writes the documentation, the effective value and the source of a
// key; for a section it lists the keys. An unknown key is an error that names
// the nearest one.
func (l *Loaded) Explain(w io.Writer, key string) error {
	path := strings.Split(key, ".")
	s := l.root.find(path)
	if s == nil {
		return Problem{Key: key, Text: l.unknown(path)}
	}
	out := bufio.NewWriter(w)
	if s.shape == section || s.shape == table {
		l.explainSection(out, key, s)
		return out.Flush()
	}
	fmt.Fprintf(out, "%s\n  %s\n", key, s.doc)
	row := func(name, text string) {
		if text != "" {
			fmt.Fprintf(out, "  %-12s %s\n", name, text)
		}
	}
	row("type", s.typeName)
	row("unit", s.unit)
	row("one of", strings.Join(s.enum, ", "))
	row("default", s.defaultText())
	if v := l.at(path); v.IsValid() {
		row("value", scalarText(v, s))
		row("source", l.Origin(key).String())
	}
	row("environment", EnvironName(key))
	if s.hot {
		row("change", "while running")
	} else {
		row("change", "at the next start")
	}
	return out.Flush()
}

// unknown words the refusal of a path in the deepest section that exists.
func (l *Loaded) unknown(path []string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if s := l.root.find(path[:i]); s != nil {
			return unknownKey(s, l.root, strings.Join(path[:i], "."), path[i], l.others)
		}
	}
	return "unknown key"
}

func (l *Loaded) explainSection(out io.Writer, key string, s *schema) {
	fmt.Fprintln(out, key)
	if s.doc != "" {
		fmt.Fprintf(out, "  %s\n", s.doc)
	}
	for _, k := range s.leaves() {
		fmt.Fprintf(out, "  %-40s %s\n", k.path, k.doc)
	}
}

// defaultText shows a default; "" is written as such.
func (s *schema) defaultText() string {
	if s.hasDefault && s.def == "" {
		return `""`
	}
	return s.def
}

// at finds the value at a path; invalid if a map has no such name.
func (l *Loaded) at(path []string) reflect.Value {
	v, s := l.value, l.root
	for _, name := range path {
		if s.pointer {
			if v.IsNil() {
				return reflect.Value{}
			}
			v = v.Elem()
		}
		switch s.shape {
		case section:
			s = s.field(name)
			v = v.FieldByIndex(s.index)
		case table:
			s = s.elem
			v = v.MapIndex(reflect.ValueOf(name).Convert(v.Type().Key()))
		default:
			return reflect.Value{}
		}
		if !v.IsValid() {
			return v
		}
	}
	return v
}
