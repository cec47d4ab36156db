package edge

import (
	"errors"
	"fmt"
	"time"

	"github.com/pando-mq/pando/services/session"
)

// Config is what users set. A gateway's configuration holds one and fills it from its own sections.
type Config struct {
	MaxConnections   int            `yaml:"max_connections" default:"0" doc:"Connections of this process; 0 means no limit."`
	MaxClientIDLen   int            `yaml:"max_clientid_len" default:"1024" doc:"Longest client id in bytes."`
	MaxTopicLength   int            `yaml:"max_topic_length" default:"4096" doc:"Longest topic or filter in bytes, mount point included."`
	MaxTopicLevels   int            `yaml:"max_topic_levels" default:"128" doc:"Levels a topic or filter may have; 0 means no limit for topics."`
	KeepaliveBackoff float64        `yaml:"keepalive_backoff" default:"0.75" doc:"A client is gone after its keep-alive times this times two."`
	MaxKeepAlive     time.Duration  `yaml:"max_keepalive" default:"0s" doc:"Longest keep-alive of clients that can be told of it (MQTT 5), also of those that ask for none; 0 means no limit."`
	Publish          PublishConfig  `yaml:"publish" doc:"Limits of what one client publishes."`
	ACL              ACLConfig      `yaml:"acl" doc:"How decisions about topics are used."`
	Auth             AuthConfig     `yaml:"auth" doc:"How authentication is asked."`
	Output           OutputConfig   `yaml:"output" doc:"Bounds of what goes to clients."`
	Session          session.Config `yaml:"session" doc:"Sessions."`
}

// PublishConfig bounds publishing.
type PublishConfig struct {
	MaxRate     float64       `yaml:"max_rate" hot:"true" default:"0" doc:"Messages per second of one client; above it reading pauses. 0 means no limit. A change holds for connections that begin after it."`
	MaxByteRate session.Bytes `yaml:"max_byte_rate" hot:"true" default:"0" doc:"Bytes per second of one client's messages; above it reading pauses. 0 means no limit. A change holds for connections that begin after it."`
	MaxUnacked  session.Bytes `yaml:"max_unacked" default:"1MB" doc:"Bytes of one client's messages that wait for an answer of the cluster; above it reading pauses."`
	MaxQueued   session.Bytes `yaml:"max_queued" default:"64MB" doc:"Bytes of all clients' messages on their way to the routers; above it reading pauses and QoS 0 messages are dropped."`
}

// ACLConfig says how decisions are used.
type ACLConfig struct {
	CacheSize     int           `yaml:"cache_size" default:"32" doc:"Decisions kept per client; 0 asks each time."`
	CacheTTL      time.Duration `yaml:"cache_ttl" default:"1m" doc:"How long a decision is kept at most."`
	DenyAction    string        `yaml:"deny_action" default:"ignore" enum:"ignore,disconnect" doc:"What a denied publish leads to besides being refused."`
	CheckDelivery string        `yaml:"check_delivery" default:"filter" enum:"filter,topic" doc:"Whether deliveries are authorised by the filter they came by, or by their topic."`
}

// AuthConfig says how authsvc is asked.
type AuthConfig struct {
	Timeout time.Duration `yaml:"timeout" default:"5s" doc:"Longest wait for one decision; a connect's counts from its CONNECT on."`
	Workers int           `yaml:"workers" default:"64" doc:"Questions under way at once, each for connects and for topics."`
	Waiting int           `yaml:"waiting" default:"10000" doc:"Questions waiting behind them; beyond, a connect is refused as busy."`
}

// OutputConfig bounds deliveries.
type OutputConfig struct {
	MaxPushed session.Bytes `yaml:"max_pushed" default:"1MB" doc:"Bytes that wait for a slow client with a persistent session, besides its window; QoS 0 messages beyond are dropped."`
	StallTime time.Duration `yaml:"stall_time" default:"1m" doc:"How long retained messages wait for a client that takes nothing."`
	ShareAge  time.Duration `yaml:"share_age" default:"30s" doc:"How long a message of a shared subscription looks for another member."`
}

// The words of enumerated keys.
const (
	DenyIgnore     = "ignore"
	DenyDisconnect = "disconnect"
	CheckFilter    = "filter"
	CheckTopic     = "topic"
)

// DefaultConfig is the configuration that the default tags describe.
func DefaultConfig() Config {
	return Config{
		MaxClientIDLen: 1024, MaxTopicLength: 4096, MaxTopicLevels: 128, KeepaliveBackoff: 0.75,
		Publish: PublishConfig{MaxUnacked: 1 << 20, MaxQueued: 64 << 20},
		ACL:     ACLConfig{CacheSize: 32, CacheTTL: time.Minute, DenyAction: DenyIgnore, CheckDelivery: CheckFilter},
		Auth:    AuthConfig{Timeout: 5 * time.Second, Workers: 64, Waiting: 10000},
		Output:  OutputConfig{MaxPushed: 1 << 20, StallTime: time.Minute, ShareAge: 30 * time.Second},
		Session: session.DefaultConfig(),
	}
}

// Validate reports every value that makes no sense.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, key, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s: %s", key, want))
		}
	}
	check(c.MaxConnections >= 0, "max_connections", "must not be negative")
	check(c.MaxClientIDLen > 0 && c.MaxClientIDLen <= 65535, "max_clientid_len", "must be 1 to 65535")
	check(c.MaxTopicLength > 0 && c.MaxTopicLength <= 65535, "max_topic_length", "must be 1 to 65535")
	check(c.MaxTopicLevels >= 0, "max_topic_levels", "must not be negative")
	check(c.KeepaliveBackoff > 0, "keepalive_backoff", "must be above 0")
	check(c.MaxKeepAlive >= 0, "max_keepalive", "must not be negative")
	check(c.Publish.MaxRate >= 0 && c.Publish.MaxByteRate >= 0, "publish", "rates must not be negative")
	check(c.Publish.MaxUnacked > 0 && c.Publish.MaxQueued > 0, "publish", "max_unacked and max_queued must be above 0: every queue is bounded in bytes")
	check(c.ACL.CacheSize >= 0 && c.ACL.CacheTTL > 0, "acl", "cache_size must not be negative, cache_ttl must be above 0")
	check(c.ACL.DenyAction == DenyIgnore || c.ACL.DenyAction == DenyDisconnect, "acl.deny_action", "must be ignore or disconnect")
	check(c.ACL.CheckDelivery == CheckFilter || c.ACL.CheckDelivery == CheckTopic, "acl.check_delivery", "must be filter or topic")
	check(c.Auth.Timeout > 0 && c.Auth.Workers > 0 && c.Auth.Waiting > 0, "auth", "timeout, workers and waiting must be above 0")
	check(c.Output.MaxPushed > 0 && c.Output.StallTime > 0 && c.Output.ShareAge > 0, "output", "max_pushed, stall_time and share_age must be above 0")
	if err := c.Session.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("session: %w", err))
	}
	return errors.Join(errs...)
}
