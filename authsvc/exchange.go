package authsvc

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"

	"github.com/pando-mq/pando/authsvc/store"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/scram"
)

// resultNoKeys counts users that exist and have no keys of the method that they want to use. The client is told what everybody is told.
const resultNoKeys = "no_keys"

// Exchange implements broker.Auth: SCRAM of the built-in users (doc.go).
func (s *Service) Exchange(ctx context.Context, step *broker.AuthStep) (*broker.AuthAnswer, error) {
	answer, result, err := s.exchange(ctx, step)
	if err != nil && result == "" {
		result = broker.KindOf(err).String()
	}
	if result != "" {
		s.metrics.authenticated.WithLabelValues(result).Inc()
	}
	return answer, err
}

// exchange takes one step; result is "" while the exchange goes on, and for an error that has its own name.
func (s *Service) exchange(ctx context.Context, step *broker.AuthStep) (answer *broker.AuthAnswer, result string, err error) {
	const op = "authenticate"
	if !s.projection.ready.Load() {
		return nil, "", broker.E(broker.KindUnavailable, op+": the users are not read yet", nil)
	}
	if step == nil || step.Credentials == nil {
		return nil, "", broker.E(broker.KindInvalid, op, nil)
	}
	if !s.cfg.SCRAM.Enable || !slices.Contains(s.cfg.Chain, ChainUser) || !scram.Known(step.Method) {
		return nil, "", broker.E(broker.KindNotFound, op+": the method is not supported", nil)
	}
	var found store.User
	data, next, user, err := scram.Step(step.Method, step.Data, step.State, func(user string) (k broker.SCRAM, err error) {
		found, k, err = s.keysOf(ctx, step.Credentials.Tenant, user, step.Method)
		return k, err
	})
	switch {
	case err != nil:
		return nil, s.withoutKeys(&found, step), s.exchangeError(err, step.Credentials)
	case user == "":
		return &broker.AuthAnswer{Data: data, State: next}, "", nil
	}
	if err := s.mayUseClientID(ctx, step.Credentials); err != nil {
		return nil, "", err
	}
	id := identity(step.Credentials)
	id.Username, id.Superuser = user, found.Superuser
	return &broker.AuthAnswer{Data: data, Identity: id}, "ok", nil
}

// keysOf finds a user and its keys of a method; without them they are decoys, the same at every authsvc. A look-up costs the same either way.
func (s *Service) keysOf(ctx context.Context, tenant, name, method string) (store.User, broker.SCRAM, error) {
	db := s.projection.db.Load()
	u, err := db.User(ctx, tenant, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return u, broker.SCRAM{}, s.lookUpError("authenticate", err)
	}
	secret, err := hex.DecodeString(db.SCRAMSeed())
	if err != nil || len(secret) == 0 { // nobody has keys yet
		secret = s.decoys
	}
	k := scram.Decoy(method, tenant, name, s.cfg.SCRAM.Iterations, secret)
	for i := range u.SCRAM {
		if u.SCRAM[i].Method == method {
			k = u.SCRAM[i].Keys()
		}
	}
	return u, k, nil
}

// withoutKeys is the result for a user who failed because nothing is kept for the method: whose password was stored before, or came as a hash.
func (s *Service) withoutKeys(u *store.User, step *broker.AuthStep) string {
	if u.Name == "" || slices.ContainsFunc(u.SCRAM, func(k store.SCRAM) bool { return k.Method == step.Method }) {
		return ""
	}
	s.deps.Log.Debug("a user has no keys for this method of authentication: set the password again",
		slog.String("username", u.Name), slog.String("clientid", step.Credentials.ClientID), slog.String("method", step.Method))
	return resultNoKeys
}

// exchangeError gives an error of package scram its kind. What was wrong with a proof or a message stays here.
func (s *Service) exchangeError(err error, c *broker.Credentials) error {
	const op = "authenticate"
	if _, ok := errors.AsType[*broker.Error](err); ok {
		return err
	}
	if errors.Is(err, scram.ErrKeys) {
		s.deps.Log.Error("a user's stored keys cannot be used, the client is refused", slog.String("clientid", c.ClientID), slog.Any("error", err))
		return broker.E(broker.KindInternal, op, err)
	}
	return broker.E(broker.KindUnauthenticated, op+": wrong proof, unknown user, or a user without keys for this method", nil)
}

// mayUseClientID refuses a client id with a password of its own where that would have been asked before the user (auth.chain).
func (s *Service) mayUseClientID(ctx context.Context, c *broker.Credentials) error {
	if slices.Index(s.cfg.Chain, ChainClient) < 0 || slices.Index(s.cfg.Chain, ChainUser) < slices.Index(s.cfg.Chain, ChainClient) {
		return nil
	}
	known, err := s.lookUp(ctx, ChainClient, c)
	if err == nil && known != nil {
		err = broker.E(broker.KindUnauthenticated, "authenticate: the client id has a password of its own", nil)
	}
	return err
}

// scramKeys are what is kept of a user's new password for enhanced authentication: derived here, or by the authsvc that was given the password.
func (s *Service) scramKeys(ctx context.Context, op string, u *broker.User) (keys []broker.SCRAM, err error) {
	if len(u.Password) == 0 || !s.cfg.SCRAM.Enable {
		if len(u.Password) == 0 {
			keys = u.SCRAM
		}
		return keys, nil
	}
	wait := s.verifier.Pool().Do(ctx, len(u.Password), func() {
		for _, method := range scram.Methods() {
			var k broker.SCRAM
			if k, err = scram.Derive(method, u.Password, nil, s.cfg.SCRAM.Iterations); err != nil {
				return
			}
			keys = append(keys, k)
		}
	})
	if wait != nil {
		return nil, createError(op, wait)
	}
	if err != nil {
		return nil, broker.E(broker.KindInternal, op, err)
	}
	return keys, nil
}
