package config

import (
	"reflect"
	"slices"
	"strings"
)

// Load fills dst, a pointer to a struct, from its default tags and from src.
// Values that dst already holds count as defaults. The error is a Problems
// with every reason at once; dst is then not to be used. Each struct with a
// Validate() error method is validated, the inner ones first, if its own part
// was read without a problem.
func Load(dst any, src Source) (*Loaded, error) {
	root, v, err := compileDst(dst)
	if err != nil {
		return nil, err
	}
	d := &decoder{root: root, others: src.OtherSections, lookup: lookupIn(src.Environ), origins: make(map[string]Origin)}
	d.defaults(v, root, "")
	clear(d.origins)
	for _, layer := range src.Extra {
		d.layer(v, layer)
	}
	d.file(v, src)
	for _, a := range environ(src.Environ, src.IgnoreEnviron) {
		d.assign(v, a)
	}
	over, ps := overrides(src.Overrides)
	d.problems = append(d.problems, ps...)
	for _, a := range over {
		d.assign(v, a)
	}
	d.validate(v, root, "")
	return &Loaded{root: root, value: v, origins: d.origins, others: src.OtherSections}, d.problems.ErrorOrNil()
}

// lookupIn makes os.LookupEnv of a list; the last of a name counts.
func lookupIn(vars []string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, v := range slices.Backward(vars) {
			if n, value, ok := strings.Cut(v, "="); ok && n == name {
				return value, true
			}
		}
		return "", false
	}
}

// layer lays the entries of one layer over v.
func (d *decoder) layer(v reflect.Value, l Layer) {
	for _, e := range l.Entries {
		if e.Clear {
			d.assign(v, assignment{e.Path, &node{kind: clearNode, origin: e.Origin}})
		}
		if e.Value == nil {
			continue
		}
		value, err := fromAny(e.Value, e.Origin)
		if err != nil {
			d.refuse(e.Origin, strings.Join(e.Path, "."), "%v", err)
			continue
		}
		d.assign(v, assignment{e.Path, value})
	}
}

// assign lays one value at a path.
func (d *decoder) assign(v reflect.Value, a assignment) {
	if len(a.path) > maxDepth {
		d.refuse(a.value.origin, "", "too many parts in a key")
		return
	}
	d.decode(v, d.root, nest(a.path, a.value), "")
}

// file lays the YAML file over v.
func (d *decoder) file(v reflect.Value, src Source) {
	text := src.Text
	if text == nil {
		if src.File == "" {
			return
		}
		var err error
		if text, err = readBounded(src.File, maxYAML); err != nil {
			d.refuse(Origin{Kind: File, Name: src.File}, "", "%v", err)
			return
		}
	}
	n, ps := parseYAML(src.File, text)
	d.problems = append(d.problems, ps...)
	if n == nil {
		return
	}
	if n.kind != tableNode && n.kind != nullNode {
		d.refuse(n.origin, "", "found %s, expected a mapping of keys", n.found(false))
		return
	}
	d.decode(v, d.root, n, "")
}

// validate calls the Validate methods below and at v.
func (d *decoder) validate(v reflect.Value, s *schema, path string) {
	if s.pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	switch s.shape {
	case section:
		for _, f := range s.fields {
			d.validate(v.FieldByIndex(f.index), f, join(path, f.name))
		}
		d.callValidate(v, path)
	case table:
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, name := range names {
			elem := reflect.New(v.Type().Elem()).Elem()
			elem.Set(v.MapIndex(name))
			d.validate(elem, s.elem, join(path, name.String()))
			v.SetMapIndex(name, elem)
		}
	case list:
		for i := range v.Len() {
			d.validate(v.Index(i), s.elem, path+"["+itoa(i)+"]")
		}
	}
}

// callValidate validates one struct, unless something in it is refused
// already: its complaint would only repeat that.
func (d *decoder) callValidate(v reflect.Value, path string) {
	check, ok := v.Addr().Interface().(interface{ Validate() error })
	if !ok || slices.ContainsFunc(d.problems, func(p Problem) bool { return within(p.Key, path) }) {
		return
	}
	if err := check.Validate(); err != nil {
		d.problems = append(d.problems, problemsOf(err, path, func(key string) Origin { return nearestOrigin(d.origins, key) })...)
	}
}

// within reports whether key lies at or below path.
func within(key, path string) bool {
	rest, ok := strings.CutPrefix(key, path)
	return ok && (path == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// nearestOrigin finds where a key, or the closest section around it, was set.
func nearestOrigin(origins map[string]Origin, key string) Origin {
	for {
		if o, ok := origins[key]; ok {
			return o
		}
		cut := strings.LastIndexAny(key, ".[")
		if cut < 0 {
			return Origin{}
		}
		key = key[:cut]
	}
}
