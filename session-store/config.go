package sessionstore

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/session"
)

// Config is what a session-store reads: the section `store`, which is its own, and `session`, which it shares with the gateways.
type Config struct {
	Store   StoreConfig    `yaml:"store" doc:"The session-store."`
	Session session.Config `yaml:"session" doc:"What holds for every session."`
}

// StoreConfig is the section `store`.
type StoreConfig struct {
	MaxPending     session.Bytes `yaml:"max_pending" default:"8MB" doc:"Bytes of records that one partition may have on their way to its log; above it requests and deliveries wait."`
	MaxWaiting     session.Bytes `yaml:"max_waiting" default:"32MB" doc:"Bytes of requests and deliveries of one partition that wait for room in its log; above it their streams end and are opened again later."`
	MaxOutbox      session.Bytes `yaml:"max_outbox" default:"64MB" doc:"Bytes of QoS 2 publishes of one partition that wait for the routers, above which new ones are refused; and of shared messages that wait for members elsewhere, above which routers are held back."`
	SharedStrategy string        `yaml:"shared_strategy" default:"random" enum:"random,round_robin,sticky,hash_clientid,hash_topic,local" doc:"How the member of a shared subscription is chosen for groups with persistent sessions; connected members come first. See router.shared_strategy for the others."`
	FlappingTime   time.Duration `yaml:"flapping_time" default:"1s" doc:"Two take-overs of one client id within this time make the later connection wait."`
	FlappingDelay  time.Duration `yaml:"flapping_delay" default:"1s" doc:"How long it waits for its CONNACK."`
}

// Strategies lists the strategies of shared subscriptions.
func Strategies() []string { return broker.Strategies() }

// DefaultConfig is the configuration that the default tags describe.
func DefaultConfig() Config {
	return Config{
		Store: StoreConfig{
			MaxPending: 8 << 20, MaxWaiting: 32 << 20, MaxOutbox: 64 << 20, SharedStrategy: StrategyRandom,
			FlappingTime: time.Second, FlappingDelay: time.Second,
		},
		Session: session.DefaultConfig(),
	}
}

// Validate reports every value that makes no sense.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, key, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("store.%s: %s", key, want))
		}
	}
	s := &c.Store
	check(s.MaxPending > 0 && s.MaxPending <= 16<<20, "max_pending", "must be above 0 and at most 16MB, half of what a log takes")
	check(s.MaxWaiting > 0, "max_waiting", "must be above 0: every queue is bounded in bytes")
	check(s.MaxOutbox > 0, "max_outbox", "must be above 0: every queue is bounded in bytes")
	check(slices.Contains(Strategies(), s.SharedStrategy), "shared_strategy", "must be random, round_robin, sticky, hash_clientid, hash_topic or local")
	check(s.FlappingTime >= 0 && s.FlappingDelay >= 0, "flapping_time, flapping_delay", "must not be negative")
	if err := c.Session.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("session: %w", err))
	}
	return errors.Join(errs...)
}
