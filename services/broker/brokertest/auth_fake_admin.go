package brokertest

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/topic"
)

// applies reports whether all conditions of a rule hold.
func applies(r *broker.Rule, id *broker.Identity, action broker.Action, t string, f flaws) bool {
	bit := uint8(2)
	if action == broker.ActionSubscribe {
		bit = 1
	}
	conditions := []bool{r.Username == "" || r.Username == id.Username, r.ClientID == "" || r.ClientID == id.ClientID, r.CIDR == "" || inPrefix(r.CIDR, id.Peer.Addr())}
	if r.Access&bit == 0 && f.keeps(ruleAccess) {
		return false
	}
	if f.keeps(ruleConditions) && slices.Contains(conditions, false) || !slices.Contains(conditions, true) {
		return false
	}
	if literal, ok := strings.CutPrefix(r.Topic, "eq "); ok {
		return literal == t
	}
	return covers(filled(r.Topic, id), t)
}

func inPrefix(cidr string, addr netip.Addr) bool {
	p, err := netip.ParsePrefix(cidr)
	return err == nil && p.Contains(addr)
}

// filled puts the user name and the client id in place of the levels %u and %c.
func filled(filter string, id *broker.Identity) string {
	levels := strings.Split(filter, "/")
	for i, l := range levels {
		switch l {
		case "%u":
			levels[i] = id.Username
		case "%c":
			levels[i] = id.ClientID
		}
	}
	return strings.Join(levels, "/")
}

// covers reports whether a rule's filter covers a topic, or another filter.
func covers(filter, t string) bool {
	return filter == t || filter == "#" || topic.Match(filter, strings.NewReplacer("+", "p", "#", "h").Replace(t))
}

func compareUsers(a, b broker.User) int {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Name, b.Name))
}

func find(list []broker.User, tenant, name string) int {
	i, ok := slices.BinarySearchFunc(list, broker.User{Tenant: tenant, Name: name}, compareUsers)
	if !ok {
		return -1
	}
	return i
}

// put adds or replaces a user in a list.
func (a *Auth) put(ctx context.Context, list *[]broker.User, u broker.User) error {
	if err := a.ready(ctx, "put user"); err != nil {
		return err
	}
	if u.Name == "" {
		return broker.E(broker.KindInvalid, "put user", nil)
	}
	a.authState.mu.Lock()
	defer a.authState.mu.Unlock()
	i, exists := slices.BinarySearchFunc(*list, u, compareUsers)
	if exists && u.Create && a.flaws.keeps(createRefuses) {
		return broker.E(broker.KindConflict, "put user", nil)
	}
	if u.Hash == "" {
		u.Method, u.Salt = "sha256", u.Name
		u.Hash, u.SCRAM = hashed(u.Password, u.Salt), derive(u.Password)
	}
	if a.flaws.keeps(passwordsHashed) {
		u.Password = nil
	}
	u.Create, u.Created = false, time.Now()
	if exists {
		(*list)[i] = u
	} else {
		*list = slices.Insert(*list, i, u)
	}
	a.raise()
	return nil
}

func (a *Auth) remove(ctx context.Context, list *[]broker.User, tenant, name string) error {
	if err := a.ready(ctx, "delete user"); err != nil {
		return err
	}
	a.authState.mu.Lock()
	defer a.authState.mu.Unlock()
	i := find(*list, tenant, name)
	if i < 0 {
		return broker.E(broker.KindNotFound, "delete user", nil)
	}
	*list = slices.Delete(*list, i, i+1)
	a.raise()
	return nil
}

func (a *Auth) list(ctx context.Context, list *[]broker.User, tenant, after string, limit int) ([]broker.User, error) {
	if err := a.ready(ctx, "list users"); err != nil {
		return nil, err
	}
	a.authState.mu.Lock()
	defer a.authState.mu.Unlock()
	var out []broker.User
	for _, u := range *list {
		if u.Tenant != tenant || u.Name <= after || limit > 0 && len(out) == limit {
			continue
		}
		if a.flaws.keeps(passwordsHashed) {
			u.Hash, u.Salt, u.SCRAM = "", "", nil
		}
		out = append(out, u)
	}
	return out, nil
}

// PutUser implements broker.AuthAdmin.
func (a *Auth) PutUser(ctx context.Context, u broker.User) error { return a.put(ctx, &a.users, u) }

// DeleteUser implements broker.AuthAdmin.
func (a *Auth) DeleteUser(ctx context.Context, tenant, name string) error {
	return a.remove(ctx, &a.users, tenant, name)
}

// Users implements broker.AuthAdmin.
func (a *Auth) Users(ctx context.Context, tenant, after string, limit int) ([]broker.User, error) {
	return a.list(ctx, &a.users, tenant, after, limit)
}

// PutClientID implements broker.AuthAdmin.
func (a *Auth) PutClientID(ctx context.Context, u broker.User) error {
	return a.put(ctx, &a.clientIDs, u)
}

// DeleteClientID implements broker.AuthAdmin.
func (a *Auth) DeleteClientID(ctx context.Context, tenant, clientID string) error {
	return a.remove(ctx, &a.clientIDs, tenant, clientID)
}

// ClientIDs implements broker.AuthAdmin.
func (a *Auth) ClientIDs(ctx context.Context, tenant, after string, limit int) ([]broker.User, error) {
	return a.list(ctx, &a.clientIDs, tenant, after, limit)
}

// PutRule implements broker.AuthAdmin: a rule with the ID of another one replaces it.
func (a *Auth) PutRule(ctx context.Context, r broker.Rule) (broker.Rule, error) {
	if err := a.ready(ctx, "put rule"); err != nil {
		return broker.Rule{}, err
	}
	a.authState.mu.Lock()
	defer a.authState.mu.Unlock()
	if i := slices.IndexFunc(a.rules, func(x broker.Rule) bool { return x.ID == r.ID }); i >= 0 {
		a.rules = slices.Delete(a.rules, i, i+1)
	} else if r.ID == "" {
		a.last++
		r.ID = "r" + strconv.Itoa(a.last)
	}
	at := r.Index
	if at < 0 || at > len(a.rules) || !a.flaws.keeps(ruleIndex) {
		at = len(a.rules)
	}
	a.rules = slices.Insert(a.rules, at, r)
	for i := range a.rules {
		a.rules[i].Index = i
	}
	a.raise()
	return a.rules[at], nil
}

// DeleteRule implements broker.AuthAdmin.
func (a *Auth) DeleteRule(ctx context.Context, id string) error {
	if err := a.ready(ctx, "delete rule"); err != nil {
		return err
	}
	a.authState.mu.Lock()
	defer a.authState.mu.Unlock()
	i := slices.IndexFunc(a.rules, func(x broker.Rule) bool { return x.ID == id })
	if i < 0 {
		return broker.E(broker.KindNotFound, "delete rule", nil)
	}
	a.rules = slices.Delete(a.rules, i, i+1)
	a.raise()
	return nil
}

// Rules implements broker.AuthAdmin.
func (a *Auth) Rules(ctx context.Context) ([]broker.Rule, error) {
	if err := a.ready(ctx, "list rules"); err != nil {
		return nil, err
	}
	a.authState.mu.Lock()
	defer a.authState.mu.Unlock()
	return slices.Clone(a.rules), nil
}

// ReloadACL implements broker.AuthAdmin.
func (a *Auth) ReloadACL(ctx context.Context) error {
	if err := a.ready(ctx, "reload acl"); err != nil {
		return err
	}
	a.authState.mu.Lock()
	defer a.authState.mu.Unlock()
	if a.fileBroken {
		if !a.flaws.keeps(brokenFileKeeps) {
			a.file = nil
		}
		return broker.E(broker.KindInvalid, "reload acl", nil)
	}
	a.file = slices.Clone(a.fileOnDisk)
	a.raise()
	return nil
}
