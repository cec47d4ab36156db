package acl

import (
	"fmt"
	"strings"
)

// Row is one row of the seed's mqtt_acl table (§6.8), and the form in which
// the suite keeps its own rules. Empty conditions hold for everybody, several
// given ones must all hold.
type Row struct {
	Allow    bool   `json:"allow"`
	IPAddr   string `json:"ipaddr,omitempty"`   // an address or a CIDR block
	Username string `json:"username,omitempty"` // "$all" is everybody
	ClientID string `json:"clientid,omitempty"`
	Access   Action `json:"access"` // 1 subscribe, 2 publish, 3 both
	Topic    string `json:"topic"`  // a filter, %u and %c as in a rule file, or "eq <topic>"
}

// RowError says which row cannot be a rule, and why.
type RowError struct {
	Row    int // index, 0-based
	Reason string
}

// Error implements error; rows are counted from 1 in it.
func (e *RowError) Error() string { return fmt.Sprintf("acl row %d: %s", e.Row+1, e.Reason) }

// FromRows compiles rows in their order: the first matching one decides. (The
// reference evaluates them backwards; §6.8 adopts the order of the result.)
// One bad row fails the whole list. No rows are a list that ignores everything.
func FromRows(rows []Row) (*Rules, error) {
	list := make([]rule, 0, len(rows))
	for i := range rows {
		r, reason := rows[i].compile()
		if reason != "" {
			return nil, &RowError{Row: i, Reason: reason}
		}
		r.line = i + 1
		list = append(list, r)
	}
	return newRules(list), nil
}

// Validate returns an error if the row cannot be a rule.
func (r Row) Validate() error {
	if _, reason := r.compile(); reason != "" {
		return fmt.Errorf("acl row: %s", reason)
	}
	return nil
}

// compile returns the rule, or the reason why there is none.
func (r *Row) compile() (rule, string) {
	if r.Access < Subscribe || r.Access > PubSub {
		return rule{}, "access is 1 (subscribe), 2 (publish) or 3 (both)"
	}
	w, reason := r.who()
	if reason != "" {
		return rule{}, reason
	}
	f, err := r.filter()
	if err != nil {
		return rule{}, err.Error()
	}
	if !validText(r.Topic) {
		return rule{}, "topic is not text: broken UTF-8 or a control character"
	}
	out := rule{access: r.Access, who: w, topics: []filter{f}}
	if r.Allow {
		out.effect = Allow
	}
	return out, ""
}

func (r *Row) who() (who, string) {
	var list []who
	if r.IPAddr != "" {
		p, ok := parsePrefix(r.IPAddr)
		if !ok {
			return who{}, "ipaddr is neither an address nor a CIDR block"
		}
		list = append(list, who{kind: whoAddr, prefix: p})
	}
	if r.Username != "" && r.Username != "$all" {
		list = append(list, who{kind: whoUser, name: r.Username})
	}
	if r.ClientID != "" {
		list = append(list, who{kind: whoClient, name: r.ClientID})
	}
	if !validText(r.Username) || !validText(r.ClientID) {
		return who{}, "username or clientid is not text: broken UTF-8 or a control character"
	}
	switch len(list) {
	case 0:
		return who{kind: whoAll}, ""
	case 1:
		return list[0], ""
	default:
		return who{kind: whoAnd, list: list}, ""
	}
}

func (r *Row) filter() (filter, error) {
	if literal, ok := strings.CutPrefix(r.Topic, "eq "); ok {
		return newEqual(literal)
	}
	return newFilter(r.Topic)
}
