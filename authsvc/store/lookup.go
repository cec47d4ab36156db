package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/pando-mq/pando/authsvc/hash"
)

// MaxPage is the most records a page has.
const MaxPage = 1000

// reads are the prepared statements of the reading connections.
type reads struct{ empty, user, users, client, clients, rules *sql.Stmt }

// Empty reports that no tenant has a user or a client id.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	var empty bool
	if err := s.r.empty.QueryRowContext(ctx).Scan(&empty); err != nil {
		return false, fmt.Errorf("look for users: %w", classify(err))
	}
	return empty, nil
}

// User returns a user, or ErrNotFound.
func (s *Store) User(ctx context.Context, tenant, name string) (User, error) {
	u, err := scanUser(s.r.user.QueryRowContext(ctx, tenant, name))
	if err != nil {
		return User{}, fmt.Errorf("look up user: %w", notFound(err))
	}
	return u, nil
}

// Client returns a client id, or ErrNotFound.
func (s *Store) Client(ctx context.Context, tenant, id string) (Client, error) {
	c, err := scanClient(s.r.client.QueryRowContext(ctx, tenant, id))
	if err != nil {
		return Client{}, fmt.Errorf("look up client id: %w", notFound(err))
	}
	return c, nil
}

// Users returns the users of a tenant whose names come after the given one, in
// the byte order of their names. limit is clamped to 1..MaxPage; a page that is
// shorter than that is the last.
func (s *Store) Users(ctx context.Context, tenant, after string, limit int) ([]User, error) {
	return list(ctx, "users", scanUser, s.r.users, tenant, after, clamp(limit))
}

// Clients returns client ids as Users returns users.
func (s *Store) Clients(ctx context.Context, tenant, after string, limit int) ([]Client, error) {
	return list(ctx, "client ids", scanClient, s.r.clients, tenant, after, clamp(limit))
}

// Rules returns all rules of a tenant in their order.
func (s *Store) Rules(ctx context.Context, tenant string) ([]Rule, error) {
	return list(ctx, "rules", scanRule, s.r.rules, tenant, "", math.MaxInt32)
}

// RulesPage returns the rules of a tenant that follow the one with the ID
// after, or from the first if there is no such rule; limit as in Users.
func (s *Store) RulesPage(ctx context.Context, tenant, after string, limit int) ([]Rule, error) {
	return list(ctx, "rules", scanRule, s.r.rules, tenant, after, clamp(limit))
}

func clamp(limit int) int { return min(max(limit, 1), MaxPage) }

// notFound translates the driver's word for no row.
func notFound(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return classify(err)
}

// list reads all rows of a query.
func list[T any](ctx context.Context, what string, scan func(scanner) (T, error), stmt *sql.Stmt, args ...any) ([]T, error) {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, classify(err))
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", what, classify(err))
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list %s: %w", what, classify(err))
	}
	return out, nil
}

// scanner is a row, alone or among others.
type scanner interface{ Scan(dest ...any) error }

func scanUser(row scanner) (User, error) {
	var u User
	var scheme string
	var created int64
	var keys []byte
	err := row.Scan(&u.Name, &scheme, &u.Password.Hash, &u.Password.Salt, &u.Superuser, &created, &keys)
	if err == nil && len(keys) > 0 {
		err = json.Unmarshal(keys, &u.SCRAM)
	}
	if err != nil {
		return User{}, err
	}
	u.Created = time.UnixMilli(created).UTC()
	u.Password, err = withScheme(u.Password, scheme)
	return u, err
}

func scanClient(row scanner) (Client, error) {
	var c Client
	var scheme string
	var created int64
	err := row.Scan(&c.ID, &scheme, &c.Password.Hash, &c.Password.Salt, &created)
	if err != nil {
		return Client{}, err
	}
	c.Created = time.UnixMilli(created).UTC()
	c.Password, err = withScheme(c.Password, scheme)
	return c, err
}

// withScheme fills in the scheme; no salt is nil, as it is in an event.
func withScheme(s hash.Stored, scheme string) (hash.Stored, error) {
	var err error
	s.Scheme, err = hash.ParseScheme(scheme)
	if len(s.Salt) == 0 {
		s.Salt = nil
	}
	return s, err
}

func scanRule(row scanner) (Rule, error) {
	var r Rule
	err := row.Scan(&r.ID, &r.Allow, &r.IPAddr, &r.Username, &r.ClientID, &r.Access, &r.Topic)
	return r, err
}
