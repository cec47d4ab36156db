package config

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decoder lays sources over a struct tree, one node after the other.
type decoder struct {
	root     *schema
	others   []string // top-level keys of other services
	lookup   func(string) (string, bool)
	origins  map[string]Origin // of every key that a source has set
	problems Problems
}

func (d *decoder) refuse(origin Origin, key, format string, args ...any) {
	d.problems = append(d.problems, Problem{Origin: origin, Key: key, Text: fmt.Sprintf(format, args...)})
}

// mistyped words a value of the wrong type.
func (d *decoder) mistyped(n *node, key string, s *schema) {
	text := "found " + n.found(s.secret) + ", expected " + s.typeWords
	if s.typ.Kind() == reflect.String && s.shape == leaf && (n.kind == integerNode || n.kind == floatNode || n.kind == boolNode) {
		text += " (put it in quotes)"
	}
	d.refuse(n.origin, key, "%s", text)
}

// defaults fills what is still zero from the default tags.
func (d *decoder) defaults(v reflect.Value, s *schema, path string) {
	if s.pointer {
		if v.IsNil() {
			if !s.hasDefault {
				return
			}
			v.Set(reflect.New(s.typ))
		}
		v = v.Elem()
	}
	switch s.shape {
	case section:
		for _, f := range s.fields {
			d.defaults(v.FieldByIndex(f.index), f, join(path, f.name))
		}
		return
	case table:
		for _, name := range v.MapKeys() {
			elem := reflect.New(v.Type().Elem()).Elem()
			elem.Set(v.MapIndex(name))
			d.defaults(elem, s.elem, join(path, name.String()))
			v.SetMapIndex(name, elem)
		}
		return
	case list:
		for i := range v.Len() {
			d.defaults(v.Index(i), s.elem, fmt.Sprintf("%s[%d]", path, i))
		}
	}
	if s.hasDefault && v.IsZero() {
		d.decodeInto(v, s, loose(s.def, Origin{}), path)
	}
}

// decode lays one node over the value at path.
func (d *decoder) decode(v reflect.Value, s *schema, n *node, path string) {
	if s.pointer {
		if n.kind == nullNode || n.kind == clearNode {
			v.SetZero()
			d.mark(path, n)
			return
		}
		fresh := reflect.New(s.typ)
		if v.IsNil() {
			d.defaults(fresh.Elem(), s.bare(), path)
		} else {
			fresh.Elem().Set(v.Elem())
		}
		d.decodeInto(fresh.Elem(), s, n, path)
		v.Set(fresh)
		return
	}
	d.decodeInto(v, s, n, path)
}

// bare is the schema of what the pointer points to.
func (s *schema) bare() *schema {
	c := *s
	c.pointer = false
	return &c
}

func (d *decoder) decodeInto(v reflect.Value, s *schema, n *node, path string) {
	if n.kind == clearNode {
		v.SetZero()
		maps.DeleteFunc(d.origins, func(key string, _ Origin) bool { return key == path || strings.HasPrefix(key, path+".") })
		return
	}
	origin := n.origin
	n, err := n.expand(s.shape)
	if err != nil {
		d.refuse(origin, path, "%v", err)
		return
	}
	switch s.shape {
	case leaf:
		d.leaf(v, s, n, path)
	case section:
		d.section(v, s, n, path)
	case table:
		d.table(v, s, n, path)
	case list:
		d.list(v, s, n, path)
	}
}

// mark remembers where the value at path came from.
func (d *decoder) mark(path string, n *node) {
	if n.origin.Kind != Default {
		d.origins[path] = n.origin
	}
}

// section sets the fields of a struct. An empty section is allowed: all its
// keys may be commented out.
func (d *decoder) section(v reflect.Value, s *schema, n *node, path string) {
	if n.kind == nullNode {
		return
	}
	if n.kind != tableNode {
		d.mistyped(n, path, s)
		return
	}
	if n.origin.Kind == File {
		d.mark(path, n)
	}
	for _, f := range d.unique(n, path) {
		if path == "" && slices.Contains(d.others, f.name) {
			continue
		}
		k := s.field(f.name)
		if k == nil {
			d.refuse(f.origin, join(path, f.name), "%s", d.unknown(s, path, f))
			continue
		}
		d.decode(v.FieldByIndex(k.index), k, f.value, join(path, f.name))
	}
}

// unknown words an unknown key; for a variable also the right variable.
func (d *decoder) unknown(s *schema, path string, f field) string {
	text := unknownKey(s, d.root, path, f.name, d.others)
	if f.origin.Kind != Environment {
		return text
	}
	if hit := s.suggest(d.root, path, f.name); hit != "" {
		text += " (" + EnvironName(hit) + ")"
	}
	return text
}

// unique drops and reports keys that occur a second time.
func (d *decoder) unique(n *node, path string) []field {
	first := make(map[string]Origin, len(n.fields))
	out := n.fields[:0:0]
	for _, f := range n.fields {
		if at, ok := first[f.name]; ok {
			d.refuse(f.origin, join(path, f.name), "the same key stands at %s already", at)
			continue
		}
		first[f.name] = f.origin
		out = append(out, f)
	}
	return out
}

// table merges a mapping into a map by name.
func (d *decoder) table(v reflect.Value, s *schema, n *node, path string) {
	if n.kind == nullNode {
		return
	}
	if n.kind != tableNode {
		d.mistyped(n, path, s)
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, f := range d.unique(n, path) {
		if f.name == "" || strings.ContainsAny(f.name, " \t\n") {
			d.refuse(f.origin, path, "%q is no name", f.name)
			continue
		}
		name := reflect.ValueOf(f.name).Convert(v.Type().Key())
		elem := reflect.New(v.Type().Elem()).Elem()
		if old := v.MapIndex(name); old.IsValid() {
			elem.Set(old)
		} else {
			d.defaults(elem, s.elem, join(path, f.name))
		}
		d.decode(elem, s.elem, f.value, join(path, f.name))
		v.SetMapIndex(name, elem)
	}
}

// list replaces a slice. A list whose items are all commented out is empty.
func (d *decoder) list(v reflect.Value, s *schema, n *node, path string) {
	if n.kind != listNode && n.kind != nullNode {
		d.mistyped(n, path, s)
		return
	}
	maps.DeleteFunc(d.origins, func(key string, _ Origin) bool { return strings.HasPrefix(key, path+"[") })
	d.mark(path, n)
	if len(n.items) == 0 {
		v.SetZero()
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.defaults(out.Index(i), s.elem, at)
		d.decode(out.Index(i), s.elem, item, at)
	}
	v.Set(out)
}

// leaf sets one scalar.
func (d *decoder) leaf(v reflect.Value, s *schema, n *node, path string) {
	if n.kind > looseNode || n.kind == nullNode {
		d.mistyped(n, path, s)
		return
	}
	if s.typ == secretType {
		d.secret(v, s, n, path)
		return
	}
	if !d.scalar(v, s, n) {
		d.mistyped(n, path, s)
		return
	}
	if len(s.enum) > 0 && !slices.Contains(s.enum, n.text) {
		text := fmt.Sprintf("found %s, expected one of %s", n.found(s.secret), strings.Join(s.enum, ", "))
		if hit := Nearest(n.text, s.enum); hit != "" && !s.secret {
			text += "; did you mean " + hit + "?"
		}
		d.refuse(n.origin, path, "%s", text)
		return
	}
	d.mark(path, n)
}

// secret resolves a reference to a file or a variable.
func (d *decoder) secret(v reflect.Value, s *schema, n *node, path string) {
	if n.kind != textNode && n.kind != looseNode {
		d.mistyped(n, path, s)
		return
	}
	value, err := resolveSecret(n.text, d.lookup)
	if err != nil {
		d.refuse(n.origin, path, "%v", err)
		return
	}
	v.Set(reflect.ValueOf(value))
	d.mark(path, n)
}

// scalar converts a text; false if the type does not fit.
func (d *decoder) scalar(v reflect.Value, s *schema, n *node) bool {
	if s.read != nil && v.Type() != s.read {
		as := reflect.New(s.read).Elem()
		ok := d.scalar(as, s, n)
		v.Set(as.Convert(v.Type()))
		return ok
	}
	untyped := n.kind == looseNode
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return n.kind != boolNode && u.UnmarshalText([]byte(n.text)) == nil
	}
	switch k := v.Kind(); {
	case k == reflect.String:
		ok := untyped || n.kind == textNode
		if ok {
			v.SetString(n.text)
		}
		return ok
	case k == reflect.Bool:
		v.SetBool(n.text == "true")
		return (untyped || n.kind == boolNode) && (n.text == "true" || n.text == "false")
	case v.CanInt():
		digits, base := radix(n.text)
		i, err := strconv.ParseInt(digits, base, v.Type().Bits())
		v.SetInt(i)
		return (untyped || n.kind == integerNode) && err == nil
	case v.CanUint():
		digits, base := radix(n.text)
		i, err := strconv.ParseUint(digits, base, v.Type().Bits())
		v.SetUint(i)
		return (untyped || n.kind == integerNode) && err == nil
	}
	f, err := strconv.ParseFloat(n.text, v.Type().Bits())
	v.SetFloat(f)
	return (untyped || n.kind == integerNode || n.kind == floatNode) && err == nil && f-f == 0
}

// radix reads 0x, 0o and 0b; everything else is decimal, so that a leading
// zero changes nothing.
func radix(text string) (digits string, base int) {
	text = strings.ReplaceAll(text, "_", "")
	for prefix, base := range map[string]int{"0x": 16, "0o": 8, "0b": 2} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			return rest, base
		}
	}
	return text, 10
}
