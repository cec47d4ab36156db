package e2e

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// p5 is a client of paho.golang: MQTT 5.0.
type p5 struct {
	*paho.Client
	conn    net.Conn
	connack *paho.Connack
	got     chan message
	raw     chan *paho.Publish    // the same messages with all their properties
	reason  chan *paho.Disconnect // the server's DISCONNECT
}

// forever is the session expiry of a persistent session.
const forever = uint32(7200)

func paho5(t *testing.T, o connect) *p5 {
	t.Helper()
	cp := &paho.Connect{ClientID: o.id(), CleanStart: !o.Keep, KeepAlive: 60, Properties: &paho.ConnectProperties{RequestProblemInfo: true}}
	if o.KeepAlive > 0 {
		cp.KeepAlive = uint16(o.KeepAlive)
	}
	if o.Keep {
		cp.Properties.SessionExpiryInterval = ptr(forever)
	}
	if o.User != "" {
		cp.Username, cp.UsernameFlag, cp.Password, cp.PasswordFlag = o.User, true, []byte(o.Password), true
	}
	if w := o.Will; w != nil {
		cp.WillMessage = &paho.WillMessage{Topic: w.Topic, Payload: []byte(w.Payload), QoS: w.QoS, Retain: w.Retain}
	}
	return paho5With(t, o.Place, cp)
}

// paho5With connects with a CONNECT of one's own.
func paho5With(t *testing.T, place int, cp *paho.Connect) *p5 {
	t.Helper()
	c, err := tryPaho5(t, place, cp)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tryPaho5 gives an error for a refused connection; its CONNACK is in the client.
func tryPaho5(t *testing.T, place int, cp *paho.Connect) (*p5, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", at(suite.MQTT(), place), patience)
	if err != nil {
		return nil, err
	}
	return paho5Over(t, conn, cp)
}

// paho5Over connects over a connection of one's own.
func paho5Over(t *testing.T, conn net.Conn, cp *paho.Connect) (*p5, error) {
	t.Helper()
	var err error
	c := &p5{conn: conn, got: make(chan message, inbox), raw: make(chan *paho.Publish, inbox), reason: make(chan *paho.Disconnect, 1)}
	c.Client = paho.NewClient(paho.ClientConfig{
		Conn: packets.NewThreadSafeConn(conn), PacketTimeout: patience, // it writes a packet in parts, between which its PINGREQ may come, where the connection is not TCP
		OnPublishReceived:  []func(paho.PublishReceived) (bool, error){c.receive},
		OnServerDisconnect: func(d *paho.Disconnect) { c.reason <- d },
		OnClientError:      func(error) {},
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if c.connack, err = c.Connect(ctx, cp); err != nil {
		return c, err
	}
	t.Cleanup(func() { _ = c.Disconnect(&paho.Disconnect{}) })
	return c, nil
}

func ptr[T any](v T) *T { return &v }

func (c *p5) receive(r paho.PublishReceived) (bool, error) {
	m := message{Topic: r.Packet.Topic, Payload: string(r.Packet.Payload), QoS: r.Packet.QoS, Retain: r.Packet.Retain}
	if p := r.Packet.Properties; p != nil {
		if p.SubscriptionIdentifier != nil {
			m.ID = []int{*p.SubscriptionIdentifier}
		}
		m.User = map[string]any{}
		for _, u := range p.User {
			m.User[u.Key] = u.Value
		}
	}
	c.raw <- r.Packet
	c.got <- m
	return true, nil
}

func (c *p5) Present() bool            { return c.connack.SessionPresent }
func (c *p5) Messages() <-chan message { return c.got }
func (c *p5) Drop()                    { _ = c.conn.Close() }

func (c *p5) Leave(t *testing.T) {
	t.Helper()
	if err := c.Disconnect(&paho.Disconnect{}); err != nil {
		t.Fatal(err)
	}
}

func (c *p5) Subscribe(t *testing.T, qos byte, filters ...string) {
	t.Helper()
	var list []paho.SubscribeOptions
	for _, f := range filters {
		list = append(list, paho.SubscribeOptions{Topic: f, QoS: qos})
	}
	c.subscribe(t, nil, list...)
}

// subscribe with options; an error if anything is refused.
func (c *p5) subscribe(t *testing.T, id *int, list ...paho.SubscribeOptions) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := &paho.Subscribe{Subscriptions: list}
	if id != nil {
		s.Properties = &paho.SubscribeProperties{SubscriptionIdentifier: id}
	}
	if _, err := c.Client.Subscribe(ctx, s); err != nil {
		t.Fatal(err)
	}
}

func (c *p5) Publish(t *testing.T, m message) {
	t.Helper()
	c.publish(t, &paho.Publish{Topic: m.Topic, Payload: []byte(m.Payload), QoS: m.QoS, Retain: m.Retain})
}

// publish sends a message with its properties and gives the reason code of the acknowledgement.
func (c *p5) publish(t *testing.T, p *paho.Publish) byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := c.Client.Publish(ctx, p)
	if r != nil && r.ReasonCode >= 0x80 {
		return r.ReasonCode
	}
	if err != nil {
		t.Fatal(errors.Join(errors.New("publish "+p.Topic), err))
	}
	if r == nil {
		return 0
	}
	return r.ReasonCode
}
