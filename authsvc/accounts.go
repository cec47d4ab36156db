package authsvc

import (
	"context"
	"errors"
	"sync"

	"github.com/pando-mq/pando/authsvc/store"
)

// accountsKept bounds the accounts in memory.
const accountsKept = 1 << 14

// accounts remembers what was read from the projection while that does not change: devices that connect again and again ask for the same few users, and
// most installations have no client ids with a password at all. Its zero value is empty.
type accounts struct {
	mu      sync.Mutex
	db      *store.Store // what the rest was read from,
	at      tip          // up to this event
	users   map[accountKey]*account
	clients map[string]bool // by tenant: whether there is any client id
}

type accountKey struct{ tenant, name string }

// tip is the last event of a projection. A journal that was replaced has another digest.
type tip struct {
	sequence uint64
	digest   string
}

func tipOf(db *store.Store) (t tip) {
	t.sequence, t.digest = db.Tip()
	return t
}

// current forgets what was read from an older state. Called with the lock held.
func (a *accounts) current(db *store.Store) {
	if at := tipOf(db); a.db != db || a.at != at {
		a.db, a.at = db, at
		a.users, a.clients = map[accountKey]*account{}, map[string]bool{}
	}
}

// user is a user's account, nil if there is none. Only users that exist are remembered: a guesser of names fills no memory.
func (a *accounts) user(ctx context.Context, db *store.Store, tenant, name string) (*account, error) {
	k := accountKey{tenant, name}
	a.mu.Lock()
	a.current(db)
	known, at := a.users[k], a.at
	a.mu.Unlock()
	if known != nil {
		return known, nil
	}
	u, err := db.User(ctx, tenant, name)
	if err != nil {
		return nil, absent(err)
	}
	known = &account{password: u.Password, superuser: u.Superuser}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current(db); a.at == at { // it was not changed while it was read
		if len(a.users) >= accountsKept {
			clear(a.users)
		}
		a.users[k] = known
	}
	return known, nil
}

// client is a client id's account, nil if there is none.
func (a *accounts) client(ctx context.Context, db *store.Store, tenant, id string) (*account, error) {
	a.mu.Lock()
	a.current(db)
	some, known := a.clients[tenant]
	at := a.at
	a.mu.Unlock()
	if known && !some {
		return nil, nil
	}
	if !known {
		first, err := db.Clients(ctx, tenant, "", 1)
		if err != nil {
			return nil, err
		}
		a.mu.Lock()
		if a.current(db); a.at == at && len(a.clients) < accountsKept {
			a.clients[tenant] = len(first) > 0
		}
		a.mu.Unlock()
		if len(first) == 0 {
			return nil, nil
		}
	}
	c, err := db.Client(ctx, tenant, id)
	if err != nil {
		return nil, absent(err)
	}
	return &account{password: c.Password}, nil
}

// absent is no error for what is not there.
func absent(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
