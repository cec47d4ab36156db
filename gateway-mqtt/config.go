package gatewaymqtt

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/edge"
	"github.com/pando-mq/pando/services/session"
	"github.com/pando-mq/pando/services/transport"
)

// Config is the section mqtt of the configuration.
type Config struct {
	MaxPacketSize           int64         `yaml:"max_packet_size" default:"64KB" unit:"bytes" doc:"Largest packet taken from a client, fixed header included; told to MQTT 5 clients. At most half of what the NATS servers take (max_payload); those of the all-in-one process take 8MB."`
	MaxClientIDLen          int           `yaml:"max_clientid_len" default:"1024" doc:"Longest client id in bytes."`
	MaxTopicLength          int           `yaml:"max_topic_length" default:"4096" doc:"Longest topic or filter in bytes, mount point included."`
	MaxTopicLevels          int           `yaml:"max_topic_levels" default:"128" doc:"Levels a topic or filter may have; 0 means no limit for topics."`
	MaxSubscribeFilters     int           `yaml:"max_subscribe_filters" default:"1000" doc:"Filters in one SUBSCRIBE or UNSUBSCRIBE."`
	MaxUserProperties       int           `yaml:"max_user_properties" default:"256" doc:"User properties in one packet or will."`
	ReceiveMaximum          int           `yaml:"receive_maximum" default:"1000" doc:"QoS 1 and 2 messages that an MQTT 5 client may send before they are acknowledged; more end the connection."`
	TopicAliasMaximum       int           `yaml:"topic_alias_maximum" default:"32" doc:"Topic aliases that an MQTT 5 client may use; 0 means none."`
	TopicAliasOut           int           `yaml:"topic_alias_out" default:"16" doc:"Topic aliases that are used towards an MQTT 5 client which allows them; 0 means none."`
	KeepaliveBackoff        float64       `yaml:"keepalive_backoff" default:"0.75" doc:"A client is gone after its keep-alive times this times two."`
	MaxKeepAlive            time.Duration `yaml:"max_keepalive" default:"0s" doc:"Longest keep-alive of clients that can be told of it (MQTT 5), also of those that ask for none; 0 means no limit."`
	ResponseInformation     string        `yaml:"response_information" doc:"Beginning of response topics, told to MQTT 5 clients that ask for it; %c and %u stand for client id and user name. Empty: they are told nothing."`
	ServerReference         string        `yaml:"server_reference" doc:"Where MQTT 5 clients shall go when a quota of connections refuses them or this node stops (host:port, more than one divided by blanks): they hear 'use another server' with it. Empty: they hear only what is the matter."`
	IdleTimeout             time.Duration `yaml:"idle_timeout" default:"30s" doc:"Time from the first byte of MQTT that could come to a complete CONNECT."`
	WebSocketProtocolHeader bool          `yaml:"websocket_protocol_header" default:"true" doc:"Refuse WebSocket clients that offer no sub-protocol of MQTT."`
	Transport               string        `yaml:"transport" default:"auto" enum:"auto,loop,goroutine" doc:"What serves connections: event loops (loop, Linux only), a goroutine for each (goroutine), or loops where they exist (auto)."`
	HighWater               int64         `yaml:"high_water" default:"128KB" unit:"bytes" doc:"Output of one client above which messages wait in its session and nothing more is read from it."`
	MaxPending              int64         `yaml:"max_pending" default:"1MB" unit:"bytes" doc:"Output of one client above which it is disconnected."`

	Publish edge.PublishConfig `yaml:"publish" doc:"Limits of what one client publishes."`
	ACL     edge.ACLConfig     `yaml:"acl" doc:"How decisions about topics are used."`
	Auth    edge.AuthConfig    `yaml:"auth" doc:"How authentication is asked."`
	Output  edge.OutputConfig  `yaml:"output" doc:"Bounds of what goes to clients."`

	Listeners map[string]ListenerConfig `yaml:"listeners" doc:"Where clients connect, by name."`
}

// DefaultConfig is what the default tags describe, with the suite's own listeners, all of them on loopback.
func DefaultConfig() Config {
	e := edge.DefaultConfig()
	own := func(kind, bind string) ListenerConfig {
		l := DefaultListener()
		l.Kind, l.Bind = kind, bind
		return l
	}
	internal := own("tcp", "127.0.0.1:11883")
	internal.Disabled = true
	return Config{
		MaxPacketSize: 64 << 10, MaxClientIDLen: e.MaxClientIDLen, MaxTopicLength: e.MaxTopicLength, MaxTopicLevels: e.MaxTopicLevels,
		MaxSubscribeFilters: 1000, MaxUserProperties: 256, ReceiveMaximum: 1000, TopicAliasMaximum: 32, TopicAliasOut: 16,
		KeepaliveBackoff: e.KeepaliveBackoff, MaxKeepAlive: e.MaxKeepAlive, IdleTimeout: 30 * time.Second, WebSocketProtocolHeader: true,
		Transport: string(transport.Auto), HighWater: 128 << 10, MaxPending: 1 << 20,
		Publish: e.Publish, ACL: e.ACL, Auth: e.Auth, Output: e.Output,
		Listeners: map[string]ListenerConfig{
			"tcp": own("tcp", "127.0.0.1:1883"), "ssl": own("ssl", "127.0.0.1:8883"),
			"ws": own("ws", "127.0.0.1:8083"), "wss": own("wss", "127.0.0.1:8084"), "tcp-internal": internal,
		},
	}
}

// Edge is the configuration of the edge below the gateway: the keys of this section, the section session and limits.max_connections (0: no limit).
func (c *Config) Edge(s session.Config, maxConnections int) edge.Config {
	return edge.Config{
		MaxConnections: maxConnections, MaxClientIDLen: c.MaxClientIDLen, MaxTopicLength: c.MaxTopicLength, MaxTopicLevels: c.MaxTopicLevels,
		KeepaliveBackoff: c.KeepaliveBackoff, MaxKeepAlive: c.MaxKeepAlive,
		Publish: c.Publish, ACL: c.ACL, Auth: c.Auth, Output: c.Output, Session: s,
	}
}

// Validate reports every value of the section that makes no sense, those of the listeners included.
func (c *Config) Validate() error {
	var errs []error
	within := func(key string, n, lowest, highest int64) {
		if n < lowest || n > highest {
			errs = append(errs, config.Invalid(key, "%d is not within %d and %d", n, lowest, highest))
		}
	}
	within("max_packet_size", c.MaxPacketSize, 64, maxPacketSize)
	within("max_subscribe_filters", int64(c.MaxSubscribeFilters), 1, maxFilters)
	within("max_user_properties", int64(c.MaxUserProperties), 1, maxUserProperties)
	within("receive_maximum", int64(c.ReceiveMaximum), 1, 65535)
	within("topic_alias_maximum", int64(c.TopicAliasMaximum), 0, 65535)
	within("topic_alias_out", int64(c.TopicAliasOut), 0, 65535)
	within("high_water", c.HighWater, 1024, 1<<30)
	within("max_pending", c.MaxPending, c.HighWater, 1<<30)
	told := func(key, text string) {
		if len(text) > maxTold || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			errs = append(errs, config.Invalid(key, "is longer than %d bytes, or no text that MQTT can carry", maxTold))
		}
	}
	told("response_information", c.ResponseInformation)
	told("server_reference", c.ServerReference)
	if c.IdleTimeout <= 0 {
		errs = append(errs, config.Invalid("idle_timeout", "must be above 0"))
	}
	e := c.Edge(session.DefaultConfig(), 0)
	if err := e.Validate(); err != nil {
		errs = append(errs, err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Listeners)) {
		errs = append(errs, validateListener(name, c.Listeners[name]))
	}
	return errors.Join(errs...)
}

// Upper ends of keys, so that no mistake makes the gateway unsafe.
const (
	maxPacketSize     = 256 << 20 // the protocol's own bound, §2.1.4
	maxFilters        = 8192
	maxUserProperties = 8192
	maxTold           = 1024 // bytes of a text that clients are told
)

func validateListener(name string, l ListenerConfig) error {
	if name == "" || strings.ContainsAny(name, ". \t") {
		return fmt.Errorf("listeners: %q is no name: no dots and no blanks, please", name)
	}
	if err := l.Validate(); err != nil {
		return fmt.Errorf("listeners.%s: %w", name, err)
	}
	return nil
}
