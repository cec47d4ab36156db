package gatewaymqtt_test

import (
	"strings"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
)

// The tests of the files conformance_*_test.go are those that the table of statements in README.md names. Their subtests share a gateway; each takes
// client ids and topics after its own name, so that none sees what another does.

// both runs a test with 3.1.1 and with 5.0.
func both(t *testing.T, fn func(t *testing.T, v packet.Version)) {
	t.Helper()
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			fn(t, v)
		})
	}
}

// own is a topic, and the beginning of client ids, that no other test uses.
func own(t *testing.T) string { return strings.ReplaceAll(t.Name(), "#", "-") }

// keep asks for a session that outlives its connection.
func keep(p *packet.Connect) {
	p.CleanStart = false
	if p.Version == packet.V5 {
		p.Properties.SessionExpiry = packet.Some[uint32](100)
	}
}

// retained is a message to be kept.
func retained(qos byte, id uint16, topic, payload string) *packet.Publish {
	p := message(qos, id, topic, payload)
	p.Retain = true
	return p
}

// refuses sends bytes over open connections of 3.1.1 and of 5.0, and wants their end; reason is what 5.0 hears. Without bytes a version is left out.
func (w *world) refuses(t *testing.T, old, five string, reason packet.ReasonCode) {
	t.Helper()
	for v, bytes := range map[packet.Version]string{packet.V311: old, packet.V5: five} {
		if bytes != "" {
			c := w.connect(t, v, own(t)+v.String())
			c.raw([]byte(bytes))
			c.expectEnd(reason)
		}
	}
}

// refusesConnect sends the bytes of CONNECTs that are wrong: below 5.0 nothing answers them (MQTT-3.1.4-1 of 3.1.1), 5.0 hears why.
func (w *world) refusesConnect(t *testing.T, old, five string, reason packet.ReasonCode) {
	t.Helper()
	for v, bytes := range map[packet.Version]string{packet.V311: old, packet.V5: five} {
		if bytes == "" {
			continue
		}
		c := w.dial(t, "tcp", v)
		c.raw([]byte(bytes))
		if v == packet.V5 {
			if ack := expect[*packet.Connack](c); ack.Reason != reason {
				t.Errorf("CONNACK %s, want %s", ack.Reason, reason)
			}
		}
		c.expectClosed()
	}
}

// cut breaks a client's connection and waits until the gateway has noticed.
func (w *world) cut(t *testing.T, c *client, id string) {
	t.Helper()
	_ = c.nc.Close()
	w.gone(t, id)
}

// gone waits until a client id has no connection.
func (w *world) gone(t *testing.T, id string) {
	t.Helper()
	w.eventually(t, "the connection has ended", func() bool {
		infos, err := w.edge.Clients(t.Context(), broker.ClientQuery{ClientID: id})
		return err == nil && len(infos) == 0
	})
}

// back connects a client id again, to the session it has, and wants it there or not.
func (w *world) back(t *testing.T, v packet.Version, id string, present bool, change ...func(*packet.Connect)) *client {
	t.Helper()
	c := w.dial(t, "tcp", v)
	c.send(connectPacket(v, id, append([]func(*packet.Connect){keep}, change...)...))
	if ack := expect[*packet.Connack](c); ack.SessionPresent != present || ack.Reason != packet.Success {
		t.Fatalf("CONNACK %s, session present %v", ack.Reason, ack.SessionPresent)
	}
	return c
}

// subscribed makes one subscription with its options.
func (c *client) subscribed(s packet.Subscription, ids ...uint32) {
	c.t.Helper()
	c.send(&packet.Subscribe{ID: 64000, Subscriptions: []packet.Subscription{s}, Properties: packet.Properties{SubscriptionIDs: ids}})
	if r := expect[*packet.Suback](c).Reasons; len(r) != 1 || r[0] != packet.ReasonCode(s.QoS) {
		c.t.Fatalf("SUBACK %v", r)
	}
}

// only shows that nothing but one last message comes: pub sends it after all that should not.
func (c *client) only(pub *client, topic string) {
	c.t.Helper()
	pub.flow(message(1, 63000, topic, "last"))
	c.receive(topic, "last")
}

// settled makes a subscription of a topic and all below it, and waits until the retained messages for it have been read: what comes later is new.
func (w *world) settled(c *client, topic string, s packet.Subscription) {
	c.t.Helper()
	w.connect(c.t, c.v, topic+"/marker").flow(retained(1, 1, topic+"/marker", "retained"))
	s.Filter = topic + "/#"
	c.subscribed(s)
	c.receive(topic+"/marker", "retained")
}
