package gatewaymqtt_test

import (
	"strings"
	"testing"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
)

// [MQTT-3.1.2-30]: between CONNECT with a method and CONNACK a client sends AUTH and DISCONNECT alone.
func TestOnlyAuthAndDisconnectBeforeConnack(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	for name, b := range map[string]packet.Packet{
		"PUBLISH":     message(0, 0, "a", "early"),
		"SUBSCRIBE":   &packet.Subscribe{ID: 1, Subscriptions: []packet.Subscription{{Filter: "a"}}},
		"UNSUBSCRIBE": &packet.Unsubscribe{ID: 1, Filters: []string{"a"}},
		"PINGREQ":     &packet.Pingreq{},
		"PUBACK":      &packet.Ack{Type: packet.TypePuback, ID: 1},
		"CONNECT":     connectPacket(packet.V5, "second"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := w.prover(t, sha256Method, "ann", "pencil")
			p.begin("early-" + name)
			p.challenged()
			p.send(b)
			p.refused(packet.ProtocolError)
		})
	}
}

// [MQTT-3.15.1-1]: the reserved bits of the fixed header are 0, before CONNACK and after it.
func TestAuthReservedBits(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	for bit := range byte(4) {
		p := w.proven(t, sha256Method, "bits")
		b := p.encode(&packet.Auth{Reason: packet.ReAuthenticate, Properties: packet.Properties{AuthMethod: packet.Some(sha256Method)}})
		b[0] |= 1 << bit
		p.raw(b)
		p.expectEnd(packet.MalformedPacket)
		early := w.prover(t, sha256Method, "ann", "pencil")
		early.begin("early")
		early.challenged()
		b[2] = byte(packet.ContinueAuth)
		early.raw(b)
		early.refused(packet.MalformedPacket)
	}
}

// [MQTT-3.15.2-1]: AUTH has one of its three reason codes.
func TestAuthReasonCodes(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	for code := range 256 {
		r := packet.ReasonCode(code)
		if r == packet.Success || r == packet.ContinueAuth || r == packet.ReAuthenticate {
			continue
		}
		if code > 0x20 && code < 0x80 || code > 0xa8 { // like their neighbours
			continue
		}
		p := w.proven(t, sha256Method, "codes")
		b := p.encode(&packet.Auth{Reason: packet.ReAuthenticate, Properties: packet.Properties{AuthMethod: packet.Some(sha256Method)}})
		b[2] = byte(code)
		p.raw(b)
		d := expect[*packet.Disconnect](p.client)
		if d.Reason != packet.MalformedPacket && d.Reason != packet.ProtocolError {
			t.Errorf("code %#x is answered with %s", code, d.Reason)
		}
		p.expectClosed()
	}
}

// §3.15.2.2.2: AUTH names the method.
func TestAuthWithoutMethod(t *testing.T) {
	t.Parallel()
	p := enhancedWorld(t).proven(t, sha256Method, "nameless")
	p.raw([]byte{0xf0, 2, byte(packet.ReAuthenticate), 0})
	p.expectEnd(packet.ProtocolError)
}

// [MQTT-3.15.2-2], [MQTT-3.15.2-3]: AUTH of the server stays within the client's Maximum Packet Size; one that cannot ends the attempt unsent.
func TestAuthWithinMaximumPacketSize(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	p := w.prover(t, sha256Method, "ann", "pencil")
	p.begin("narrow", func(c *packet.Connect) { c.Properties.MaximumPacketSize = packet.Some(uint32(40)) })
	p.expectClosed()
	roomy := w.prover(t, sha256Method, "ann", "pencil")
	roomy.begin("roomy", func(c *packet.Connect) { c.Properties.MaximumPacketSize = packet.Some(uint32(400)) })
	challenge := expect[*packet.Auth](roomy.client)
	if challenge.Properties.ReasonString.Present || len(challenge.Properties.User) > 0 || challenge.Size(packet.V5) > 400 {
		t.Errorf("AUTH %+v", challenge)
	}
}

// [MQTT-4.12.0-1]: a method that is not supported is refused with 0x8C, and the connection closed.
func TestUnknownAuthenticationMethod(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	for _, method := range []string{"SCRAM-SHA-1", "scram-sha-256", "GS2-KRB5", "", strings.Repeat("X", 60000)} {
		p := w.prover(t, sha256Method, "ann", "pencil")
		p.send(connectPacket(packet.V5, "method", func(c *packet.Connect) { c.Properties.AuthMethod = packet.Some(method) }))
		p.refused(packet.BadAuthMethod)
	}
}

// [MQTT-4.12.0-2]: the server asks for more with AUTH 0x18.
func TestServerContinuesWithAuth(t *testing.T) {
	t.Parallel()
	p := enhancedWorld(t).prover(t, sha256Method, "ann", "pencil")
	p.begin("asked")
	a := expect[*packet.Auth](p.client)
	if a.Reason != packet.ContinueAuth || len(a.Properties.AuthData.Value) == 0 {
		t.Errorf("AUTH %+v", a)
	}
}

// [MQTT-4.12.0-3]: the client answers with AUTH 0x18; with another code it is refused.
func TestClientContinuesWithAuth(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	for _, code := range []packet.ReasonCode{packet.Success, packet.ReAuthenticate} {
		p := w.prover(t, sha256Method, "ann", "pencil")
		p.begin("answers")
		p.send(&packet.Auth{Reason: code, Properties: p.say(p.challenged())})
		p.refused(packet.ProtocolError)
	}
	w.proven(t, sha256Method, "answers").quiet()
}

// [MQTT-4.12.0-4]: the server may refuse at any point, with CONNACK and the end: after the first message, and after the last.
func TestServerRejectsAtAnyPoint(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	first := w.prover(t, sha256Method, "ann", "pencil")
	first.send(connectPacket(packet.V5, "first", func(c *packet.Connect) {
		c.Properties.AuthMethod, c.Properties.AuthData = packet.Some(sha256Method), packet.Some([]byte("y,,n=ann,r=abc"))
	}))
	first.refused(packet.BadUserNameOrPassword)
	last := w.prover(t, sha256Method, "ann", "pen")
	last.begin("last")
	last.prove()
	last.refused(packet.BadUserNameOrPassword)
	down := w.prover(t, sha256Method, "ann", "pencil")
	down.begin("down")
	challenge := down.challenged()
	w.backend.Auth.Fail(broker.E(broker.KindUnavailable, "test", nil))
	down.send(&packet.Auth{Reason: packet.ContinueAuth, Properties: down.say(challenge)})
	down.refused(packet.ServerUnavailable)
}

// [MQTT-4.12.0-5]: every AUTH and a successful CONNACK have the method of CONNECT.
func TestAuthenticationMethodStaysTheSame(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	p := w.prover(t, sha512Method, "ann", "pencil")
	p.begin("server")
	p.prove() // wants the method in AUTH
	if ack := p.admitted(); ack.Properties.AuthMethod.Value != sha512Method {
		t.Errorf("CONNACK %+v", ack)
	}
	other := w.prover(t, sha512Method, "ann", "pencil")
	other.begin("client")
	say := other.say(other.challenged())
	say.AuthMethod = packet.Some(sha256Method)
	other.send(&packet.Auth{Reason: packet.ContinueAuth, Properties: say})
	other.refused(packet.BadAuthMethod)
}

// [MQTT-4.12.0-6]: without a method in CONNECT the server sends no AUTH, and no method in CONNACK.
func TestNoAuthWithoutMethod(t *testing.T) {
	t.Parallel()
	c := enhancedWorld(t).dial(t, "tcp", packet.V5)
	c.send(connectPacket(packet.V5, "plain"))
	if ack := expect[*packet.Connack](c); ack.Reason != packet.Success || ack.Properties.AuthMethod.Present || ack.Properties.AuthData.Present {
		t.Errorf("CONNACK %+v", ack)
	}
	c.quiet()
}

// [MQTT-4.12.0-7]: without a method in CONNECT the client sends no AUTH.
func TestAuthWithoutMethodInConnect(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	for _, code := range []packet.ReasonCode{packet.ContinueAuth, packet.ReAuthenticate} {
		c := w.connect(t, packet.V5, "plain")
		c.send(&packet.Auth{Reason: code, Properties: packet.Properties{AuthMethod: packet.Some(sha256Method)}})
		c.expectEnd(packet.ProtocolError)
	}
}

// [MQTT-4.12.1-1]: a client authenticates again with AUTH 0x19 and the method of its CONNECT.
func TestReauthenticationNeedsTheSameMethod(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	p := w.proven(t, sha256Method, "same")
	p.restart("ann", "pencil")
	p.send(&packet.Auth{Reason: packet.ReAuthenticate, Properties: p.say(nil)})
	p.prove()
	if a := expect[*packet.Auth](p.client); a.Reason != packet.Success {
		t.Errorf("AUTH %+v", a)
	}
	say := p.say
	p.restart("ann", "pencil")
	other := say(nil)
	other.AuthMethod = packet.Some(sha512Method)
	p.send(&packet.Auth{Reason: packet.ReAuthenticate, Properties: other})
	p.expectEnd(packet.BadAuthMethod)
}

// [MQTT-4.12.1-2]: when it fails the server says DISCONNECT and closes.
func TestFailedReauthenticationEnds(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	p := w.proven(t, sha256Method, "fails")
	p.restart("ann", "pen")
	p.send(&packet.Auth{Reason: packet.ReAuthenticate, Properties: p.say(nil)})
	p.prove()
	p.expectEnd(packet.NotAuthorized)
	w.eventually(t, "it is counted", func() bool { return w.shutdowns("authentication_failed") == 1 })
}
