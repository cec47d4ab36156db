package authsvc

import (
	"fmt"
	"slices"
	"time"

	"github.com/pando-mq/pando/authsvc/acl"
	"github.com/pando-mq/pando/authsvc/hash"
	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/scram"
)

// The authenticators of Config.Chain.
const (
	ChainClient = "client" // built-in client ids (§6.5)
	ChainUser   = "user"   // built-in users (§6.4)
)

// Config is the section `auth` of the configuration.
type Config struct {
	AllowAnonymous *bool          `yaml:"allow_anonymous" doc:"Whether clients get in that no authenticator knows: true or false. Unset: only on listeners bound to loopback, and only while there is neither a user nor a client id."`
	Chain          []string       `yaml:"chain" default:"client,user" enum:"client,user" doc:"Built-in authenticators in the order in which they are asked: client (client ids), user (user names). The first that knows the client decides."`
	ACLNoMatch     string         `yaml:"acl_nomatch" default:"deny" enum:"allow,deny" doc:"What happens when no rule matches."`
	ACLFile        string         `yaml:"acl_file" doc:"File of access rules in the grammar of acl.conf, asked after the built-in rules. A broken file stops the start; at a reload the old rules stay. Unset: the rules that EMQ 2.x ships, which end with {allow, all}."`
	Cache          CacheConfig    `yaml:"cache"`
	PasswordHash   string         `yaml:"password_hash" default:"argon2id" doc:"How new passwords are stored: argon2id, argon2id,<KiB>,<passes>,<lanes> or bcrypt,<cost>. Imported hashes of every other kind are verified as they are."`
	Password       PasswordConfig `yaml:"password"`
	SCRAM          SCRAMConfig    `yaml:"scram"`
	Users          []StaticUser   `yaml:"users" doc:"Users that are added at the start if they do not exist. An existing one is never changed."`
	Clients        []StaticClient `yaml:"clients" doc:"Client ids that are added at the start if they do not exist. An existing one is never changed."`
}

// CacheConfig is the section `auth.cache`: how long gateways keep decisions.
type CacheConfig struct {
	Enable bool          `yaml:"enable" default:"true" doc:"Whether gateways remember decisions about topics. A change of the rules makes them ask again at once in any case."`
	TTL    time.Duration `yaml:"ttl" default:"0s" doc:"How long a decision is remembered at most; 0: until the rules change."`
}

// PasswordConfig is the section `auth.password`: what verification may cost.
type PasswordConfig struct {
	CacheTTL   time.Duration `yaml:"cache_ttl" default:"10m" doc:"How long a verified password is remembered (as a keyed hash), so that a reconnect costs microseconds; at most 24h; 0: not at all. A changed password counts at once."`
	CacheSize  int           `yaml:"cache_size" default:"65536" doc:"Verified passwords remembered at most, 128 bytes each."`
	Workers    int           `yaml:"workers" default:"0" doc:"Password computations at once, at most one per CPU; 0: one less than there are CPUs, so that one is left for everything else, but at least one."`
	Queue      int           `yaml:"queue" default:"1024" doc:"Clients that may wait for a password computation. Further ones are told that the server is busy."`
	QueueBytes int64         `yaml:"queue_bytes" default:"8MB" unit:"bytes" doc:"Bytes of passwords that waiting clients may hold."`
}

// SCRAMConfig is the section `auth.scram`: enhanced authentication of MQTT 5.0.
type SCRAMConfig struct {
	Enable     bool `yaml:"enable" default:"true" doc:"Whether MQTT 5.0 clients may authenticate by SCRAM-SHA-256 and SCRAM-SHA-512. What that needs is stored when a password is set, beside its hash; a user whose password was set while this was off is refused until it is set again. Whoever steals the store can try passwords against it at the price of scram.iterations, so turn it off where nobody uses it."`
	Iterations int  `yaml:"iterations" default:"4096" doc:"How often a password is hashed for SCRAM, 4096 to 1048576. Each client computes it at each connect. It holds for passwords that are set from now on."`
}

// StaticUser is an item of `auth.users`.
type StaticUser struct {
	Username  string        `yaml:"username" doc:"User name."`
	Password  config.Secret `yaml:"password" doc:"Password: a value, file:///path or env:NAME."`
	Superuser bool          `yaml:"superuser" default:"false" doc:"Whether access rules do not apply to this user."`
}

// StaticClient is an item of `auth.clients`.
type StaticClient struct {
	ClientID string        `yaml:"clientid" doc:"Client id."`
	Password config.Secret `yaml:"password" doc:"Password: a value, file:///path or env:NAME."`
}

// Default is the configuration without a file.
func Default() Config {
	return Config{
		Chain: []string{ChainClient, ChainUser}, ACLNoMatch: "deny", Cache: CacheConfig{Enable: true}, PasswordHash: "argon2id",
		Password: PasswordConfig{CacheTTL: 10 * time.Minute, CacheSize: 65536, Queue: 1024, QueueBytes: 8 << 20},
		SCRAM:    SCRAMConfig{Enable: true, Iterations: scram.MinIterations},
	}
}

// Validate refuses values that cannot work.
func (c Config) Validate() error {
	if c.ACLNoMatch != "allow" && c.ACLNoMatch != "deny" {
		return config.Invalid("acl_nomatch", "found %q, expected allow or deny", c.ACLNoMatch)
	}
	for i, name := range c.Chain {
		if name != ChainClient && name != ChainUser {
			return config.Invalid("chain", "found %q, expected client or user", name)
		}
		if slices.Contains(c.Chain[:i], name) {
			return config.Invalid("chain", "%s stands there twice", name)
		}
	}
	if c.Cache.TTL < 0 {
		return config.Invalid("cache.ttl", "must not be negative")
	}
	if _, err := c.scheme(); err != nil {
		return config.Invalid("password_hash", "%v", err)
	}
	if err := c.verifier().Validate(); err != nil {
		return config.Invalid("password", "%v", err)
	}
	if n := c.SCRAM.Iterations; n < scram.MinIterations || n > scram.MaxIterations {
		return config.Invalid("scram.iterations", "found %d, expected %d to %d", n, scram.MinIterations, scram.MaxIterations)
	}
	return c.validateStatic()
}

// CheckFiles reads the rule file, which New does not: a broken one stops the start.
func (c Config) CheckFiles() error {
	if c.ACLFile == "" {
		return nil
	}
	if _, err := acl.Open(c.ACLFile); err != nil {
		return fmt.Errorf("auth.acl_file: %w", err)
	}
	return nil
}

func (c Config) validateStatic() error {
	for i, u := range c.Users {
		if u.Username == "" || u.Password.Value() == "" {
			return config.Invalid(fmt.Sprintf("users[%d]", i), "username and password must not be empty")
		}
	}
	for i, u := range c.Clients {
		if u.ClientID == "" || u.Password.Value() == "" {
			return config.Invalid(fmt.Sprintf("clients[%d]", i), "clientid and password must not be empty")
		}
	}
	return nil
}

// scheme is how new passwords are stored: one that carries its salt inside the
// hash, so that a user is one text on every way.
func (c Config) scheme() (hash.Scheme, error) {
	s, err := hash.ParseScheme(c.PasswordHash)
	if err != nil {
		return s, err
	}
	if s.Algorithm != hash.Argon2id && s.Algorithm != hash.Bcrypt {
		return s, fmt.Errorf("found %q, expected argon2id or bcrypt", c.PasswordHash)
	}
	return s, nil
}

// verifier is the configuration of package hash; its Reference is set by New.
func (c Config) verifier() hash.Config {
	v := hash.Config{
		Workers: c.Password.Workers, Queue: c.Password.Queue, QueueBytes: int(c.Password.QueueBytes),
		CacheSize: c.Password.CacheSize, CacheTTL: c.Password.CacheTTL,
	}
	if v.CacheTTL == 0 {
		v.CacheTTL = -1 // none
	}
	return v
}
