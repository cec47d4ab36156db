package router

import (
	"errors"
	"slices"
	"time"

	"github.com/pando-mq/pando/services/broker"
)

// Config is the section `router` of the configuration.
type Config struct {
	MaxPendingBytes int64         `yaml:"max_pending_bytes" default:"256MiB" unit:"bytes" doc:"Bytes of messages that may wait for destinations, over all partitions of this router. Above it publishers are held back."`
	SyncQueueBytes  int64         `yaml:"sync_queue_bytes" default:"4MiB" unit:"bytes" doc:"Bytes of publishes that one topic partition keeps while it collects its routes after a change of owner."`
	SyncTimeout     time.Duration `yaml:"sync_timeout" default:"5s" doc:"How long one snapshot of routes may take before it is asked for again."`

	SharedStrategy string `yaml:"shared_strategy" default:"random" enum:"random,round_robin,sticky,hash_clientid,hash_topic,local" doc:"How the member of a shared subscription is chosen for groups of clean sessions alone; store.shared_strategy says it for the others."`
}

// RetainedConfig is the section `retained`.
type RetainedConfig struct {
	Storage     string        `yaml:"storage" default:"disc" enum:"ram,disc,disc_only" doc:"Where retained messages are kept. ram: in memory only, lost with the router; disc: in memory, for reading, and in the replicated log; disc_only: in the replicated log, and for reading in files below the data directory (retained), which are made anew from the log at each start; topics and expiry stay in memory. 100,000 messages of 1 KB take 155 MB of memory with ram and disc, 51 MB with disc_only, and a page of the replay one read of the file for each message (2 µs while the system caches it)."`
	MaxMessages int           `yaml:"max_messages" default:"1000000" doc:"Retained messages kept at most, over all partitions; 0: no limit. When full, existing topics can still be replaced."`
	MaxPayload  int64         `yaml:"max_payload" default:"64KB" unit:"bytes" doc:"Largest payload that is retained. Larger messages are delivered but not kept."`
	Expiry      time.Duration `yaml:"expiry" default:"0s" doc:"How long a retained message is kept that has no expiry of its own; 0: for ever. $SYS/ messages never expire."`
	Delayed     DelayedConfig `yaml:"delayed" doc:"Messages published to $delayed/<seconds>/<topic>, which wait for their time in the replicated log whatever the storage."`
}

// DelayedConfig bounds what waits for its time.
type DelayedConfig struct {
	MaxMessages int   `yaml:"max_messages" default:"1000000" doc:"Delayed messages kept at most, over all partitions; 0: no limit other than max_bytes. When full, the publisher is told so (MQTT 5.0: quota exceeded)."`
	MaxBytes    int64 `yaml:"max_bytes" default:"256MB" unit:"bytes" doc:"Bytes of delayed messages kept at most, over all partitions."`
}

// The storages of retained messages.
const (
	StorageRAM      = "ram"
	StorageDisc     = "disc"
	StorageDiscOnly = "disc_only"
)

// Default is the configuration without a file.
func Default() (Config, RetainedConfig) {
	return Config{MaxPendingBytes: 256 << 20, SyncQueueBytes: 4 << 20, SyncTimeout: 5 * time.Second, SharedStrategy: broker.StrategyRandom},
		RetainedConfig{
			Storage: StorageDisc, MaxMessages: 1_000_000, MaxPayload: 64 << 10, Delayed: DelayedConfig{MaxMessages: 1_000_000, MaxBytes: 256 << 20},
		}
}

// Validate refuses values that cannot work.
func (c Config) Validate() error {
	if c.MaxPendingBytes < 1<<20 {
		return errors.New("max_pending_bytes: at least 1MiB")
	}
	if !slices.Contains(broker.Strategies(), c.SharedStrategy) {
		return errors.New("shared_strategy: random, round_robin, sticky, hash_clientid, hash_topic or local")
	}
	if c.SyncQueueBytes < 0 || c.SyncTimeout <= 0 {
		return errors.New("sync_queue_bytes and sync_timeout: must be positive")
	}
	return nil
}

// Validate refuses values that cannot work.
func (c RetainedConfig) Validate() error {
	switch c.Storage {
	case StorageRAM, StorageDisc, StorageDiscOnly:
	default:
		return errors.New("storage: one of ram, disc, disc_only")
	}
	if c.MaxMessages < 0 || c.MaxPayload < 0 || c.Expiry < 0 {
		return errors.New("limits must not be negative")
	}
	if c.Delayed.MaxMessages < 0 || c.Delayed.MaxBytes <= 0 {
		return errors.New("delayed.max_messages must not be negative, delayed.max_bytes must be above 0: every queue is bounded in bytes")
	}
	return nil
}
