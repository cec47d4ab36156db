package gatewaymqtt

import (
	"bytes"
	"time"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
	"github.com/pando-mq/pando/services/edge"
)

// enhanced is the enhanced authentication of a connection (MQTT 5.0 §4.12).
//
//	CONNECT(method, data) ──► edge ──► AUTH 0x18 ◄──► AUTH 0x18 ──► CONNACK(method, data)
//	AUTH 0x19 ──► edge ──► AUTH 0x18 ◄──► AUTH 0x18 ──► AUTH 0x00, or DISCONNECT
//
// Before CONNACK nothing is read while the edge has a step, and only AUTH and DISCONNECT are taken while the client has it (MQTT-3.1.2-30). Afterwards
// everything else goes on.
type enhanced struct {
	method     string
	again      bool // AUTH 0x19 came and is not answered for good
	challenged bool // the client has the next word
}

// authLate explains the end of an authentication that was not finished.
const authLate = "authentication took too long"

// enhance notes the method of CONNECT, and asks the edge for it. A password beside it is not looked at, and goes nowhere.
func (c *conn) enhance(p *packet.Connect, r *edge.ConnectRequest) {
	m := p.Properties.AuthMethod
	if c.five == nil || !m.Present {
		return
	}
	c.five.auth = &enhanced{method: m.Value}
	r.AuthMethod, r.AuthData, r.Challenge = m.Value, bytes.Clone(p.Properties.AuthData.Value), c.challenge
	clear(r.Credentials.Password)
	r.Credentials.Password, r.Credentials.HasPass = nil, false
}

// auth handles AUTH (§3.15).
func (c *conn) auth(p *packet.Auth) error {
	var a *enhanced
	if c.five != nil {
		a = c.five.auth
	}
	switch {
	case a == nil:
		return &packet.Error{Reason: packet.ProtocolError, Kind: "AUTH without an authentication method in CONNECT"} // MQTT-4.12.0-7
	case !p.Properties.AuthMethod.Present:
		return &packet.Error{Reason: packet.ProtocolError, Kind: "no authentication method"} // §3.15.2.2.2
	case p.Properties.AuthMethod.Value != a.method:
		return &packet.Error{Reason: packet.BadAuthMethod, Kind: "another authentication method than that of CONNECT"} // MQTT-4.12.0-5, MQTT-4.12.1-1
	}
	data := bytes.Clone(p.Properties.AuthData.Value)
	switch {
	case p.Reason == packet.ContinueAuth && a.challenged:
		a.challenged = false
		if c.state == connecting {
			c.hold(holdConnect)
		}
		c.link.AuthContinue(data)
	case p.Reason == packet.ReAuthenticate && c.state == open && !a.again:
		c.reauthenticate(a, data)
	default: // MQTT-3.15.2-1, §3.15.2.1: 0x00 is the server's, 0x18 an answer, and 0x19 opens what is not open yet
		return &packet.Error{Reason: packet.ProtocolError, Kind: "AUTH out of turn"}
	}
	return nil
}

// challenge sends the server's part of a step.
func (c *conn) challenge(data []byte) {
	if c.state != connecting && c.state != open {
		return
	}
	c.five.auth.challenged = true
	c.sendAuth(packet.ContinueAuth, data) // MQTT-4.12.0-2
	if c.state == connecting {
		c.resume(holdConnect)
	}
}

// reauthenticate begins to authenticate an open connection again (§4.12.1). A client that does not finish in the time that a CONNECT has is disconnected.
func (c *conn) reauthenticate(a *enhanced, data []byte) {
	a.again = true
	c.patience = time.AfterFunc(c.gw.cfg.IdleTimeout, func() {
		c.tc.Post(func() {
			if a.again {
				c.end(packet.NotAuthorized, packet.NotAuthorized, authLate, reasonAuth)
			}
		})
	})
	c.link.Reauthenticate(data, func(answer []byte, err error) {
		if c.state != open {
			return
		}
		c.patience.Stop()
		c.patience = nil
		a.again, a.challenged = false, false
		if err != nil { // MQTT-4.12.1-2
			code := reauthCode(broker.KindOf(err))
			c.end(code, code, authText(broker.KindOf(err)), reasonAuth)
			return
		}
		c.sendAuth(packet.Success, answer)
	})
}

// sendAuth sends AUTH with the method of CONNECT (MQTT-4.12.0-5).
func (c *conn) sendAuth(reason packet.ReasonCode, data []byte) {
	p := &packet.Auth{Reason: reason, Properties: packet.Properties{AuthMethod: packet.Some(c.five.auth.method)}}
	if len(data) > 0 {
		p.Properties.AuthData = packet.Some(data)
	}
	c.send(p)
}

// authCode is the CONNACK code for a CONNECT that the edge refused.
func (c *conn) authCode(k broker.Kind) (code packet.ReasonCode, text string) {
	code = codesOf(k).connack
	if c.five == nil || c.five.auth == nil {
		return code, ""
	}
	if k == broker.KindNotFound {
		code = packet.BadAuthMethod
	}
	return code, authText(k)
}

// reauthCode is the DISCONNECT code for an authentication that failed; 0x86 has no place in DISCONNECT.
func reauthCode(k broker.Kind) packet.ReasonCode {
	switch k {
	case broker.KindUnauthenticated, broker.KindDenied, broker.KindInvalid:
		return packet.NotAuthorized
	case broker.KindNotFound:
		return packet.BadAuthMethod
	}
	return packet.ServerBusy
}

// authText explains a refusal. It is the same for whoever is not let in, so that nobody learns who is known.
func authText(k broker.Kind) string {
	switch k {
	case broker.KindNotFound:
		return "authentication method is not supported"
	case broker.KindUnauthenticated:
		return "wrong proof, unknown user, or a user whose password was stored before this method was supported: set the password again"
	case broker.KindDenied:
		return "not as this user"
	}
	return ""
}

// allowedNow refuses what may not come between CONNECT and CONNACK (MQTT-3.1.2-30).
func (c *conn) allowedNow(t packet.Type) error {
	if c.state == connecting && t != packet.TypeAuth && t != packet.TypeDisconnect {
		return &packet.Error{Reason: packet.ProtocolError, Kind: "packet other than AUTH or DISCONNECT before CONNACK"}
	}
	return nil
}
