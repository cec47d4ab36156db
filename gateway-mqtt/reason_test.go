package gatewaymqtt

import (
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
)

// TestCodesFitTheirPackets: a code that its packet may not carry could not be encoded, and the client would get no answer (MQTT 5.0 table 2-6).
func TestCodesFitTheirPackets(t *testing.T) {
	t.Parallel()
	for k := broker.KindInternal; k <= broker.KindCanceled+1; k++ {
		c := codesOf(k)
		for _, p := range []packet.Type{packet.TypePuback, packet.TypePubrec} {
			if !c.publish.AllowedIn(p) || !c.publish.Failed() {
				t.Errorf("%s: %s in %s", k, c.publish, p)
			}
		}
		if !c.connack.AllowedIn(packet.TypeConnack) || !c.connack.Failed() {
			t.Errorf("%s: %s in CONNACK", k, c.connack)
		}
		if s := subackCode(broker.E(k, "test", nil)); !s.AllowedIn(packet.TypeSuback) || !s.Failed() {
			t.Errorf("%s: %s in SUBACK", k, s)
		}
		if u := unsubackCode(broker.E(k, "test", nil)); !u.AllowedIn(packet.TypeUnsuback) || u == packet.Success {
			t.Errorf("%s: %s in UNSUBACK", k, u)
		}
	}
}

func TestKickCodes(t *testing.T) {
	t.Parallel()
	for k, want := range map[edge.KickCode]packet.ReasonCode{
		edge.KickTakenOver: packet.SessionTakenOver, edge.KickAdmin: packet.AdministrativeAction, edge.KickKeepAlive: packet.KeepAliveTimeout,
		edge.KickExpired: packet.NotAuthorized, edge.KickDenied: packet.NotAuthorized, edge.KickShutdown: packet.ServerShuttingDown,
		edge.KickLost: packet.ServerBusy, edge.KickQuota: packet.QuotaExceeded, 0: packet.UnspecifiedError,
	} {
		got := kickCode(k)
		if got != want || !got.AllowedIn(packet.TypeDisconnect) {
			t.Errorf("%s: %s, want %s", k, got, want)
		}
	}
}

// TestCodesCross: whatever ends a connection can be said before and after CONNACK.
func TestCodesCross(t *testing.T) {
	t.Parallel()
	for r := packet.UnspecifiedError; r <= packet.WildcardNotSupported; r++ {
		if !connackFor(r).AllowedIn(packet.TypeConnack) || !connackFor(r).Failed() {
			t.Errorf("%s becomes %s in CONNACK", r, connackFor(r))
		}
		if !disconnectFor(r).AllowedIn(packet.TypeDisconnect) || !disconnectFor(r).Failed() {
			t.Errorf("%s becomes %s in DISCONNECT", r, disconnectFor(r))
		}
	}
}
