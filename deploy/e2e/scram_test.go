package e2e

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	"github.com/xdg-go/scram"
)

// scramClient is a client of paho.golang that proves its password, by an implementation of SCRAM that is not ours.
type scramClient struct {
	*paho.Client
	t       *testing.T
	method  string
	conv    *scram.ClientConversation
	got     chan string
	connack *paho.Connack
}

// begin starts an exchange and gives its first message.
func (c *scramClient) begin(user, secret string) []byte {
	c.t.Helper()
	generator := scram.SHA256
	if c.method == "SCRAM-SHA-512" {
		generator = scram.SHA512
	}
	client, err := generator.NewClient(user, secret, "")
	if err != nil {
		c.t.Fatal(err)
	}
	c.conv = client.NewConversation()
	first, err := c.conv.Step("")
	if err != nil {
		c.t.Fatal(err)
	}
	return []byte(first)
}

// Authenticate implements paho.Auther: it answers a challenge.
func (c *scramClient) Authenticate(a *paho.Auth) *paho.Auth {
	out, err := c.conv.Step(string(a.Properties.AuthData))
	if err != nil {
		c.t.Errorf("challenge %q: %v", a.Properties.AuthData, err)
	}
	return &paho.Auth{ReasonCode: 0x18, Properties: &paho.AuthProperties{AuthMethod: c.method, AuthData: []byte(out)}}
}

// Authenticated implements paho.Auther.
func (c *scramClient) Authenticated() {}

// believe checks that the server knows the password too.
func (c *scramClient) believe(final []byte) {
	c.t.Helper()
	if _, err := c.conv.Step(string(final)); err != nil || !c.conv.Valid() {
		c.t.Errorf("the server's signature %q: %v", final, err)
	}
}

// scramConnect connects at a gateway and gives the code of CONNACK.
func scramConnect(t *testing.T, place int, method, user, secret string) (*scramClient, byte) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", at(suite.MQTT(), place), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &scramClient{t: t, method: method, got: make(chan string, inbox)}
	c.Client = paho.NewClient(paho.ClientConfig{
		Conn: conn, PacketTimeout: patience, AuthHandler: c, OnClientError: func(error) {}, OnServerDisconnect: func(*paho.Disconnect) {},
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
			c.got <- string(r.Packet.Payload)
			return true, nil
		}},
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c.connack, err = c.Connect(ctx, &paho.Connect{
		ClientID: unique("scram"), CleanStart: true, KeepAlive: 60, Properties: &paho.ConnectProperties{AuthMethod: method, AuthData: c.begin(user, secret)},
	})
	if c.connack == nil {
		t.Fatal(err)
	}
	return c, c.connack.ReasonCode
}

// Users prove their passwords at every gateway, whichever authsvc takes which step; a changed password holds soon. (MQTT 5.0 §4.12)
func TestSCRAM(t *testing.T) {
	t.Parallel()
	user := unique("prover")
	ctlOK(t, "first\n", "users", "add", user, "--password-stdin")
	logsIn(t, user, "first", 0)
	for place := range suite.MQTT() {
		for _, method := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			for range 3 {
				c, code := scramConnect(t, place, method, user, "first")
				if code != 0 {
					t.Fatalf("gateway %d, %s: CONNACK %#x", place, method, code)
				}
				c.believe(c.connack.Properties.AuthData)
			}
			if _, code := scramConnect(t, place, method, user, "wrong"); code != 0x86 {
				t.Errorf("gateway %d, %s, wrong: CONNACK %#x", place, method, code)
			}
			if _, code := scramConnect(t, place, method, unique("nobody"), "first"); code != 0x86 {
				t.Errorf("gateway %d, %s, nobody: CONNACK %#x", place, method, code)
			}
		}
	}
	if c, err := tryPaho5(t, 0, &paho.Connect{ClientID: unique("method"), CleanStart: true, Properties: &paho.ConnectProperties{AuthMethod: "GS2-KRB5"}}); c.connack == nil || c.connack.ReasonCode != 0x8c {
		t.Errorf("an unknown method: %+v, %v", c.connack, err)
	}
}

// A live connection authenticates again while it goes on receiving. (§4.12.1)
func TestReauthentication(t *testing.T) {
	t.Parallel()
	user, topic := unique("prover"), unique("e2e/reauth")
	ctlOK(t, "first\n", "users", "add", user, "--password-stdin")
	logsIn(t, user, "first", 0)
	c, code := scramConnect(t, 0, "SCRAM-SHA-256", user, "first")
	if code != 0 {
		t.Fatalf("CONNACK %#x", code)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: topic, QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	pub := paho5(t, connect{Place: 1})
	for range 3 {
		first := c.begin(user, "first")
		r, err := c.Client.Authenticate(ctx, &paho.Auth{ReasonCode: 0x19, Properties: &paho.AuthProperties{AuthMethod: c.method, AuthData: first}})
		if err != nil || !r.Success {
			t.Fatalf("%+v, %v", r, err)
		}
		// This client's library does not show the data of the last AUTH; gateway-mqtt's own tests check the signature.
		pub.Publish(t, message{Topic: topic, Payload: "on", QoS: 1})
		select {
		case <-c.got:
		case <-time.After(patience):
			t.Fatal("nothing came")
		}
	}
}
