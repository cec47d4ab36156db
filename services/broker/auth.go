package broker

import (
	"context"
	"time"
)

// Action is what an identity wants to do with a topic.
type Action uint8

// The actions.
const (
	ActionPublish Action = iota + 1
	ActionSubscribe
)

// String is the action as users write it.
func (a Action) String() string {
	if a == ActionPublish {
		return "publish"
	}
	return "subscribe"
}

// Auth decides who may connect and what they may do.
//
// It fails closed: an error of any kind means no. KindUnauthenticated: wrong or missing credentials. KindDenied: known, but not allowed in.
// KindUnavailable and KindBusy: it could not be decided now.
type Auth interface {
	// Authenticate checks credentials and returns the identity.
	Authenticate(ctx context.Context, c *Credentials) (*Identity, error)
	// Exchange takes one step of an authentication in several (MQTT 5.0 §4.12). It keeps nothing between the steps: what the next one needs is in
	// AuthAnswer.State, so that any authsvc can take it. KindNotFound: the method is not known here. KindUnauthenticated: a wrong proof, somebody unknown or
	// without what the method needs, or a message that is none of the method; which of them is not told.
	Exchange(ctx context.Context, s *AuthStep) (*AuthAnswer, error)
	// Authorize decides for several topics of one identity at once; the answer has one Decision per topic, in order. For ActionSubscribe topics are inner filters.
	// Superusers are not asked about by callers, and always allowed when they are.
	Authorize(ctx context.Context, id *Identity, action Action, topics []string) ([]Decision, error)
	// WatchRules calls fn with the present generation of the rules and again, in order, whenever it rises, until ctx ends. Decisions of an older generation
	// must be taken again before they are used. It returns ctx's error, or KindUnavailable when the source is lost: call it again.
	WatchRules(ctx context.Context, fn func(generation uint64)) error
}

// AuthStep is the client's part of one step.
type AuthStep struct {
	Credentials *Credentials // of CONNECT, the same with each step; the password is not looked at
	Method      string       // "SCRAM-SHA-256"
	Data        []byte       // of the client; empty: it waits for the server to begin
	State       []byte       // of the last answer; empty with the first step. Whoever holds the connection keeps it; the client never sees it, and it serves once.
}

// AuthAnswer is the server's part of one step.
type AuthAnswer struct {
	Data     []byte    // for the client
	State    []byte    // for the next step
	Identity *Identity // set: this was the last step, and the client is who it says; its Username is the one that was proven
}

// Decision is the answer for one topic.
type Decision struct {
	Allow      bool
	Generation uint64        // of the rules it was taken under
	TTL        time.Duration // how long it may be cached; 0: as long as the generation lasts
	Rule       string        // which rule of which source decided, for "authz explain"; "" when not asked for
}

// AuthAdmin manages the built-in users, client ids and ACL rules. Every change is durable and visible through every authsvc within a second.
type AuthAdmin interface {
	PutUser(ctx context.Context, u User) error                                  // adds or replaces; the password is hashed at once
	DeleteUser(ctx context.Context, tenant, name string) error                  // KindNotFound
	Users(ctx context.Context, tenant, after string, limit int) ([]User, error) // without passwords
	PutClientID(ctx context.Context, u User) error
	DeleteClientID(ctx context.Context, tenant, clientID string) error
	ClientIDs(ctx context.Context, tenant, after string, limit int) ([]User, error)
	PutRule(ctx context.Context, r Rule) (Rule, error) // Index -1 appends
	DeleteRule(ctx context.Context, id string) error
	Rules(ctx context.Context) ([]Rule, error) // in order of evaluation
	ReloadACL(ctx context.Context) error       // reads the ACL file again, on every authsvc; a broken file keeps the old rules and is the error
}

// User is a built-in user or client id with its password.
type User struct {
	Tenant    string
	Name      string // user name, or client id
	Password  Secret // on the way in only
	Hash      string // alternative to Password: an imported hash, with Method as in auth.*.password_hash, or "emq": a row of the seed's own tables, in hexadecimal
	Salt      string
	Method    string
	SCRAM     []SCRAM // on the way in only: what enhanced authentication needs, at most one of each method; it replaces what was there whenever the password or hash is
	Superuser bool
	Create    bool // refuse with KindConflict if it exists
	Created   time.Time
}

// SCRAM is what a server keeps of a password for one method of enhanced authentication (RFC 5802 §3). Nobody can log in with it.
type SCRAM struct {
	Method     string // "SCRAM-SHA-256", "SCRAM-SHA-512"
	Iterations int
	Salt       []byte
	StoredKey  Secret
	ServerKey  Secret
}

// Rule is one ACL rule of the built-in list. Empty conditions match everybody; several are joined by AND.
type Rule struct {
	ID       string
	Index    int
	Allow    bool
	Username string
	ClientID string
	CIDR     string
	Access   uint8  // 1 subscribe, 2 publish, 3 both
	Topic    string // filter, %u and %c as whole levels; "eq x" matches x literally
}
