package authsvc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/pando-mq/pando/authsvc/acl"
	"github.com/pando-mq/pando/authsvc/hash"
	"github.com/pando-mq/pando/authsvc/store"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/cluster"
)

const (
	// adminTimeout bounds a change, the wait for an owner included.
	adminTimeout = 15 * time.Second
	// lookAgain is the pause before the owner is looked up again.
	lookAgain = 50 * time.Millisecond
	// maxRules is how many built-in rules there are at most.
	maxRules = 100_000
)

// submit makes a change at the owner of the journal: here, or through the
// owner's AuthAdmin. While there is none it waits.
func (s *Service) submit(ctx context.Context, op string, local func(context.Context, *owner) error, remote func(context.Context, broker.AuthAdmin) error) error {
	late := broker.E(broker.KindUnavailable, op, errors.New("no owner of the journal of users answered in time"))
	ctx, cancel := context.WithTimeoutCause(ctx, adminTimeout, late)
	defer cancel()
	for {
		moved := s.ownership.wait()
		if err, asked := s.askOwner(ctx, local, remote); asked && (err == nil || broker.KindOf(err) != broker.KindNotOwner) {
			return err
		}
		again := time.NewTimer(lookAgain)
		select {
		case <-moved:
		case <-again.C:
		case <-ctx.Done():
		case <-s.stopping:
			again.Stop()
			return broker.E(broker.KindUnavailable, op, errors.New("authsvc stops"))
		}
		again.Stop()
		if err := context.Cause(ctx); err != nil {
			return broker.E(broker.KindOf(err), op, err)
		}
	}
}

// askOwner asks whoever owns the journal now; asked is false if nobody does.
// Another process is asked only if the registry itself, not this process' view
// of it, says that it is the owner, so that two of them never send a change to
// and fro.
func (s *Service) askOwner(ctx context.Context, local func(context.Context, *owner) error, remote func(context.Context, broker.AuthAdmin) error) (err error, asked bool) { //nolint:revive // the error belongs to asked
	if o := s.owner.Load(); o != nil {
		return local(ctx, o), true
	}
	view, err := s.deps.Cluster.Sync(ctx, 0)
	if err != nil {
		return nil, false
	}
	o, ok := view.Owner(cluster.AuthSpace, 0)
	if !ok || s.deps.Peer == nil || o.Node.Incarnation == s.deps.Member.Node().Incarnation {
		return nil, false
	}
	return remote(ctx, s.deps.Peer(o.Node)), true
}

// change is submit for events that are planned by the owner.
func (s *Service) change(ctx context.Context, op, key string, plan func(context.Context) ([]store.Event, error), remote func(context.Context, broker.AuthAdmin) error) error {
	return s.submit(ctx, op, func(ctx context.Context, o *owner) error { return o.do(ctx, key, plan) }, remote)
}

// readable returns the projection for reading, which is local.
func (s *Service) readable(op string) (*store.Store, error) {
	if !s.projection.ready.Load() {
		return nil, broker.E(broker.KindUnavailable, op, errors.New("the users are not read yet"))
	}
	return s.projection.db.Load(), nil
}

// PutUser implements broker.AuthAdmin. Without a password and a hash an
// existing user keeps its own. It returns when the change is durable and
// applied at the owner.
func (s *Service) PutUser(ctx context.Context, u broker.User) error {
	keys, err := s.scramKeys(ctx, "put user", &u)
	if err != nil {
		return err
	}
	u, password, err := s.hashed(ctx, "put user", u)
	if err != nil {
		return err
	}
	u.SCRAM = keys
	return s.change(ctx, "put user", "user/"+u.Tenant+"\x00"+u.Name, func(ctx context.Context) ([]store.Event, error) {
		old, err := s.projection.db.Load().User(ctx, u.Tenant, u.Name)
		created, stored, err := s.merge("put user", u, password, record{old.Created, old.Password, err})
		if err != nil {
			return nil, err
		}
		next := store.User{Name: u.Name, Password: stored, SCRAM: old.SCRAM, Superuser: u.Superuser, Created: created}
		if password != nil {
			next.SCRAM = store.SCRAMOf(u.SCRAM)
		}
		return s.seeded(store.Event{Type: store.UserPut, Tenant: u.Tenant, User: &next}), nil
	}, func(ctx context.Context, a broker.AuthAdmin) error { return a.PutUser(ctx, u) })
}

// seeded puts the secret that decoys are made of before the first user who has keys.
func (s *Service) seeded(put store.Event) []store.Event {
	if len(put.User.SCRAM) == 0 || s.projection.db.Load().SCRAMSeed() != "" {
		return []store.Event{put}
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return []store.Event{{Type: store.SCRAMSeed, Key: hex.EncodeToString(secret)}, put}
}

// PutClientID implements broker.AuthAdmin, as PutUser. A client id is never a superuser.
func (s *Service) PutClientID(ctx context.Context, u broker.User) error {
	const op = "put client id"
	if u.Superuser {
		return broker.E(broker.KindInvalid, op, errors.New("a client id cannot be a superuser"))
	}
	u, password, err := s.hashed(ctx, op, u)
	if err != nil {
		return err
	}
	return s.change(ctx, op, "client/"+u.Tenant+"\x00"+u.Name, func(ctx context.Context) ([]store.Event, error) {
		old, err := s.projection.db.Load().Client(ctx, u.Tenant, u.Name)
		created, stored, err := s.merge(op, u, password, record{old.Created, old.Password, err})
		if err != nil {
			return nil, err
		}
		return []store.Event{{Type: store.ClientPut, Tenant: u.Tenant, Client: &store.Client{ID: u.Name, Password: stored, Created: created}}}, nil
	}, func(ctx context.Context, a broker.AuthAdmin) error { return a.PutClientID(ctx, u) })
}

// hashed replaces the password by its hash, at once and here: no other process
// sees it. password is nil if the user brings none.
func (s *Service) hashed(ctx context.Context, op string, u broker.User) (_ broker.User, password *hash.Stored, err error) {
	switch {
	case len(u.Password) > 0 && u.Hash != "":
		return u, nil, broker.E(broker.KindInvalid, op, errors.New("either a password or a hash"))
	case len(u.Password) > 0:
		stored, err := s.verifier.Create(ctx, u.Password)
		if err != nil {
			return u, nil, createError(op, err)
		}
		u.Password, u.Hash, u.Method, u.Salt = nil, stored.Hash, stored.Scheme.String(), string(stored.Salt)
		return u, &stored, nil
	case u.Hash != "":
		stored, err := hash.Import(u.Method, u.Hash, []byte(u.Salt))
		if err != nil {
			return u, nil, broker.E(broker.KindInvalid, op, err)
		}
		return u, &stored, nil
	}
	return u, nil, nil
}

func createError(op string, err error) error {
	switch {
	case errors.Is(err, hash.ErrBusy):
		return broker.E(broker.KindBusy, op, err)
	case errors.Is(err, hash.ErrTooLong):
		return broker.E(broker.KindInvalid, op, err)
	}
	return broker.E(broker.KindOf(err), op, err)
}

// record is what a look-up for a user or client id gave.
type record struct {
	created  time.Time
	password hash.Stored
	err      error
}

// merge completes a new record by what is there already. password is nil if
// the new one brings none.
func (s *Service) merge(op string, u broker.User, password *hash.Stored, old record) (created time.Time, stored hash.Stored, err error) {
	switch {
	case old.err != nil && !errors.Is(old.err, store.ErrNotFound):
		return created, stored, s.lookUpError(op, old.err)
	case old.err == nil && u.Create:
		return created, stored, broker.E(broker.KindConflict, op, errors.New("it exists already"))
	case old.err != nil && password == nil:
		return created, stored, broker.E(broker.KindInvalid, op, errors.New("a new one needs a password or a hash"))
	}
	created, stored = old.created, old.password
	if old.err != nil {
		if created = u.Created; created.IsZero() {
			created = s.deps.Clock()
		}
		created = created.UTC().Truncate(time.Millisecond)
	}
	if password != nil {
		stored = *password
	}
	return created, stored, nil
}

// DeleteUser implements broker.AuthAdmin.
func (s *Service) DeleteUser(ctx context.Context, tenant, name string) error {
	const op = "delete user"
	return s.change(ctx, op, "user/"+tenant+"\x00"+name, func(ctx context.Context) ([]store.Event, error) {
		if _, err := s.projection.db.Load().User(ctx, tenant, name); err != nil {
			return nil, s.adminError(op, err)
		}
		return []store.Event{{Type: store.UserDel, Tenant: tenant, Key: name}}, nil
	}, func(ctx context.Context, a broker.AuthAdmin) error { return a.DeleteUser(ctx, tenant, name) })
}

// DeleteClientID implements broker.AuthAdmin.
func (s *Service) DeleteClientID(ctx context.Context, tenant, clientID string) error {
	const op = "delete client id"
	return s.change(ctx, op, "client/"+tenant+"\x00"+clientID, func(ctx context.Context) ([]store.Event, error) {
		if _, err := s.projection.db.Load().Client(ctx, tenant, clientID); err != nil {
			return nil, s.adminError(op, err)
		}
		return []store.Event{{Type: store.ClientDel, Tenant: tenant, Key: clientID}}, nil
	}, func(ctx context.Context, a broker.AuthAdmin) error { return a.DeleteClientID(ctx, tenant, clientID) })
}

// adminError gives an error of the projection its kind.
func (s *Service) adminError(op string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return broker.E(broker.KindNotFound, op, err)
	}
	return s.lookUpError(op, err)
}

// Users implements broker.AuthAdmin, of this replica. Method says how the password is stored.
func (s *Service) Users(ctx context.Context, tenant, after string, limit int) ([]broker.User, error) {
	db, err := s.readable("list users")
	if err != nil {
		return nil, err
	}
	users, err := db.Users(ctx, tenant, after, page(limit))
	if err != nil {
		return nil, s.adminError("list users", err)
	}
	out := make([]broker.User, len(users))
	for i, u := range users {
		out[i] = broker.User{Tenant: tenant, Name: u.Name, Superuser: u.Superuser, Method: u.Password.Scheme.String(), Created: u.Created}
	}
	return out, nil
}

// ClientIDs implements broker.AuthAdmin, as Users.
func (s *Service) ClientIDs(ctx context.Context, tenant, after string, limit int) ([]broker.User, error) {
	db, err := s.readable("list client ids")
	if err != nil {
		return nil, err
	}
	clients, err := db.Clients(ctx, tenant, after, page(limit))
	if err != nil {
		return nil, s.adminError("list client ids", err)
	}
	out := make([]broker.User, len(clients))
	for i, c := range clients {
		out[i] = broker.User{Tenant: tenant, Name: c.ID, Method: c.Password.Scheme.String(), Created: c.Created}
	}
	return out, nil
}

// page is the length of a page: limit, or the largest there is.
func page(limit int) int {
	if limit <= 0 {
		return store.MaxPage
	}
	return limit
}

// newRuleID names a rule that came without a name.
func newRuleID() string { return strings.ToLower(rand.Text()) }

// row is the rule as the projection keeps it.
func row(r broker.Rule) acl.Row {
	return acl.Row{Allow: r.Allow, IPAddr: r.CIDR, Username: r.Username, ClientID: r.ClientID, Access: acl.Action(r.Access), Topic: r.Topic}
}
