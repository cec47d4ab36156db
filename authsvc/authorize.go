package authsvc

import (
	"context"
	"time"

	"github.com/pando-mq/pando/authsvc/acl"
	"github.com/pando-mq/pando/services/broker"
)

// Authorize implements broker.Auth: built-in rules in their order, then the
// rule file, then acl_nomatch.
func (s *Service) Authorize(_ context.Context, id *broker.Identity, action broker.Action, topics []string) ([]broker.Decision, error) {
	rules := s.rules.current.Load()
	if id == nil || action != broker.ActionPublish && action != broker.ActionSubscribe {
		return nil, broker.E(broker.KindInvalid, "authorize", nil)
	}
	if rules == nil && !id.Superuser {
		return nil, broker.E(broker.KindUnavailable, "authorize: the rules are not read yet", nil)
	}
	out := make([]broker.Decision, len(topics))
	for i, topic := range topics {
		allow, source, rule := s.decide(rules, id, action, topic)
		out[i] = broker.Decision{Allow: allow, TTL: s.decisionTTL(), Rule: rule}
		if rules != nil {
			out[i].Generation = rules.generation
		}
		result := "deny"
		if allow {
			result = "allow"
		}
		s.metrics.decided.WithLabelValues(action.String(), result, source).Inc()
	}
	return out, nil
}

// decide answers for one topic, with the source that decided and its rule.
func (s *Service) decide(rules *ruleset, id *broker.Identity, action broker.Action, topic string) (allow bool, source, rule string) {
	if id.Superuser {
		return true, "superuser", "superuser"
	}
	r := acl.Request{Username: id.Username, ClientID: id.ClientID, IP: id.Peer.Addr(), Action: acl.Publish, Topic: topic}
	if action == broker.ActionSubscribe {
		r.Action = acl.Subscribe
	}
	effect, source, rule := rules.decide(r)
	if effect == acl.Ignore && r.Action == acl.Publish && acl.IsSystem(topic) {
		return false, "nomatch", "no rule names $SYS: acl_nomatch is not about it"
	}
	if effect == acl.Ignore {
		return s.cfg.ACLNoMatch == "allow", "nomatch", "acl_nomatch: " + s.cfg.ACLNoMatch
	}
	return effect == acl.Allow, source, rule
}

// decisionTTL is how long a decision may be kept. Without a cache that is no
// time at all, which a Decision cannot say by 0.
func (s *Service) decisionTTL() time.Duration {
	if !s.cfg.Cache.Enable {
		return time.Nanosecond
	}
	return s.cfg.Cache.TTL
}

// WatchRules implements broker.Auth.
func (s *Service) WatchRules(ctx context.Context, fn func(generation uint64)) error {
	var told uint64
	for {
		changed := s.rules.changed.wait()
		if now := s.rules.current.Load(); now != nil && now.generation > told {
			told = now.generation
			fn(told)
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopping:
			return broker.E(broker.KindUnavailable, "watch rules: authsvc stops", nil)
		}
	}
}
