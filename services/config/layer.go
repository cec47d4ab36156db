package config

// Layer is a set of values that lie between the defaults and the YAML file.
type Layer struct {
	Name    string // for people: "etc/emq.conf"
	Entries []Entry
}

// Entry is one value of a Layer.
type Entry struct {
	Path []string // of the key: {"mqtt", "listeners", "tcp", "bind"}
	// Value is a string in the spelling of the environment (a list may be
	// written with commas), a bool, an int, a []string, or an []any or
	// map[string]any of these.
	Value any
	// Clear empties the key first; with a nil Value it does only that. A
	// layer that lists all listeners clears the default ones this way.
	Clear  bool
	Origin Origin
}

// Source is everything a configuration is read from.
type Source struct {
	// File is the YAML file; "" = none.
	File string
	// Text is read in place of the file's content if it is not nil; File is
	// then only the name used in messages.
	Text []byte
	// Extra lie below the file, the later over the earlier.
	Extra []Layer
	// Environ is os.Environ(); only PANDO_ variables are configuration, the
	// others are seen by "env:NAME" secrets.
	Environ []string
	// IgnoreEnviron names PANDO_ variables that are no keys (PANDO_CONFIG).
	IgnoreEnviron []string
	// Overrides are "a.b=value", usually from flags.
	Overrides []string
	// OtherSections are top-level keys that other services read: skipped in
	// every source.
	OtherSections []string
}
