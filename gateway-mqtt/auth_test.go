package gatewaymqtt_test

import (
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"github.com/pando-mq/pando/gateway-mqtt/packet"
	"github.com/pando-mq/pando/services/broker"
)

const (
	sha256Method = "SCRAM-SHA-256"
	sha512Method = "SCRAM-SHA-512"
)

// prover is a client that proves a password, by an implementation of SCRAM that is not ours.
type prover struct {
	*client
	method string
	conv   *scram.ClientConversation
}

// prover dials; it speaks MQTT 5.0.
func (w *world) prover(t *testing.T, method, user, password string) *prover {
	t.Helper()
	p := &prover{client: w.dial(t, "tcp", packet.V5), method: method}
	p.restart(user, password)
	return p
}

// restart begins another exchange on the same connection.
func (p *prover) restart(user, password string) {
	p.t.Helper()
	generator := scram.SHA256
	if p.method == sha512Method {
		generator = scram.SHA512
	}
	c, err := generator.NewClient(user, password, "")
	if err != nil {
		p.t.Fatal(err)
	}
	p.conv = c.NewConversation()
}

// say is the client's next message, in properties with the method.
func (p *prover) say(heard []byte) packet.Properties {
	p.t.Helper()
	out, err := p.conv.Step(string(heard))
	if err != nil {
		p.t.Fatal(err)
	}
	return packet.Properties{AuthMethod: packet.Some(p.method), AuthData: packet.Some([]byte(out))}
}

// begin sends CONNECT with the first message.
func (p *prover) begin(id string, change ...func(*packet.Connect)) {
	p.t.Helper()
	first := p.say(nil)
	p.send(connectPacket(packet.V5, id, append(change, func(c *packet.Connect) {
		c.Properties.AuthMethod, c.Properties.AuthData = first.AuthMethod, first.AuthData
	})...))
}

// challenged reads the server's AUTH 0x18, and returns what it says.
func (p *prover) challenged() []byte {
	p.t.Helper()
	a := expect[*packet.Auth](p.client)
	if a.Reason != packet.ContinueAuth || a.Properties.AuthMethod.Value != p.method {
		p.t.Fatalf("AUTH %+v", a)
	}
	return a.Properties.AuthData.Value
}

// prove answers a challenge.
func (p *prover) prove() {
	p.t.Helper()
	p.send(&packet.Auth{Reason: packet.ContinueAuth, Properties: p.say(p.challenged())})
}

// admitted reads CONNACK, and checks that the server knows the password.
func (p *prover) admitted() *packet.Connack {
	p.t.Helper()
	ack := expect[*packet.Connack](p.client)
	if ack.Reason != packet.Success || ack.Properties.AuthMethod.Value != p.method {
		p.t.Fatalf("CONNACK %+v", ack)
	}
	p.believe(ack.Properties.AuthData.Value)
	return ack
}

func (p *prover) believe(final []byte) {
	p.t.Helper()
	if _, err := p.conv.Step(string(final)); err != nil || !p.conv.Valid() {
		p.t.Fatalf("the server's signature %q: %v", final, err)
	}
}

// refused reads a CONNACK with a code, and the end.
func (p *prover) refused(code packet.ReasonCode) *packet.Connack {
	p.t.Helper()
	ack := expect[*packet.Connack](p.client)
	if ack.Reason != code {
		p.t.Errorf("CONNACK %s, want %s", ack.Reason, code)
	}
	p.expectClosed()
	return ack
}

// proven connects a client as ann.
func (w *world) proven(t *testing.T, method, id string, change ...func(*packet.Connect)) *prover {
	t.Helper()
	p := w.prover(t, method, "ann", "pencil")
	p.begin(id, change...)
	p.prove()
	p.admitted()
	return p
}

// enhancedWorld has one user, ann.
func enhancedWorld(t *testing.T, options ...func(*setup)) *world {
	t.Helper()
	w := start(t, options...)
	w.backend.Auth.PutSCRAM("ann", "pencil")
	return w
}

func TestEnhancedAuthentication(t *testing.T) {
	t.Parallel()
	for _, method := range []string{sha256Method, sha512Method} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := enhancedWorld(t)
			p := w.proven(t, method, "c-"+method, func(c *packet.Connect) {
				c.Username, c.Password = packet.Some("somebody"), packet.Some([]byte("never looked at"))
			})
			p.quiet()
			list, err := w.edge.Clients(t.Context(), broker.ClientQuery{})
			if err != nil || len(list) != 1 || list[0].Username != "ann" {
				t.Errorf("clients %+v, %v", list, err)
			}
		})
	}
}

// TestServerMayBegin is a client that names a method and says nothing yet.
func TestServerMayBegin(t *testing.T) {
	t.Parallel()
	p := enhancedWorld(t).prover(t, sha256Method, "ann", "pencil")
	p.send(connectPacket(packet.V5, "silent", func(c *packet.Connect) { c.Properties.AuthMethod = packet.Some(sha256Method) }))
	if said := p.challenged(); len(said) != 0 {
		t.Errorf("the server begins with %q", said)
	}
	p.send(&packet.Auth{Reason: packet.ContinueAuth, Properties: p.say(nil)})
	p.prove()
	p.admitted()
}

// TestEnhancedRefusals: the same answer to all who are not let in, and each is counted.
func TestEnhancedRefusals(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	var texts []string
	for _, who := range [][2]string{{"ann", "pen"}, {"nobody", "pencil"}} {
		p := w.prover(t, sha256Method, who[0], who[1])
		p.begin("refused-" + who[0])
		p.prove()
		texts = append(texts, p.refused(packet.BadUserNameOrPassword).Properties.ReasonString.Value)
	}
	if texts[0] != texts[1] || !strings.Contains(texts[0], "set the password again") {
		t.Errorf("reasons %q", texts)
	}
	garbage := w.prover(t, sha256Method, "ann", "pencil")
	garbage.send(connectPacket(packet.V5, "garbage", func(c *packet.Connect) {
		c.Properties.AuthMethod, c.Properties.AuthData = packet.Some(sha256Method), packet.Some([]byte{0, 1, 2})
	}))
	garbage.refused(packet.BadUserNameOrPassword)
	if n := w.metric(t, "pando_mqtt_connacks_total"); n != 3 {
		t.Errorf("%v CONNACKs counted", n)
	}
	w.eventually(t, "nobody is connected", func() bool { n, _ := w.edge.Node(t.Context()); return n.Clients == 0 })
	if strings.Contains(w.logged(), "pencil") || strings.Contains(w.logged(), "pen\"") {
		t.Errorf("log: %s", w.logged())
	}
}

// TestEndlessSteps: a client does not keep the server asking.
func TestEndlessSteps(t *testing.T) {
	t.Parallel()
	p := enhancedWorld(t).prover(t, sha256Method, "ann", "pencil")
	p.send(connectPacket(packet.V5, "endless", func(c *packet.Connect) { c.Properties.AuthMethod = packet.Some(sha256Method) }))
	for range 4 {
		p.challenged()
		p.send(&packet.Auth{Reason: packet.ContinueAuth, Properties: packet.Properties{AuthMethod: packet.Some(sha256Method)}})
	}
	p.refused(packet.BadUserNameOrPassword)
}

// TestAuthenticationTakesTooLong before CONNACK and after it.
func TestAuthenticationTakesTooLong(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t, func(s *setup) { s.cfg.IdleTimeout = time.Second })
	p := w.prover(t, sha256Method, "ann", "pencil")
	p.begin("slow")
	p.challenged()
	p.refused(packet.NotAuthorized)
	again := w.proven(t, sha256Method, "slow again")
	again.restart("ann", "pencil")
	again.send(&packet.Auth{Reason: packet.ReAuthenticate, Properties: again.say(nil)})
	again.challenged()
	again.expectEnd(packet.NotAuthorized)
	w.eventually(t, "both are counted", func() bool { return w.shutdowns("authentication_failed") == 2 })
}

// TestTooMuchBeforeAuthentication: what is kept of a stranger stays small during the exchange, too.
func TestTooMuchBeforeAuthentication(t *testing.T) {
	t.Parallel()
	p := enhancedWorld(t).prover(t, sha256Method, "ann", "pencil")
	p.begin("big")
	p.challenged()
	b := p.encode(&packet.Auth{Reason: packet.ContinueAuth, Properties: packet.Properties{
		AuthMethod: packet.Some(sha256Method), AuthData: packet.Some(make([]byte, 65000)), User: []packet.UserProperty{{Name: "n", Value: strings.Repeat("x", 1000)}},
	}})
	p.raw(b[:5]) // more would be in flight when the server closes
	p.refused(packet.PacketTooLarge)
}

// TestDisconnectDuringAuthentication leaves nothing behind.
func TestDisconnectDuringAuthentication(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	p := w.prover(t, sha256Method, "ann", "pencil")
	p.begin("leaves")
	p.challenged()
	p.send(&packet.Disconnect{})
	p.expectClosed()
	gone := w.prover(t, sha256Method, "ann", "pencil")
	gone.begin("gone")
	gone.challenged()
	if err := gone.nc.Close(); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, "both are gone", func() bool { return w.gw.Listeners()[0].CurrentClients == 0 })
	w.proven(t, sha256Method, "leaves").quiet()
}

// TestReauthentication of a client that receives messages all the while.
func TestReauthentication(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	p, pub := w.proven(t, sha256Method, "again"), w.connect(t, packet.V5, "pub")
	p.subscribe(1, "a")
	for range 2 {
		release := w.backend.Auth.StallExchange()
		p.restart("ann", "pencil")
		p.send(&packet.Auth{Reason: packet.ReAuthenticate, Properties: p.say(nil)})
		pub.send(message(0, 0, "a", "while authsvc is asked"))
		p.expectMessage("a", "while authsvc is asked")
		p.quiet()
		release()
		challenge := p.challenged()
		pub.send(message(0, 0, "a", "while the client is asked"))
		p.expectMessage("a", "while the client is asked")
		p.send(message(0, 0, "a", "of its own"))
		p.expectMessage("a", "of its own")
		p.send(&packet.Auth{Reason: packet.ContinueAuth, Properties: p.say(challenge)})
		done := expect[*packet.Auth](p.client)
		if done.Reason != packet.Success || done.Properties.AuthMethod.Value != sha256Method {
			t.Fatalf("AUTH %+v", done)
		}
		p.believe(done.Properties.AuthData.Value)
	}
	p.quiet()
}

// TestReauthenticationAsSomebodyElse: the connection has its identity.
func TestReauthenticationAsSomebodyElse(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	w.backend.Auth.PutSCRAM("bob", "pencil")
	p := w.proven(t, sha256Method, "again")
	p.restart("bob", "pencil")
	p.send(&packet.Auth{Reason: packet.ReAuthenticate, Properties: p.say(nil)})
	p.prove()
	p.expectEnd(packet.NotAuthorized)
}

// TestAuthOutOfTurn: what only the server may say, answers to nothing, and two at once.
func TestAuthOutOfTurn(t *testing.T) {
	t.Parallel()
	w := enhancedWorld(t)
	named := packet.Properties{AuthMethod: packet.Some(sha256Method)}
	for name, ps := range map[string][]packet.Packet{
		"success from a client":   {&packet.Auth{Reason: packet.Success, Properties: named}},
		"success without method":  {&packet.Auth{Reason: packet.Success}},
		"answer to nothing":       {&packet.Auth{Reason: packet.ContinueAuth, Properties: named}},
		"second CONNECT":          {connectPacket(packet.V5, "x")},
		"another one meanwhile":   {&packet.Auth{Reason: packet.ReAuthenticate, Properties: named}, &packet.Auth{Reason: packet.ReAuthenticate, Properties: named}},
		"answer before the words": {&packet.Auth{Reason: packet.ReAuthenticate, Properties: named}, &packet.Auth{Reason: packet.ContinueAuth, Properties: named}},
	} {
		t.Run(name, func(t *testing.T) {
			release := func() {}
			p := w.proven(t, sha256Method, name)
			if len(ps) > 1 {
				release = w.backend.Auth.StallExchange()
			}
			p.send(ps...)
			p.expectEnd(packet.ProtocolError)
			release()
		})
	}
	first := w.dial(t, "tcp", packet.V5)
	first.send(&packet.Auth{Reason: packet.ContinueAuth, Properties: named}) // nobody who began like an MQTT client: no answer
	first.expectClosed()
	during := w.prover(t, sha256Method, "ann", "pencil")
	during.begin("during")
	during.challenged()
	during.send(&packet.Auth{Reason: packet.ReAuthenticate, Properties: named})
	during.refused(packet.ProtocolError)
}
