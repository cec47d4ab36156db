package brokertest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"sync"

	"github.com/pando-mq/pando/services/broker"
)

// Auth is an authsvc in memory: it implements broker.Auth and broker.AuthAdmin. Without users everybody is admitted, without rules everything is allowed.
type Auth struct {
	*authState
	flaws flaws

	mu     sync.Mutex
	broken bool
	lost   chan struct{} // closed when the source of the rules is lost
}

// authState is what all replicas share.
type authState struct {
	mu         sync.Mutex
	users      []broker.User // sorted by tenant and name
	clientIDs  []broker.User
	rules      []broker.Rule
	last       int // number of the newest rule
	file       []broker.Rule
	fileOnDisk []broker.Rule
	fileBroken bool
	barred     map[string]bool
	generation uint64
	raised     chan struct{} // closed when the generation rises
}

// NewAuth makes an Auth that knows nobody.
func NewAuth() *Auth { return newAuth(nil) }

func newAuth(f flaws) *Auth {
	st := &authState{barred: map[string]bool{}, generation: 1, raised: make(chan struct{})}
	return &Auth{authState: st, flaws: f, lost: make(chan struct{})}
}

// Replica is another authsvc of the same cluster.
func (a *Auth) Replica() *Auth {
	return &Auth{authState: a.authState, flaws: a.flaws, lost: make(chan struct{})}
}

// Break makes it impossible to decide anything until heal is called.
func (a *Auth) Break() (heal func()) {
	set := func(broken bool) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.broken = broken
	}
	set(true)
	return func() { set(false) }
}

// LoseRules ends every WatchRules of this replica.
func (a *Auth) LoseRules() {
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.lost)
	a.lost = make(chan struct{})
}

// Bar lets a client id in no more, whatever its credentials.
func (a *Auth) Bar(clientID string) {
	a.authState.mu.Lock()
	defer a.authState.mu.Unlock()
	a.barred[clientID] = true
}

// WriteACL makes the ACL file deny one topic to everybody; ReloadACL reads it.
func (a *Auth) WriteACL(deny string) {
	a.authState.mu.Lock()
	defer a.authState.mu.Unlock()
	a.fileOnDisk, a.fileBroken = []broker.Rule{{Topic: deny, Access: 3}}, false
}

// BreakACL makes the ACL file unreadable.
func (a *Auth) BreakACL() {
	a.authState.mu.Lock()
	defer a.authState.mu.Unlock()
	a.fileBroken = true
}

// ready says why nothing can be decided or changed now.
func (a *Auth) ready(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil && a.flaws.keeps(cancelledContext) {
		return broker.E(broker.KindCanceled, op, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.broken {
		return broker.E(broker.KindUnavailable, op, nil)
	}
	return nil
}

// raise makes a new generation. Called with the lock of the state held.
func (a *Auth) raise() {
	if !a.flaws.keeps(generationRises) {
		return
	}
	a.generation++
	close(a.raised)
	a.raised = make(chan struct{})
}

func hashed(password []byte, salt string) string {
	sum := sha256.Sum256(append([]byte(salt), password...))
	return hex.EncodeToString(sum[:])
}

// right reports whether a password is that of a user.
func right(u *broker.User, password broker.Secret) bool {
	got := hashed(password, u.Salt)
	if u.Method == "plain" {
		got = string(password)
	}
	return subtle.ConstantTimeCompare([]byte(got), []byte(u.Hash)) == 1
}

// Authenticate implements broker.Auth.
func (a *Auth) Authenticate(ctx context.Context, c *broker.Credentials) (*broker.Identity, error) {
	if err := a.ready(ctx, "authenticate"); err != nil && a.flaws.keeps(failsClosed) {
		return nil, err
	}
	a.authState.mu.Lock()
	defer a.authState.mu.Unlock()
	if a.barred[c.ClientID] && a.flaws.keeps(barredClients) {
		return nil, broker.E(broker.KindDenied, "authenticate", nil)
	}
	id := &broker.Identity{
		Tenant: c.Tenant, ClientID: c.ClientID, Username: c.Username, Peer: c.Peer, Protocol: c.Protocol, Version: c.Version, Listener: c.Listener,
		CertCN: c.CertCN, CertDN: c.CertDN,
	}
	for _, x := range []struct {
		list []broker.User
		name string
		has  bool
	}{{a.clientIDs, c.ClientID, true}, {a.users, c.Username, c.HasUser}} {
		i := find(x.list, c.Tenant, x.name)
		if i < 0 || !x.has {
			continue
		}
		if !c.HasPass || !right(&x.list[i], c.Password) && a.flaws.keeps(passwords) {
			return nil, broker.E(broker.KindUnauthenticated, "authenticate", nil)
		}
		id.Superuser = x.list[i].Superuser
		return id, nil
	}
	if len(a.users)+len(a.clientIDs) > 0 {
		return nil, broker.E(broker.KindUnauthenticated, "authenticate", nil)
	}
	return id, nil
}

// Authorize implements broker.Auth.
func (a *Auth) Authorize(ctx context.Context, id *broker.Identity, action broker.Action, topics []string) ([]broker.Decision, error) {
	if err := a.ready(ctx, "authorize"); err != nil && a.flaws.keeps(failsClosed) {
		return nil, err
	}
	a.authState.mu.Lock()
	defer a.authState.mu.Unlock()
	out := make([]broker.Decision, len(topics))
	for i, t := range topics {
		out[i] = broker.Decision{Allow: id.Superuser && a.flaws.keeps(superusers) || a.allows(id, action, t), Generation: a.generation}
	}
	if !a.flaws.keeps(decisionOrder) {
		slices.Reverse(out)
	}
	return out, nil
}

// allows evaluates the rules in order; the first that matches decides. Called with the lock of the state held.
func (a *Auth) allows(id *broker.Identity, action broker.Action, t string) bool {
	for _, list := range [][]broker.Rule{a.rules, a.file} {
		for i := range list {
			if applies(&list[i], id, action, t, a.flaws) {
				return list[i].Allow
			}
		}
	}
	return true
}

// WatchRules implements broker.Auth.
func (a *Auth) WatchRules(ctx context.Context, fn func(generation uint64)) error {
	a.mu.Lock()
	lost := a.lost
	a.mu.Unlock()
	for {
		a.authState.mu.Lock()
		generation, raised := a.generation, a.raised
		a.authState.mu.Unlock()
		if err := a.ready(ctx, "watch rules"); err != nil {
			return err
		}
		fn(generation)
		select {
		case <-raised:
		case <-lost:
			return broker.E(broker.KindUnavailable, "watch rules", nil)
		case <-ctx.Done():
			return broker.E(broker.KindCanceled, "watch rules", ctx.Err())
		}
	}
}
