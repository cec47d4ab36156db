package edgetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/scram"
	"github.com/pando-mq/pando/services/topic"
)

// Auth allows everything that is not denied. It can answer late, not at all, or with errors.
type Auth struct {
	mu         sync.Mutex
	generation uint64
	changed    chan struct{}
	denied     map[string]bool // action + " " + topic
	users      map[string]bool // client ids that are refused
	super      map[string]bool
	ttl        time.Duration
	expires    time.Time
	gate       chan struct{} // while set, Authorize waits for it to be closed
	gated      []string      // questions with one of these alone; none: all
	steps      chan struct{} // while set, Exchange waits for it to be closed
	asked      int           // steps
	exchanged  int           // calls of Exchange
	keys       map[string][]broker.SCRAM
	err        error
	questions  [][]string
}

// NewAuth makes an Auth with generation 1 of its rules.
func NewAuth() *Auth {
	return &Auth{generation: 1, changed: make(chan struct{}), denied: map[string]bool{}, users: map[string]bool{}, super: map[string]bool{}, keys: map[string][]broker.SCRAM{}}
}

// Deny denies an action on topics or filters (for subscribing: inner filters), and raises the generation.
func (a *Auth) Deny(action broker.Action, topics ...string) { a.set(action, true, topics) }

// Allow takes denials back, and raises the generation.
func (a *Auth) Allow(action broker.Action, topics ...string) { a.set(action, false, topics) }

func (a *Auth) set(action broker.Action, deny bool, topics []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range topics {
		a.denied[action.String()+" "+t] = deny
	}
	a.generation++
	close(a.changed)
	a.changed = make(chan struct{})
}

// Refuse makes a client id fail authentication.
func (a *Auth) Refuse(clientID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users[clientID] = true
}

// Superuser makes a client id one.
func (a *Auth) Superuser(clientID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.super[clientID] = true
}

// SetTTL sets how long decisions may be cached.
func (a *Auth) SetTTL(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ttl = d
}

// SetExpires sets when the credentials of later connects end.
func (a *Auth) SetExpires(t time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expires = t
}

// Fail makes every question fail; nil ends that.
func (a *Auth) Fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

// Stall makes Authorize wait until the returned function is called: each question, or those alone that name one of topics.
func (a *Auth) Stall(topics ...string) (release func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	gate := make(chan struct{})
	a.gate, a.gated = gate, topics
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.gate == gate {
			a.gate = nil
		}
		close(gate)
	}
}

// Questions is the topics of each call of Authorize.
func (a *Auth) Questions() [][]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([][]string(nil), a.questions...)
}

// Authenticate implements broker.Auth.
func (a *Auth) Authenticate(_ context.Context, c *broker.Credentials) (*broker.Identity, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return nil, a.err
	}
	if a.users[c.ClientID] {
		return nil, broker.E(broker.KindUnauthenticated, "authenticate", nil)
	}
	return &broker.Identity{
		Tenant: c.Tenant, ClientID: c.ClientID, Username: c.Username, Superuser: a.super[c.ClientID], Peer: c.Peer, Protocol: c.Protocol, Version: c.Version,
		Listener: c.Listener, CertCN: c.CertCN, CertDN: c.CertDN, Expires: a.expires,
	}, nil
}

// PutSCRAM makes a user who can prove a password by the methods of package scram.
func (a *Auth) PutSCRAM(user, password string) {
	var list []broker.SCRAM
	for _, method := range scram.Methods() {
		k, err := scram.Derive(method, []byte(password), nil, scram.MinIterations)
		if err != nil {
			panic(err) // methods and iterations are the package's own
		}
		list = append(list, k)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.keys[user] = list
}

// StallExchange makes Exchange wait until the returned function is called.
func (a *Auth) StallExchange() (release func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	gate := make(chan struct{})
	a.steps = gate
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.steps == gate {
			a.steps = nil
		}
		close(gate)
	}
}

// Exchange implements broker.Auth.
func (a *Auth) Exchange(ctx context.Context, s *broker.AuthStep) (*broker.AuthAnswer, error) {
	a.mu.Lock()
	a.asked++
	gate := a.steps
	a.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, broker.E(broker.KindUnavailable, "exchange", ctx.Err())
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.exchanged++
	if a.err != nil {
		return nil, a.err
	}
	data, next, user, err := scram.Step(s.Method, s.Data, s.State, func(user string) (broker.SCRAM, error) {
		for _, k := range a.keys[user] {
			if k.Method == s.Method {
				return k, nil
			}
		}
		return scram.Decoy(s.Method, "", user, scram.MinIterations, []byte("edgetest")), nil
	})
	switch {
	case errors.Is(err, scram.ErrMethod):
		return nil, broker.E(broker.KindNotFound, "exchange", err)
	case err != nil:
		return nil, broker.E(broker.KindUnauthenticated, "exchange", nil)
	case user == "":
		return &broker.AuthAnswer{Data: data, State: next}, nil
	}
	c := s.Credentials
	return &broker.AuthAnswer{Data: data, Identity: &broker.Identity{
		Tenant: c.Tenant, ClientID: c.ClientID, Username: user, Superuser: a.super[c.ClientID], Peer: c.Peer, Protocol: c.Protocol, Version: c.Version,
		Listener: c.Listener, CertCN: c.CertCN, CertDN: c.CertDN, Expires: a.expires,
	}}, nil
}

// Asked is how many steps were asked for.
func (a *Auth) Asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

// Exchanged is how many steps were taken.
func (a *Auth) Exchanged() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.exchanged
}

// Authorize implements broker.Auth.
func (a *Auth) Authorize(ctx context.Context, _ *broker.Identity, action broker.Action, topics []string) ([]broker.Decision, error) {
	a.mu.Lock()
	gate := a.gate
	if len(a.gated) > 0 && !slices.ContainsFunc(topics, func(t string) bool { return slices.Contains(a.gated, t) }) {
		gate = nil
	}
	a.questions = append(a.questions, topics)
	a.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, broker.E(broker.KindUnavailable, "authorize", ctx.Err())
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return nil, a.err
	}
	ds := make([]broker.Decision, len(topics))
	for i, t := range topics {
		ds[i] = broker.Decision{Allow: !a.isDenied(action, t), Generation: a.generation, TTL: a.ttl}
	}
	return ds, nil
}

// isDenied says whether a topic (or filter) is denied as it stands, or a name by a filter. Called with the lock held.
func (a *Auth) isDenied(action broker.Action, name string) bool {
	if a.denied[action.String()+" "+name] || topic.HasWildcard(name) {
		return a.denied[action.String()+" "+name]
	}
	for key, on := range a.denied {
		if filter, ok := strings.CutPrefix(key, action.String()+" "); ok && on && topic.Match(filter, name) {
			return true
		}
	}
	return false
}

// WatchRules implements broker.Auth.
func (a *Auth) WatchRules(ctx context.Context, fn func(uint64)) error {
	for {
		a.mu.Lock()
		generation, changed := a.generation, a.changed
		a.mu.Unlock()
		fn(generation)
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
