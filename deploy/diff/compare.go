package diff

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
)

// Difference is what one connection got from Pando and not from mosquitto, and the other way round, after one step.
type Difference struct {
	Step    string // name of the step
	Version byte   // of the connection
	Role    string // "self": the connection of the step; "other"; "observer"
	Ours    string // packets of Pando alone, with "; " between
	Theirs  string // packets of mosquitto alone
}

// String is the difference in one line.
func (d Difference) String() string {
	return fmt.Sprintf("%s, v%d, %s: pando [%s] mosquitto [%s]", d.Step, d.Version, d.Role, d.Ours, d.Theirs)
}

// Entry is one intended difference.
type Entry struct {
	Step     string // of Difference, a regular expression that matches the whole
	Versions string // which of "3", "4" and "5"
	Role     string // regular expression
	Ours     string // what Pando says, a regular expression that matches the whole
	Theirs   string // what mosquitto says, likewise
	GoOn     bool   // the state of both is the same behind it; otherwise the sequence ends here
	Why      string // section of the specification, or the reason

	step, role, ours, theirs *regexp.Regexp
	hits                     *atomic.Int64
}

// String names the entry.
func (e *Entry) String() string {
	return fmt.Sprintf("%q v%s %s [%s] [%s] (%s)", e.Step, e.Versions, e.Role, e.Ours, e.Theirs, e.Why)
}

// compile makes entries ready.
func compile(entries []Entry) []Entry {
	whole := func(s string) *regexp.Regexp { return regexp.MustCompile("^(?s:" + s + ")$") }
	out := slices.Clone(entries)
	for i := range out {
		e := &out[i]
		e.step, e.role, e.ours, e.theirs, e.hits = whole(e.Step), whole(e.Role), whole(e.Ours), whole(e.Theirs), new(atomic.Int64)
	}
	return out
}

// matches reports whether the entry is about a difference.
func (e *Entry) matches(d *Difference) bool {
	return strings.ContainsRune(e.Versions, rune('0'+d.Version)) && e.step.MatchString(d.Step) && e.role.MatchString(d.Role) &&
		e.ours.MatchString(d.Ours) && e.theirs.MatchString(d.Theirs)
}

// find is the entry for a difference, nil if there is none.
func find(entries []Entry, d *Difference) *Entry {
	for i := range entries {
		if entries[i].matches(d) {
			return &entries[i]
		}
	}
	return nil
}

// sorted puts answers into one order, those of one topic and QoS in the order in which they came.
func sorted(as []answer) []answer {
	out := slices.Clone(as)
	slices.SortStableFunc(out, func(x, y answer) int { return strings.Compare(x.order(), y.order()) })
	return out
}

// part is what is compared apart from the rest: the deliveries of one topic, PUBREL, everything else.
func (a *answer) part() string {
	switch a.kind {
	case "PUBLISH":
		return a.topic
	case "PUBREL":
		return "+"
	}
	return ""
}

// parts are the answers of each part.
func parts(as []answer) map[string][]answer {
	out := map[string][]answer{}
	for _, a := range as {
		out[a.part()] = append(out[a.part()], a)
	}
	return out
}

// pair is what only one of the two lists has.
type pair struct{ ours, theirs string }

// leftovers compares two lists part by part.
func leftovers(ours, theirs []answer) []pair {
	if slices.EqualFunc(ours, theirs, func(x, y answer) bool { return x.text == y.text }) {
		return nil
	}
	o, t := parts(ours), parts(theirs)
	for key := range t {
		o[key] = append([]answer{}, o[key]...) // what only mosquitto has is a part, too
	}
	var out []pair
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if p := rest(o[key], t[key]); p != (pair{}) {
			out = append(out, p)
		}
	}
	return slices.DeleteFunc(out, func(p pair) bool { return p.follows(out) })
}

// release is a PUBREL that only one of the two sent.
const release = "PUBREL 00"

// follows reports whether p is nothing but the PUBREL of a QoS 2 message that is among the differences itself.
func (p pair) follows(all []pair) bool {
	var ours, theirs bool
	for _, q := range all {
		ours = ours || strings.HasPrefix(q.ours, "PUBLISH") && strings.Contains(q.ours, " qos=2 ")
		theirs = theirs || strings.HasPrefix(strings.TrimPrefix(q.theirs, again), "PUBLISH") && strings.Contains(q.theirs, " qos=2 ")
	}
	return (p.ours == "" || p.ours == release && ours) && (p.theirs == "" || p.theirs == release && theirs)
}

// again marks a message of mosquitto that Pando delivered as well, once.
const again = "AGAIN "

// rest is what only one of two lists of a part has. If just the order differs, that is everything.
func rest(ours, theirs []answer) pair {
	ours, theirs = sorted(ours), sorted(theirs)
	if slices.EqualFunc(ours, theirs, func(x, y answer) bool { return x.text == y.text }) {
		return pair{}
	}
	var only []string
	left := texts(theirs)
	for _, a := range texts(ours) {
		if i := slices.Index(left, a); i >= 0 {
			left = slices.Delete(left, i, i+1)
		} else {
			only = append(only, a)
		}
	}
	if len(only) == 0 && len(left) == 0 {
		only, left = texts(ours), texts(theirs)
	}
	if len(only) == 0 {
		left = repeated(left, ours, theirs)
	}
	return pair{strings.Join(only, "; "), strings.Join(left, "; ")}
}

// repeated marks what is left of mosquitto's messages if Pando delivered the same message.
func repeated(left []string, ours, theirs []answer) []string {
	for i, text := range left {
		at := slices.IndexFunc(theirs, func(a answer) bool { return a.text == text })
		if slices.ContainsFunc(ours, func(a answer) bool { return a.kind == "PUBLISH" && a.body == theirs[at].body }) {
			left[i] = again + text
		}
	}
	return left
}

func texts(as []answer) []string {
	out := make([]string, len(as))
	for i := range as {
		out[i] = as[i].text
	}
	return out
}
