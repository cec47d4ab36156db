package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// anyName stands for a map's names in documented paths.
const anyName = "<name>"

// shape is how the value of a key is built.
type shape uint8

const (
	leaf    shape = iota // one scalar
	section              // struct
	table                // map from a name to elem
	list                 // slice of elem
)

// schema is the compiled form of a struct tree: what may stand at a path.
type schema struct {
	name, path string // last segment and whole documented path
	shape      shape
	typ        reflect.Type // without pointers
	read       reflect.Type // how a plain int64 is read and written: as a Duration or a Size; nil: as typ
	pointer    bool         // the field is a pointer to typ
	index      []int        // of the field in the section around it
	fields     []*schema    // of a section
	elem       *schema      // of a table or list

	doc, def, unit      string
	hasDefault          bool
	enum                []string
	secret, hot         bool
	typeName, typeWords string // "size"; "a size in bytes, such as 64KB"
}

var (
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	describeType = reflect.TypeFor[interface{ describe() (string, string) }]()
	secretType   = reflect.TypeFor[Secret]()
	stdDuration  = reflect.TypeFor[time.Duration]()
)

// plain maps the types that packages without an import of this one use: time.Duration, and int64 with the unit "bytes".
func plain(t reflect.Type, unit string) reflect.Type {
	switch {
	case t == stdDuration:
		return reflect.TypeFor[Duration]()
	case t.Kind() == reflect.Int64 && t.PkgPath() == "" && unit == "bytes":
		return reflect.TypeFor[Size]()
	}
	return nil
}

// compile reads the struct tags of t, a struct type. The problems are errors
// of the program, not of its user.
func compile(t reflect.Type) (*schema, error) {
	root := &schema{typ: t}
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: %s is no struct", t)
	}
	if err := root.compileType(t, 0); err != nil {
		return nil, err
	}
	return root, nil
}

// compileType fills shape, elem and fields from a type.
func (s *schema) compileType(t reflect.Type, depth int) error {
	if depth > 12 {
		return fmt.Errorf("config: %s is nested too deeply", s.path)
	}
	if t.Kind() == reflect.Pointer {
		t, s.pointer = t.Elem(), true
	}
	s.typ = t
	named := t
	if s.read = plain(t, s.unit); s.read != nil {
		named = s.read
	}
	if name, words, ok := scalarWords(named); ok {
		s.shape, s.typeName, s.typeWords = leaf, name, words
		s.secret = s.secret || t == secretType
		return nil
	}
	switch {
	case t.Kind() == reflect.Struct:
		s.shape = section
		return s.compileFields(t, nil, depth)
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		s.shape = table
		s.typeName, s.typeWords = "map", "a mapping"
		s.elem = &schema{name: anyName, path: join(s.path, anyName), doc: s.doc, unit: s.unit, enum: s.enum, secret: s.secret, hot: s.hot}
	case t.Kind() == reflect.Slice:
		s.shape = list
		s.elem = &schema{path: s.path + "[]", unit: s.unit, enum: s.enum, secret: s.secret}
	default:
		return fmt.Errorf("config: %s: type %s cannot be configured", s.path, t)
	}
	if err := s.elem.compileType(t.Elem(), depth+1); err != nil {
		return err
	}
	if s.shape == list {
		s.typeName, s.typeWords = "list of "+plural(s.elem.typeName), "a list"
	}
	return nil
}

// compileFields adds the fields of a struct, embedded ones inline.
func (s *schema) compileFields(t reflect.Type, index []int, depth int) error {
	s.typeName, s.typeWords = "section", "a mapping of keys"
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		at := append(slices.Clone(index), i)
		if name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if f.Type.Kind() == reflect.Struct && name == "" && (f.Anonymous || options == "inline") {
			if err := s.compileFields(f.Type, at, depth); err != nil {
				return err
			}
			continue
		}
		k := &schema{name: name, path: join(s.path, name), index: at}
		if err := k.compileField(f, depth); err != nil {
			return err
		}
		if s.field(name) != nil {
			return fmt.Errorf("config: %s is declared twice", k.path)
		}
		s.fields = append(s.fields, k)
	}
	return nil
}

// compileField reads the tags of one field.
func (s *schema) compileField(f reflect.StructField, depth int) error {
	if s.name == "" || s.name != strings.ToLower(s.name) || strings.ContainsAny(s.name, ". ") || strings.Contains(s.name, "__") {
		return fmt.Errorf("config: field %s under %q needs a yaml tag with a lower-case name without dots", f.Name, s.path)
	}
	s.doc, s.unit = f.Tag.Get("doc"), f.Tag.Get("unit")
	s.def, s.hasDefault = f.Tag.Lookup("default")
	s.secret, s.hot = f.Tag.Get("secret") == "true", f.Tag.Get("hot") == "true"
	if e := f.Tag.Get("enum"); e != "" {
		s.enum = strings.Split(e, ",")
	}
	return s.compileType(f.Type, depth+1)
}

// scalarWords names the type of a leaf; ok is false for other types.
func scalarWords(t reflect.Type) (name, words string, ok bool) {
	if t == secretType {
		return "secret", "a string, file:///path or env:NAME", true
	}
	if t.Implements(describeType) {
		name, words = reflect.Zero(t).Interface().(interface{ describe() (string, string) }).describe()
		return name, words, true
	}
	if reflect.PointerTo(t).Implements(textType) {
		name = strings.ToLower(t.Name())
		return name, "a valid " + name, true
	}
	switch t.Kind() {
	case reflect.String:
		return "string", "a string", true
	case reflect.Bool:
		return "bool", "true or false", true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "integer", "a whole number", true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "integer", "a whole number from 0", true
	case reflect.Float32, reflect.Float64:
		return "number", "a number", true
	}
	return "", "", false
}

func plural(name string) string {
	switch {
	case strings.HasPrefix(name, "list of"):
		return "lists"
	case name == "bool" || strings.HasSuffix(name, "s"):
		return name
	}
	return name + "s"
}

// field finds a key of a section.
func (s *schema) field(name string) *schema {
	for _, f := range s.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

// leaves lists every key that holds a value, in the order of declaration.
func (s *schema) leaves() []*schema {
	switch s.shape {
	case section:
		var out []*schema
		for _, f := range s.fields {
			out = append(out, f.leaves()...)
		}
		return out
	case table:
		return s.elem.leaves()
	case list:
		if s.elem.shape == section {
			return append([]*schema{s}, s.elem.leaves()...)
		}
	}
	return []*schema{s}
}

// find returns the schema of a path of names; a table takes any name.
func (s *schema) find(path []string) *schema {
	if len(path) == 0 {
		return s
	}
	switch s.shape {
	case section:
		if f := s.field(path[0]); f != nil {
			return f.find(path[1:])
		}
	case table:
		return s.elem.find(path[1:])
	case list:
		if s.elem.shape == section {
			return s.elem.find(path)
		}
	}
	return nil
}

// Key is the documentation of one key.
type Key struct {
	Path    string // "mqtt.listeners.<name>.bind"
	Doc     string
	Type    string // "size", "list of strings"
	Default string
	Unit    string
	Enum    []string
	Secret  bool
	Hot     bool // may change while the program runs
}

// Keys lists every key of a struct tree (a pointer to a struct) in the order
// of declaration. A key without a doc tag, and a default that its own type
// refuses, are errors: a test that calls Keys keeps both out.
func Keys(dst any) ([]Key, error) {
	s, _, err := compileDst(dst)
	if err != nil {
		return nil, err
	}
	var keys []Key
	var undocumented []string
	for _, k := range s.leaves() {
		if k.doc == "" {
			undocumented = append(undocumented, k.path)
		}
		keys = append(keys, Key{Path: k.path, Doc: k.doc, Type: k.typeName, Default: k.def, Unit: k.unit, Enum: k.enum, Secret: k.secret, Hot: k.hot})
	}
	if len(undocumented) > 0 {
		return keys, fmt.Errorf("config: keys without a doc tag: %s", strings.Join(undocumented, ", "))
	}
	d := decoder{root: s, lookup: lookupIn(nil), origins: make(map[string]Origin)}
	d.defaults(reflect.New(s.typ).Elem(), s, "")
	return keys, d.problems.ErrorOrNil()
}

// compileDst checks that dst is a pointer to a struct and compiles it.
func compileDst(dst any) (*schema, reflect.Value, error) {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, v, fmt.Errorf("config: %T is no pointer to a struct", dst)
	}
	s, err := compile(v.Elem().Type())
	return s, v.Elem(), err
}
