package emq

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pando-mq/pando/services/config"
)

// conversion turns settings into entries of a layer.
type conversion struct {
	place    place
	index    *index
	settings map[string]Setting // by canonical key, the last one counts
	order    []string           // canonical keys by first appearance
	listed   bool               // a file gives the address of an MQTT listener
	blocked  []string           // authentication plugins whose backend is not there yet

	entries  []config.Entry
	notices  notices
	problems config.Problems
	rules    map[string]map[int]match // access rules by the path of their list
	accounts []*account
}

// account is a user or a client id in the making.
type account struct {
	list, key  string // "auth.users", "1"
	name, word string // "username"
	password   string
	match      match
}

func newConversion(p place) *conversion {
	return &conversion{place: p, index: newIndex(), settings: make(map[string]Setting), rules: make(map[string]map[int]match)}
}

// add lays settings over the ones before.
func (c *conversion) add(settings []Setting) {
	for _, s := range settings {
		value, err := c.place.substitute(s.Value)
		if err != nil {
			c.refuse(s, "%v", err)
			continue
		}
		s.Value = value
		key := canonical(s.Key)
		if old, ok := c.settings[key]; !ok {
			c.order = append(c.order, key)
		} else if old.Origin.Kind == config.File && s.Origin.Kind == config.File && old.Value != s.Value {
			c.notices.add(s.Key, s.Origin, "given more than once, the last one counts")
		}
		c.settings[key] = s
		c.listed = c.listed || s.Origin.Kind == config.File && isListener(key)
	}
}

// isListener recognises the address of an MQTT listener.
func isListener(key string) bool {
	path := strings.Split(key, ".")
	return len(path) == 3 && path[0] == "listener" && slices.Contains([]string{"tcp", "ssl", "ws", "wss"}, path[1])
}

// value gives the effective value of a key, "" if it is not set.
func (c *conversion) value(key string) string { return c.settings[key].Value }

func (c *conversion) refuse(s Setting, format string, args ...any) {
	c.problems = append(c.problems, config.Problem{Origin: s.Origin, Key: s.Key, Text: fmt.Sprintf(format, args...)})
}

// run converts every setting.
func (c *conversion) run() {
	for _, key := range c.order {
		s := c.settings[key]
		e := c.index.find(key)
		if e == nil {
			text := "unknown key"
			if hit := c.index.nearest(key); hit != "" {
				text += ", did you mean " + hit + "?"
			}
			c.refuse(s, "%s", text)
			continue
		}
		c.convert(match{Setting: s, entry: e, path: strings.Split(key, ".")})
	}
	c.finishRules()
	c.finishAccounts()
}

// convert turns one setting into what its entry says.
func (c *conversion) convert(m match) {
	e := m.entry
	switch {
	case slices.ContainsFunc(m.path, func(part string) bool { return strings.HasPrefix(part, "$") }):
		c.notices.add(m.Key, m.Origin, "is a placeholder of the manual, not taken; write a number or a name for the part with $")
	case e.Owner != "":
		c.notices.add(m.Key, m.Origin, waits(e.Owner))
	case e.Note != "":
		c.notices.add(m.Key, m.Origin, e.Note)
	case strings.Contains(e.To, "<listener>") && !c.hasAddress(m):
		c.notices.add(m.Key, m.Origin, "this listener has no address, not taken; give it one with listener.<kind>.<name> = port")
	case e.apply != nil:
		e.apply(c, m)
	default:
		c.set(m, c.target(m, e.To), e.read)
	}
}

// hasAddress reports whether a listener exists: its address is set or, if no
// address is set at all, it is one of the suite's own.
func (c *conversion) hasAddress(m match) bool {
	if _, ok := c.settings[strings.Join(m.path[:3], ".")]; ok {
		return true
	}
	return m.path[2] == "external" && !c.listed
}

// listenerName is the name in mqtt.listeners: the kind alone for "external",
// which is what the suite's own listeners are called, else kind and name, so
// that equal names of two kinds stay apart.
func listenerName(kind, name string) string {
	if name == "external" {
		return kind
	}
	return kind + "-" + name
}

// target fills a target's <listener> in.
func (c *conversion) target(m match, to string) []string {
	path := strings.Split(to, ".")
	for i, part := range path {
		if part == "<listener>" {
			path[i] = listenerName(m.path[1], m.path[2])
		}
	}
	return path
}

// set reads the value and adds it to the layer.
func (c *conversion) set(m match, to []string, read reader) {
	value, err := read(m.Value)
	if err != nil {
		c.refuse(m.Setting, "found %q, expected %v", clip(m.Value), err)
		return
	}
	c.put(m, to, value)
}

// put adds a value to the layer.
func (c *conversion) put(m match, to []string, value any) {
	c.entries = append(c.entries, config.Entry{Path: to, Value: value, Origin: m.Origin})
}

// listen sets a listener's kind and address.
func (c *conversion) listen(m match) {
	for _, r := range m.path[2] {
		if r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			c.refuse(m.Setting, "%q is no name of a listener, use letters, digits, _ and -", clip(m.path[2]))
			return
		}
	}
	kind, bind, _ := strings.Cut(m.entry.To, " ")
	c.put(m, c.target(m, kind), m.path[1])
	c.set(m, c.target(m, bind), address)
}

// rateLimit sets "burst,rate".
func (c *conversion) rateLimit(m match) {
	limit, err := bucket(m.Value)
	if err != nil {
		c.refuse(m.Setting, "found %q, expected %v", clip(m.Value), err)
		return
	}
	c.put(m, c.target(m, m.entry.To), limit.String())
}

// proxyProtocol turns it on. The seed believes everybody who sends a header;
// here the proxies are named, so there is a line about that.
func (c *conversion) proxyProtocol(m match) {
	c.set(m, c.target(m, m.entry.To), flag)
	if on, err := flag(m.Value); err == nil && on == true {
		c.notices.add(m.Key, m.Origin, "headers are taken from proxies on this machine only, name the others in mqtt.listeners.<name>.trusted_proxies")
	}
}

// ciphers keeps the suites that there are here; the seed's list is OpenSSL's.
func (c *conversion) ciphers(m match) {
	var known []any
	var lost []string
	for name := range strings.SplitSeq(m.Value, ",") {
		name = strings.TrimSpace(name)
		if slices.Contains(Suites(), name) {
			known = append(known, name)
		} else {
			lost = append(lost, clip(name))
		}
	}
	if len(lost) > 0 {
		c.notices.add(m.Key, m.Origin, "not taken: "+strings.Join(lost, ", ")+"; see mqtt.listeners.<name>.tls.ciphers")
	}
	if len(known) > 0 {
		c.put(m, c.target(m, m.entry.To), known)
	}
}

// accessRule keeps a rule until all of its list are known.
func (c *conversion) accessRule(m match) {
	n, err := strconv.Atoi(m.path[4])
	if err != nil {
		c.refuse(m.Setting, "found %q, expected a number after access", clip(m.path[4]))
		return
	}
	rule, err := access(m.Value)
	if err != nil {
		c.refuse(m.Setting, "found %q, expected %v", clip(m.Value), err)
		return
	}
	m.Value = rule.(string)
	list := strings.Join(c.target(m, m.entry.To), ".")
	if c.rules[list] == nil {
		c.rules[list] = make(map[int]match)
	}
	c.rules[list][n] = m
}

// finishRules writes each listener's rules in the order of their numbers.
func (c *conversion) finishRules() {
	var lists []string
	for list := range c.rules {
		lists = append(lists, list)
	}
	slices.Sort(lists)
	for _, list := range lists {
		var numbers []int
		for n := range c.rules[list] {
			numbers = append(numbers, n)
		}
		slices.Sort(numbers)
		var rules []string
		for _, n := range numbers {
			rules = append(rules, c.rules[list][n].Value)
		}
		c.put(c.rules[list][numbers[0]], strings.Split(list, "."), rules)
	}
}
