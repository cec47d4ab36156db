package gatewaymqtt

import (
	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
)

// codes is what a Kind means in each packet that answers (MQTT 5.0 table 2-6 says which code may be where).
type codes struct {
	connack packet.ReasonCode // below 5.0 it becomes a return code, see packet.ReasonCode.ReturnCode
	publish packet.ReasonCode // PUBACK, PUBREC
	old     oldPublish        // instead of publish below 5.0, which cannot refuse a PUBLISH
	suback  packet.ReasonCode // SUBACK and UNSUBACK; below 5.0 SUBACK says 0x80
}

// oldPublish is how MQTT 3.1 and 3.1.1 treat a PUBLISH that was not taken.
type oldPublish uint8

const (
	oldClose  oldPublish = iota // close without an answer: the client sends it again when it comes back
	oldAnswer                   // acknowledge and drop it: sending it again would be refused again (MQTT 3.1.1 §3.3.5.2)
	oldSilent                   // neither: a later try may succeed, and the connection is not to blame
)

// codesOf is the table Kind -> code.
func codesOf(k broker.Kind) codes {
	switch k {
	case broker.KindInvalid:
		return codes{packet.ClientIDNotValid, packet.TopicNameInvalid, oldClose, packet.TopicFilterInvalid}
	case broker.KindUnauthenticated:
		return codes{packet.BadUserNameOrPassword, packet.NotAuthorized, oldClose, packet.NotAuthorized}
	case broker.KindDenied:
		return codes{packet.NotAuthorized, packet.NotAuthorized, oldAnswer, packet.NotAuthorized}
	case broker.KindNotFound:
		return codes{packet.UnspecifiedError, packet.UnspecifiedError, oldClose, packet.NoSubscription}
	case broker.KindConflict, broker.KindBusy:
		return codes{packet.ServerBusy, packet.ImplementationError, oldClose, packet.ImplementationError}
	case broker.KindNotOwner, broker.KindStale, broker.KindUnavailable, broker.KindCanceled:
		return codes{packet.ServerUnavailable, packet.UnspecifiedError, oldClose, packet.UnspecifiedError}
	case broker.KindQuota:
		return codes{packet.QuotaExceeded, packet.QuotaExceeded, oldSilent, packet.QuotaExceeded}
	case broker.KindTooLarge:
		return codes{packet.PacketTooLarge, packet.QuotaExceeded, oldAnswer, packet.QuotaExceeded}
	}
	return codes{packet.UnspecifiedError, packet.UnspecifiedError, oldClose, packet.UnspecifiedError}
}

// kickCode is the DISCONNECT reason for the end that the edge asks for (§3.14.2.1).
func kickCode(k edge.KickCode) packet.ReasonCode {
	switch k {
	case edge.KickTakenOver:
		return packet.SessionTakenOver
	case edge.KickAdmin:
		return packet.AdministrativeAction
	case edge.KickKeepAlive:
		return packet.KeepAliveTimeout
	case edge.KickExpired, edge.KickDenied:
		return packet.NotAuthorized
	case edge.KickShutdown:
		return packet.ServerShuttingDown
	case edge.KickLost:
		return packet.ServerBusy
	case edge.KickQuota:
		return packet.QuotaExceeded
	}
	return packet.UnspecifiedError
}

// elsewhere is the code for what another server could do instead: with server_reference it says so (§4.11).
func (g *Gateway) elsewhere(code packet.ReasonCode) packet.ReasonCode {
	if g.cfg.ServerReference != "" {
		return packet.UseAnotherServer
	}
	return code
}

// connackFor is a DISCONNECT reason as a CONNACK can say it: a connection may have to end before CONNACK was sent.
func connackFor(r packet.ReasonCode) packet.ReasonCode {
	switch {
	case r.AllowedIn(packet.TypeConnack):
		return r
	case r == packet.ServerShuttingDown:
		return packet.ServerUnavailable
	case r == packet.SessionTakenOver:
		return packet.ServerBusy
	case r == packet.AdministrativeAction:
		return packet.Banned
	}
	return packet.UnspecifiedError
}

// disconnectFor is the code of a refused packet as a DISCONNECT can say it.
func disconnectFor(r packet.ReasonCode) packet.ReasonCode {
	switch {
	case r.AllowedIn(packet.TypeDisconnect):
		return r
	case r == packet.ServerUnavailable:
		return packet.ServerBusy
	}
	return packet.ProtocolError
}
