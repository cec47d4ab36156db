package sys

import (
	"time"

	"github.com/pando-mq/pando/services/config"
)

// Config is the section `sys` of the configuration.
type Config struct {
	Interval  time.Duration  `yaml:"interval" default:"1m" doc:"How often a node publishes its version, time, statistics and metrics under $SYS/brokers; 0: never."`
	Heartbeat time.Duration  `yaml:"heartbeat" default:"0s" doc:"How often it publishes uptime and datetime; 0: together with the rest. EMQ 2 does it every second."`
	Presence  PresenceConfig `yaml:"presence"`
	Monitor   MonitorConfig  `yaml:"monitor" doc:"What is told, and logged, under $SYS/brokers/<node>/sysmon: each once in a minute."`
}

// PresenceConfig is the section `sys.presence`.
type PresenceConfig struct {
	Enable  bool `yaml:"enable" default:"true" doc:"Whether $SYS/brokers/<node>/clients/<client id>/connected and disconnected are published."`
	QoS     int  `yaml:"qos" default:"1" doc:"Their quality of service: 0, 1 or 2."`
	Refused bool `yaml:"refused" default:"false" doc:"Whether connected is published for refused clients too, with a connack other than 0, as EMQ 2 does."`
}

// DefaultConfig is the configuration without a file.
func DefaultConfig() Config {
	return Config{
		Interval: time.Minute, Presence: PresenceConfig{Enable: true, QoS: 1},
		Monitor: MonitorConfig{LongSchedule: 240 * time.Millisecond, LargeHeap: 90, BusyDistPort: true},
	}
}

// shortest is the shortest interval and heartbeat: a hundred messages each.
const shortest = 100 * time.Millisecond

// Validate refuses values that cannot work.
func (c Config) Validate() error {
	switch {
	case c.Interval != 0 && c.Interval < shortest:
		return config.Invalid("interval", "found %s, expected 0 or at least %s", c.Interval, shortest)
	case c.Heartbeat != 0 && c.Heartbeat < shortest:
		return config.Invalid("heartbeat", "found %s, expected 0 or at least %s", c.Heartbeat, shortest)
	case c.Presence.QoS < 0 || c.Presence.QoS > 2:
		return config.Invalid("presence.qos", "found %d, expected 0, 1 or 2", c.Presence.QoS)
	case c.Monitor.LongGC < 0:
		return config.Invalid("monitor.long_gc", "found %s, expected 0 or more", c.Monitor.LongGC)
	case c.Monitor.LongSchedule < 0:
		return config.Invalid("monitor.long_schedule", "found %s, expected 0 or more", c.Monitor.LongSchedule)
	case c.Monitor.LargeHeap < 0 || c.Monitor.LargeHeap > 100:
		return config.Invalid("monitor.large_heap", "found %d, expected 0 to 100 percent", c.Monitor.LargeHeap)
	}
	return nil
}
