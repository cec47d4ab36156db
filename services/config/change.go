package config

import (
	"maps"
	"reflect"
	"slices"
)

// Change is a key that two configurations give different values.
type Change struct {
	Key      string
	From, To string // as Print writes them; secrets are masked, and "" stands for a name that a map does not have
	Hot      bool   // the key may change while the program runs
}

// Succeed makes next, loaded after l from the same sources and into the same type, the configuration that a running program takes: the keys that are hot have
// their new values, all others those of l. It lists every key that differs, hot or not, in the order of declaration. The error is a Problems when hot and kept
// values do not fit each other; next is then not to be used.
func (l *Loaded) Succeed(next *Loaded) ([]Change, error) {
	var list []Change
	l.succeed(&list, l.value, next.value, l.root, "")
	d := &decoder{root: next.root, origins: next.origins}
	d.validate(next.value, next.root, "")
	return list, d.problems.ErrorOrNil()
}

func (l *Loaded) succeed(list *[]Change, was, now reflect.Value, s *schema, path string) {
	if s.shape == section && !s.pointer {
		for _, f := range s.fields {
			l.succeed(list, was.FieldByIndex(f.index), now.FieldByIndex(f.index), f, join(path, f.name))
		}
		return
	}
	compare(list, was, now, s, path)
	if !s.hot {
		now.Set(was)
	}
}

// compare lists what differs at and below a key that changes as a whole.
func compare(list *[]Change, was, now reflect.Value, s *schema, path string) {
	if reflect.DeepEqual(was.Interface(), now.Interface()) {
		return
	}
	switch {
	case s.shape == section && !s.pointer:
		for _, f := range s.fields {
			compare(list, was.FieldByIndex(f.index), now.FieldByIndex(f.index), f, join(path, f.name))
		}
	case s.shape == table && !s.pointer:
		names := map[string]reflect.Value{}
		for _, k := range slices.Concat(was.MapKeys(), now.MapKeys()) {
			names[k.String()] = k
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			a, b := was.MapIndex(names[name]), now.MapIndex(names[name])
			if at := join(path, name); a.IsValid() && b.IsValid() {
				compare(list, a, b, s.elem, at)
			} else {
				*list = append(*list, Change{Key: at, From: changeText(a, s.elem), To: changeText(b, s.elem), Hot: s.hot})
			}
		}
	default:
		*list = append(*list, Change{Key: path, From: changeText(was, s), To: changeText(now, s), Hot: s.hot})
	}
}

// changeText is a value in a few words.
func changeText(v reflect.Value, s *schema) string {
	switch {
	case !v.IsValid():
		return ""
	case s.shape == section:
		return "a section"
	case s.shape == list && s.elem.shape == section:
		return "a list of sections"
	}
	return scalarText(v, s)
}
