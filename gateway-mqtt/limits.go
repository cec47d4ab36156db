package gatewaymqtt

import (
	"errors"
	"strings"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/config"
	"github.com/pando-mq/pando/services/edge"
)

// LimitsConfig is the part of a listener about what its clients may do.
type LimitsConfig struct {
	MaxClientIDLen int   `yaml:"max_clientid_len" default:"0" doc:"Longest client id in bytes, if that is less than mqtt.max_clientid_len; 0 means no other limit."`
	MaxPacketSize  int64 `yaml:"max_packet_size" default:"0" unit:"bytes" doc:"Largest packet taken from a client, instead of mqtt.max_packet_size; 0 means that one."`
	MaxTopicLevels int   `yaml:"max_topic_levels" default:"0" doc:"Levels a topic or filter may have, if that is less than mqtt.max_topic_levels; 0 means no other limit."`
	MaxQoS         int   `yaml:"max_qos_allowed" default:"2" doc:"Highest QoS. A publish or will above it ends the connection, a subscription is granted less."`
	Retain         bool  `yaml:"retain_available" default:"true" doc:"Take messages and wills to be retained; otherwise they end the connection."`
	Wildcards      bool  `yaml:"wildcard_subscription" default:"true" doc:"Grant filters with + and #."`
	Shared         bool  `yaml:"shared_subscription" default:"true" doc:"Grant $share/ and $queue/ filters."`
}

func defaultLimits() LimitsConfig {
	return LimitsConfig{MaxQoS: 2, Retain: true, Wildcards: true, Shared: true}
}

func (l *LimitsConfig) validate() error {
	var errs []error
	if l.MaxClientIDLen < 0 || l.MaxTopicLevels < 0 {
		errs = append(errs, config.Invalid("limits", "max_clientid_len and max_topic_levels must not be negative"))
	}
	if l.MaxPacketSize != 0 && (l.MaxPacketSize < 64 || l.MaxPacketSize > maxPacketSize) {
		errs = append(errs, config.Invalid("limits.max_packet_size", "%d is not within 64 and %d", l.MaxPacketSize, maxPacketSize))
	}
	if l.MaxQoS < 0 || l.MaxQoS > 2 {
		errs = append(errs, config.Invalid("limits.max_qos_allowed", "%d is not 0, 1 or 2", l.MaxQoS))
	}
	return errors.Join(errs...)
}

// refuseConnect is the code for a CONNECT that the listener does not take; Success if it does.
func (l *LimitsConfig) refuseConnect(p *packet.Connect) packet.ReasonCode {
	switch {
	case l.MaxClientIDLen > 0 && len(p.ClientID) > l.MaxClientIDLen:
		return packet.ClientIDNotValid
	case p.Will != nil && int(p.Will.QoS) > l.MaxQoS:
		return packet.QoSNotSupported // MQTT-3.2.2-12
	case p.Will != nil && p.Will.Retain && !l.Retain:
		return packet.RetainNotSupported // MQTT-3.2.2-13
	}
	return packet.Success
}

// refusePublish is an error if CONNACK told the client not to send such a PUBLISH.
func (l *LimitsConfig) refusePublish(p *packet.Publish) error {
	switch {
	case int(p.QoS) > l.MaxQoS:
		return &packet.Error{Reason: packet.QoSNotSupported, Kind: "QoS above the maximum"} // MQTT-3.2.2-11
	case p.Retain && !l.Retain:
		return &packet.Error{Reason: packet.RetainNotSupported, Kind: "retain is not available"} // MQTT-3.2.2-14
	}
	return nil
}

// refuseFilter is the code for a filter that the listener does not grant; Success if it does.
func (l *LimitsConfig) refuseFilter(filter string) packet.ReasonCode {
	switch {
	case !l.Shared && (strings.HasPrefix(filter, "$share/") || strings.HasPrefix(filter, "$queue/")):
		return packet.SharedNotSupported
	case !l.Wildcards && strings.ContainsAny(filter, "+#"):
		return packet.WildcardNotSupported
	}
	return packet.Success
}

// announce adds what differs from the defaults to the CONNACK (§3.2.2.3).
func (l *LimitsConfig) announce(p *packet.Properties) {
	if l.MaxQoS < 2 {
		p.MaximumQoS = packet.Some(byte(l.MaxQoS))
	}
	if !l.Retain {
		p.RetainAvailable = packet.Some(byte(0))
	}
	if !l.Wildcards {
		p.WildcardAvailable = packet.Some(byte(0))
	}
	if !l.Shared {
		p.SharedAvailable = packet.Some(byte(0))
	}
}

// allowed takes out of subs what the listener refuses and lowers what is asked for too much. codes has one code per subscription, Success for those that
// are left; nil if all are.
func (l *LimitsConfig) allowed(subs []broker.Subscription) (left []broker.Subscription, codes []packet.ReasonCode) {
	left = subs[:0]
	all := make([]packet.ReasonCode, len(subs))
	for i, s := range subs {
		s.QoS = min(s.QoS, broker.QoS(l.MaxQoS))
		if all[i] = l.refuseFilter(s.Filter); all[i] == packet.Success {
			left = append(left, s)
		} else {
			codes = all
		}
	}
	return left, codes
}

// subscribeAllowed subscribes to what the listener grants and answers all of it.
func (c *conn) subscribeAllowed(id uint16, subs []broker.Subscription) {
	left, codes := c.ln.cfg.Limits.allowed(subs)
	if codes == nil {
		c.link.Subscribe(left, func(rs []edge.SubscribeResult) { c.subscribed(id, rs) })
		return
	}
	merge := func(rs []edge.SubscribeResult) {
		all := make([]edge.SubscribeResult, len(codes))
		for i, code := range codes {
			if code != packet.Success {
				all[i].Err = &notGranted{code}
				continue
			}
			all[i], rs = rs[0], rs[1:]
		}
		c.subscribed(id, all)
	}
	c.link.Subscribe(left, merge)
}

// notGranted is the error of a filter that a listener refuses.
type notGranted struct{ code packet.ReasonCode }

// Error implements error.
func (n *notGranted) Error() string { return n.code.String() }
