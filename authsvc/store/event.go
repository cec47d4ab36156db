package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pando-mq/pando/authsvc/acl"
	"github.com/pando-mq/pando/authsvc/hash"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/scram"
)

// Version is the version of events that this package writes and the newest it
// applies.
const Version = 1

// Type says what an event changes.
type Type string

// The types of events. A put inserts or replaces the whole record.
const (
	UserPut   Type = "user_put"   // User
	UserDel   Type = "user_del"   // Key: the name; an unknown one changes nothing
	ClientPut Type = "client_put" // Client
	ClientDel Type = "client_del" // Key: the client id
	ACLPut    Type = "acl_put"    // Rule; a new one comes last, a replaced one keeps its place
	ACLDel    Type = "acl_del"    // Key: the rule's ID
	ACLOrder  Type = "acl_order"  // Order; rules it does not name follow in the order they had
	SCRAMSeed Type = "scram_seed" // Key: 64 hexadecimal digits, the secret of which the replicas make the salts of unknown users; only the first one counts
	ACLReload Type = "acl_reload" // Key: the digest of what the owner reads outside the journal; every replica reads its rule file again
)

// Bounds of what an event may hold.
const (
	maxName  = 65535   // bytes of a user name or client id (MQTT 5.0 §1.5.4)
	maxKey   = 255     // bytes of a tenant or a rule's ID
	maxOrder = 100_000 // rules in an acl_order
	maxEvent = 16 << 20
)

// Event is one change, as it stands in the journal. Only the fields that its
// type names are set.
type Event struct {
	Version  int      `json:"v"`
	Sequence uint64   `json:"seq"` // from 1, without gaps
	Type     Type     `json:"type"`
	Tenant   string   `json:"tenant,omitempty"` // empty is the default tenant
	Key      string   `json:"key,omitempty"`
	User     *User    `json:"user,omitempty"`
	Client   *Client  `json:"client,omitempty"`
	Rule     *Rule    `json:"rule,omitempty"`
	Order    []string `json:"order,omitempty"`
}

// User is a built-in user (§6.4).
type User struct {
	Name      string      `json:"name"`
	Password  hash.Stored `json:"password"`
	SCRAM     []SCRAM     `json:"scram,omitempty"`     // for enhanced authentication, at most one of each method
	Superuser bool        `json:"superuser,omitempty"` // skips all access rules
	Created   time.Time   `json:"created"`             // kept to the millisecond, UTC
}

// SCRAM is what is kept of a user's password for one method of package scram.
type SCRAM struct {
	Method     string `json:"method"`
	Iterations int    `json:"iterations"`
	Salt       []byte `json:"salt"`
	StoredKey  []byte `json:"stored_key"`
	ServerKey  []byte `json:"server_key"`
}

// Keys is s in the vocabulary of the suite.
func (s *SCRAM) Keys() broker.SCRAM {
	return broker.SCRAM{Method: s.Method, Iterations: s.Iterations, Salt: s.Salt, StoredKey: s.StoredKey, ServerKey: s.ServerKey}
}

// SCRAMOf is the inverse of Keys, for a list.
func SCRAMOf(list []broker.SCRAM) []SCRAM {
	var out []SCRAM
	for _, k := range list {
		out = append(out, SCRAM{Method: k.Method, Iterations: k.Iterations, Salt: k.Salt, StoredKey: k.StoredKey, ServerKey: k.ServerKey})
	}
	return out
}

// Client is a built-in client id with its password (§6.5).
type Client struct {
	ID       string      `json:"id"`
	Password hash.Stored `json:"password"`
	Created  time.Time   `json:"created"` // kept to the millisecond, UTC
}

// Rule is one access rule (§6.8) with a name of its own, unique in its tenant.
type Rule struct {
	ID string `json:"id"`
	acl.Row
}

// The errors of this package, for errors.Is.
var (
	ErrInvalid  = errors.New("event is invalid")
	ErrVersion  = errors.New("event or snapshot is of a version this program does not know")
	ErrGap      = errors.New("events are missing before this one")
	ErrNotFound = errors.New("not found")
	ErrSnapshot = errors.New("snapshot is damaged")
	ErrCorrupt  = errors.New("database file is damaged")
	ErrForeign  = errors.New("file is not a users database, or its header is damaged")
)

// Digest tells this event from every other one of its sequence number.
func (e Event) Digest() (string, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("digest event: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Encode returns the event as JSON, after Validate.
func (e Event) Encode() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return b, nil
}

// DecodeEvent reads what Encode wrote. A newer version gives ErrVersion;
// unknown fields, trailing bytes and invalid contents give ErrInvalid.
func DecodeEvent(b []byte) (Event, error) {
	var head struct {
		Version int `json:"v"`
	}
	if len(b) > maxEvent {
		return Event{}, fmt.Errorf("%w: more than %d bytes", ErrInvalid, maxEvent)
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if head.Version > Version {
		return Event{}, fmt.Errorf("%w: %d", ErrVersion, head.Version)
	}
	var e Event
	if err := decodeStrict(b, &e); err != nil {
		return Event{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return e, e.Validate()
}

// decodeStrict reads one JSON value without unknown fields and nothing after it.
func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("bytes after the value")
	}
	return nil
}

// Validate returns ErrVersion or ErrInvalid, with a reason, if the event
// cannot be applied. Whoever writes events calls it (by Encode) first: an
// invalid event in the journal would stop every replica.
func (e Event) Validate() error {
	switch {
	case e.Version != Version:
		return fmt.Errorf("%w: %d", ErrVersion, e.Version)
	case e.Sequence == 0 || e.Sequence > math.MaxInt64:
		return fmt.Errorf("%w: sequence %d", ErrInvalid, e.Sequence)
	case !isText(e.Tenant, maxKey):
		return fmt.Errorf("%w: tenant", ErrInvalid)
	}
	if err := e.validateFields(); err != nil {
		return err
	}
	if err := e.validateBody(); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrInvalid, e.Type, err)
	}
	return nil
}

// validateFields makes sure that exactly the type's own field is set.
func (e Event) validateFields() error {
	set := ""
	for name, is := range map[string]bool{
		"key": e.Key != "", "user": e.User != nil, "client": e.Client != nil, "rule": e.Rule != nil, "order": e.Order != nil,
	} {
		if is {
			set += name
		}
	}
	want, ok := map[Type]string{
		UserPut: "user", ClientPut: "client", ACLPut: "rule", ACLOrder: "order",
		UserDel: "key", ClientDel: "key", ACLDel: "key", ACLReload: "key", SCRAMSeed: "key",
	}[e.Type]
	if !ok {
		return fmt.Errorf("%w: unknown type %q", ErrInvalid, e.Type)
	}
	if set != want {
		return fmt.Errorf("%w: %s has %q set, wants %q alone", ErrInvalid, e.Type, set, want)
	}
	return nil
}

func (e Event) validateBody() error {
	switch e.Type {
	case UserPut:
		if err := validateSCRAM(e.User.SCRAM); err != nil {
			return err
		}
		return validateCredential(e.User.Name, e.User.Password, e.User.Created)
	case SCRAMSeed:
		if b, err := hex.DecodeString(e.Key); err != nil || len(b) != sha256.Size {
			return errors.New("key is not 64 hexadecimal digits")
		}
		return nil
	case ClientPut:
		return validateCredential(e.Client.ID, e.Client.Password, e.Client.Created)
	case ACLPut:
		if !isName(e.Rule.ID, maxKey) {
			return errors.New("id is not 1 to 255 bytes of text")
		}
		return e.Rule.Validate()
	case ACLOrder:
		return validateOrder(e.Order)
	default:
		if !isName(e.Key, maxName) {
			return errors.New("key is not a name")
		}
		return nil
	}
}

func validateCredential(name string, password hash.Stored, created time.Time) error {
	if !isName(name, maxName) {
		return errors.New("name is not 1 to 65535 bytes of UTF-8 without NUL")
	}
	if y := created.Year(); y < 1970 || y > 9999 {
		return errors.New("created is not within the years 1970 to 9999")
	}
	return password.Validate()
}

func validateSCRAM(list []SCRAM) error {
	seen := map[string]bool{}
	for i := range list {
		if err := scram.Validate(list[i].Keys()); err != nil {
			return err
		}
		if seen[list[i].Method] {
			return fmt.Errorf("two keys of %s", list[i].Method)
		}
		seen[list[i].Method] = true
	}
	return nil
}

func validateOrder(ids []string) error {
	if len(ids) == 0 || len(ids) > maxOrder {
		return fmt.Errorf("order is not 1 to %d ids", maxOrder)
	}
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		if !isName(id, maxKey) || seen[id] {
			return fmt.Errorf("order holds the id %.40q twice, or it is no id", id)
		}
		seen[id] = true
	}
	return nil
}

// isText reports whether s is at most n bytes of UTF-8 without NUL. What else
// stands in a name is the client's business: rules never take it for a pattern.
func isText(s string, n int) bool {
	return len(s) <= n && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

func isName(s string, n int) bool { return s != "" && isText(s, n) }
