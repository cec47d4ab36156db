package session

import (
	"cmp"
	"slices"

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

// subscription is one entry with what is computed once from it.
type subscription struct {
	broker.Subscription
	parsed  topic.Parsed
	matched *Matched
	grant   uint64 // of an exclusive subscription: the epoch of its grant; 0: not granted yet, it matches nothing
}

// subscriptions holds the subscriptions of a session by full filter: a sorted list while they are few, a map and an index beyond.
type subscriptions struct {
	list []*subscription
	all  map[string]*subscription // nil while the list is in use
	plan *topic.Index[string, *subscription]
}

const (
	subsList = 16 // up to how many the list is used
	subsBack = 8  // from how many on it is used again
)

func (s *subscriptions) len() int {
	if s.all != nil {
		return len(s.all)
	}
	return len(s.list)
}

func (s *subscriptions) get(full string) *subscription {
	if s.all != nil {
		return s.all[full]
	}
	if i, ok := s.search(full); ok {
		return s.list[i]
	}
	return nil
}

// member is the subscription that makes the session a member of a group, if there is exactly one and subscriptions are few.
func (s *subscriptions) member(share broker.Share) (one *subscription) {
	for _, u := range s.list {
		if !u.parsed.Shared || u.parsed.Share() != share {
			continue
		}
		if one != nil {
			return nil
		}
		one = u
	}
	return one
}

func (s *subscriptions) search(full string) (int, bool) {
	return slices.BinarySearchFunc(s.list, full, func(u *subscription, f string) int { return cmp.Compare(u.Filter, f) })
}

func (s *subscriptions) put(u *subscription) {
	if s.all == nil {
		i, ok := s.search(u.Filter)
		switch {
		case ok:
			s.list[i] = u
			return
		case len(s.list) < subsList:
			s.list = slices.Insert(s.list, i, u)
			return
		}
		s.grow()
	}
	s.all[u.Filter] = u
	s.index(u)
}

// grow goes over to map and index.
func (s *subscriptions) grow() {
	s.all = make(map[string]*subscription, 2*subsList)
	s.plan = topic.NewIndex[string, *subscription](1)
	for _, u := range s.list {
		s.all[u.Filter] = u
		s.index(u)
	}
	s.list = nil
}

// index makes an ordinary subscription findable by topic; copies for shared ones are addressed to them by name.
func (s *subscriptions) index(u *subscription) {
	if !u.parsed.Shared {
		s.plan.Add(u.parsed.Filter, u.Filter, u)
	}
}

func (s *subscriptions) remove(full string) bool {
	if s.all == nil {
		i, ok := s.search(full)
		if ok {
			s.list = slices.Delete(s.list, i, i+1)
		}
		return ok
	}
	u := s.all[full]
	if u == nil {
		return false
	}
	delete(s.all, full)
	if !u.parsed.Shared {
		s.plan.Remove(u.parsed.Filter, full)
	}
	if len(s.all) <= subsBack {
		s.list = s.sorted()
		s.all, s.plan = nil, nil
	}
	return true
}

// sorted lists all in order of the full filter.
func (s *subscriptions) sorted() []*subscription {
	if s.all == nil {
		return slices.Clone(s.list)
	}
	list := make([]*subscription, 0, len(s.all))
	for _, u := range s.all {
		list = append(list, u)
	}
	sortSubscriptions(list)
	return list
}

func sortSubscriptions(list []*subscription) {
	slices.SortFunc(list, func(a, b *subscription) int { return cmp.Compare(a.Filter, b.Filter) })
}

// matchList appends those of the list that a topic matches, in order of the full filter.
func (s *subscriptions) matchList(name string, dst []*subscription) []*subscription {
	for _, u := range s.list {
		if !u.parsed.Shared && topic.Match(u.parsed.Filter, name) {
			dst = append(dst, u)
		}
	}
	return dst
}

// matchIndex is matchList for many subscriptions.
func (s *subscriptions) matchIndex(name string) (hits []*subscription) {
	s.plan.Match(name, func(_, _ string, u *subscription) { hits = append(hits, u) })
	sortSubscriptions(hits)
	return hits
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
	u := newSubscription(sub, p)
	if existed {
		u.grant = s.subs.get(sub.Filter).grant
	}
	s.subs.put(u)
	s.version++
	return existed, nil
}

// Grant notes under which epoch an exclusive subscription was granted; before that it matches nothing. It reports the epoch it was granted under so far, 0 for none, and
// whether there is such a subscription.
func (s *Session) Grant(full string, grant uint64) (before uint64, ok bool) {
	s.begin()
	u := s.subs.get(full)
	if u == nil || !u.parsed.Exclusive {
		return 0, false
	}
	before, u.grant = u.grant, grant
	s.version++
	return before, true
}

// Granted is the epoch under which an exclusive subscription was granted, 0 if it was not, or is none.
func (s *Session) Granted(full string) uint64 {
	if u := s.subs.get(full); u != nil {
		return u.grant
	}
	return 0
}

func newSubscription(sub broker.Subscription, p topic.Parsed) *subscription {
	m := &Matched{Filters: []string{sub.Filter}}
	if sub.ID != 0 {
		m.SubIDs = []uint32{sub.ID}
	}
	if p.Shared {
		share := p.Share()
		m.Share = &share
	}
	return &subscription{Subscription: sub, parsed: p, matched: m}
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
		return u.Subscription, true
	}
	return broker.Subscription{}, false
}

// Subscriptions lists all subscriptions in order of the full filter.
func (s *Session) Subscriptions() []broker.Subscription {
	list := s.subs.sorted()
	subs := make([]broker.Subscription, len(list))
	for i, u := range list {
		subs[i] = u.Subscription
	}
	return subs
}

// MatchTopic says whether and how the ordinary subscriptions want a message: once, with the highest QoS and all identifiers of those that match
// (MQTT 5.0 §3.3.4). node is the node of this client's connection, for $local/ subscriptions. With one matching subscription it allocates nothing.
func (s *Session) MatchTopic(m *broker.Message, node string) (Grant, bool) {
	var few [8]*subscription
	hits := few[:0]
	if s.subs.all == nil {
		hits = s.subs.matchList(m.Topic, hits)
	} else {
		hits = s.subs.matchIndex(m.Topic)
	}
	n := 0
	for _, u := range hits {
		if s.wants(u, m, node) {
			hits[n] = u
			n++
		}
	}
	switch n {
	case 0:
		return Grant{}, false
	case 1:
		return s.grant(hits[0], m), true
	}
	return s.join(hits[:n], m), true
}

// wants checks the conditions besides the filter.
func (s *Session) wants(u *subscription, m *broker.Message, node string) bool {
	own := m.From != "" && m.From == s.clientID
	if own && (u.NoLocal || s.set.IgnoreLoopDeliver) {
		return false
	}
	if u.parsed.Exclusive && u.grant == 0 {
		return false
	}
	return !u.parsed.Local || m.Node != "" && m.Node == node
}

// grant decides for one subscription.
func (s *Session) grant(u *subscription, m *broker.Message) Grant {
	return Grant{QoS: s.granted(u.QoS, m.QoS), Retain: m.Retain && u.RetainAsPublished, By: u.matched}
}

func (s *Session) granted(sub, pub broker.QoS) broker.QoS {
	if s.set.UpgradeQoS {
		return max(sub, pub)
	}
	return min(sub, pub)
}

// join makes one grant of several.
func (s *Session) join(hits []*subscription, m *broker.Message) Grant {
	g := Grant{By: &Matched{}}
	ids := 0
	for _, u := range hits {
		g.QoS = max(g.QoS, s.granted(u.QoS, m.QoS))
		g.Retain = g.Retain || m.Retain && u.RetainAsPublished
		ids += len(u.matched.SubIDs)
	}
	if ids > 0 {
		g.By.SubIDs = make([]uint32, 0, ids)
	}
	if len(hits) <= maxFilters {
		g.By.Filters = make([]string, 0, len(hits))
	}
	for _, u := range hits {
		g.By.SubIDs = append(g.By.SubIDs, u.matched.SubIDs...)
		if g.By.Filters != nil {
			g.By.Filters = append(g.By.Filters, u.Filter)
		}
	}
	return g
}

// GrantFor says how a message goes out by one subscription, shared or not: for the copy of a group, and for retained messages (for those the caller
// sets Retain as MQTT 5.0 §3.3.1.3 asks). The topic is not compared again. It reports false if there is no such subscription, or it does not want this message.
func (s *Session) GrantFor(full string, m *broker.Message, node string) (Grant, bool) {
	u := s.subs.get(full)
	if u == nil || !s.wants(u, m, node) {
		return Grant{}, false
	}
	return s.grant(u, m), true
}

// ShareFilter finds the full filter by which this session is a member of a group; when it is one by several spellings ($local/ or not), the first in order that wants the message.
func (s *Session) ShareFilter(share broker.Share, m *broker.Message, node string) (full string, ok bool) {
	if u := s.subs.member(share); u != nil {
		return u.Filter, s.wants(u, m, node)
	}
	p := topic.Parsed{Filter: share.Filter, Group: share.Group, Shared: true}
	spellings := []string{p.String(), "$local/" + p.String()}
	if share.Group == topic.QueueGroup {
		spellings = append(spellings, "$queue/"+share.Filter, "$local/$queue/"+share.Filter, "$queue/$local/"+share.Filter)
	}
	for _, f := range spellings {
		if u := s.subs.get(f); u != nil && u.parsed.Share() == share && s.wants(u, m, node) {
			return f, true
		}
	}
	return "", false
}
