package topic

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/pando-mq/pando/services/broker"
)

// QueueGroup is the group of all $queue/ subscriptions: "$queue/a" and "$share/$queue/a" are members of the same group.
const QueueGroup = "$queue"

const (
	localPrefix = "$local/"
	queuePrefix = "$queue/"
	sharePrefix = "$share/"

	exclusivePrefix = broker.ExclusivePrefix
)

// Parsed is a full filter taken apart.
type Parsed struct {
	Filter string // inner filter
	Group  string // group of a shared subscription; [QueueGroup] for $queue/
	Local  bool   // $local/: only messages that entered through the same node
	Shared bool   // Group is set

	Exclusive bool // $exclusive/: one client in the cluster at most
}

// Parse takes a full filter apart and validates it:
//
//	full  = *prefix inner           each of $local/ and ($queue/ or $share/<group>/) at most once, in any order;
//	                                what follows $share/<group>/ is the inner filter as it stands
//
// So "$local/$share/g/t" and "$queue/$local/t" combine two, "$share/g/$local/t" is the shared filter "$local/t". A group is not empty and has no / + #
// (MQTT 5.0 §4.8.2). $exclusive/ stands alone and in front of a topic without wildcards. The words without a slash ("$share") are ordinary filters.
func Parse(full string) (Parsed, error) {
	if err := validateText(full); err != nil {
		return Parsed{}, err
	}
	p, err := split(full)
	if err != nil {
		return Parsed{}, err
	}
	if err := ValidateFilter(p.Filter); err != nil {
		return Parsed{}, fmt.Errorf("filter %q: %w", clip(p.Filter), err)
	}
	if p.Exclusive && HasWildcard(p.Filter) {
		return Parsed{}, fmt.Errorf("filter %q: %w", clip(full), ErrWildcard)
	}
	return p, nil
}

// split takes the prefixes off, and checks them but not the inner filter.
func split(full string) (Parsed, error) {
	p := Parsed{Filter: full}
	for {
		switch {
		case strings.HasPrefix(p.Filter, localPrefix):
			if p.Local || p.Exclusive {
				return p, ErrPrefix
			}
			p.Local, p.Filter = true, p.Filter[len(localPrefix):]
		case strings.HasPrefix(p.Filter, queuePrefix):
			if p.Shared || p.Exclusive {
				return p, ErrPrefix
			}
			p.Shared, p.Group, p.Filter = true, QueueGroup, p.Filter[len(queuePrefix):]
		case strings.HasPrefix(p.Filter, sharePrefix):
			if p.Shared || p.Exclusive {
				return p, ErrPrefix
			}
			group, inner, ok := strings.Cut(p.Filter[len(sharePrefix):], "/")
			if !ok || group == "" || HasWildcard(group) {
				return p, ErrGroup
			}
			p.Shared, p.Group, p.Filter = true, group, inner
			return p, nil
		case strings.HasPrefix(p.Filter, exclusivePrefix):
			if p.Local || p.Shared || p.Exclusive {
				return p, ErrPrefix
			}
			p.Exclusive, p.Filter = true, p.Filter[len(exclusivePrefix):]
		default:
			return p, nil
		}
	}
}

// String puts a full filter together again. Parse of it gives the same Parsed; the order of the prefixes may differ from the one that was parsed.
func (p Parsed) String() string {
	s := p.Filter
	if p.Shared {
		s = sharePrefix + p.Group + "/" + s
	}
	if p.Local {
		s = localPrefix + s
	}
	if p.Exclusive {
		s = exclusivePrefix + s
	}
	return s
}

// Share is the group a shared filter belongs to, cluster-wide.
func (p Parsed) Share() broker.Share { return broker.Share{Group: p.Group, Filter: p.Filter} }

// Wildcard reports whether the inner filter has one.
func (p Parsed) Wildcard() bool { return HasWildcard(p.Filter) }

// clip keeps error texts short whatever a client sends, and cuts between characters.
func clip(s string) string {
	const limit = 64
	if len(s) <= limit {
		return s
	}
	n := limit
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}
