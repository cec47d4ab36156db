package gatewaymqtt_test

import (
	"testing"

	gatewaymqtt "github.com/pando-mq/pando/gateway-mqtt"
	"github.com/pando-mq/pando/gateway-mqtt/packet"
)

// TestAboveLimitHearsWhy: who is above max_clients or max_connections has a CONNACK that says so, on every kind of listener and in every version, and nobody
// asks who it is (MQTT 5.0 §3.2.2.2, MQTT-3.1.4-2).
func TestAboveLimitHearsWhy(t *testing.T) {
	t.Parallel()
	limits := map[string]func(s *setup, kind string){
		"max_clients": func(s *setup, kind string) {
			s.listener(kind, func(l *gatewaymqttListener) { l.MaxClients = 1 })
		},
		"max_connections": func(s *setup, _ string) { s.deps.MaxConnections = 1 },
	}
	for reason, limit := range limits {
		for _, kind := range []string{"tcp", "ssl", "ws", "wss"} {
			t.Run(reason+"/"+kind, func(t *testing.T) {
				versions(t, func(t *testing.T, v packet.Version) {
					w := start(t, func(s *setup) { s.open(kind); limit(s, kind) })
					first := w.dial(t, kind, v)
					first.send(connectPacket(v, "first"))
					expect[*packet.Connack](first)
					w.refusedConnect(t, kind, v, packet.QuotaExceeded)
					first.quiet()
					if n := w.shutdownsOf(kind)[reason]; n != 1 {
						t.Errorf("counted %d times: %v", n, w.shutdownsOf(kind))
					}
				})
			})
		}
	}
}

// refusedConnect sends a CONNECT and wants it refused with code, unseen by the authentication.
func (w *world) refusedConnect(t *testing.T, kind string, v packet.Version, code packet.ReasonCode) {
	t.Helper()
	c := w.dial(t, kind, v)
	c.send(connectPacket(v, "above"))
	if v < packet.V5 {
		code = packet.ServerUnavailable // return code 3
	}
	if ack := expect[*packet.Connack](c); ack.Reason != code || ack.SessionPresent {
		t.Errorf("CONNACK %s, session present %t, want %s", ack.Reason, ack.SessionPresent, code)
	}
	c.expectClosed()
	if _, asked := w.auth.offered("above"); asked {
		t.Error("its credentials were looked at")
	}
}

// TestAboveLimitNamesAnotherServer: with server_reference the client is sent there (§4.11).
func TestAboveLimitNamesAnotherServer(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) {
		s.cfg.ServerReference = "b.example:1883"
		s.listener("tcp", func(l *gatewaymqttListener) { l.MaxClients = 1 })
	})
	w.connect(t, packet.V5, "first")
	c := w.dial(t, "tcp", packet.V5)
	c.send(connectPacket(packet.V5, "above"))
	ack := expect[*packet.Connack](c)
	if ack.Reason != packet.UseAnotherServer || ack.Properties.ServerReference.Value != "b.example:1883" {
		t.Errorf("CONNACK %s %+v", ack.Reason, ack.Properties.ServerReference)
	}
}

// TestAboveLimitIsNotHeardForLong: what is no CONNECT gets no answer, and silence ends long before idle_timeout.
func TestAboveLimitIsNotHeardForLong(t *testing.T) {
	t.Parallel()
	w := start(t, func(s *setup) {
		s.cfg.IdleTimeout = 10 * patience
		s.listener("tcp", func(l *gatewaymqtt.ListenerConfig) { l.MaxClients = 1 })
	})
	w.connect(t, packet.V5, "first")
	w.dial(t, "tcp", packet.V5).expectClosed()
	c := w.dial(t, "tcp", packet.V5)
	c.send(&packet.Pingreq{})
	c.expectClosed()
}
