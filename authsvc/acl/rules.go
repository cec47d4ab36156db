package acl

import (
	"net/netip"
	"strings"
)

// Request is one question: may this client do Action on Topic?
type Request struct {
	Username string     // as authenticated; empty if there is none
	ClientID string     // as authenticated
	IP       netip.Addr // of the device; the zero value matches no ipaddr rule
	Action   Action     // Publish or Subscribe
	// Topic is the topic a message carries, or a subscription's inner filter:
	// $share/<group>/, $queue/, $local/ and $exclusive/ are taken off before
	// (§10.4: the inner filter is what is decided), and $delayed/<s>/ before a
	// publish. A topic that still has such a prefix is denied, so that
	// forgetting it cannot get around a rule. The mountpoint is not part of it.
	Topic string
}

// Decision is the answer to a [Request]. Its zero value denies.
type Decision struct {
	Effect Effect
	Rule   int    // index of the rule that decided, 0-based; -1 if none did
	Line   int    // its line in the file, or its row's number, 1-based; 0 if none
	Text   string // the rule on one line; without a rule, why there is none
	// Skipped is the index of the first rule that would have been compared if
	// the client's user name or id could stand for a topic level; -1 if none.
	Skipped int
}

// Rules is an immutable ordered list of rules with an index by user name and
// client id. It is safe for concurrent use. A nil *Rules denies everything.
type Rules struct {
	rules    []rule
	byUser   map[string][]int32 // rules that need this user name, ascending
	byClient map[string][]int32 // rules that need this client id, ascending
	general  []int32            // all other rules, ascending
}

// newRules builds the index. It takes ownership of list.
func newRules(list []rule) *Rules {
	s := &Rules{rules: list, byUser: map[string][]int32{}, byClient: map[string][]int32{}}
	for i := range list {
		list[i].text = list[i].render()
		k := keysOf(&list[i].who)
		if k.general {
			s.general = append(s.general, int32(i))
			continue
		}
		for _, name := range k.users {
			s.byUser[name] = appendOnce(s.byUser[name], int32(i))
		}
		for _, name := range k.clients {
			s.byClient[name] = appendOnce(s.byClient[name], int32(i))
		}
	}
	return s
}

// keys says under which names a condition is found: it can hold only for a
// client that has one of them, or (general) for any.
type keys struct {
	general        bool
	users, clients []string
}

func keysOf(w *who) keys {
	switch w.kind {
	case whoUser:
		return keys{users: []string{w.name}}
	case whoClient:
		return keys{clients: []string{w.name}}
	case whoOr:
		var all keys
		for i := range w.list {
			k := keysOf(&w.list[i])
			all.general = all.general || k.general
			all.users = append(all.users, k.users...)
			all.clients = append(all.clients, k.clients...)
		}
		return all
	case whoAnd:
		best := keys{general: true}
		for i := range w.list {
			k := keysOf(&w.list[i])
			if !k.general && (best.general || k.size() < best.size()) {
				best = k
			}
		}
		return best
	default:
		return keys{general: true}
	}
}

func (k *keys) size() int { return len(k.users) + len(k.clients) }

// appendOnce appends i unless it is the last element already.
func appendOnce(list []int32, i int32) []int32 {
	if n := len(list); n > 0 && list[n-1] == i {
		return list
	}
	return append(list, i)
}

// Len returns the number of rules.
func (s *Rules) Len() int {
	if s == nil {
		return 0
	}
	return len(s.rules)
}

// Text returns rule i as one line of the grammar.
func (s *Rules) Text(i int) string { return s.rules[i].text }

// String returns all rules, one on each line: a file that parses to equal rules.
func (s *Rules) String() string {
	var b strings.Builder
	for i := range s.Len() {
		b.WriteString(s.rules[i].text)
		b.WriteByte('\n')
	}
	return b.String()
}

// Decide returns what the first matching rule says, or Ignore. A request that
// no rule may grant (no rules, no single action, a topic that is not valid for
// the action or has a prefix that is no part of it) is denied.
func (s *Rules) Decide(r Request) Decision {
	if why := s.refusal(&r); why != "" {
		return Decision{Effect: Deny, Rule: -1, Skipped: -1, Text: why}
	}
	r.IP = r.IP.Unmap().WithZone("")
	ids := identities{user: identity{name: r.Username}, client: identity{name: r.ClientID}}
	skipped := -1
	m := merge{s.byUser[r.Username], s.byClient[r.ClientID], s.general}
	for i := m.next(); i >= 0; i = m.next() {
		e := &s.rules[i]
		ids.refused = false
		if e.matches(&r, &ids) {
			return Decision{Effect: e.effect, Rule: i, Line: e.line, Text: e.text, Skipped: skipped}
		}
		if ids.refused && skipped < 0 {
			skipped = i
		}
	}
	return Decision{Effect: Ignore, Rule: -1, Skipped: skipped, Text: "no rule matches"}
}

// refusal returns why a request is denied before any rule is looked at.
func (s *Rules) refusal(r *Request) string {
	switch {
	case s == nil:
		return "no rules are loaded"
	case r.Action == Publish && !validName(r.Topic):
		return "not a topic name"
	case r.Action == Publish && strings.HasPrefix(r.Topic, "$delayed/"):
		return "the $delayed prefix is not part of the topic"
	case r.Action == Subscribe && !validFilter(r.Topic):
		return "not a topic filter"
	case r.Action == Subscribe && hasPrefix(r.Topic):
		return "the subscription's $ prefix is not part of the filter"
	case r.Action != Publish && r.Action != Subscribe:
		return "the action is neither publish nor subscribe"
	}
	return ""
}

// hasPrefix reports whether a filter still carries what says how to subscribe.
func hasPrefix(filter string) bool {
	if filter[0] != '$' {
		return false
	}
	name, _, _ := strings.Cut(filter[1:], "/")
	return name == "share" || name == "queue" || name == "local" || name == "exclusive"
}

func (e *rule) matches(r *Request, ids *identities) bool {
	if e.access&r.Action == 0 || !e.who.matches(r) {
		return false
	}
	if e.topics == nil {
		return e.effect != Allow || r.Action != Publish || !IsSystem(r.Topic)
	}
	for i := range e.topics {
		if e.topics[i].matches(r.Topic, ids) {
			return true
		}
	}
	return false
}

// IsSystem reports whether a topic is one by which nodes tell about themselves. Only a rule that names it lets a client publish there.
func IsSystem(topic string) bool { return topic == "$SYS" || strings.HasPrefix(topic, "$SYS/") }

// merge walks ascending lists of rule indexes as one, each index once.
type merge [3][]int32

// next returns the smallest index not yet returned, -1 at the end.
func (m *merge) next() int {
	low := int32(-1)
	for _, l := range m {
		if len(l) > 0 && (low < 0 || l[0] < low) {
			low = l[0]
		}
	}
	if low < 0 {
		return -1
	}
	for i, l := range m {
		if len(l) > 0 && l[0] == low {
			m[i] = l[1:]
		}
	}
	return int(low)
}
