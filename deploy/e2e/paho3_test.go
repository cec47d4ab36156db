package e2e

import (
	"net"
	"net/url"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// p3 is a client of paho.mqtt.golang: MQTT 3.1 and 3.1.1.
type p3 struct {
	mqtt.Client
	version uint
	conn    net.Conn
	present bool
	got     chan message
	lost    chan struct{} // closed when the connection ended without being asked to
}

const inbox = 100_000

func paho3(t *testing.T, version uint, o connect) *p3 {
	t.Helper()
	c := newPaho3(version, o)
	token := c.Connect()
	await(t, token)
	c.present = token.(*mqtt.ConnectToken).SessionPresent()
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func newPaho3(version uint, o connect) *p3 {
	c := &p3{version: version, got: make(chan message, inbox), lost: make(chan struct{})}
	options := mqtt.NewClientOptions().AddBroker("tcp://" + at(suite.MQTT(), o.Place)).SetClientID(o.id()).SetProtocolVersion(version).
		SetCleanSession(!o.Keep).SetAutoReconnect(false).SetConnectTimeout(patience).SetUsername(o.User).SetPassword(o.Password).
		SetConnectionLostHandler(func(mqtt.Client, error) { close(c.lost) }).
		SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
			conn, err := net.DialTimeout("tcp", u.Host, patience)
			c.conn = conn
			return conn, err
		}).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			c.got <- message{Topic: m.Topic(), Payload: string(m.Payload()), QoS: m.Qos(), Retain: m.Retained(), Dup: m.Duplicate()}
		})
	if o.KeepAlive > 0 {
		options.SetKeepAlive(time.Duration(o.KeepAlive) * time.Second)
	}
	if w := o.Will; w != nil {
		options.SetWill(w.Topic, w.Payload, w.QoS, w.Retain)
	}
	c.Client = mqtt.NewClient(options)
	return c
}

func await(t *testing.T, token mqtt.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) {
		t.Fatal("no answer")
	}
	if err := token.Error(); err != nil {
		t.Fatal(err)
	}
}

func (c *p3) Present() bool            { return c.present }
func (c *p3) Messages() <-chan message { return c.got }
func (c *p3) Leave(*testing.T)         { c.Disconnect(100) }

// Drop ends the connection without DISCONNECT.
func (c *p3) Drop() { _ = c.conn.Close() }

func (c *p3) Subscribe(t *testing.T, qos byte, filters ...string) {
	t.Helper()
	wanted := map[string]byte{}
	for _, f := range filters {
		wanted[f] = qos
	}
	token := c.SubscribeMultiple(wanted, nil)
	await(t, token)
	for f, granted := range token.(*mqtt.SubscribeToken).Result() {
		if granted != qos {
			t.Fatalf("subscription to %s: granted %#x, want %d", f, granted, qos)
		}
	}
}

func (c *p3) Publish(t *testing.T, m message) {
	t.Helper()
	await(t, c.Client.Publish(m.Topic, m.QoS, m.Retain, m.Payload))
}

// Unsubscribe returns when UNSUBACK was read.
func (c *p3) Unsubscribe(t *testing.T, filters ...string) {
	t.Helper()
	await(t, c.Client.Unsubscribe(filters...))
}

// ended waits until the server has closed the connection.
func (c *p3) ended(t *testing.T, within time.Duration) {
	t.Helper()
	select {
	case <-c.lost:
	case <-time.After(within):
		t.Fatalf("the connection is still there after %s", within)
	}
}
