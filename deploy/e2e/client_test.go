package e2e

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// patience is how long anything may take that should come at once. The machine may be busy with other things.
const patience = 20 * time.Second

// message is what a client got.
type message struct {
	Topic   string
	Payload string
	QoS     byte
	Retain  bool
	Dup     bool
	ID      []int          // subscription identifiers (MQTT 5)
	User    map[string]any // user properties (MQTT 5)
}

func (m message) String() string {
	s := fmt.Sprintf("%s %.60s q%d", m.Topic, m.Payload, m.QoS)
	if m.Retain {
		s += " retained"
	}
	return s
}

// connect is what a client asks for.
type connect struct {
	Place          int    // which gateway, modulo how many there are
	ID             string // "": one that nobody else has
	Keep           bool   // a persistent session
	User, Password string
	KeepAlive      int // seconds; 0: 60
	Will           *message
}

// client is a connected client of some maker.
type client interface {
	Subscribe(t *testing.T, qos byte, filters ...string) // returns when SUBACK was read
	Publish(t *testing.T, m message)                     // returns when it is acknowledged
	Messages() <-chan message
	Leave(t *testing.T) // DISCONNECT
}

// presence is a client that tells whether the server had its session.
type presence interface{ Present() bool }

// kind is one way to connect.
type kind struct {
	name    string
	connect func(t *testing.T, o connect) client
}

// kinds are all clients of other makers, on every transport.
func kinds() []kind {
	return []kind{
		{"mosquitto 3.1", func(t *testing.T, o connect) client { return mosquitto(t, "mqttv31", o) }},
		{"mosquitto 3.1.1", func(t *testing.T, o connect) client { return mosquitto(t, "mqttv311", o) }},
		{"mosquitto 5", func(t *testing.T, o connect) client { return mosquitto(t, "mqttv5", o) }},
		{"paho.mqtt.golang 3.1", func(t *testing.T, o connect) client { return paho3(t, 3, o) }},
		{"paho.mqtt.golang 3.1.1", func(t *testing.T, o connect) client { return paho3(t, 4, o) }},
		{"paho.golang 5", func(t *testing.T, o connect) client { return paho5(t, o) }},
		{"MQTT.js 3.1.1 ws", func(t *testing.T, o connect) client { return mqttjs(t, 4, "ws", o) }},
		{"MQTT.js 5 wss", func(t *testing.T, o connect) client { return mqttjs(t, 5, "wss", o) }},
		{"mosquitto 3.1 tls", func(t *testing.T, o connect) client { return mosquittoTLS(t, "mqttv31", o) }},
		{"mosquitto 3.1.1 tls", func(t *testing.T, o connect) client { return mosquittoTLS(t, "mqttv311", o) }},
		{"mosquitto 5 tls", func(t *testing.T, o connect) client { return mosquittoTLS(t, "mqttv5", o) }},
	}
}

// at is the address for a place.
func at(list []string, place int) string { return list[place%len(list)] }

var serial atomic.Uint64

// unique is a client id or a topic level that nobody else uses.
func unique(what string) string { return fmt.Sprintf("%s-%d", what, serial.Add(1)) }

// id is the client id to use.
func (o connect) id() string {
	if o.ID != "" {
		return o.ID
	}
	return unique("e2e")
}

// next is the next message, which must come.
func next(t *testing.T, c client) message {
	t.Helper()
	select {
	case m, ok := <-c.Messages():
		if !ok {
			t.Fatal("the client ended")
		}
		return m
	case <-time.After(patience):
		t.Fatal("no message came")
	}
	return message{}
}

// expect wants these messages in this order: "topic payload qN", with " retained" behind.
func expect(t *testing.T, c client, want ...string) {
	t.Helper()
	for i, w := range want {
		if got := next(t, c).String(); got != w {
			t.Fatalf("message %d of %d is %q, want %q", i+1, len(want), got, w)
		}
	}
}

// expectAll wants these messages in any order.
func expectAll(t *testing.T, c client, want ...string) {
	t.Helper()
	missing := map[string]int{}
	for _, w := range want {
		missing[w]++
	}
	late := time.After(patience)
	for range want {
		select {
		case m := <-c.Messages():
			if missing[m.String()]--; missing[m.String()] < 0 {
				t.Fatalf("got %v, want any of %v", m, missing)
			}
			if missing[m.String()] == 0 {
				delete(missing, m.String())
			}
		case <-late:
			t.Fatalf("these did not come: %v", missing)
		}
	}
}

// until takes messages until this one came.
func until(t *testing.T, c client, want string) {
	t.Helper()
	for next(t, c).String() != want {
	}
}

// fence publishes a message that the client must get, and wants it to be the next one: what was published before on the same topic did not come.
func fence(t *testing.T, c client, from client, topic string) {
	t.Helper()
	mark := unique("fence")
	from.Publish(t, message{Topic: topic, Payload: mark, QoS: 1})
	if m := next(t, c); m.Payload != mark {
		t.Fatalf("got %v, want nothing before the fence", m)
	}
}

// eventually repeats fn until it gives no error.
func eventually(t *testing.T, within time.Duration, fn func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(within)
	for {
		err := fn()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("after %s: %v", within, err)
		}
	}
}
