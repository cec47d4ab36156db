package router

import (
	"errors"
	"time"
)

// Config is the section `router` of the configuration.
type Config struct {
	MaxPendingBytes int64         `yaml:"max_pending_bytes" default:"256MiB" unit:"bytes" doc:"Bytes of messages that may wait for destinations, over all partitions of this router. Above it publishers are held back."`
	SyncQueueBytes  int64         `yaml:"sync_queue_bytes" default:"4MiB" unit:"bytes" doc:"Bytes of publishes that one topic partition keeps while it collects its routes after a change of owner."`
	SyncTimeout     time.Duration `yaml:"sync_timeout" default:"5s" doc:"How long one snapshot of routes may take before it is asked for again."`
}

// RetainedConfig is the section `retained`.
type RetainedConfig struct {
	Storage     string        `yaml:"storage" default:"disc" enum:"ram,disc,disc_only" doc:"Where retained messages are kept. ram: in memory only, lost with the router; disc and disc_only: in the replicated log as well."`
	MaxMessages int           `yaml:"max_messages" default:"1000000" doc:"Retained messages kept at most, over all partitions; 0: no limit. When full, existing topics can still be replaced."`
	MaxPayload  int64         `yaml:"max_payload" default:"64KB" unit:"bytes" doc:"Largest payload that is retained. Larger messages are delivered but not kept."`
	Expiry      time.Duration `yaml:"expiry" default:"0s" doc:"How long a retained message is kept that has no expiry of its own; 0: for ever. $SYS/ messages never expire."`
}

// Default is the configuration without a file.
func Default() (Config, RetainedConfig) {
	return Config{MaxPendingBytes: 256 << 20, SyncQueueBytes: 4 << 20, SyncTimeout: 5 * time.Second},
		RetainedConfig{Storage: "disc", MaxMessages: 1_000_000, MaxPayload: 64 << 10}
}

// Validate refuses values that cannot work.
func (c Config) Validate() error {
	if c.MaxPendingBytes < 1<<20 {
		return errors.New("max_pending_bytes: at least 1MiB")
	}
	if c.SyncQueueBytes < 0 || c.SyncTimeout <= 0 {
		return errors.New("sync_queue_bytes and sync_timeout: must be positive")
	}
	return nil
}

// Validate refuses values that cannot work.
func (c RetainedConfig) Validate() error {
	switch c.Storage {
	case "ram", "disc", "disc_only":
	default:
		return errors.New("storage: one of ram, disc, disc_only")
	}
	if c.MaxMessages < 0 || c.MaxPayload < 0 || c.Expiry < 0 {
		return errors.New("limits must not be negative")
	}
	return nil
}
