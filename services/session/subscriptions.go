package session

import (
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// Grant says how one message goes to this session. It may be kept; what By points to is immutable and shared.
type Grant struct {
	QoS    broker.QoS // to deliver with
	Retain bool       // retain flag to send
	By     *Matched   // never nil in a Grant made by a Session
}

// Matched is the subscriptions a message came by.
type Matched struct {
	SubIDs  []uint32      // subscription identifiers, one per matching subscription that has one (MQTT 5.0 §3.3.2.3.8)
	Filters []string      // full filters, for the check at delivery; nil when there are more than 16: ask by topic then
	Share   *broker.Share // the group, when the message came by a shared subscription
}

// maxFilters is how many filters a message carries along for the check at delivery.
const maxFilters = 16

// size is what m adds to a queued message, in bytes.
func (m *Matched) size() int {
	if m == nil {
		return 0
	}
	return 4*len(m.SubIDs) + 16*len(m.Filters)
}

// Subscribe adds a subscription or replaces the one with the same full filter (MQTT 5.0 §3.8.4). limit is how many the session may hold, 0 for no limit:
// it is an argument because a replay must accept what was accepted once. Errors: KindInvalid (malformed filter, QoS above 2, No Local on a shared
// subscription), KindQuota.
func (s *Session) Subscribe(sub broker.Subscription, limit int) (existed bool, err error) {
	s.begin()
	p, err := topic.Parse(sub.Filter)
	if err != nil {
		return false, broker.E(broker.KindInvalid, "subscribe", err)
	}
	if sub.QoS > 2 || p.Shared && sub.NoLocal {
		return false, broker.Errorf(broker.KindInvalid, "subscription options do not go with the filter")
	}
	existed = s.subs.get(sub.Filter) != nil
	if !existed && limit > 0 && s.subs.len() >= limit {
		return false, broker.Errorf(broker.KindQuota, "client holds %d subscriptions already", limit)
	}
	u := newSubscription(&sub)
	if existed {
		if grant := s.Granted(sub.Filter); grant != 0 {
			u.setGrant(sub.Filter, grant)
		}
	}
	s.subs.put(sub.Filter, u)
	s.version++
	return existed, nil
}

// Grant notes under which epoch an exclusive subscription was granted; before that it matches nothing. It reports the epoch it was granted under so far, 0 for none, and
// whether there is such a subscription.
func (s *Session) Grant(full string, grant uint64) (before uint64, ok bool) {
	s.begin()
	u := s.subs.get(full)
	if u == nil || !parsed(full).Exclusive {
		return 0, false
	}
	before = u.grant()
	u.setGrant(full, grant)
	s.version++
	return before, true
}

// Granted is the epoch under which an exclusive subscription was granted, 0 if it was not, or is none.
func (s *Session) Granted(full string) uint64 {
	if u := s.subs.get(full); u != nil {
		return u.grant()
	}
	return 0
}

// Unsubscribe removes a subscription by its full filter and reports whether there was one. What is queued by it stays (MQTT 5.0 §3.10.4).
func (s *Session) Unsubscribe(full string) bool {
	s.begin()
	ok := s.subs.remove(full)
	if ok {
		s.version++
	}
	return ok
}

// Subscription returns the subscription with this full filter.
func (s *Session) Subscription(full string) (broker.Subscription, bool) {
	if u := s.subs.get(full); u != nil {
		return u.as(full), true
	}
	return broker.Subscription{}, false
}

// Subscriptions lists all subscriptions in order of the full filter.
func (s *Session) Subscriptions() []broker.Subscription {
	list := s.subs.sorted()
	subs := make([]broker.Subscription, len(list))
	for i, u := range list {
		subs[i] = u.as(u.full)
	}
	return subs
}

// Renew notes under which generation of the rules a subscription was granted again, and reports whether there is such a subscription. It makes no new version.
func (s *Session) Renew(full string, generation uint64) bool {
	u := s.subs.get(full)
	if u != nil {
		u.generation = generation
	}
	return u != nil
}

// MatchTopic says whether and how the ordinary subscriptions want a message: once, with the highest QoS and all identifiers of those that match
// (MQTT 5.0 §3.3.4). node is the node of this client's connection, for $local/ subscriptions. It looks at every subscription.
func (s *Session) MatchTopic(m *broker.Message, node string) (Grant, bool) {
	var few [8]hit
	return s.decide(s.subs.matching(m.Topic, few[:0]), m, node)
}

// MatchBy is MatchTopic for a host that has an index: inner are the inner filters of this client that match, each once; what is no subscription does not count.
// With one matching subscription it allocates nothing but at the first message.
func (s *Session) MatchBy(m *broker.Message, node string, inner ...string) (Grant, bool) {
	var few [8]hit
	hits := few[:0]
	for _, f := range inner {
		hits = s.subs.having(f, hits)
	}
	return s.decide(hits, m, node)
}

func (s *Session) decide(hits []hit, m *broker.Message, node string) (Grant, bool) {
	n := 0
	for _, h := range hits {
		if s.wants(h, m, node) {
			hits[n] = h
			n++
		}
	}
	switch n {
	case 0:
		return Grant{}, false
	case 1:
		return s.grant(hits[0], m), true
	}
	sortHits(hits[:n])
	return s.join(hits[:n], m), true
}

// wants checks the conditions besides the filter.
func (s *Session) wants(h hit, m *broker.Message, node string) bool {
	own := m.From != "" && m.From == s.clientID
	if own && (h.noLocal || s.set.IgnoreLoopDeliver) {
		return false
	}
	if h.full[0] != '$' {
		return true
	}
	p := parsed(h.full)
	if p.Exclusive && h.subscription.grant() == 0 {
		return false
	}
	return !p.Local || m.Node != "" && m.Node == node
}

// grant decides for one subscription.
func (s *Session) grant(h hit, m *broker.Message) Grant {
	return Grant{QoS: s.granted(h.qos, m.QoS), Retain: m.Retain && h.retain, By: h.by(h.full)}
}

func (s *Session) granted(sub, pub broker.QoS) broker.QoS {
	if s.set.UpgradeQoS {
		return max(sub, pub)
	}
	return min(sub, pub)
}

// join makes one grant of several.
func (s *Session) join(hits []hit, m *broker.Message) Grant {
	g := Grant{By: &Matched{}}
	ids := 0
	for _, h := range hits {
		g.QoS = max(g.QoS, s.granted(h.qos, m.QoS))
		g.Retain = g.Retain || m.Retain && h.retain
		if h.id != 0 {
			ids++
		}
	}
	if ids > 0 {
		g.By.SubIDs = make([]uint32, 0, ids)
	}
	if len(hits) <= maxFilters {
		g.By.Filters = make([]string, 0, len(hits))
	}
	for _, h := range hits {
		if h.id != 0 {
			g.By.SubIDs = append(g.By.SubIDs, h.id)
		}
		if g.By.Filters != nil {
			g.By.Filters = append(g.By.Filters, h.full)
		}
	}
	return g
}

// GrantFor says how a message goes out by one subscription, shared or not: for the copy of a group, and for retained messages (for those the caller
// sets Retain as MQTT 5.0 §3.3.1.3 asks). The topic is not compared again. It reports false if there is no such subscription, or it does not want this message.
func (s *Session) GrantFor(full string, m *broker.Message, node string) (Grant, bool) {
	h := hit{full, s.subs.get(full)}
	if h.subscription == nil || !s.wants(h, m, node) {
		return Grant{}, false
	}
	return s.grant(h, m), true
}

// ShareFilter finds the full filter by which this session is a member of a group; when it is one by several spellings ($local/ or not), the first in order that wants the message.
func (s *Session) ShareFilter(share broker.Share, m *broker.Message, node string) (full string, ok bool) {
	if full, u := s.subs.member(share); u != nil {
		return full, s.wants(hit{full, u}, m, node)
	}
	p := topic.Parsed{Filter: share.Filter, Group: share.Group, Shared: true}
	spellings := []string{p.String(), "$local/" + p.String()}
	if share.Group == topic.QueueGroup {
		spellings = append(spellings, "$queue/"+share.Filter, "$local/$queue/"+share.Filter, "$queue/$local/"+share.Filter)
	}
	for _, f := range spellings {
		if u := s.subs.get(f); u != nil && parsed(f).Share() == share && s.wants(hit{f, u}, m, node) {
			return f, true
		}
	}
	return "", false
}
