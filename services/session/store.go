package session

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// subscription is one entry: the options here, the full filter beside them. It is as small as it can be, for there may be very many.
type subscription struct {
	qos        broker.QoS
	noLocal    bool
	retain     bool  // as published
	handling   uint8 // of retained messages
	id         uint32
	generation uint64
	more       *details // made when a message comes by it, or it is granted exclusively
}

// details is what few subscriptions need.
type details struct {
	matched Matched
	filter  [1]string
	grant   uint64 // of an exclusive subscription: the epoch of its grant; 0: not granted yet, it matches nothing
}

func newSubscription(s *broker.Subscription) subscription {
	return subscription{
		qos: s.QoS, noLocal: s.NoLocal, retain: s.RetainAsPublished, handling: s.RetainHandling, id: s.ID, generation: s.Generation,
	}
}

// as is the subscription as it was made.
func (u *subscription) as(full string) broker.Subscription {
	return broker.Subscription{
		Filter: full, QoS: u.qos, NoLocal: u.noLocal, RetainAsPublished: u.retain, RetainHandling: u.handling, ID: u.id, Generation: u.generation,
	}
}

func (u *subscription) grant() uint64 {
	if u.more == nil {
		return 0
	}
	return u.more.grant
}

func (u *subscription) setGrant(full string, grant uint64) {
	u.by(full)
	u.more.grant = grant
}

// by is what messages that came by this subscription alone share.
func (u *subscription) by(full string) *Matched {
	if u.more == nil {
		x := &details{filter: [1]string{full}}
		x.matched.Filters = x.filter[:]
		if u.id != 0 {
			x.matched.SubIDs = []uint32{u.id}
		}
		if p := parsed(full); p.Shared {
			share := p.Share()
			x.matched.Share = &share
		}
		u.more = x
	}
	return &u.more.matched
}

// parsed takes apart a filter that was valid when it came in.
func parsed(full string) topic.Parsed {
	if full[0] != '$' {
		return topic.Parsed{Filter: full}
	}
	p, _ := topic.Parse(full)
	return p
}

// subscriptions holds the subscriptions of a session by full filter: a sorted list while they are few, a table beyond. A *subscription is valid until the next change.
type subscriptions struct {
	list     []listed
	all      *topic.Table[subscription] // nil while the list is in use
	prefixed int                        // how many full filters begin with $
}

type listed struct {
	full string
	subscription
}

const (
	subsList = 16 // up to how many the list is used
	subsBack = 8  // from how many on it is used again
)

func (s *subscriptions) len() int {
	if s.all != nil {
		return s.all.Len()
	}
	return len(s.list)
}

func (s *subscriptions) get(full string) *subscription {
	if s.all != nil {
		return s.all.Get(full)
	}
	if i, ok := s.search(full); ok {
		return &s.list[i].subscription
	}
	return nil
}

// member is the subscription that makes the session a member of a group, if there is exactly one and subscriptions are few.
func (s *subscriptions) member(share broker.Share) (full string, one *subscription) {
	if s.prefixed == 0 {
		return "", nil
	}
	for i := range s.list {
		u := &s.list[i]
		if p := parsed(u.full); !p.Shared || p.Share() != share {
			continue
		}
		if one != nil {
			return "", nil
		}
		full, one = u.full, &u.subscription
	}
	return full, one
}

func (s *subscriptions) search(full string) (int, bool) {
	return slices.BinarySearchFunc(s.list, full, func(u listed, f string) int { return cmp.Compare(u.full, f) })
}

// put adds a subscription or replaces it. The text of a new one is kept as it is.
func (s *subscriptions) put(full string, u subscription) {
	if old := s.get(full); old != nil {
		*old = u
		return
	}
	if full[0] == '$' {
		s.prefixed++
	}
	if s.all == nil && len(s.list) < subsList {
		i, _ := s.search(full)
		s.list = slices.Insert(s.list, i, listed{full, u})
		return
	}
	if s.all == nil {
		s.all = new(topic.Table[subscription])
		for _, x := range s.list {
			v, _ := s.all.Put(x.full)
			*v = x.subscription
		}
		s.list = nil
	}
	v, _ := s.all.Put(full)
	*v = u
}

func (s *subscriptions) remove(full string) bool {
	if s.all != nil {
		if !s.all.Delete(full) {
			return false
		}
		if s.all.Len() <= subsBack {
			s.list, s.all = s.sorted(), nil
		}
	} else {
		i, ok := s.search(full)
		if !ok {
			return false
		}
		s.list = slices.Delete(s.list, i, i+1)
	}
	if full[0] == '$' {
		s.prefixed--
	}
	return true
}

// each visits all in no particular order, until fn returns false.
func (s *subscriptions) each(fn func(full string, u *subscription) bool) {
	if s.all != nil {
		s.all.All()(fn)
		return
	}
	for i := range s.list {
		if !fn(s.list[i].full, &s.list[i].subscription) {
			return
		}
	}
}

// sorted lists all in order of the full filter.
func (s *subscriptions) sorted() []listed {
	if s.all == nil {
		return slices.Clone(s.list)
	}
	list := make([]listed, 0, s.all.Len())
	for full, u := range s.all.All() {
		list = append(list, listed{full, *u})
	}
	slices.SortFunc(list, func(a, b listed) int { return cmp.Compare(a.full, b.full) })
	return list
}

// hit is a subscription that a message may go by.
type hit struct {
	full string
	*subscription
}

// matching appends those ordinary subscriptions that a topic matches.
func (s *subscriptions) matching(name string, dst []hit) []hit {
	s.each(func(full string, u *subscription) bool {
		if p := parsed(full); !p.Shared && topic.Match(p.Filter, name) {
			dst = append(dst, hit{full, u})
		}
		return true
	})
	return dst
}

// having appends the ordinary subscriptions with this inner filter, whatever their prefixes.
func (s *subscriptions) having(inner string, dst []hit) []hit {
	add := func(full string) {
		if u := s.get(full); u != nil && parsed(full).Filter == inner {
			dst = append(dst, hit{full, u})
		}
	}
	if add(inner); s.prefixed > 0 {
		add("$local/" + inner)
		add(broker.ExclusivePrefix + inner)
	}
	return dst
}

func sortHits(hits []hit) {
	slices.SortFunc(hits, func(a, b hit) int { return strings.Compare(a.full, b.full) })
}
