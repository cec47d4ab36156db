package fleettest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// Auth keeps users and rules in memory, in the clear: it is for tests.
type Auth struct {
	process
	books   map[string]map[string]broker.User // "user" and "client id" -> name
	rules   []broker.Rule
	next    int
	reloads int
}

// NewAuth makes an empty one.
func NewAuth() *Auth {
	return &Auth{books: map[string]map[string]broker.User{"user": {}, "client id": {}}}
}

// Password is that of a user ("user") or client id ("client id"); of an imported one it is method, hash and salt.
func (a *Auth) Password(book, name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if u := a.books[book][name]; u.Hash != "" {
		return fmt.Sprintf("%s %s %q", u.Method, u.Hash, u.Salt)
	}
	return string(a.books[book][name].Password)
}

// Reloads counts ReloadACL.
func (a *Auth) Reloads() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reloads
}

func (a *Auth) put(ctx context.Context, book string, u broker.User) error {
	if err := a.lock(ctx); err != nil {
		return err
	}
	defer a.mu.Unlock()
	if _, ok := a.books[book][u.Name]; ok && u.Create {
		return broker.E(broker.KindConflict, "put "+book, nil)
	}
	u.Password = slices.Clone(u.Password)
	u.Created = time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	a.books[book][u.Name] = u
	return nil
}

func (a *Auth) remove(ctx context.Context, book, name string) error {
	if err := a.lock(ctx); err != nil {
		return err
	}
	defer a.mu.Unlock()
	if _, ok := a.books[book][name]; !ok {
		return broker.E(broker.KindNotFound, "delete "+book, nil)
	}
	delete(a.books[book], name)
	return nil
}

func (a *Auth) list(ctx context.Context, book, after string, limit int) ([]broker.User, error) {
	if err := a.lock(ctx); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	var users []broker.User
	for name, u := range a.books[book] {
		if name > after {
			u.Password = nil
			users = append(users, u)
		}
	}
	slices.SortFunc(users, func(a, b broker.User) int { return strings.Compare(a.Name, b.Name) })
	return users[:min(limit, len(users))], nil
}

// PutUser implements broker.AuthAdmin, as do the others.
func (a *Auth) PutUser(ctx context.Context, u broker.User) error { return a.put(ctx, "user", u) }

// DeleteUser removes one.
func (a *Auth) DeleteUser(ctx context.Context, _, name string) error {
	return a.remove(ctx, "user", name)
}

// Users lists them.
func (a *Auth) Users(ctx context.Context, _, after string, limit int) ([]broker.User, error) {
	return a.list(ctx, "user", after, limit)
}

// PutClientID adds or replaces one.
func (a *Auth) PutClientID(ctx context.Context, u broker.User) error {
	return a.put(ctx, "client id", u)
}

// DeleteClientID removes one.
func (a *Auth) DeleteClientID(ctx context.Context, _, clientID string) error {
	return a.remove(ctx, "client id", clientID)
}

// ClientIDs lists them.
func (a *Auth) ClientIDs(ctx context.Context, _, after string, limit int) ([]broker.User, error) {
	return a.list(ctx, "client id", after, limit)
}

// PutRule appends a rule, or puts it at its index.
func (a *Auth) PutRule(ctx context.Context, r broker.Rule) (broker.Rule, error) {
	if err := a.lock(ctx); err != nil {
		return r, err
	}
	defer a.mu.Unlock()
	a.next++
	r.ID = fmt.Sprintf("r%d", a.next)
	if r.Index < 0 || r.Index > len(a.rules) {
		r.Index = len(a.rules)
	}
	a.rules = slices.Insert(a.rules, r.Index, r)
	for i := range a.rules {
		a.rules[i].Index = i
	}
	return r, nil
}

// DeleteRule removes one.
func (a *Auth) DeleteRule(ctx context.Context, id string) error {
	if err := a.lock(ctx); err != nil {
		return err
	}
	defer a.mu.Unlock()
	n := len(a.rules)
	a.rules = slices.DeleteFunc(a.rules, func(r broker.Rule) bool { return r.ID == id })
	if len(a.rules) == n {
		return broker.E(broker.KindNotFound, "delete rule", nil)
	}
	return nil
}

// Rules lists them in order.
func (a *Auth) Rules(ctx context.Context) ([]broker.Rule, error) {
	if err := a.lock(ctx); err != nil {
		return nil, err
	}
	defer a.mu.Unlock()
	return slices.Clone(a.rules), nil
}

// ReloadACL counts.
func (a *Auth) ReloadACL(ctx context.Context) error {
	if err := a.lock(ctx); err != nil {
		return err
	}
	defer a.mu.Unlock()
	a.reloads++
	return nil
}
