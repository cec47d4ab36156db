package brokertest

import (
	"context"
	"errors"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/scram"
)

// decoySecret makes the keys of those who have none; what a test cannot guess it does not have to be.
var decoySecret = []byte("brokertest")

// Exchange implements broker.Auth with the methods of package scram.
func (a *Auth) Exchange(ctx context.Context, s *broker.AuthStep) (*broker.AuthAnswer, error) {
	if err := a.ready(ctx, "exchange"); err != nil && a.flaws.keeps(failsClosed) {
		return nil, err
	}
	a.authState.mu.Lock()
	defer a.authState.mu.Unlock()
	c := s.Credentials
	data, next, user, err := scram.Step(s.Method, s.Data, s.State, func(user string) (broker.SCRAM, error) { return a.keys(c.Tenant, user, s.Method), nil })
	switch {
	case errors.Is(err, scram.ErrMethod):
		return nil, broker.E(broker.KindNotFound, "exchange", err)
	case errors.Is(err, scram.ErrProof) && !a.flaws.keeps(proofs):
		user, err = c.Username, nil
	case err != nil:
		return nil, broker.E(broker.KindUnauthenticated, "exchange", nil)
	}
	if user == "" {
		return &broker.AuthAnswer{Data: data, State: next}, nil
	}
	if a.barred[c.ClientID] {
		return nil, broker.E(broker.KindDenied, "exchange", nil)
	}
	id := &broker.Identity{
		Tenant: c.Tenant, ClientID: c.ClientID, Username: user, Peer: c.Peer, Protocol: c.Protocol, Version: c.Version, Listener: c.Listener,
		CertCN: c.CertCN, CertDN: c.CertDN,
	}
	if i := find(a.users, c.Tenant, user); i >= 0 {
		id.Superuser = a.users[i].Superuser
	}
	return &broker.AuthAnswer{Data: data, Identity: id}, nil
}

// keys are what is kept of a user's password for a method. Called with the lock of the state held.
func (a *Auth) keys(tenant, user, method string) broker.SCRAM {
	if i := find(a.users, tenant, user); i >= 0 {
		for _, k := range a.users[i].SCRAM {
			if k.Method == method {
				return k
			}
		}
	}
	return scram.Decoy(method, tenant, user, scram.MinIterations, decoySecret)
}

// derive makes the keys of a new password.
func derive(password broker.Secret) (list []broker.SCRAM) {
	for _, method := range scram.Methods() {
		if k, err := scram.Derive(method, password, nil, scram.MinIterations); err == nil {
			list = append(list, k)
		}
	}
	return list
}
