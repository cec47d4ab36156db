package emq

import (
	"slices"
	"strings"

	"github.com/pando-mq/pando/services/config"
)

// Entry says what becomes of one key, or of a family of keys, of the seed's
// files. Exactly one of three things: it takes effect (To names the key of
// the configuration tree), it is kept for a service that is not there yet
// (Owner), or there is no such thing here (Note names what there is instead).
type Entry struct {
	// Pattern is the key; <...> stands for any one part.
	Pattern string
	To      string
	Owner   string
	Note    string

	read  reader
	apply func(*conversion, match)
}

// match is a setting that has met its entry.
type match struct {
	Setting
	entry *Entry
	path  []string // the canonical key's parts
}

// maps makes an entry whose value is read and set at to.
func maps(pattern, to string, read reader) []Entry {
	return each(pattern, func(p string) Entry { return Entry{Pattern: p, To: to, read: read} })
}

// special makes an entry that needs more than its own value.
func special(pattern, to string, apply func(*conversion, match)) []Entry {
	return each(pattern, func(p string) Entry { return Entry{Pattern: p, To: to, apply: apply} })
}

// later makes entries that wait for a service.
func later(owner string, patterns ...string) []Entry {
	var out []Entry
	for _, pattern := range patterns {
		out = append(out, each(pattern, func(p string) Entry { return Entry{Pattern: p, Owner: owner} })...)
	}
	return out
}

// note makes entries that are answered with one line.
func note(text string, patterns ...string) []Entry {
	var out []Entry
	for _, pattern := range patterns {
		out = append(out, each(pattern, func(p string) Entry { return Entry{Pattern: p, Note: text} })...)
	}
	return out
}

// each expands the braces of a pattern: "a.{b,c}" gives "a.b" and "a.c".
func each(pattern string, entry func(string) Entry) []Entry {
	var out []Entry
	for _, p := range expand(pattern) {
		out = append(out, entry(p))
	}
	return out
}

func expand(pattern string) []string {
	before, rest, ok := strings.Cut(pattern, "{")
	if !ok {
		return []string{pattern}
	}
	inside, after, _ := strings.Cut(rest, "}")
	var out []string
	for word := range strings.SplitSeq(inside, ",") {
		out = append(out, expand(before+word+after)...)
	}
	return out
}

// Table lists what becomes of every key of the seed's files, in the order of
// the files.
func Table() []Entry {
	return slices.Concat(clusterTable(), nodeTable(), logTable(), mqttTable(), sessionTable(), listenerTable(), sysmonTable(),
		authTable(), backendTable(), gatewayTable(), hookTable(), moduleTable(), toolTable())
}

// Targets lists the keys of the configuration tree that an emq.conf may set,
// so that a test can assert that each of them exists.
func Targets() []string {
	var out []string
	for _, e := range Table() {
		for _, to := range strings.Fields(e.To) {
			if !slices.Contains(out, to) {
				out = append(out, to)
			}
		}
	}
	return out
}

// olderSpellings maps prefixes of keys of versions 2.0 and 2.1 to today's.
// The longest prefix counts.
var olderSpellings = []struct{ older, today string }{
	{"mqtt.listener.tcp", "listener.tcp.external"},
	{"mqtt.listener.ssl", "listener.ssl.external"},
	{"mqtt.listener.https", "listener.wss.external"},
	{"mqtt.listener.http", "listener.ws.external"},
	{"mqtt.queue.qos0", "mqtt.mqueue.store_qos0"},
	{"mqtt.queue", "mqtt.mqueue"},
	{"mqtt.client_idle_timeout", "mqtt.client.idle_timeout"},
	{"mqtt.session.expired_after", "mqtt.session.expiry_interval"},
	{"auth.mongo.user", "auth.mongo.login"},
}

// canonical gives today's spelling of a key.
func canonical(key string) string {
	for _, s := range olderSpellings {
		if rest, ok := strings.CutPrefix(key, s.older); ok && (rest == "" || rest[0] == '.') {
			return s.today + rest
		}
	}
	return key
}

// index finds the entry of a key.
type index struct {
	entries []Entry
	exact   map[string]*Entry
	byLen   map[int][]*Entry // those with a <part>
}

func newIndex() *index {
	x := &index{entries: Table(), exact: make(map[string]*Entry), byLen: make(map[int][]*Entry)}
	for i := range x.entries {
		e := &x.entries[i]
		if !strings.Contains(e.Pattern, "<") {
			x.exact[e.Pattern] = e
			continue
		}
		n := strings.Count(e.Pattern, ".")
		x.byLen[n] = append(x.byLen[n], e)
	}
	return x
}

// find returns the entry of a canonical key; a literal one goes before a
// pattern.
func (x *index) find(key string) *Entry {
	if e := x.exact[key]; e != nil {
		return e
	}
	path := strings.Split(key, ".")
	for _, e := range x.byLen[len(path)-1] {
		if fits(e.Pattern, path) {
			return e
		}
	}
	return nil
}

// fits matches a pattern with the parts of a key.
func fits(pattern string, path []string) bool {
	i := 0
	for part := range strings.SplitSeq(pattern, ".") {
		if i >= len(path) || part[0] != '<' && part != path[i] {
			return false
		}
		i++
	}
	return i == len(path)
}

// nearest names the known key closest to an unknown one, with the unknown
// one's own names in place of <parts>.
func (x *index) nearest(key string) string {
	path := strings.Split(key, ".")
	var candidates []string
	for _, e := range x.entries {
		parts := strings.Split(e.Pattern, ".")
		if len(parts) == len(path) {
			for i, p := range parts {
				if p[0] == '<' {
					parts[i] = path[i]
				}
			}
		}
		candidates = append(candidates, strings.Join(parts, "."))
	}
	return config.Nearest(key, candidates)
}
