package authsvc

import (
	"context"
	"errors"
	"log/slog"

	"github.com/pando-mq/pando/authsvc/hash"
	"github.com/pando-mq/pando/services/broker"
)

// Authenticate implements broker.Auth (§6.1): the first authenticator of the
// chain that knows the client decides; nobody asks further after a wrong
// password. A client that none knows gets in only where anonymous clients do.
func (s *Service) Authenticate(ctx context.Context, c *broker.Credentials) (*broker.Identity, error) {
	id, result, err := s.authenticate(ctx, c)
	if err != nil {
		result = broker.KindOf(err).String()
	}
	s.metrics.authenticated.WithLabelValues(result).Inc()
	return id, err
}

func (s *Service) authenticate(ctx context.Context, c *broker.Credentials) (id *broker.Identity, result string, err error) {
	if !s.projection.ready.Load() {
		return nil, "", broker.E(broker.KindUnavailable, "authenticate: the users are not read yet", nil)
	}
	for _, name := range s.cfg.Chain {
		known, err := s.ask(ctx, name, c)
		if err != nil {
			return nil, "", err
		}
		if known != nil {
			id, err := s.admit(ctx, name, known, c)
			return id, "ok", err
		}
	}
	if err := s.unknown(ctx, c); err != nil {
		return nil, "", err
	}
	return identity(c), "anonymous", nil
}

// account is what an authenticator has under the client's name.
type account struct {
	password  hash.Stored
	superuser bool
}

// ask returns the account of one authenticator, nil if it does not know the
// client, or an error: the password is not that account's.
func (s *Service) ask(ctx context.Context, authenticator string, c *broker.Credentials) (*account, error) {
	a, err := s.lookUp(ctx, authenticator, c)
	if err != nil || a == nil {
		return nil, err
	}
	if !c.HasPass {
		return nil, broker.E(broker.KindUnauthenticated, "authenticate: no password", nil)
	}
	ok, err := s.verifier.Verify(ctx, a.password, c.Password)
	if err != nil {
		return nil, s.passwordError(err, c)
	}
	if !ok {
		return nil, broker.E(broker.KindUnauthenticated, "authenticate: wrong password", nil)
	}
	return a, nil
}

// lookUp finds the account, nil if there is none.
func (s *Service) lookUp(ctx context.Context, authenticator string, c *broker.Credentials) (*account, error) {
	var a *account
	var err error
	db := s.projection.db.Load()
	switch {
	case authenticator == ChainClient && c.ClientID != "":
		a, err = s.accounts.client(ctx, db, c.Tenant, c.ClientID)
	case authenticator == ChainUser && c.HasUser && c.Username != "":
		a, err = s.accounts.user(ctx, db, c.Tenant, c.Username)
	}
	if err != nil {
		return nil, s.lookUpError("authenticate", err)
	}
	return a, nil
}

// admit makes the identity of a client whose password was right. A user name
// that belongs to a built-in user is part of it only if that user's password
// was checked: a client id's password gives no user's rights.
func (s *Service) admit(ctx context.Context, authenticator string, a *account, c *broker.Credentials) (*broker.Identity, error) {
	id := identity(c)
	id.Superuser = a.superuser
	if authenticator == ChainUser {
		return id, nil
	}
	user, err := s.lookUp(ctx, ChainUser, c)
	if user != nil {
		id.Username = ""
	}
	return id, err
}

// unknown says no to a client that no authenticator knows, at the cost of a
// wrong password, unless anonymous clients get in.
func (s *Service) unknown(ctx context.Context, c *broker.Credentials) error {
	admitted, err := s.admitsAnonymous(ctx, c)
	if err != nil || admitted {
		return err
	}
	if c.HasPass {
		if err := s.verifier.VerifyUnknown(ctx, c.Password); err != nil {
			return s.passwordError(err, c)
		}
	}
	return broker.E(broker.KindUnauthenticated, "authenticate: not known, and anonymous clients are not admitted here (auth.allow_anonymous)", nil)
}

// admitsAnonymous is the policy of auth.allow_anonymous.
func (s *Service) admitsAnonymous(ctx context.Context, c *broker.Credentials) (bool, error) {
	if explicit := s.cfg.AllowAnonymous; explicit != nil {
		return *explicit, nil
	}
	if !c.Loopback {
		return false, nil
	}
	configured, err := s.Configured(ctx)
	return !configured, err
}

// Configured reports whether authentication was set up: a policy for anonymous
// clients was chosen, or there is a user or a client id. Until then only
// listeners bound to loopback admit clients, and a gateway should refuse to
// listen elsewhere.
func (s *Service) Configured(ctx context.Context) (bool, error) {
	if s.cfg.AllowAnonymous != nil || len(s.cfg.Users) > 0 || len(s.cfg.Clients) > 0 {
		return true, nil
	}
	if !s.projection.ready.Load() {
		return false, broker.E(broker.KindUnavailable, "look for users: they are not read yet", nil)
	}
	empty, err := s.projection.db.Load().Empty(ctx)
	if err != nil {
		return false, s.lookUpError("look for users", err)
	}
	return !empty, nil
}

func identity(c *broker.Credentials) *broker.Identity {
	return &broker.Identity{
		Tenant: c.Tenant, ClientID: c.ClientID, Username: c.Username, Peer: c.Peer, Protocol: c.Protocol, Version: c.Version,
		Listener: c.Listener, CertCN: c.CertCN, CertDN: c.CertDN,
	}
}

// passwordError gives an error of package hash its kind.
func (s *Service) passwordError(err error, c *broker.Credentials) error {
	const op = "check password"
	switch {
	case errors.Is(err, hash.ErrBusy):
		return broker.E(broker.KindBusy, op, err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return broker.E(broker.KindCanceled, op, err)
	case errors.Is(err, hash.ErrTooLong):
		return broker.E(broker.KindUnauthenticated, op, err)
	}
	s.deps.Log.Error("a stored password cannot be checked, the client is refused",
		slog.String("clientid", c.ClientID), slog.String("username", c.Username), slog.Any("error", err))
	return broker.E(broker.KindInternal, op, err)
}

// lookUpError gives an error of the projection its kind.
func (s *Service) lookUpError(op string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return broker.E(broker.KindCanceled, op, err)
	}
	s.projection.report(err)
	return broker.E(broker.KindUnavailable, op, err)
}
