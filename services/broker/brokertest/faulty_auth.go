package brokertest

import (
	"context"

	"github.com/pando-mq/pando/services/broker"
)

// FaultyAuth is a broker.Auth with faults in front of it.
type FaultyAuth struct {
	*faulty
	inner broker.Auth
}

// NewFaultyAuth puts faults in front of an authsvc.
func NewFaultyAuth(inner broker.Auth, f Faults) *FaultyAuth { return &FaultyAuth{newFaulty(f), inner} }

// Authenticate implements broker.Auth.
func (a *FaultyAuth) Authenticate(ctx context.Context, c *broker.Credentials) (*broker.Identity, error) {
	var id *broker.Identity
	err := a.call(ctx, "authenticate", func() (err error) {
		id, err = a.inner.Authenticate(ctx, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	return id, nil
}

// Exchange implements broker.Auth.
func (a *FaultyAuth) Exchange(ctx context.Context, s *broker.AuthStep) (*broker.AuthAnswer, error) {
	var out *broker.AuthAnswer
	err := a.call(ctx, "exchange", func() (err error) {
		out, err = a.inner.Exchange(ctx, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Authorize implements broker.Auth.
func (a *FaultyAuth) Authorize(ctx context.Context, id *broker.Identity, action broker.Action, topics []string) ([]broker.Decision, error) {
	var out []broker.Decision
	err := a.call(ctx, "authorize", func() (err error) {
		out, err = a.inner.Authorize(ctx, id, action, topics)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// WatchRules implements broker.Auth. A drop loses the source behind a generation, a duplicate tells it twice.
func (a *FaultyAuth) WatchRules(ctx context.Context, fn func(generation uint64)) error {
	if err := a.refuse("watch rules"); err != nil {
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	lost := false
	err := a.inner.WatchRules(inner, func(generation uint64) {
		if lost {
			return
		}
		fn(generation)
		switch what, _ := a.next(); what {
		case duplicated:
			fn(generation)
		case dropped:
			lost = true
			cancel()
		}
	})
	if lost {
		return broker.E(broker.KindUnavailable, "the rules were lost by the schedule", nil)
	}
	return err
}
