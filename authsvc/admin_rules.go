package authsvc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pando-mq/pando/authsvc/store"
	"github.com/pando-mq/pando/services/broker"
)

// PutRule implements broker.AuthAdmin. A rule without an ID is new and gets
// one; one with the ID of an existing rule replaces it. Index -1 puts a new
// rule last and leaves an existing one where it is; an index past the end is
// the end.
func (s *Service) PutRule(ctx context.Context, r broker.Rule) (broker.Rule, error) {
	const op = "put rule"
	if err := row(r).Validate(); err != nil {
		return broker.Rule{}, broker.E(broker.KindInvalid, op, err)
	}
	if r.ID == "" {
		r.ID = newRuleID()
	}
	out := r
	err := s.change(ctx, op, "", func(ctx context.Context) ([]store.Event, error) {
		ids, err := s.ruleIDs(ctx, op)
		if err != nil {
			return nil, err
		}
		events, index, err := placeRule(r, ids)
		out.Index = index
		return events, err
	}, func(ctx context.Context, a broker.AuthAdmin) (err error) {
		out, err = a.PutRule(ctx, r)
		return err
	})
	if err != nil {
		return broker.Rule{}, err
	}
	return out, nil
}

// placeRule returns the events that put a rule among those with these ids, and
// its index then.
func placeRule(r broker.Rule, ids []string) ([]store.Event, int, error) {
	events := []store.Event{{Type: store.ACLPut, Rule: &store.Rule{ID: r.ID, Row: row(r)}}}
	at := slices.Index(ids, r.ID)
	if at < 0 {
		if len(ids) >= maxRules {
			return nil, 0, broker.E(broker.KindQuota, "put rule", fmt.Errorf("there are %d rules", len(ids)))
		}
		at = len(ids)
		ids = append(ids, r.ID)
	}
	to := min(r.Index, len(ids)-1)
	if r.Index < 0 || to == at {
		return events, at, nil
	}
	ids = slices.Insert(slices.Delete(ids, at, at+1), to, r.ID)
	return append(events, store.Event{Type: store.ACLOrder, Order: ids}), to, nil
}

func (s *Service) ruleIDs(ctx context.Context, op string) ([]string, error) {
	rules, err := s.projection.db.Load().Rules(ctx, "")
	if err != nil {
		return nil, s.lookUpError(op, err)
	}
	ids := make([]string, len(rules))
	for i, r := range rules {
		ids[i] = r.ID
	}
	return ids, nil
}

// DeleteRule implements broker.AuthAdmin; KindNotFound for an unknown id.
func (s *Service) DeleteRule(ctx context.Context, id string) error {
	const op = "delete rule"
	return s.change(ctx, op, "", func(ctx context.Context) ([]store.Event, error) {
		ids, err := s.ruleIDs(ctx, op)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, id) {
			return nil, broker.E(broker.KindNotFound, op, nil)
		}
		return []store.Event{{Type: store.ACLDel, Key: id}}, nil
	}, func(ctx context.Context, a broker.AuthAdmin) error { return a.DeleteRule(ctx, id) })
}

// Rules implements broker.AuthAdmin: the built-in rules of this replica. They
// are asked before those of the rule file, which are not among them.
func (s *Service) Rules(ctx context.Context) ([]broker.Rule, error) {
	db, err := s.readable("list rules")
	if err != nil {
		return nil, err
	}
	rules, err := db.Rules(ctx, "")
	if err != nil {
		return nil, s.adminError("list rules", err)
	}
	out := make([]broker.Rule, len(rules))
	for i, r := range rules {
		out[i] = broker.Rule{
			ID: r.ID, Index: i, Allow: r.Allow, Username: r.Username, ClientID: r.ClientID, CIDR: r.IPAddr, Access: uint8(r.Access), Topic: r.Topic,
		}
	}
	return out, nil
}

// ReloadACL implements broker.AuthAdmin. The file is checked here and at the
// owner first; if it is broken at either, nothing changes anywhere. Then an
// event in the journal has every authsvc read its file again, and the
// generation of the rules rises. It returns when that happened here.
func (s *Service) ReloadACL(ctx context.Context) error {
	const op = "reload acl file"
	if _, err := s.rules.check(); err != nil {
		return broker.E(broker.KindInvalid, op, err)
	}
	before, _ := s.projection.db.Load().FileVersion()
	if err := s.reload(ctx); err != nil {
		return err
	}
	return s.reloaded(ctx, op, before)
}

// reload has the owner write the event.
func (s *Service) reload(ctx context.Context) error {
	const op = "reload acl file"
	return s.change(ctx, op, "", func(context.Context) ([]store.Event, error) {
		digest, err := s.rules.check()
		if err != nil {
			return nil, broker.E(broker.KindInvalid, op, err)
		}
		return []store.Event{{Type: store.ACLReload, Key: digest}}, nil
	}, func(ctx context.Context, a broker.AuthAdmin) error { return a.ReloadACL(ctx) })
}

// reloaded waits until this process has read its file again.
func (s *Service) reloaded(ctx context.Context, op string, before uint64) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	var now *ruleset
	err := s.rules.changed.until(ctx, func() bool {
		now = s.rules.current.Load()
		return now != nil && now.fileRead > before
	})
	switch {
	case err != nil:
		return broker.E(broker.KindUnavailable, op, errors.New("the event is written, but has not come here yet"))
	case now.fileErr != nil:
		return broker.E(broker.KindInvalid, op, now.fileErr)
	}
	return nil
}
